"""The examples for controllers and scripts, each asked of a real server."""

from __future__ import annotations

import asyncio
import json
import subprocess
from urllib.parse import urlsplit

import pytest
from ruamel.yaml import YAML

from sampler.serve.flagger import HOOKS
from tests.processes import REPOSITORY, surroundings
from tests.serve.controllers import Analysis
from tests.serve.serving import gate, served
from tests.serve.test_doors import PAYLOAD

EXAMPLES = REPOSITORY / "examples"
YAML_12 = YAML(typ="safe")


def example(path):
    return YAML_12.load(EXAMPLES / path)


def metric_of(path):
    (metric,) = example(path)["spec"]["metrics"]
    return metric


def filled(template):
    """Put arguments in where Argo does; give path and query."""
    for name, value in {"gate": "shop", "rollout": "prod/shop", "hash": "9", "step": "2"}.items():
        template = template.replace(f"{{{{args.{name}}}}}", value)
    parts = urlsplit(template)
    return f"{parts.path}?{parts.query}"


@pytest.mark.parametrize("path", ["analysis-web.yaml", "analysis-web-before-1.8.yaml"])
@pytest.mark.parametrize(
    ("script", "phase"),
    [("PASS", "Successful"), ("FAIL", "Failed"), ("INCONCLUSIVE", "Inconclusive")],
)
def test_an_analysis_template_ends_as_the_check_does(tmp_path, path, script, phase):
    metric = metric_of(f"argo-rollouts/{path}")
    web = metric["provider"]["web"]
    conditions = metric["successCondition"], metric["failureCondition"]
    assert conditions == ('result startsWith "PASS"', 'result startsWith "FAIL"')
    analysis = Analysis(
        metric["count"],
        metric["inconclusiveLimit"],
        metric["failureLimit"],
        metric.get("consecutiveSuccessLimit", 0),
        metric["consecutiveErrorLimit"],
    )

    async def act(_server, client):
        async def ask(where):
            async with client.get(where) as response:
                return response.status, await response.text()

        return await analysis.run(ask, filled(web["url"]))

    assert served(act, gate(script), out=tmp_path) == phase
    assert int(web["url"].rpartition("wait=")[2]) < web["timeoutSeconds"]


@pytest.mark.needs("kubectl")
@pytest.mark.parametrize("script", ["PASS", "HANG"])
def test_kubectl_finds_the_line_where_the_template_looks(tmp_path, script):
    """The controller has the same jsonpath as kubectl, which takes it from any object."""
    path = metric_of("argo-rollouts/analysis-web.yaml")["provider"]["web"]["jsonPath"]

    async def act(_server, client):
        wait = 0 if script == "HANG" else 20
        async with client.get(f"/v1/argo/shop?key=a&wait={wait}") as response:
            return await response.json()

    document = served(act, gate(script), out=tmp_path / "runs")
    wrapped = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, **document}
    file = tmp_path / "document.json"
    file.write_text(json.dumps(wrapped), encoding="utf-8")
    done = subprocess.run(
        ["kubectl", "label", "--local", "-f", file, "a=b", "-o", f"jsonpath={path}"],
        capture_output=True, text=True, check=True, env=surroundings(HOME=str(tmp_path)),
    )  # fmt: skip

    assert done.stdout == document["line"]
    assert done.stdout.startswith("PASS" if script == "PASS" else "PENDING")


def test_a_canary_calls_hooks_that_exist_and_leaves_time_between_them(tmp_path):
    analysis = example("flagger/canary.yaml")["spec"]["analysis"]
    hooks = analysis["webhooks"]

    async def act(_server, client):
        told = []
        for hook in hooks:
            async with client.post(urlsplit(hook["url"]).path, json=PAYLOAD) as response:
                told.append(response.status)
        return told

    assert served(act, gate("FAIL"), out=tmp_path) == [403, 403, 200]
    assert all(hook["type"] in HOOKS and hook["url"].endswith(hook["type"]) for hook in hooks)
    seconds = [int(hook["timeout"].removesuffix("s")) for hook in hooks]
    # Of increase and promotion, one is called in a tick.
    assert sum(seconds) - min(seconds) < int(analysis["interval"].removesuffix("s"))


def test_a_step_of_kargo_asks_a_path_and_reads_members_that_exist(tmp_path):
    config = example("kargo/promotion.yaml")[0]["config"]

    async def act(_server, client):
        body = {"key": "a", "wait": 15}
        async with client.post(urlsplit(config["url"]).path, json=body) as response:
            return await response.json()

    document = served(act, gate("FAIL"), out=tmp_path)

    assert (document["verdict"], document["final"]) == ("FAIL", True)
    for name in ("successExpression", "failureExpression", "errorExpression"):
        for member in config[name].split("response.body.")[1:]:
            assert member.split()[0] in document


@pytest.mark.needs("curl")
@pytest.mark.parametrize(
    ("script", "code", "said"),
    [("PASS", 0, "PASS: as"), ("FAIL", 1, "FAIL: as"), ("INCONCLUSIVE", 3, "INCONCLUSIVE: as"),
     ("UNMEASURABLE", 4, "")],
)  # fmt: skip
def test_the_script_ends_with_the_code_of_the_check(tmp_path, script, code, said):
    async def act(_server, client):
        async with client.get("/healthz") as response:
            server = str(response.url.origin())
        process = await asyncio.create_subprocess_exec(
            EXAMPLES / "scripts" / "gate.sh", server, "shop",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, _ = await process.communicate()
        return process.returncode, out.decode()

    ended, out = served(act, gate(script), out=tmp_path)

    assert ended == code
    assert out.startswith(said)
