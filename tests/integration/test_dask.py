"""A check sent from the workers of a Dask cluster: a verdict for each zone, and one on all."""

from __future__ import annotations

import asyncio
import json
import socket
from functools import partial
from itertools import count

import pytest

from analysis import Policy, Split, Tolerance, Verdict
from analysis.data.report import ReasonCode
from sampler import Limits, Load, Target
from sampler.base.errors import UsageError
from sampler.fleet import dask
from sampler.fleet.dask import DaskWorkers, chosen, is_exposed, survey
from sampler.fleet.fleet import Fleet
from sampler.fleet.messages import Lease, Ready, Vantage, Wish, pack, unpack
from sampler.plan.run import RunPlan
from sampler.run.gate import Weighing
from tests.dask_cluster import DaskCluster, NodeRules, freeze

ALL_V1 = {"v1": 4}
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of Dask, about itself
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def _cluster(tmp_path_factory):
    cluster = DaskCluster(tmp_path_factory.mktemp("dask"))
    yield cluster
    cluster.close()


@pytest.fixture
def cluster(_cluster):
    _cluster.heal()
    return _cluster


def checked(cluster, url, observe=None, tolerance="5pp", out=None, timeout_s=10.0):
    """Check from all zones, and return the report."""
    vantages = chosen(asyncio.run(survey(cluster.address)), "zone")
    plan = RunPlan(
        Target(url),
        Load(max_rate=300.0, concurrency=12, timeout_s=timeout_s),  # sheds nothing, however busy
        Limits(max_time_s=60.0),
        split=Split.parse("v1=1"),
        policy=Policy(tolerance=Tolerance.parse(tolerance)),
        zone_of=tuple(each.zone for each in vantages),
        out=out,
    )
    sampling = partial(Fleet, crew=DaskWorkers(cluster.address, vantages))
    return asyncio.run(Weighing(plan, observe, sampling=sampling).run())


def verdicts(report):
    return {zone: each.verdict for zone, each in report.observed.by_zone.items()}


def once(act, n):
    """Observe a run, and act when so many requests are known to be launched."""
    done: list[bool] = []

    def observe(progress):
        if progress.launched >= n and not done:
            done.append(True)
            act()

    return observe


def test_all_zones_right_pass_and_the_runs_of_the_workers_say_so_again(
    cluster, weighbridge, tmp_path
):
    with NodeRules(dict.fromkeys("abc", ALL_V1)) as rules:
        report = checked(cluster, rules.url, out=tmp_path)
        served = rules.served()

    again = weighbridge("judge", *(each.run for each in report.performance.workers), "--json", "-")

    assert report.verdict is Verdict.PASS, str(report)
    assert verdicts(report) == dict.fromkeys("abc", Verdict.PASS)
    assert [each.launched for each in report.performance.workers] == list(served.values())
    document = json.loads(again.stdout)
    assert document["verdict"] == "PASS"
    assert document["decision"]["decided_after"] == report.decision.decided_after
    assert {zone: each["counts"] for zone, each in document["observed"]["by_zone"].items()} == {
        zone: each.counts for zone, each in report.observed.by_zone.items()
    }


def test_one_zone_wrong_fails_and_is_named(cluster):
    with NodeRules({"a": ALL_V1, "b": {"v2": 4}, "c": ALL_V1}) as rules:
        report = checked(cluster, rules.url)

    assert report.verdict is Verdict.FAIL
    assert "zone b" in report.reasons[0].message
    assert verdicts(report)["b"] is Verdict.FAIL
    assert Verdict.FAIL not in {verdicts(report)["a"], verdicts(report)["c"]}


