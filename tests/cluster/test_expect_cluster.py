"""``weighbridge expect --cluster`` against an API server on loopback."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys

import kmock
import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from sampler.base.errors import ClusterError, UsageError
from sampler.cli import main
from sampler.cli.expectation import schema
from sampler.demo.process import EmbeddedService
from sampler.expect.cluster import api as cluster_module
from sampler.expect.cluster.credentials import access
from sampler.expect.cluster.overview import look
from sampler.expect.cluster.resources import CONTEXT, EXTENSIONS, PODS, WORKLOADS
from sampler.expect.cluster.rights import Rights
from sampler.expect.rules.model import Question
from tests.clusters import (
    ACCOUNT,
    NAMESPACE,
    FakeCluster,
    canary,
    deployment,
    endpoint,
    endpoint_slice,
    names,
    service,
    write_kubeconfig,
)
from tests.processes import REPOSITORY

GATEWAY = "gateway.networking.k8s.io/v1"
ROLLOUT = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "name": "web",
    "controller": True,
    "uid": "web",
}


def flat(text):
    return " ".join(text.split())


@pytest.fixture
def asks(capsys):
    """Run ``weighbridge expect --cluster`` here; give exit code, output and errors."""

    def run(*arguments):
        code = main(["expect", "--cluster", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def without(kind, objects):
    return [body for body in objects if body["kind"] != kind]


def http_route(stable, new):
    return {
        "apiVersion": GATEWAY,
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": NAMESPACE, "generation": 7},
        "spec": {
            "rules": [
                {
                    "backendRefs": [
                        {"name": "stable", "port": 80, "weight": stable},
                        {"name": "new", "port": 80, "weight": new},
                    ]
                }
            ]
        },
    }


def test_what_is_configured_and_what_runs_stand_side_by_side_with_their_places(reach, asks):
    with FakeCluster(canary(9, 1)) as cluster:
        reach(cluster)
        code, out, _ = asks("--service", "app")

    assert code == 0
    assert out.splitlines()[0] == "v1=9,v2=1  (v1 90 %, v2 10 %), from Service shop/app"
    assert re.search(r"^ +configured +observed$", out, re.MULTILINE)
    assert "v2  1  replicas  Deployment shop/app-canary, generation 1" in out
    assert "v1  9  ready endpoints  EndpointSlice shop/app-s1, generation 1" in out


def test_the_document_follows_its_schema_and_has_all_views(reach, asks, tmp_path):
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    for body in (service(), deployment("app", "v1", 9), deployment("app-canary", "v2", 1)):
        (manifests / f"{body['kind']}-{body['metadata']['name']}.yaml").write_text(json.dumps(body))
    with FakeCluster(canary(9, 1)) as cluster:
        reach(cluster)
        code, out, err = asks("--service", "app", "--manifests", str(manifests), "--json", "-")

    document = json.loads(out)
    Draft202012Validator.check_schema(schema())
    Draft202012Validator(schema()).validate(document)
    assert code == 0, err
    assert [document[name]["weights"] for name in ("declared", "configured", "observed")] == [
        {"v1": 9, "v2": 1}
    ] * 3
    assert document["declared"]["numbers"][0]["where"].endswith("Deployment-app.yaml:1")
    assert document["observed"]["numbers"][0] == {
        "towards": "v1",
        "value": 9,
        "what": "ready endpoints",
        "kind": "EndpointSlice",
        "name": "shop/app-s1",
        "where": "EndpointSlice shop/app-s1, generation 1",
    }


def test_the_document_of_manifests_follows_the_same_schema(capsys):
    folder = REPOSITORY / "examples" / "gitops" / "i" / "k8s"

    assert main(["expect", "--manifests", str(folder), "--service", "app", "--json", "-"]) == 0

    Draft202012Validator(schema()).validate(json.loads(capsys.readouterr().out))


def test_a_canary_without_ready_pods_is_refused_with_both_places(reach, asks):
    objects = without("EndpointSlice", canary(9, 1))
    waiting = endpoint("v2-0", conditions={"ready": False, "serving": False})
    with FakeCluster(
        [*objects, endpoint_slice([*map(endpoint, names("v1", 9)), waiting])]
    ) as cluster:
        reach(cluster)
        code, _, err = asks("--service", "app")

    assert code == 2
    assert "v2 is configured (Deployment shop/app-canary, generation 1)" in flat(err)
    assert "kubectl rollout status" in err


def test_pods_that_are_not_ready_yet_are_a_finding_and_what_runs_is_expected(reach, asks):
    objects = without("EndpointSlice", canary(9, 2))
    few = [*names("v1", 8), *names("v2", 2)]
    with FakeCluster([*objects, endpoint_slice(map(endpoint, few))]) as cluster:
        reach(cluster)
        code, out, _ = asks("--service", "app")

    assert code == 0
    assert out.startswith("v1=8,v2=2")
    assert "not_ready: Deployment shop/app, generation 1: v1 has 9 configured pods and 8" in out


def test_the_weights_of_a_route_hold_whatever_the_pods_are(reach, asks):
    stable, new = canary(3, 0, "stable"), canary(0, 2, "new")
    with FakeCluster([*stable, *new, http_route(90, 10)]) as cluster:
        reach(cluster)
        code, out, err = asks("--route", "web")

    assert code == 0, err
    assert out.startswith("v1=90,v2=10 ")
    assert re.search("90  weight +HTTPRoute shop/web, generation 7", out)


def test_a_group_that_is_not_installed_is_not_asked_for(reach, asks):
    with FakeCluster(canary(9, 1), extensions=["HTTPRoute"]) as cluster:
        reach(cluster)
        code, _, _ = asks("--service", "app")
        paths = {request.url.path for request in cluster.asked()}

    assert code == 0
    assert f"/apis/{GATEWAY}/namespaces/shop/httproutes" in paths
    assert not [path for path in paths if "istio" in path or "argoproj" in path]


def granted():
    """Give what `weighbridge rbac` allows: (group, resource, verb)."""
    text = Rights(NAMESPACE).manifest()
    (role,) = [each for each in YAML(typ="safe").load_all(text) if each["kind"] == "Role"]
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_nothing_is_asked_for_that_the_role_does_not_grant(reach, weighbridge):
    every = ["HTTPRoute", "GRPCRoute", "ReferenceGrant", "VirtualService", "DestinationRule",
             "TraefikService", "IngressRoute", "Rollout", "Canary", "ScaledObject"]  # fmt: skip
    objects = [*canary(9, 1), *canary(3, 0, "stable"), *canary(0, 2, "new"), http_route(9, 1)]
    with (
        FakeCluster(objects, extensions=every) as cluster,
        EmbeddedService({"v1": 9, "v2": 1}, seed=3) as target,
    ):
        reach(cluster)
        assert main(["expect", "--cluster", "--route", "web", "--lint"]) == 0
        little = ("--max-samples", "100")
        done = weighbridge("check", target.url, "--cluster", "--service", "app", *little)
        routed = weighbridge("check", target.url, "--cluster", "--route", "HTTPRoute/web", *little)
        asked = cluster.asked()

    assert {done.returncode, routed.returncode} <= {0, 1, 3}, done.stderr + routed.stderr
    assert {request.method for request in asked} == {kmock.method.GET}
    used = set()
    for request in asked:
        # /api and /apis describe the server; every account may read them.
        match = re.fullmatch(
            r"/(?:api|apis/(?P<group>[^/]+))/[^/]+/namespaces/[^/]+/(?P<resource>[^/]+)",
            request.url.path,
        )
        if match is None:
            assert re.fullmatch(r"/apis(/[^/]+/[^/]+)?", request.url.path)
            continue
        verb = "watch" if "watch" in request.params else "list"
        used.add((match["group"] or "", match["resource"], verb))
    assert used <= granted()
    assert ("discovery.k8s.io", "endpointslices", "watch") in used
    assert ("gateway.networking.k8s.io", "httproutes", "watch") in used


def test_the_role_only_reads_and_knows_every_resource():
    resources = {(each.group, each.plural) for each in (*PODS, *WORKLOADS, *CONTEXT)}
    resources |= {(group, plural) for group, kinds in EXTENSIONS.items() for plural in kinds}

    assert granted() == {
        (group, plural, verb) for group, plural in resources for verb in ("list", "watch")
    }


@pytest.mark.parametrize("kind", ["Service", "Pod", "EndpointSlice"])
def test_what_a_split_is_made_of_must_be_readable(reach, asks, kind):
    with FakeCluster(canary(9, 1)) as cluster:
        reach(cluster)
        cluster.forbid(kind)
        code, _, err = asks("--service", "app")
        linted = asks("--service", "app", "--lint")

    assert code == 2
    assert f"the account {ACCOUNT} may not list" in err
    assert f"weighbridge rbac -n shop --account {ACCOUNT} | kubectl apply -f -" in flat(err)
    assert linted[0] == 1
    assert "error forbidden" in linted[1]


def test_what_else_may_not_be_read_is_said_and_not_the_end(reach, asks):
    with FakeCluster(canary(9, 1)) as cluster:
        reach(cluster)
        cluster.forbid("HorizontalPodAutoscaler", "Deployment")
        code, out, _ = asks("--service", "app")
        linted = asks("--service", "app", "--lint")

    assert (code, linted[0]) == (0, 0)
    wanted = f"the account {ACCOUNT} may not list horizontalpodautoscalers.autoscaling"
    assert f"unread: namespace shop: {wanted} in namespace shop" in flat(out)
    assert "belongs to Deployment app, which may not be read" in flat(out)


def test_an_api_server_that_cannot_be_reached_is_code_4(monkeypatch, tmp_path, asks, closed_port):
    url = f"http://127.0.0.1:{closed_port}"
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path, url)))

    code, out, err = asks("--service", "app")

    assert (code, out) == (4, "")
    assert f"the API server {url} cannot be reached: connection refused" in err
    assert "kubectl cluster-info" in err


def test_an_api_server_that_does_not_answer_is_code_4(monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path, url)))
        with pytest.raises(ClusterError, match=r"did not answer within 0\.2 s") as slow:
            asyncio.run(look(Question(service="app"), timeout_s=0.2))

    assert slow.value.exit_code == 4
    assert "readyz" in (slow.value.hint or "")


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [(401, 2, "kubectl auth whoami"), (503, 4, "answered 503"), (500, 4, "answered 500")],
)
def test_each_refusal_of_the_api_server_has_its_code_and_remedy(reach, asks, status, code, said):
    with FakeCluster(canary(9, 1)) as cluster:
        reach(cluster)

        def refuse(_):
            raise kmock.KubernetesError(status=status, message="no")

        cluster.react(re.compile("/.*"), refuse)
        done = asks("--service", "app")

    assert done[0] == code
    assert said in done[2]


def test_what_is_no_api_server_is_recognised(reach, asks):
    with FakeCluster() as cluster:
        reach(cluster)
        cluster.react(re.compile("/apis"), b"<html>welcome</html>")
        code, _, err = asks("--service", "app")

    assert code == 4
    assert "did not return JSON" in err


def test_an_exec_plugin_that_fails_is_code_2_with_what_it_said(reach, asks):
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": ["-c", "import sys; sys.exit('log in first')"],
        }
    }
    with FakeCluster(canary(9, 1)) as cluster:
        reach(cluster, user)
        code, _, err = asks("--service", "app")

    assert code == 2
    assert "log in first" in err


def test_another_context_is_taken_and_an_unknown_one_refused(reach, asks):
    with FakeCluster(canary(9, 1)) as cluster:
        reach(cluster)
        known = asks("--service", "app", "--context", "test")
        unknown = asks("--service", "app", "--context", "prod")

    assert known[0] == 0
    assert unknown[0] == 2
    assert "prod" in unknown[2]


def test_without_any_credentials_the_remedy_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    with pytest.raises(UsageError, match="no cluster is configured") as refused:
        asyncio.run(access(account=tmp_path))
    assert "KUBECONFIG" in (refused.value.hint or "")


@pytest.mark.parametrize("text", ["", "[]", "clusters: 3", "current-context: x", "{: ["])
def test_a_broken_kubeconfig_is_refused(monkeypatch, tmp_path, asks, text):
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(file))

    code, _, err = asks("--service", "app")

    assert code == 2, err
    assert str(file) in err


def test_without_the_package_the_extra_is_named(monkeypatch, asks):
    monkeypatch.setitem(sys.modules, "kubernetes_asyncio", None)

    code, _, err = asks("--service", "app")

    assert code == 2
    assert "pip install 'kubernetes-asyncio>=32.0'" in err


def test_long_lists_are_read_page_by_page(reach, monkeypatch):
    monkeypatch.setattr(cluster_module, "_PAGE", 2)
    pages = {
        None: {"items": [{"metadata": {"name": "a"}}], "metadata": {"continue": "next"}},
        "next": {"items": [{"metadata": {"name": "b"}}], "metadata": {"resourceVersion": "9"}},
    }
    with FakeCluster() as cluster:
        reach(cluster)
        cluster.react(
            re.compile("/.*/services"), lambda request: pages[request.params.get("continue")]
        )

        async def listed():
            async with cluster_module.Cluster(await access()) as opened:
                return await opened.list(PODS[0], NAMESPACE)

        listing = asyncio.run(listed())

    assert [item["metadata"]["name"] for item in listing.items] == ["a", "b"]
    assert listing.version == "9"
    assert {item["kind"] for item in listing.items} == {"Service"}


def test_without_a_url_the_address_of_the_service_is_asked(reach, weighbridge):
    with EmbeddedService({"v1": 9, "v2": 1}, seed=3) as target:
        port = int(target.url.rstrip("/").rpartition(":")[2])
        objects = [*without("Service", canary(9, 1))]
        objects.append(service(clusterIP="127.0.0.1", ports=[{"port": port}]))
        with FakeCluster(objects) as cluster:
            reach(cluster)
            done = weighbridge("check", "--cluster", "--service", "app", "--json", "-")

    report = json.loads(done.stdout)
    assert done.returncode in {0, 3}, done.stderr
    assert report["run"]["target"] == f"GET {target.url}"
    assert report["expected"]["source"] == {
        "kind": "Service",
        "name": "shop/app",
        "where": "Deployment shop/app, generation 1, Deployment shop/app-canary, generation 1",
    }
    assert any(
        note.endswith("configured v1=9,v2=1; endpoints v1=9,v2=1") for note in report["notes"]
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "--cluster", "--route", "web"], "expected a URL"),
        (["check", "http://127.0.0.1:1/", "--cluster", "--expect", "v1=1"], "one of --expect"),
        (["check", "http://127.0.0.1:1/", "--expect", "v1=1", "--settle", "3s"], "--settle"),
        (["check", "http://127.0.0.1:1/", "--expect", "v1=1", "--zone", "a"], "--zone a"),
        (["expect", "--manifests", ".", "--service", "a", "--context", "x"], "--context x"),
        (["expect", "--cluster"], "either --service or --route"),
        (["expect", "--cluster", "--service", "a", "--route", "b"], "either --service or --route"),
    ],
)
def test_options_that_do_not_go_together_are_refused(capsys, arguments, said):
    assert main(arguments) == 2

    assert said in capsys.readouterr().err


def test_lint_looks_at_live_objects_without_a_question(reach, asks):
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "app", "namespace": NAMESPACE, "generation": 3},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "app-canary"}},
    }
    objects = without("Service", canary(9, 1))
    with FakeCluster([*objects, service(sessionAffinity="ClientIP"), scaler]) as cluster:
        reach(cluster)
        code, out, _ = asks("--lint")

    assert code == 1
    assert "error session_affinity: Service shop/app, generation 1" in out
    assert "warning autoscaled: HorizontalPodAutoscaler shop/app, generation 3" in out


def under_one_tag():
    """Give pods of two Deployments under one image tag: an environment tells them apart."""
    objects = canary(3, 1)
    for body in objects:
        template = body.get("spec", {}).get("template", body)
        labels = template.get("metadata", {}).get("labels", {})
        if version := labels.pop("version", None):
            environment = [{"name": "LABEL", "value": version}]
            template["spec"]["containers"] = [{"image": "shop/app:v1", "env": environment}]
    return objects


def test_live_versions_under_one_image_tag_are_refused_before_anything_is_sent(reach, capsys):
    with FakeCluster(under_one_tag()) as cluster, EmbeddedService({"v1": 1}) as target:
        reach(cluster)
        asked = ("--cluster", "--service", "app")
        refused = main(["check", target.url, *asked])
        said = flat(capsys.readouterr().err)
        named = main(["expect", *asked, "--version-from", "app=v1,app-canary=v2"])
        sent = target.counts().total

    assert (refused, named, sent) == (2, 0, 0)
    assert "Deployment shop/app (Deployment shop/app, generation 1) and" in said
    assert "--version-from app=v1,app-canary=v2" in said
    assert capsys.readouterr().out.startswith("v1=3,v2=1")


def test_an_owner_that_may_not_be_read_is_not_nothing(reach, asks):
    owned = [
        body | {"metadata": body["metadata"] | {"ownerReferences": [ROLLOUT]}}
        if body["kind"] == "ReplicaSet"
        else body
        for body in without("Deployment", canary(4, 1))
    ]
    with FakeCluster(owned, extensions=["Rollout"]) as cluster:
        reach(cluster)
        cluster.forbid("Rollout", "ReplicaSet")
        code, out, _ = asks("--service", "app")
        linted = asks("--service", "app", "--lint")
        missed = asks("--route", "web")

    assert (code, linted[0], missed[0]) == (0, 0, 2)
    assert out.startswith("v1=4,v2=1 ")
    assert "belongs to ReplicaSet app-1, which may not be read" in flat(out)
    assert "selects_nothing" not in linted[1]
    assert "this account may not list any Rollout: weighbridge rbac" in flat(missed[2])


def test_without_a_list_of_the_extensions_the_rest_is_read(reach, asks):
    def refuse(_):
        raise kmock.KubernetesError(status=403, message="no")

    with FakeCluster(canary(9, 1)) as cluster:
        reach(cluster)
        cluster.react(re.compile("/apis"), refuse)
        code, out, _ = asks("--service", "app")
        routed = asks("--route", "HTTPRoute/web")

    assert (code, routed[0]) == (0, 2)
    assert out.startswith("v1=9,v2=1 ")
    assert "reading /apis is forbidden" in routed[2]
