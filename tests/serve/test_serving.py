"""``weighbridge serve`` as a process: real checks, signals, and what is left when it is killed."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import jsonschema
import psutil
import pytest

from sampler.base.errors import UsageError
from sampler.base.own_process import command_of, environment
from sampler.cli.entry import main
from sampler.demo.process import EmbeddedService
from sampler.serve import memory
from sampler.serve.server import openapi
from sampler.web.door import MOST_CONNECTIONS
from tests.clusters import FakeCluster, canary
from tests.processes import children, started

SESSION = openapi()["components"]["schemas"]["Session"]  # type: ignore[index]
ENDLESS = 'tolerance = "0.05pp"\nmax-rate = "200/s"\nmax-time = "10m"\n'
"""A check of this gate does not end before it is told to."""


@pytest.fixture(scope="module")
def service():
    """One version, so that PASS is certain."""
    with EmbeddedService({"v1": 3}, seed=1) as served:
        yield served


def configuration(folder, **tables):
    text = "\n".join(f"[gate.{name}]\n{table}" for name, table in tables.items())
    (folder / "weighbridge.toml").write_text(text, encoding="utf-8")


def plain(service, more=""):
    return f'url = "{service.url}"\nexpect = "v1=1"\n{more}'


@contextmanager
def serving(folder, *options):
    listen = ("--listen", "127.0.0.1:0", "--no-access-log")
    process = started(folder, "serve", *listen, *(options or ("--sessions", "1")))
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, process.communicate()
        yield process, url
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def ask(url, method="GET", body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def check(url, gate="shop", **body):
    status, data = ask(f"{url}/v1/gates/{gate}/checks", "POST", body)
    return status, json.loads(data)


def told(url):
    """Ask until a check has ended, as a controller does: one may take longer than a call."""
    status, data = ask(url)
    while not json.loads(data).get("final", True):
        status, data = ask(url)
    return status, json.loads(data)


def wait_until(is_so, process):
    while not is_so():
        assert process.poll() is None


def test_a_check_is_an_ordinary_run_with_its_documents(tmp_path, service):
    configuration(tmp_path, shop=plain(service))
    with serving(tmp_path) as (process, url):
        status, document = check(url, wait=25)
        jsonschema.validate(document, SESSION)
        artifacts = {name: ask(f"{url}{document['status_url']}/{name}")
                     for name in ("report", "report.html", "junit")}  # fmt: skip
        ready = ask(f"{url}/readyz")[0]
        soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0

    assert (status, ready, document["verdict"], document["exit_code"]) == (200, 200, "PASS", 0)
    run = tmp_path / document["run"]
    report = json.loads(artifacts["report"][1])
    assert report == json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert report["reasons"][0]["message"].encode("ascii", "backslashreplace").decode()[:20]
    assert document["line"].startswith("PASS: ")
    assert soft > MOST_CONNECTIONS or soft == hard
    assert (run / "samples.parquet").exists()
    assert report["run"]["command"].startswith("weighbridge check http://127.0.0.1")
    assert b"<testsuite" in artifacts["junit"][1]
    assert artifacts["report.html"][1].startswith(b"<!DOCTYPE html>")


def test_200_pollers_on_5_keys_are_5_runs_each_counted_once_by_the_target(tmp_path):
    with EmbeddedService({"v1": 3}, seed=1) as service:
        configuration(tmp_path, shop=plain(service))
        with serving(tmp_path, "--sessions", "2") as (_, url), ThreadPoolExecutor(200) as pool:
            paths = [f"{url}/v1/argo/shop?key=k{n % 5}&wait=25" for n in range(200)]
            given = list(pool.map(told, paths))
        served = service.counts().total

    assert {status for status, _ in given} == {200}
    assert {document["verdict"] for _, document in given} == {"PASS"}
    by_key = {(document["key"], document["id"]) for _, document in given}
    assert len(by_key) == 5
    runs = list((tmp_path / "reports").glob("*-shop-*/report.json"))
    assert len(runs) == 5
    reports = [json.loads(run.read_text(encoding="utf-8")) for run in runs]
    assert sum(report["samples"]["launched"] for report in reports) == served


def test_sigterm_ends_checks_as_inconclusive_and_writes_them(tmp_path, service):
    configuration(tmp_path, shop=plain(service, ENDLESS))
    with serving(tmp_path) as (process, url), ThreadPoolExecutor(1) as pool:
        _, begun = check(url, key="a", wait=0)
        state = f"{url}{begun['status_url']}"
        wait_until(lambda: json.loads(ask(f"{state}?wait=0.3")[1])["connections"] > 0, process)
        waiting = pool.submit(ask, f"{state}?wait=25")
        process.send_signal(signal.SIGTERM)
        _, body = waiting.result()
        assert process.wait(60) == 0

    document = json.loads(body)
    assert (document["verdict"], document["reason"]) == ("INCONCLUSIVE", "interrupted")
    (run,) = (tmp_path / "reports").glob("*-shop-*")
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert report["samples"]["launched"] == sum(report["samples"]["outcomes"].values()) > 0


@pytest.mark.needs("go")
@pytest.mark.timeout(900)  # as in test_go_client
@pytest.mark.parametrize("kills_weighers", [False, True])
def test_after_sigkill_callers_are_told_the_truth(tmp_path, service, call, kills_weighers):
    configuration(tmp_path, shop=plain(service), slow=plain(service, ENDLESS))
    slow = "/v1/argo/slow?key=a&wait=25"
    with serving(tmp_path) as (process, url), ThreadPoolExecutor(1) as pool:
        _, passed = check(url, key="p", wait=25)
        waiting = pool.submit(call, "argo", url + slow, timeout="60s")
        running = b'weighbridge_sessions{state="running"} 1.0'
        wait_until(lambda: running in ask(f"{url}/metrics")[1], process)
        _, begun = check(url, "slow", key="a", wait=0)
        state = f"{url}{begun['status_url']}"
        wait_until(lambda: json.loads(ask(f"{state}?wait=0.3")[1])["connections"] > 0, process)
        weighers = children(process)
        process.kill()
        if kills_weighers:
            for pid in weighers:
                os.kill(pid, signal.SIGKILL)
        process.wait(60)
        cut = waiting.result()
    with serving(tmp_path) as (process, url):
        told = {each["id"]: json.loads(ask(f"{url}{each['status_url']}")[1])
                for each in (passed, begun)}  # fmt: skip
        report = ask(f"{url}{begun['status_url']}/report")
        again = call("argo", url + slow)
        repeated = call("argo", f"{url}/v1/argo/shop?key=p&wait=8")

    assert (cut["phase"], cut["status"]) == ("Error", 0)
    assert told[passed["id"]]["verdict"] == "PASS"
    assert (repeated["phase"], repeated["document"]["ID"]) == ("Successful", passed["id"])
    killed = told[begun["id"]]
    jsonschema.validate(killed, SESSION)
    assert (killed["verdict"], killed["reason"], killed["final"]) == (
        "INCONCLUSIVE", "interrupted", True,
    )  # fmt: skip
    # It is repeated like any other end.
    assert (again["phase"], again["document"]["ID"]) == ("Inconclusive", begun["id"])
    assert report[0] == 200
    assert json.loads(report[1])["verdict"] == "INCONCLUSIVE"


def test_a_gate_reads_the_cluster_and_nothing_passes_without_it(tmp_path, monkeypatch, service):
    hook = {"name": "app", "namespace": "shop", "checksum": "1", "metadata": {"wait": "25"}}
    table = f'url = "{service.url}"\ncluster = true\nservice = "app"\ntolerance = "5pp"\n'
    configuration(tmp_path, shop=table)
    with FakeCluster(canary(3, 0)) as cluster:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig(tmp_path)))
        with serving(tmp_path) as (process, url):
            _, document = check(url, wait=25)
            wait_until(lambda: ask(f"{url}/readyz")[0] == 200, process)
            increase = f"{url}/v1/flagger/shop/confirm-traffic-increase"
            passed = ask(increase, "POST", hook)
            cluster.revoke("t")
            refused = ask(increase, "POST", hook)
            status, problem = check(url, wait=25)

    assert (document["verdict"], document["expected"]) == (
        "PASS",
        {"v1": 1.0, "v2": 0.0},
    )
    assert (passed[0], refused[0], status) == (200, 403, 422), (passed, refused, problem)
    assert refused[1].startswith(b"INCONCLUSIVE: ")


def test_labels_of_strangers_are_inert_wherever_they_are_shown(tmp_path):
    hostile = "<script>alert(1)</script>\u202e"
    with EmbeddedService({hostile: 1, "v1": 1}, seed=2) as service:
        configuration(tmp_path, shop=plain(service))
        with serving(tmp_path) as (_, url):
            _, document = check(url, key="<img src=x onerror=alert(2)>", wait=25)
            page = ask(f"{url}/")[1].decode()

    assert document["verdict"] == "FAIL"
    assert "script" in document["line"]
    assert document["line"].isascii()
    assert "<script" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("options", "gates", "said"),
    [
        (("--listen", "0.0.0.0:0"), 'url = "http://h/"\nexpect = "v1=1"', "--token-file"),
        (("--listen", "nowhere"), 'url = "http://h/"\nexpect = "v1=1"', "HOST:PORT"),
        ((), 'url = "http://h/"\nexpect = "v1=0"', "[gate.shop]"),
        ((), 'url = "ftp://h/"\nexpect = "v1=1"', "[gate.shop]"),
        ((), 'url = "http://h/"\nexpct = "v1=1"', "did you mean expect?"),
        ((), 'url = "http://h/"\nexpect = "v1=1"\nout = "x"', "give it to serve"),
        ((), 'url = "http://h/"\nexpect = "v1=1"\nlinger = "soon"', "linger"),
        ((), 'url = "http://h/"\nexpect = "v1=1"\npermit = ["url"]', "expected some of"),
        ((), 'url = "http://h/"\nexpect = "v1=1"\nkind = "dance"', "kind"),
        ((), 'manifests = "-"\nservice = "x"', "stdin"),
        ((), 'expect = "v1=1"', "[gate.shop]"),
        (("--tls-cert", "x"), 'url = "http://h/"\nexpect = "v1=1"', "--tls-key"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_listens(
    monkeypatch, capsys, tmp_path, options, gates, said
):
    configuration(tmp_path, shop=gates)
    monkeypatch.chdir(tmp_path)

    assert main(["serve", *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "reports").exists()


def test_a_configuration_without_a_gate_is_refused(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["serve"]) == 2
    assert "No such file" in capsys.readouterr().err
    (tmp_path / "weighbridge.toml").write_text("[serve]\nsessions = 1\n", encoding="utf-8")

    assert main(["serve"]) == 2
    assert "has no gate" in capsys.readouterr().err


def test_a_folder_of_runs_belongs_to_one_server(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_ORPHANS_S", 0.0)

    async def act():
        async with memory.locked(tmp_path):
            with pytest.raises(UsageError, match="another server"):
                async with memory.locked(tmp_path):
                    pass
        async with memory.locked(tmp_path):
            pass

    asyncio.run(act())


def test_sigterm_ends_a_server_that_has_not_begun(tmp_path, service):
    configuration(tmp_path, shop=plain(service))

    async def act():
        async with memory.locked(tmp_path / "reports"):
            process = started(tmp_path, "serve", "--listen", "127.0.0.1:0")
            lock = str(tmp_path / "reports" / ".serve.lock")
            seen = psutil.Process(process.pid)
            wait_until(lambda: lock in {each.path for each in seen.open_files()}, process)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
            return process.returncode, said

    assert asyncio.run(act()) == (0, "")


def test_a_stop_that_comes_with_its_job_is_heard(tmp_path, service):
    options = {"url": service.url, "expect": "v1=1", "tolerance": "0.05pp", "max-time": "3s",
               "max-rate": "50/s"}  # fmt: skip
    job = {"do": "check", "options": options, "name": "x", "out": str(tmp_path), "keep": None,
           "canary": "", "session": {}}  # fmt: skip
    weigher = subprocess.Popen(
        command_of("sampler.cli.weigher"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=environment(),
    )  # fmt: skip
    with weigher:
        assert weigher.stdin is not None
        assert weigher.stdout is not None
        weigher.stdin.write(json.dumps(job).encode() + b"\n" + b'{"do": "stop"}\n')
        weigher.stdin.flush()
        told = next(filter(lambda each: "end" in each, map(json.loads, weigher.stdout)))
        weigher.stdin.close()

    assert told["end"]["outcome"]["reason"] == "interrupted"
