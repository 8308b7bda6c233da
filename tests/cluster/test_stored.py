"""A run that watched a cluster, judged again from its folder."""

from __future__ import annotations

import json
import shutil
from math import log

import pytest

from analysis import Policy, Tolerance
from analysis.data.report import ReasonCode, Verdict
from sampler import read, rejudge
from sampler.cli import main
from sampler.demo.process import EmbeddedService
from sampler.expect.rules.model import Question
from sampler.run.recovery import report_of
from sampler.show.documents import draw_all
from sampler.store.layout import EXPECTATION, METRICS, REPORT
from tests.clusters import (
    FakeCluster,
    Script,
    canary,
    deployment,
    endpoint,
    endpoint_slice,
    names,
    pod,
    weigh,
)

QUESTION = Question(service="app", namespace="shop")
POLICY = Policy(alpha=1e-6, beta=1e-6, tolerance=Tolerance.parse("5pp"), max_samples=20_000)
ASKED = ("--tolerance", "5pp", "--alpha", "1e-6", "--beta", "1e-6", "--max-samples", "20000")


def weigh_and_keep(url, folder, act=None, **options):
    """Weigh what the cluster says at `url`; do something after 300 requests.

    So many at 9:1 are a FAIL of 1:1 whichever they are: of the first hundred, of which this
    seed's v2 has 18, that is not sure.
    """
    script = Script() if act is None else Script((300, act))
    report = weigh(url, script, out=folder, **options)
    (path,) = folder.iterdir()
    return report, read(path)


def promote(cluster, service):
    """Move to two pods of each version."""
    cluster.add(pod("v2-1", "v2", "app-canary"))
    cluster.change(deployment("app", "v1", 2))
    cluster.change(deployment("app-canary", "v2", 2))
    pods = [*names("v1", 2), *names("v2", 2)]
    cluster.change(endpoint_slice(map(endpoint, pods)))
    service.configure({"v1": 2, "v2": 2})


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """A run in which the endpoints moved, and its report."""
    with pytest.MonkeyPatch.context() as patch, FakeCluster(canary(9, 1)) as cluster:
        patch.setenv("KUBECONFIG", str(cluster.kubeconfig(tmp_path_factory.mktemp("kube"))))
        with EmbeddedService({"v1": 9, "v2": 1}, seed=5) as service:
            folder = tmp_path_factory.mktemp("runs")
            return weigh_and_keep(service.url, folder, lambda: promote(cluster, service))


def test_a_run_in_which_endpoints_moved_is_judged_as_it_was(moved):
    report, run = moved

    again = rejudge(run)

    assert report.verdict is again.verdict is Verdict.PASS
    assert again.reasons == report.reasons
    assert again.expected == report.expected
    assert again.observed.counts == report.observed.counts
    assert again.samples == report.samples
    assert again.decision == report.decision
    assert again.events == report.events
    # How busy the client was is not to be seen from its samples.
    told = {note for note in report.notes if not note.startswith("the client was saturated")}
    assert told <= set(again.notes)


def test_the_command_judges_such_a_run_as_it_was(moved, capsys):
    report, run = moved

    assert main(["judge", str(run.path), *ASKED, "--json", "-"]) == 0

    document = json.loads(capsys.readouterr().out)
    assert document["expected"]["weights"] == {"v1": 2, "v2": 2}
    assert document["decision"]["decided_after"] == report.decision.decided_after
    assert [event["text"] for event in document["events"]] == [each.text for each in report.events]


def test_another_split_is_taken_for_the_whole_run(moved, capsys):
    _, run = moved

    assert main(["judge", str(run.path), "--expect", "v1=2,v2=2", *ASKED, "--json", "-"]) == 1

    document = json.loads(capsys.readouterr().out)
    assert document["observed"]["counts"]["v1"] > document["observed"]["counts"]["v2"]


