"""A run sent by several processes: one verdict, and nothing lost when one of them dies."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from analysis import Policy, Split, Tally, Tolerance, Verdict
from analysis.data.report import Reason, ReasonCode, Worker
from analysis.weighing.merging import SLICE_NS
from sampler import Limits, Load, Target, read
from sampler.base.clock import NS_PER_S
from sampler.base.errors import SamplingError, UsageError
from sampler.demo.process import EmbeddedService
from sampler.engine.effort import Effort
from sampler.engine.saturation import Delays, Strain
from sampler.fleet.dask import DaskWorkers
from sampler.fleet.fleet import Fleet, parts_of
from sampler.fleet.forks import ForkServer
from sampler.fleet.messages import Done, Lease, Sealed, Start, Stop, Vantage, Wish, pack
from sampler.fleet.processes import Processes
from sampler.fleet.worker import Worker as FleetWorker
from sampler.plan.run import RunPlan
from sampler.run.gate import Weighing
from sampler.run.report import Course, account_of
from tests.processes import only_run, started

ALL_V1 = Split.parse("v1=1")


def run_of(url, out, **changes):
    plan = RunPlan(
        Target(url),
        Load(rate=300.0, concurrency=12, timeout_s=1.0),
        Limits(max_samples=600),
        split=ALL_V1,
        policy=Policy(tolerance=Tolerance.parse("0.5pp")),
        out=out,
    )
    return replace(plan, **changes)


def sent_by(crew, plan, observe=None, **more):
    sampling = partial(Fleet, crew=crew, **more)
    return asyncio.run(Weighing(plan, observe, sampling=sampling).run())


def require_ends(pidfds):
    """Wait for processes to end."""
    for end in pidfds:
        assert select.select([end], [], [], 60) == ([end], [], [])
        os.close(end)


def test_workers_give_one_verdict_that_their_own_runs_give_again(weighbridge, tmp_path):
    with EmbeddedService({"v1": 4}, seed=1) as service:
        report = sent_by(Processes(2), run_of(service.url, tmp_path))
        served = service.counts().total

    again = weighbridge("judge", *(each.run for each in report.performance.workers), "--json", "-")

    document = json.loads(again.stdout)
    assert report.samples.launched == served == document["samples"]["launched"]
    assert served == sum(each.launched for each in report.performance.workers)
    assert [document["verdict"], document["decision"]["decided_after"]] == [
        report.verdict,
        report.decision.decided_after,
    ]
    assert len(read(report.run.path).table) == served
    assert set(read(report.run.path).table["worker"].to_pylist()) == {0, 1}


def test_the_run_of_any_vantage_is_judged_by_itself(weighbridge, tmp_path):
    """It is that of one client, whichever number that had; its check names the other zones."""
    with EmbeddedService({"v1": 4}, seed=1) as service:
        plan = run_of(service.url, tmp_path, zone_of=("a", "b"), limits=Limits(max_samples=100))
        report = sent_by(Processes(2), plan)

    done = weighbridge("judge", report.performance.workers[1].run, "--json", "-")

    assert done.returncode == 3, done.stderr
    zones = json.loads(done.stdout)["observed"]["by_zone"]
    assert {name: each["counts"].get("v1", 0) for name, each in zones.items()} == {"a": 0, "b": 50}


def test_a_coordinator_of_the_full_transport_has_another_loop_and_the_same_end(weighbridge):
    with EmbeddedService({"v1": 4}, seed=1) as service:
        done = weighbridge("check", service.url, "--expect", "v1=1", "--tolerance", "5pp",
                           "--workers", "2", "--transport", "full", "--out", "none")  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "full transport" in done.stdout


def test_the_limit_of_the_plan_is_kept_to_the_request(tmp_path):
    with EmbeddedService({"v1": 4}, seed=1) as service:
        plan = run_of(service.url, None, limits=Limits(max_samples=50), load=Load(concurrency=4))
        report = sent_by(Processes(3), plan)

        assert report.samples.launched == service.counts().total == 50


@pytest.mark.parametrize(
    ("signum", "counts_lost"), [(signal.SIGKILL, False), (signal.SIGSTOP, True)]
)
def test_of_a_worker_that_is_lost_the_lease_bounds_what_it_sent(tmp_path, signum, counts_lost):
    crew = Processes(3)
    ends: list[int] = []

    def observe(progress):
        if progress.launched > 60 and not ends:
            ends.extend(os.pidfd_open(child.pid) for child in crew.children)
            os.kill(crew.children[1].pid, signum)

    with EmbeddedService({"v1": 4}, seed=1) as service:
        plan = run_of(service.url, tmp_path)
        report = sent_by(crew, plan, observe, counts_lost=counts_lost)
        served = service.counts().total

    workers = report.performance.workers
    known = sum(each.launched for each in workers)
    lost = sum(each.lost for each in workers)
    assert workers[1].gone
    assert known <= served <= known + lost
    # Leases last for 0.35 s, and for what is in flight at the end of one.
    assert 0 <= workers[1].lost < 300 / 3 * 1.5
    assert report.samples.launched == known + (lost if counts_lost else 0)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.VANTAGE_LOST
    require_ends(ends)


def test_workers_outlive_their_coordinator_and_end_their_runs(weighbridge, tmp_path):
    with EmbeddedService({"v1": 4}, seed=1) as service:
        process = started(
            tmp_path, "check", service.url, "--expect", "v1=1", "--tolerance", "0.01pp",
            "--workers", "2", "--rate", "200",
        )  # fmt: skip
        while service.counts().total < 100:
            assert process.poll() is None
        (server,) = psutil.Process(process.pid).children()
        ends = [os.pidfd_open(child.pid) for child in server.children()]
        process.kill()
        process.communicate(timeout=60)
        require_ends(ends)
        served = service.counts().total

    runs = sorted((only_run(tmp_path) / "vantages").iterdir())
    done = weighbridge("judge", *map(str, runs), "--json", "-")
    assert len(ends) == len(runs) == 2
    assert sum(len(read(run).table) for run in runs) == served
    assert json.loads(done.stdout)["samples"]["launched"] == served


def test_the_parts_of_a_load_add_up_to_it():
    plan = run_of("http://127.0.0.1:1/", None, load=Load(concurrency=11, rate=100.0))

    loads = [part.load for part in parts_of(plan, 4)]

    assert [load.concurrency for load in loads] == [3, 3, 3, 2]
    assert [load.rate for load in loads] == [25.0] * 4
    with pytest.raises(UsageError, match="12 vantages need one each"):
        parts_of(plan, 12)


def test_a_loss_is_no_fault_of_the_target_where_all_vantages_are_in_one_zone():
    strain = Strain(1.0, 0.0, Delays(), None, 600, 0, 0, 1.0)
    gone = Worker("w", zone="a", launched=600, lost=200, gone="its process ended")
    effort = Effort("fast", (strain,), 600, 0, 1, workers=(gone,))
    course = Course(datetime.now(UTC), 0.0, None, [], None, 0)
    plan = run_of("http://127.0.0.1:1/", None, zone_of=("a",))

    account = account_of(plan, effort, Tally(), course)

    assert account.doubt is not None
    told = account.doubt(Reason(ReasonCode.TOO_MANY_UNLABELLED, "Many."))
    assert told is not None
    assert told.code is ReasonCode.VANTAGE_LOST


def test_a_worker_ends_after_its_last_words_were_read():
    """A socket that is closed with orders unread would reset the connection, and lose them."""
    with EmbeddedService({"v1": 1}, seed=6) as service:
        server = ForkServer()
        child = server.fork()
        ended = os.pidfd_open(child.pid)
        plan = run_of(service.url, None, load=Load(concurrency=1), limits=Limits(max_samples=3))
        with child.sock as ours:
            ours.sendall(pack(Start(plan, 0, 1, 0.2)) + pack(Lease(3, is_last=True)))
            while ours.recv(1 << 16):
                pass
            ours.sendall(pack(Lease(3, is_last=True)))
        require_ends([ended])
        server.close()


def test_a_process_that_is_forked_has_no_threads():
    server = ForkServer()
    server.fork().sock.close()

    assert psutil.Process(server._process.pid).num_threads() == 1
    server.close()


def test_a_fast_zone_takes_nothing_of_what_another_may_send():
    """Each zone has a part of the limit, however late its worker begins."""
    plan = run_of("http://127.0.0.1:1/", None, zone_of=("a", "b"), limits=Limits(max_samples=7))
    told = []
    crew = SimpleNamespace(answer_s=0.1, tell=lambda number, order: told.append((number, order)))
    fleet = Fleet(plan, crew, folder=lambda: None)
    fleet._begin([Vantage("a"), Vantage("b")])

    fleet._take(0, Wish(100))
    fleet._take(1, Wish(2))
    fleet._take(1, Wish(100))

    leases = [(number, order) for number, order in told if isinstance(order, Lease)]
    assert leases == [(0, Lease(4, is_last=True)), (1, Lease(2)), (1, Lease(3, is_last=True))]


def test_a_vantage_whose_clock_is_too_slow_is_lost_and_the_other_is_not():
    """It says something all the time, and would hold the watermark for ever."""
    now = [0]
    plan = run_of("http://127.0.0.1:1/", None, zone_of=("a", "b"))  # a timeout of 1 s
    crew = SimpleNamespace(answer_s=0.1, tell=lambda *_: None, give_up=lambda _: None)
    fleet = Fleet(plan, crew, folder=lambda: None, clock=lambda: now[0])
    fleet._begin([Vantage("a"), Vantage("b")])
    for number in (0, 1):
        fleet._take(number, Wish(10))
    while now[0] < 20 * NS_PER_S and not fleet._known[1].gone:
        now[0] += SLICE_NS
        fleet._take(0, Sealed(now[0] // SLICE_NS))
        fleet._take(1, Sealed(now[0] // (2 * SLICE_NS)))
        fleet._look()

    assert fleet._known[1].gone == "6.2 s behind the others"
    assert fleet._known[0].is_live


def test_a_vantage_that_cannot_go_on_is_lost_and_the_run_ends_if_none_can():
    crew = SimpleNamespace(answer_s=0.1, tell=lambda *_: None, give_up=lambda _: None)
    fleet = Fleet(run_of("http://127.0.0.1:1/", None), crew, folder=lambda: None)
    fleet._begin([Vantage("a"), Vantage("b")])

    fleet._take(0, Done(None, error="No space left on device"))
    assert fleet._known[0].gone == "No space left on device"
    assert fleet._known[1].is_live
    with pytest.raises(SamplingError, match="b: shop cannot be resolved"):
        fleet._take(1, Done(None, error="shop cannot be resolved"))


def test_a_run_that_is_stopped_while_its_vantages_get_ready_stops_them():
    told = []
    crew = SimpleNamespace(answer_s=0.1, tell=lambda number, order: told.append((number, order)))
    fleet = Fleet(run_of("http://127.0.0.1:1/", None), crew, folder=lambda: None)
    fleet.stop()

    fleet._begin([Vantage("a"), Vantage("b")])

    assert told[2:] == [(0, Stop()), (1, Stop())]


@pytest.mark.parametrize("late_ms", [0, 200])
@pytest.mark.parametrize("vantages", [1, 3, 100, 150, 151, 300, 600])
def test_a_lease_is_asked_for_with_a_seal_and_none_runs_out(monkeypatch, late_ms, vantages):
    """Each message has a price; what is leased bounds what a vantage that is lost has sent.

    The answers to many take longer than a slice, so that each asks with fewer of them.
    """
    answer_s = DaskWorkers("", [Vantage("")] * vantages).answer_s
    now, rate, delay_ns = [0], 500, round((answer_s - 0.02) * NS_PER_S)
    plan = run_of("http://127.0.0.1:1/", None, load=Load(rate=float(rate), concurrency=12))
    monkeypatch.setattr("sampler.fleet.worker.run_clock", lambda: now[0])
    messages: list[Any] = []
    allowed: list[Any] = []

    def tell(*words):
        messages.append((now[0], words))
        allowed.extend((now[0] + delay_ns, w.launches) for w in words if isinstance(w, Wish))

    start = Start(plan, 0, 1, answer_s)

    def complete_ns():
        """An answer in each second keeps the slices of a moment back."""
        late = late_ms * 1_000_000 if now[0] % NS_PER_S < NS_PER_S // 2 else 0
        return now[0] - 20_000_000 - late

    vantage: Any = FleetWorker(start, tell)
    vantage._engine = SimpleNamespace(
        is_stopping=False,
        launched=0,
        allow=lambda *_, **__: None,
        elapsed_ns=lambda: now[0],
        complete_ns=complete_ns,
    )
    tell(*vantage._wishes())
    while now[0] < 20 * NS_PER_S:
        now[0] += 50_000_000
        leased = max((launches for at, launches in allowed if at <= now[0]), default=0)
        launched = max(now[0] - delay_ns, 0) * rate // NS_PER_S  # from the first lease on
        assert launched <= leased
        assert allowed[-1][1] - launched <= rate * start.ahead_s + 13
        vantage._engine.launched = launched
        vantage.hear(Lease(leased))
        vantage._tick()

    late = [tuple(map(type, words)) for at, words in messages if at > 3 * NS_PER_S]
    counts = Counter(late)
    assert counts[Sealed, Wish] + counts[Sealed,] == 4 * 17
    assert counts[Wish,] <= (17 if late_ms else 0)
    if not late_ms:  # of all vantages together: what a scheduler hands out
        assert counts[Sealed, Wish] * vantages <= 17 * 600


def test_a_vantage_asks_for_twice_as_many_until_it_knows_its_rate():
    """Not again for each few milliseconds of a fast one; of a slow one little can be lost."""
    plan = run_of("http://127.0.0.1:1/", None, load=Load(max_rate=None, concurrency=64))
    told: list[Any] = []
    vantage: Any = FleetWorker(Start(plan, 0, 1, 0.05), lambda *words: told.extend(words))
    engine = vantage._engine = SimpleNamespace(is_stopping=False, launched=0)
    for now in range(0, 50_000_000, 2_000_000):
        engine.elapsed_ns = lambda now=now: now
        engine.launched = min(50 * now // 1_000_000, vantage._wished)
        for wish in vantage._wishes():
            told.append(wish)
            assert wish.launches <= 2 * engine.launched + 65

    assert engine.launched == 2_400
    assert len(told) < 12


def test_a_coordinator_says_that_it_is_there_where_it_said_nothing_else_for_a_second():
    now, told = [0], list[Any]()
    crew = SimpleNamespace(answer_s=0.1, tell=lambda number, order: told.append((number, order)))
    plan = run_of("http://127.0.0.1:1/", None)
    fleet = Fleet(plan, crew, folder=lambda: None, clock=lambda: now[0])
    fleet._begin([Vantage("a"), Vantage("b")])
    told.clear()
    for look in range(1, 5):
        now[0] += SLICE_NS
        fleet._take(0, Wish(look))
        fleet._look()

    assert told == [*((0, Lease(look)) for look in range(1, 5)), (1, Lease(0))]
