"""A check that begins in the middle of a roll-out: it waits, and says for what."""

from __future__ import annotations

import json

from analysis.data.report import Verdict
from sampler.cli import main
from sampler.demo.process import EmbeddedService
from tests.clusters import FakeCluster, Script, canary, endpoint, endpoint_slice, names, pod, weigh

READY = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:09Z"}
STARTING = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}


def starting(reason):
    """Give 9 + 1 of which the canary is not ready yet, because its container waits."""
    kept = [each for each in canary(9, 1) if each["kind"] != "EndpointSlice"]
    kept = [each for each in kept if each["metadata"]["name"] != "v2-0"]
    container = {"restartCount": 0, "state": {"waiting": {"reason": reason}}}
    status = {"phase": "Pending", "conditions": [STARTING], "containerStatuses": [container]}
    first = endpoint("v2-0", conditions={"ready": False})
    slices = endpoint_slice([*map(endpoint, names("v1", 9)), first])
    return [*kept, {**pod("v2-0", "v2", "app-canary"), "status": status}, slices]


def test_a_roll_out_is_waited_for_with_few_requests(reach):
    with (
        FakeCluster(starting("ContainerCreating")) as cluster,
        EmbeddedService({"v1": 9}, seed=5) as service,
    ):
        reach(cluster)

        def finish():
            status = {"phase": "Running", "conditions": [READY]}
            cluster.change({**pod("v2-0", "v2", "app-canary"), "status": status})
            service.configure({"v1": 9, "v2": 1})
            cluster.change(endpoint_slice(map(endpoint, [*names("v1", 9), *names("v2", 1)])))

        report = weigh(service.url, Script((3, finish)))

    assert report.verdict is Verdict.PASS, report.reasons
    assert "v2 is configured" in report.events[0].text
    assert any("not judged" in note for note in report.notes)


def test_what_does_not_become_ready_ends_undecided_and_is_named(reach, capsys):
    with (
        FakeCluster(starting("ImagePullBackOff")) as cluster,
        EmbeddedService({"v1": 9}, seed=5) as service,
    ):
        reach(cluster)
        code = main(
            ["check", service.url, "--cluster", "--service", "app", "--wait", "0s", "--json", "-"]
        )
    report = json.loads(capsys.readouterr().out)

    assert code == 3
    assert report["reasons"][0]["code"] == "expectation_moved"
    assert "v2: 1 of 1 pods: ImagePullBackOff (v2-0)" in report["reasons"][0]["message"]
    assert report["samples"]["launched"] <= 2


def test_a_service_without_any_endpoint_is_no_unmeasurable_target(reach, capsys):
    objects = [each for each in canary(9, 1) if each["kind"] not in {"EndpointSlice", "Pod"}]
    with FakeCluster([*objects, endpoint_slice([])]) as cluster:
        reach(cluster)
        code = main(
            ["check", "http://127.0.0.1:9/", "--cluster", "--service", "app", "--wait", "0s"]
        )

    assert code == 3
    assert "no endpoint is ready" in capsys.readouterr().out