@pytest.mark.parametrize("end", ["killed", "frozen"])
def test_a_zone_that_is_lost_is_undecided_and_the_others_are_not(cluster, end):
    worker = cluster.workers["c"]
    act = worker.kill if end == "killed" else partial(freeze, worker)
    with NodeRules(dict.fromkeys("abc", ALL_V1)) as rules:
        report = checked(cluster, rules.url, once(act, 60), tolerance="1.5pp", timeout_s=2.0)
        served = rules.served()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.VANTAGE_LOST
    assert verdicts(report)["c"] is Verdict.INCONCLUSIVE
    assert Verdict.FAIL not in verdicts(report).values()
    for zone, each in zip("abc", report.performance.workers, strict=True):
        assert each.launched <= served[zone] <= each.launched + each.lost
    assert report.performance.workers[2].gone


def test_a_scheduler_that_is_gone_ends_the_run_undecided(cluster):
    with NodeRules(dict.fromkeys("abc", ALL_V1)) as rules:
        report = checked(cluster, rules.url, once(cluster.scheduler.kill, 60), tolerance="1pp")
        served = rules.served()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.VANTAGE_LOST
    assert sum(served.values()) <= report.samples.launched


def test_the_last_words_of_a_child_are_forwarded_although_it_takes_no_orders_any_more():
    ours, theirs = socket.socketpair()
    ours.sendall(pack(Lease(1)))
    theirs.sendall(pack(Ready()) + pack(Wish(3)))
    theirs.close()  # with an order unread, which resets the connection
    told: list[bytes] = []
    beats = count()

    with ours:
        ours.settimeout(0.01)
        dask._relay(ours, lambda: {"beat": next(beats), "Lease": pack(Lease(2))}, told.append, 0.0)

    assert [unpack(data) for data in told] == [Ready(), Wish(3)]


def test_a_cluster_that_cannot_be_reached_says_so_at_once():
    with pytest.raises(UsageError, match="no Dask scheduler can be reached"):
        asyncio.run(survey("tcp://127.0.0.1:1"))


def test_vantages_are_chosen_by_place():
    there = [
        Vantage("1", "n1", "a"), Vantage("2", "n1", "a"), Vantage("3", "n2", "a"),
        Vantage("4", "n3", "b"),
    ]  # fmt: skip

    def names(choice):
        return [each.name for each in chosen(there, choice)]

    assert names("zone") == ["1", "4"]
    assert names("node") == ["1", "3", "4"]
    assert names("2") == ["1", "4"]
    assert names("3") == ["1", "4", "2"]
    assert names("all") == ["1", "2", "3", "4"]
    with pytest.raises(UsageError, match="there are 4 Dask workers"):
        chosen(there, "5")
    with pytest.raises(UsageError, match="does not say its node"):
        chosen([Vantage("1")], "node")


@pytest.mark.parametrize(
    ("address", "exposed"),
    [
        ("tls://scheduler:8786", False), ("tcp://127.0.0.1:8786", False), ("[::1]:8786", False),
        ("localhost:8786", False), ("tcp://10.0.0.1:8786", True), ("scheduler:8786", True),
    ],
)  # fmt: skip
def test_a_scheduler_that_others_reach_without_tls_is_exposed(address, exposed):
    assert is_exposed(address) == exposed


def test_zones_that_differ_are_named_without_an_expectation(cluster, weighbridge, tmp_path):
    out = tmp_path / "sample.json"
    with NodeRules({"a": ALL_V1, "b": {"v2": 4}, "c": ALL_V1}) as rules:
        done = weighbridge("sample", rules.url, "--dask", cluster.address, "--max-samples", "240",
                           "--concurrency", "6", "--out", tmp_path)  # fmt: skip
    again = weighbridge(
        "judge", *tmp_path.glob("*/vantages/*"), "--expect", "v1=9,v2=1", "--json", out
    )

    assert done.returncode == 0, done.stderr
    assert "Zones differ from each other: v" in done.stdout
    assert "zone b: v2 100.0 % of " in done.stdout
    assert "zone a: v1 100.0 % of " in done.stdout
    assert again.returncode == 1, again.stderr
    found = json.loads(out.read_text())["observed"]["zones_differ"]
    assert found["proven"]
    assert sum(sum(each.values()) for each in found["counts"].values()) == 240
