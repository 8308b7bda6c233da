"""Three days in fast-forward: memory stays flat, the disk bounded, and the figures right."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field
from math import inf
from typing import Any

import pytest

from analysis import Split
from analysis.data.live import State
from analysis.data.live_events import AlarmTold, BucketTold, Event, NoteTold, StateTold, event_of
from analysis.data.report import Verdict
from analysis.watching.asked import WatchPolicy
from sampler.base.errors import ExitCode, StorageError
from sampler.engine.effort import Effort
from sampler.engine.saturation import Delays, Strain
from sampler.plan.load import Load
from sampler.plan.run import RunPlan
from sampler.plan.target import Target
from sampler.store.layout import EVENTS
from sampler.store.reader import RunFolder
from sampler.watch import segment
from sampler.watch.costs import memory_bytes
from sampler.watch.session import Rotation, Session
from sampler.watch.telling import Teller
from tests.unit.analysis.watching import simulated

DAY_S = 86_400
STEP_S = 300
RATE = 2.0
NS = 1_000_000_000


@dataclass
class World:
    """Time, and what answers, as the engines of a test see them."""

    now_s: float = simulated.START
    canary: float = 0.1
    target: simulated.Target = field(default_factory=lambda: simulated.Target(3, RATE))
    engines: list[FastEngine] = field(default_factory=list)
    overloads: deque[float] = field(default_factory=deque)
    drift: tuple[float, float] = (0.0, 0.0)
    set_at: float = inf
    """When the wall clock is set [s], and by how much."""
    set_by_s: float = 0.0
    last_s: float = simulated.START + 3 * DAY_S
    memory: list[int] = field(default_factory=list)

    def clock(self) -> int:
        """Monotonic time."""
        return round(self.now_s * NS)

    def wall(self) -> float:
        """Seconds since 1970."""
        return self.now_s + (self.set_by_s if self.now_s >= self.set_at else 0.0)


WORLD = World()


class FastEngine:
    """Stands in for the engine: minutes pass at once, and samples are drawn."""

    def __init__(self, *_: Any, on_tick: Any, **__: Any) -> None:
        self.begun_s = WORLD.now_s
        self.launched = self.shed = 0
        self.is_stopping = self.is_paused = self.is_hopeless = self.reached_max_time = False
        self.overload: str | None = None
        self.on_tick = on_tick
        WORLD.target.sent = 0
        WORLD.engines.append(self)

    def elapsed_ns(self) -> int:
        return round((WORLD.now_s - self.begun_s) * NS)

    def slow_down(self, *_: Any, **__: Any) -> None:
        """Change nothing: the rate is that of the target."""

    def stop(self) -> None:
        self.is_stopping = True

    abort = stop

    def effort(self) -> Effort:
        strain = Strain(1.0, 0.0, Delays(), None, self.launched, 0, 0, 5.0)
        return Effort(
            "fast", (strain,), self.launched, 0, self.elapsed_ns(), overload=self.overload
        )

    async def batches(self):
        while True:
            if WORLD.overloads and WORLD.now_s >= WORLD.overloads[0]:
                WORLD.overloads.popleft()
                self.overload = "100 of its last 100 answers had the status 503"
                self.stop()
            self.on_tick()
            if self.is_stopping:
                return
            begun = WORLD.now_s - self.begun_s
            is_adrift = WORLD.drift[0] <= WORLD.now_s < WORLD.drift[1]
            batch = WORLD.target.second(begun, 0.5 if is_adrift else 0.1, width=STEP_S)
            self.launched += len(batch)
            WORLD.now_s += STEP_S
            if round(WORLD.now_s - simulated.START) % (DAY_S // 4) == 0:
                WORLD.memory.append(memory_bytes())
            yield batch


@pytest.fixture
def fast(monkeypatch):
    """Let minutes pass at once."""
    global WORLD  # noqa: PLW0603 - engines are made deep inside
    WORLD = World()
    monkeypatch.setattr(segment, "one_process", FastEngine)

    async def sleep(_timeout: float) -> None:
        WORLD.now_s += 1.0

    class Passed:
        async def __aenter__(self) -> None:
            WORLD.now_s += 1.0
            raise TimeoutError

        async def __aexit__(self, *_: object) -> None:
            return

    monkeypatch.setattr("sampler.watch.session.asyncio.timeout", lambda _: Passed())
    return WORLD


def session_in(folder, teller, **more):
    split = Split.parse("v1=9,v2=1")
    plan = RunPlan(
        Target("http://shop.test/"), Load(rate=RATE), split=split, out=folder, name="watch-shop",
        seed=1,
    )  # fmt: skip
    asked = WatchPolicy(plan.policy, 30 * DAY_S, RATE, patience_s=2 * STEP_S)
    more.setdefault("max_time_s", 3 * DAY_S)
    return Session("shop", plan, asked, teller, wall=WORLD.wall, clock=WORLD.clock, **more)


@pytest.mark.timeout(600)
def test_three_days_stay_flat_and_bounded_and_right(tmp_path, fast):
    """One drift of an hour on the second day, and an overload on the third."""
    fast.drift = (simulated.START + 1.5 * DAY_S, simulated.START + 1.5 * DAY_S + 3600)
    fast.overloads.append(simulated.START + 2.5 * DAY_S)
    teller, seconds, kinds = Teller(), Counter[str](), Counter[str]()

    def listen(event):
        kinds[type(event).__name__] += 1
        if isinstance(event, BucketTold) and event.width_s == 300:
            seconds.update(event.counts)
        if isinstance(event, NoteTold):
            kinds[event.kind] += 1

    teller.listeners.append(listen)
    session = session_in(tmp_path, teller, rotation=Rotation(time_s=DAY_S / 4, keep=3))
    code = asyncio.run(session.run())

    sent = sum(engine.launched for engine in fast.engines)
    lookout = session.lookout
    assert code is ExitCode.PASS
    assert lookout.counts.totals.total() == sent == pytest.approx(3 * DAY_S * RATE, rel=0.01)
    assert lookout.counts.totals["v2"] / sent == pytest.approx(0.1 + 0.4 / 72, abs=0.005)
    assert 0 <= sent - seconds.total() <= 3 * 300 * RATE  # what the last ones hold
    assert lookout.alarms == {"outside_tolerance": 1}
    assert (kinds["AlarmTold"], kinds["recovered"], kinds["restart"]) == (1, 1, 1)
    assert kinds["rotate"] == len(fast.engines) - 2
    assert len(fast.engines) == 12  # quarters of a day
    assert len(list(tmp_path.iterdir())) == 3
    assert max(fast.memory[4:]) - fast.memory[3] < 32 << 20
    assert session.latest is not None
    assert session.latest.outcomes == {"ok": sent}


def test_each_run_has_its_report_its_samples_and_its_events(tmp_path, fast):
    fast.drift = (simulated.START + 3600, simulated.START + 3 * DAY_S)
    session = session_in(
        tmp_path, Teller(), rotation=Rotation(time_s=1800), max_time_s=7200, is_fail_fast=False
    )
    code = asyncio.run(session.run())
    runs = [RunFolder(path) for path in sorted(tmp_path.iterdir())]
    told = [
        event_of(line) for run in runs for line in (run.path / EVENTS).read_bytes().splitlines()
    ]

    assert code is ExitCode.FAIL
    assert [run.report.verdict for run in runs] == [Verdict.PASS] * 2 + [Verdict.FAIL] * 2
    assert sum(run.report.samples.launched for run in runs) == session.lookout.counts.totals.total()
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    assert sum(isinstance(event, AlarmTold) for event in told) == 1


def test_the_first_alarm_ends_a_session_that_is_to_fail_fast(tmp_path, fast):
    fast.drift = (simulated.START + 3600, simulated.START + 3 * DAY_S)
    session = session_in(tmp_path, Teller(), is_fail_fast=True)

    assert asyncio.run(session.run()) is ExitCode.FAIL
    assert fast.now_s < simulated.START + 3 * 3600
    assert session.lookout.course.state is State.DRIFT


def test_while_an_overloaded_target_is_spared_nothing_is_known(tmp_path, fast):
    fast.overloads += [simulated.START + 3600, simulated.START + 3600]
    teller, notes, sent = Teller(), [], []
    session = session_in(tmp_path, teller, max_time_s=3 * 3600)

    def listen(event):
        if isinstance(event, NoteTold):
            notes.append(event.text)
        if isinstance(event, StateTold):
            launched = sum(engine.launched for engine in fast.engines)
            sent.append((event.state.requests, launched))

    teller.listeners.append(listen)
    code = asyncio.run(session.run())

    assert code is ExitCode.PASS
    assert "OK to BLIND" in notes
    assert "BLIND to STARTING" in notes
    assert all(requests <= launched for requests, launched in sent)
    assert sum("is overloaded" in note for note in notes) == 1  # both pauses are one time
    assert len(fast.engines) == 3


@pytest.mark.parametrize("by_s", [-DAY_S, 3 * DAY_S])
def test_a_clock_that_is_set_makes_nobody_blind_and_hides_no_drift(tmp_path, fast, by_s):
    """As after a machine slept, or when the time server was heard at last."""
    fast.set_at, fast.set_by_s = simulated.START + 3 * 3600, by_s
    fast.drift = (simulated.START + 5 * 3600, inf)
    teller = Teller()
    told: list[Event] = []
    teller.listeners.append(told.append)
    session = session_in(tmp_path, teller, max_time_s=8 * 3600)
    code = asyncio.run(session.run())

    states = [each.state.state for each in told if isinstance(each, StateTold)]
    alarms = [each.at for each in told if isinstance(each, AlarmTold)]
    assert code is ExitCode.FAIL
    assert State.BLIND not in states
    assert alarms == [pytest.approx(simulated.START + 5 * 3600 + by_s, abs=2 * STEP_S)]
    assert sum(isinstance(each, BucketTold) for each in told) < 9 * 3600 * 1.2
    assert session.latest is not None
    assert session.latest.at == pytest.approx(simulated.START + 8 * 3600 + by_s, abs=2 * STEP_S)


def test_what_cannot_go_on_leaves_no_pass_behind(tmp_path, fast, monkeypatch):
    """The other targets of the process go on being shown, and this one's state with them."""
    teller = Teller()
    told: list[Event] = []
    teller.listeners.append(told.append)
    session = session_in(tmp_path, teller, rotation=Rotation(time_s=3600))

    def fail(_self):
        raise StorageError("no space left")

    monkeypatch.setattr(Session, "_next_segment", fail)
    with pytest.raises(StorageError):
        asyncio.run(session.run())

    assert any(isinstance(each, StateTold) and each.state.verdict is Verdict.PASS for each in told)
    assert session.latest is not None
    assert (session.latest.state, session.latest.verdict) == (State.BLIND, Verdict.INCONCLUSIVE)
    assert "weighing has ended: no space left" in session.latest.why
    assert isinstance(told[-1], StateTold)
    assert told[-1].state == session.latest