def test_the_folder_says_which_samples_were_judged_under_which_split(moved):
    report, run = moved
    document = json.loads((run.path / EXPECTATION).read_text("utf-8"))

    first, *_, last = document["stretches"]
    assert (first["weights"], last["weights"]) == ({"v1": 9, "v2": 1}, {"v1": 2, "v2": 2})
    assert document["weights"] == last["weights"]
    assert last["source"]["kind"] == "Service"
    parts = [part for each in document["stretches"] for part in each["judged"]]
    edges = [part[edge] for part in parts for edge in ("first_row", "end_row")]
    assert edges == sorted(edges)
    judged = last["judged"][-1]
    assert judged["since_s"] == pytest.approx(document["events"][-1]["at_s"])
    assert judged["end_row"] - judged["first_row"] >= report.samples.independent
    assert document["not_judged"] == parts[-1]["end_row"] - sum(edges[1::2]) + sum(edges[::2])


def test_the_evidence_of_such_a_run_is_drawn_from_its_last_stretch(moved):
    report, run = moved

    trace = run._trace()

    assert int(trace.judged[-1]) == report.decision.decided_after
    assert trace.fail_at == pytest.approx(-log(run.history.policy(POLICY).alpha))
    assert trace.weakest[-1] >= trace.pass_at
    assert any(each.name == "evidence" for each in draw_all(report, run.batch, None, run.history))


def test_a_run_without_changes_keeps_half_of_its_error_rates(reach, tmp_path):
    with (
        FakeCluster(canary(9, 1)) as cluster,
        EmbeddedService({"v1": 9, "v2": 1}, seed=5) as service,
    ):
        reach(cluster)
        report, run = weigh_and_keep(service.url, tmp_path / "runs")

    again = rejudge(run)

    assert report.verdict is Verdict.PASS
    assert again.decision == report.decision
    assert again.reasons == report.reasons
    assert run._trace().fail_at == pytest.approx(-log(POLICY.alpha / 2))


def test_a_run_that_ended_in_doubt_stays_undecided(reach, tmp_path):
    with (
        FakeCluster(canary(9, 1)) as cluster,
        EmbeddedService({"v1": 9, "v2": 1}, seed=5) as service,
    ):
        reach(cluster)

        def crash():
            cluster.change(endpoint_slice(map(endpoint, names("v1", 9))))

        report, run = weigh_and_keep(
            service.url, tmp_path / "runs", crash, tolerance="2pp", wait_s=0.5
        )

    again = rejudge(run)

    assert report.verdict is again.verdict is Verdict.INCONCLUSIVE
    assert again.reasons[0] == report.reasons[0]
    assert again.reasons[0].code is ReasonCode.EXPECTATION_MOVED


def test_a_run_that_was_killed_is_told_stretch_by_stretch(moved, tmp_path):
    report, run = moved
    folder = tmp_path / "killed"
    shutil.copytree(run.path, folder)
    for name in (REPORT, METRICS):
        (folder / name).unlink()

    told = report_of(read(folder))

    assert told.verdict is Verdict.INCONCLUSIVE
    assert told.reasons[0].code is ReasonCode.INTERRUPTED
    assert told.expected == report.expected
    assert told.observed.counts == report.observed.counts
    assert told.events == report.events


def test_a_killed_run_of_an_unmoved_cluster_has_its_expectation_from_the_start(reach, tmp_path):
    kept = []
    with (
        FakeCluster(canary(9, 1)) as cluster,
        EmbeddedService({"v1": 9, "v2": 1}, seed=5) as service,
    ):
        reach(cluster)

        def look_at_disk():
            (path,) = (tmp_path / "runs").iterdir()
            kept.append(json.loads((path / EXPECTATION).read_text("utf-8")))

        weigh_and_keep(service.url, tmp_path / "runs", look_at_disk)

    (document,) = kept
    assert document["stretches"][0]["judged"] == [
        {
            "first_row": 0,
            "end_row": None,
            "since_s": 0.0,
            "until_s": None,
            "first_connection": 0,
        }
    ]
