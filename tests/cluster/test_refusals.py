"""What one client can never see, or asks of the wrong object, ends before anything is sent."""

from __future__ import annotations

import json

import pytest

from analysis.data.report import ReasonCode, Verdict
from sampler.cli import main
from sampler.demo.process import EmbeddedService
from tests.clusters import FakeCluster, Script, canary, service, weigh

HASH = "rollouts-pod-template-hash"
NINE_TO_ONE = {"v1": 9, "v2": 1}


def said(capsys):
    return " ".join(capsys.readouterr().err.split())


def affine():
    others = [body for body in canary(9, 1) if body["kind"] != "Service"]
    return [service(sessionAffinity="ClientIP"), *others]


@pytest.mark.parametrize("source", ["--cluster", "--manifests"])
def test_a_service_that_keeps_clients_is_refused_before_anything_is_sent(
    reach, tmp_path, capsys, source
):
    manifests = tmp_path / "shop.json"
    manifests.write_text(json.dumps({"kind": "List", "items": affine()[:3]}))
    given = [source] if source == "--cluster" else [source, str(manifests)]
    with FakeCluster(affine()) as cluster, EmbeddedService(NINE_TO_ONE, seed=5) as target:
        reach(cluster)
        code = main(["check", target.url, *given, "--service", "app"])
        sent = target.counts().total

    assert (code, sent) == (2, 0)
    assert "has sessionAffinity ClientIP: one client stays with one pod" in said(capsys)


def test_affinity_that_comes_during_the_run_ends_undecided(reach):
    with FakeCluster(canary(9, 1)) as cluster, EmbeddedService(NINE_TO_ONE, seed=5) as target:
        reach(cluster)

        def bind():
            cluster.change(service(sessionAffinity="ClientIP"))
            target.configure({"v1": 1})

        report = weigh(target.url, Script((50, bind)), tolerance="2pp", wait_s=0.5)

    assert report.verdict is Verdict.INCONCLUSIVE, report.reasons
    assert report.reasons[0].code is ReasonCode.EXPECTATION_MOVED
    assert "sessionAffinity ClientIP" in report.reasons[0].message


def test_a_rollout_without_a_router_is_refused_if_its_service_keeps_clients(tmp_path, capsys):
    bound = service("web", sessionAffinity="ClientIP")
    manifests = tmp_path / "shop.json"
    manifests.write_text(json.dumps({"kind": "List", "items": [bound, rollout()]}))
    with EmbeddedService({"v1": 4, "v2": 1}, seed=5) as target:
        given = ("--manifests", str(manifests), "--route", "Rollout/web", "--step", "0")
        code = main(["check", target.url, *given, "--version-from", "stable=v1"])
        sent = target.counts().total

    assert (code, sent) == (2, 0)
    assert "has sessionAffinity ClientIP" in said(capsys)


def rollout(**status):
    steps = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}]
    services = {"stableService": "web-stable", "canaryService": "web-canary"}
    pods = {"metadata": {"labels": {"app": "web", "version": "v2"}}, "spec": {}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "web", "namespace": "shop", "generation": 3},
        "spec": {
            "replicas": 5,
            "strategy": {"canary": {"steps": steps, **services}},
            "template": pods,
        },
        "status": status,
    }


def argo(**status):
    services = [
        service("web"),
        service("web-stable", selector={"app": "web", HASH: "aaa"}),
        service("web-canary", selector={"app": "web", HASH: "bbb"}),
    ]
    return [*services, rollout(**status)]


@pytest.mark.parametrize(
    ("name", "status", "why"),
    [
        ("web", {}, "whose steps divide them"),
        ("web", {"stableRS": "aaa", "currentPodHash": "bbb"}, "whose steps divide them"),
        ("web-stable", {}, "the stableService of Rollout shop/web"),
        ("web-canary", {}, "the canaryService of Rollout shop/web"),
    ],
)
def test_services_of_a_rollout_point_to_the_rollout(reach, capsys, name, status, why):
    with FakeCluster(argo(**status)) as cluster:
        reach(cluster)
        code = main(["expect", "--cluster", "--service", name])

    told = said(capsys)
    assert code == 2
    assert why in told
    assert "--route Rollout/web" in told
    assert "kubectl rollout status" not in told


def test_a_rollout_that_is_done_is_no_reason_to_refuse_its_service(reach, capsys):
    pods = [body for body in canary(0, 5, "web") if body["kind"] not in {"Service", "Deployment"}]
    for body in pods:
        if body["kind"] == "ReplicaSet":
            body["metadata"]["ownerReferences"][0] |= {"kind": "Rollout", "name": "web"}
    done = argo(stableRS="aaa", currentPodHash="aaa")
    with FakeCluster([*done, *pods]) as cluster:
        reach(cluster)
        code = main(["expect", "--cluster", "--service", "web"])

    assert code == 0
    assert capsys.readouterr().out.startswith("v2=5 ")


def test_a_selector_with_the_hash_of_argo_does_not_select_nothing(reach, capsys):
    with FakeCluster(argo()) as cluster:
        reach(cluster)
        main(["expect", "--cluster", "--lint"])

    assert "selects_nothing" not in capsys.readouterr().out
