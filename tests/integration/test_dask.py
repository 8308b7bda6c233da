"""A check sent from the workers of a Dask cluster: a verdict for each zone, and one on all."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
from functools import partial
from threading import Thread

import psutil
import pytest
from distributed import Client

from analysis import Policy, Split, Tolerance, Verdict
from analysis.data.report import ReasonCode
from sampler import Limits, Load, Target, __version__, read
from sampler.base.errors import UsageError
from sampler.cli import main
from sampler.fleet import task
from sampler.fleet.dask import DaskWorkers, NotYetError, chosen, is_exposed, survey
from sampler.fleet.fleet import Fleet
from sampler.fleet.messages import Lease, Ready, Vantage, Wish, pack, unpack
from sampler.plan.run import RunPlan
from sampler.run.gate import Weighing
from tests.cluster.test_position import two_nodes
from tests.clusters import FakeCluster
from tests.dask_cluster import DaskCluster, NodeRules, end, freeze
from tests.ports import free_port
from tests.processes import started

ALL_V1 = {"v1": 4}
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of Dask, about itself
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
        Limits(max_time_s=300.0),  # of a machine with other work
        split=Split.parse("v1=1"),
        policy=Policy(tolerance=Tolerance.parse(tolerance)),
        zone_of=tuple(each.zone for each in vantages),
        out=out,
    )
    sampling = partial(Fleet, crew=DaskWorkers(cluster.address, vantages))
    return asyncio.run(Weighing(plan, observe, sampling=sampling).run())


def verdicts(report):
    return {zone: each.verdict for zone, each in report.observed.by_zone.items()}


def require_counts(report, served):
    """Compare with what the Service of each zone counted, and return the workers."""
    workers = report.performance.workers
    # On a busy machine a connection may time out before it gets there.
    failed = sum(n for how, n in report.samples.outcomes.items() if how not in {"ok", "lost"})
    for zone, each in zip("abc", workers, strict=True):
        assert each.launched - failed <= served[zone] <= each.launched + each.lost
    return workers


def children(worker):
    """Return the processes that sample for a worker: children of the one they are forked from."""
    servers = psutil.Process(worker.pid).children()
    return [each.pid for server in servers for each in server.children()]


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


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_a_zone_that_is_lost_is_undecided_and_the_others_are_not(cluster, how):
    worker = cluster.workers["c"]
    act = worker.kill if how == "killed" else partial(freeze, worker)
    with NodeRules(dict.fromkeys("abc", ALL_V1)) as rules:
        report = checked(cluster, rules.url, once(act, 60), tolerance="1.5pp", timeout_s=2.0)
        served = rules.served()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.VANTAGE_LOST
    assert verdicts(report)["c"] is Verdict.INCONCLUSIVE
    assert Verdict.FAIL not in verdicts(report).values()
    assert require_counts(report, served)[2].gone


def test_a_scheduler_that_is_gone_ends_the_run_undecided(cluster):
    with NodeRules(dict.fromkeys("abc", ALL_V1)) as rules:
        report = checked(cluster, rules.url, once(cluster.scheduler.kill, 60), tolerance="1pp")
        served = rules.served()

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.VANTAGE_LOST
    assert sum(served.values()) <= report.samples.launched


def test_a_worker_that_its_nanny_brings_back_sends_nothing_twice(cluster):
    """It comes back under its old address, and is given its task again."""
    port = free_port()
    with (
        cluster.replaced("c", "--nanny", "--worker-port", str(port)),
        NodeRules(dict.fromkeys("abc", ALL_V1)) as rules,
        Client(cluster.address) as client,
    ):
        (pid,) = client.run(os.getpid, workers=[f"tcp://127.0.0.1:{port}"]).values()
        kill = partial(os.kill, pid, signal.SIGKILL)
        report = checked(cluster, rules.url, once(kill, 60), tolerance="1.5pp")
        client.wait_for_workers(3, timeout=60)
        again = client.run(os.getpid, workers=[f"tcp://127.0.0.1:{port}"])
        served = rules.served()

    assert [pid] != list(again.values())
    assert report.reasons[0].code is ReasonCode.VANTAGE_LOST
    assert verdicts(report)["c"] is Verdict.INCONCLUSIVE
    assert require_counts(report, served)[2].gone


def test_a_worker_that_joins_an_empty_zone_takes_no_part_in_a_run_that_goes_on(cluster):
    """Its zone stays undecided: what the lost one may have sent is not known."""
    joined = []
    joining = Thread(target=lambda: joined.append(cluster.start_worker("c", name="another")))

    def replace_c():
        cluster.workers["c"].kill()
        joining.start()  # the coordinator goes on meanwhile

    with NodeRules(dict.fromkeys("abc", ALL_V1)) as rules:
        try:
            report = checked(cluster, rules.url, once(replace_c, 60), "1.5pp")
            served = rules.served()
            joining.join()
            after = asyncio.run(survey(cluster.address))
        finally:
            joining.join()
            end(joined[0])

    assert verdicts(report)["c"] is Verdict.INCONCLUSIVE
    assert Verdict.FAIL not in verdicts(report).values()
    require_counts(report, served)
    assert {each.name for each in after} == {"another", "worker-a", "worker-b"}


def test_when_the_coordinator_is_killed_the_runs_of_the_workers_give_the_verdict(
    cluster, weighbridge, tmp_path
):
    with NodeRules(dict.fromkeys("abc", ALL_V1)) as rules:
        process = started(
            tmp_path, "check", rules.url, "--expect", "v1=1", "--tolerance", "0.01pp",
            "--dask", cluster.address, "--rate", "150", "--out", str(tmp_path),
        )  # fmt: skip
        while min(rules.served().values()) < 100:
            assert process.poll() is None
        ends = [os.pidfd_open(pid) for each in cluster.workers.values() for pid in children(each)]
        process.kill()
        process.communicate(timeout=60)
        for pidfd in ends:  # 5 s without a lease, and then the drain
            assert select.select([pidfd], [], [], 60) == ([pidfd], [], [])
            os.close(pidfd)
        served = rules.served()
    runs = sorted(tmp_path.glob("*/vantages/*"))
    again = weighbridge("judge", *runs, "--tolerance", "5pp", "--json", "-")

    # Of a zone whose run is missing nothing is known.
    without_one = weighbridge("judge", *runs[:2], "--tolerance", "5pp", "--json", "-")

    document, partial_ = json.loads(again.stdout), json.loads(without_one.stdout)
    assert without_one.returncode == 3
    # Runs sort by when they began, not by their zones.
    told = [each["verdict"] for each in partial_["observed"]["by_zone"].values()]
    assert sorted(told) == ["INCONCLUSIVE", "PASS", "PASS"]
    assert len(ends) == len(runs) == 3
    assert document["verdict"] == "PASS"
    assert {zone: each["verdict"] for zone, each in document["observed"]["by_zone"].items()} == (
        dict.fromkeys("abc", "PASS")
    )
    assert document["samples"]["launched"] == sum(served.values())
    assert sum(len(read(run).table) for run in runs) == sum(served.values())


def test_each_zone_is_judged_by_what_the_cluster_has_for_it(cluster, monkeypatch, tmp_path, capsys):
    """Zones a and b have endpoints of their own by their hints, c has those of all.

    The first one has no canary, which is compared in the others.
    """
    objects = json.loads(
        json.dumps(two_nodes(trafficDistribution="PreferClose"))
        .replace('"z1"', '"b"')
        .replace('"z2"', '"a"')
    )
    with (
        FakeCluster(objects) as api,
        NodeRules({"a": ALL_V1, "b": ALL_V1, "c": ALL_V1}) as rules,
    ):
        monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path, None)))
        code = main(
            ["check", rules.url, "--cluster", "--service", "app", "--dask", cluster.address,
             "--max-rate", "300", "--concurrency", "12", "--out", "none", "--json", "-",
             "--max-error-ratio", "5", "--replicas", "v1=9,v2=1"]
        )  # fmt: skip
        served = rules.served()

    out, err = capsys.readouterr()
    assert code == 1, err
    report = json.loads(out)
    zones = report["observed"]["by_zone"]
    assert {zone: each["expected"] for zone, each in zones.items()} == {
        "b": {"v1": 0.8, "v2": 0.2}, "a": {"v1": 1.0, "v2": 0.0}, "c": {"v1": 0.9, "v2": 0.1},
    }  # fmt: skip
    assert zones["b"]["verdict"] == "FAIL"
    assert report["reasons"][0]["message"].startswith("In zone b: ")
    assert zones["a"]["verdict"] != "FAIL"
    assert [name for name, each in zones.items() if each["health"]] == ["b", "c"]
    assert not report["expected"]["views"]
    assert report["observed"]["zones_differ"] is None
    assert [each["launched"] for each in report["performance"]["workers"]] == list(served.values())


def test_workers_that_do_not_fit_are_refused_before_anything_is_sent(
    cluster, monkeypatch, tmp_path, capsys
):
    """One has no weighbridge (another package has the name of a part of it); two have another."""
    (tmp_path / "sampler").mkdir()
    (tmp_path / "sampler" / "__init__.py").touch()
    check = ["check", "http://127.0.0.1:1/", "--expect", "v1=1", "--out", "none", "--dask"]
    check.append(cluster.address)
    with cluster.replaced("c", "--no-nanny", PYTHONPATH=str(tmp_path)):
        assert main(check) == 2
    assert "the Dask worker worker-c has no weighbridge that fits" in capsys.readouterr().err
    cluster.heal()

    monkeypatch.setattr(task, "__version__", "9.9.9")

    assert main(check) == 2
    told = capsys.readouterr().err
    assert f"the Dask worker worker-a has weighbridge {__version__} instead of 9.9.9" in told


def test_the_last_words_of_a_child_are_forwarded_although_it_was_killed():
    told: list[bytes] = []

    async def talk():
        ours, theirs = socket.socketpair()
        ours.sendall(pack(Lease(1)))
        theirs.sendall(pack(Ready()) + pack(Wish(3)) + pack(Wish(4))[:-1])
        theirs.close()  # with an order unread, which resets the connection
        reader, writer = await asyncio.open_connection(sock=ours)
        await task._forward(reader, told.append)
        writer.close()

    asyncio.run(talk())

    assert list(unpack(b"".join(told))) == [Ready(), Wish(3)]


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
    assert len(chosen(there, "node", 3)) == 3
    with pytest.raises(NotYetError, match="--vantage zone:3: there are workers in 2 of them"):
        chosen(there, "zone", 3)
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
                           "--max-time", "5m", "--concurrency", "6", "--out", tmp_path)  # fmt: skip
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
