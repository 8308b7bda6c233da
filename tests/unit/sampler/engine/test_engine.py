"""The engine on a transport that answers when the test says so."""

from __future__ import annotations

import asyncio

import pytest

from analysis import ABSENT, Batch, Outcome
from sampler.engine.engine import Engine
from sampler.exchange.failure import GIVEN_UP, Failure, FailureCode
from sampler.exchange.transport.base import Launches
from sampler.labels.reader import LabelReader
from sampler.labels.rule import LabelRule
from sampler.plan.load import Limits, Load
from sampler.plan.target import Target


class ManualTransport:
    """Records what is launched; `end` ends an exchange."""

    name = "manual"
    failure: BaseException | None = None

    def __init__(self, wiring) -> None:
        self.wiring = wiring
        self.closings: list[int] = []
        self.launches = Launches()
        self.flying: dict[int, tuple[int, int]] = {}
        self.most_at_once = 0
        self.ends = 0

    async def open(self) -> None:
        pass

    def launch(self, slot: int, index: int, scheduled_ns: int | None = None) -> None:
        assert slot not in {used for used, _ in self.flying.values()}
        self.flying[index] = (slot, self.wiring.clock() if scheduled_ns is None else scheduled_ns)
        self.most_at_once = max(self.most_at_once, len(self.flying))

    def end(self, index: int, failure: Failure | None = None) -> None:
        slot, scheduled_ns = self.flying.pop(index)
        label = self.wiring.reader.labels.code("v1") if failure is None else ABSENT
        now = self.wiring.clock()
        self.wiring.recorder.record(
            index, scheduled_ns, now, now, now, index, 0, label, ABSENT, 200, failure
        )
        self.wiring.on_idle(slot)

    def finish(self) -> None:
        self.ends += 1

    def abort(self) -> None:
        for index in list(self.flying):
            self.end(index, GIVEN_UP)

    async def aclose(self) -> None:
        assert not self.flying


class ManualClock:
    """Goes on only when it is told to."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def make_engine():
    def make(
        load: Load, limits: Limits, *, is_labelled: bool = True
    ) -> tuple[Engine, ManualTransport, ManualClock]:
        clock = ManualClock()
        reader = LabelReader(LabelRule.parse("/label"))
        if is_labelled:  # before the first label, little is sent
            reader.labels.code("v1")
        engine = Engine(
            Target("http://h/"),
            load,
            limits,
            reader,
            transport=ManualTransport,
            seed=3,
            clock=clock,
        )
        assert isinstance(engine.transport, ManualTransport)
        return engine, engine.transport, clock

    return make


async def collect(engine: Engine, act) -> list[Batch]:
    """Run the engine's batches while `act` plays the other side."""

    async def consume() -> list[Batch]:
        return [batch async for batch in engine.batches()]

    task = asyncio.ensure_future(consume())
    async with asyncio.timeout(10):
        await act()
        return await task


async def until(condition) -> None:
    while not condition():  # noqa: ASYNC110 - the engine's own tick is what is waited for
        await asyncio.sleep(0.001)


def test_a_closed_workload_keeps_every_slot_busy_and_stops_at_its_limit(make_engine):
    engine, transport, _ = make_engine(Load(concurrency=3, max_rate=None), Limits(max_samples=7))

    async def act() -> None:
        for index in range(7):
            await until(lambda index=index: index in transport.flying)
            assert len(transport.flying) == min(3, 7 - index)
            transport.end(index)

    batches = asyncio.run(collect(engine, act))

    assert sum(map(len, batches)) == engine.launched == 7
    assert transport.most_at_once == 3


def test_the_end_of_sending_is_noticed_at_once(make_engine, monkeypatch):
    load = Load(concurrency=2, max_rate=None)
    engine, transport, clock = make_engine(load, Limits(max_samples=2))
    long_ones = []

    async def sleep(seconds, sleep=asyncio.sleep) -> None:
        if seconds > 0.01:
            long_ones.append(seconds)
            await asyncio.Event().wait()
        await sleep(seconds)

    async def act() -> None:
        await until(lambda: transport.flying)
        clock.now_ns = 10_000_000_000
        await until(lambda: long_ones)
        transport.end(0)  # the last was launched
        await until(lambda: transport.ends > 2)
        transport.end(1)

    monkeypatch.setattr(asyncio, "sleep", sleep)

    assert sum(map(len, asyncio.run(collect(engine, act)))) == 2
    assert len(long_ones) == 1


def test_batches_are_in_send_order_whatever_comes_back_first(make_engine):
    engine, transport, _ = make_engine(Load(concurrency=4, max_rate=None), Limits(max_samples=4))

    async def act() -> None:
        await until(lambda: len(transport.flying) == 4)
        for index in (3, 1, 2):
            transport.end(index)
        assert engine.recorder.seal() is None
        transport.end(0)

    batches = asyncio.run(collect(engine, act))

    assert [batch.first for batch in batches] == [0]
    assert batches[0].connection.tolist() == [0, 1, 2, 3]


def test_the_time_limit_stops_sending_and_drains_what_is_in_flight(make_engine):
    engine, transport, clock = make_engine(Load(concurrency=2), Limits(max_time_s=1))

    async def act() -> None:
        await until(lambda: len(transport.flying) == 2)
        clock.now_ns = 1_000_000_000
        await until(lambda: engine.is_stopping)
        assert engine.in_flight == 2
        transport.end(1, Failure(FailureCode.NO_ANSWER_IN_TIME, "late"))
        transport.end(0)

    batches = asyncio.run(collect(engine, act))

    assert engine.reached_max_time
    assert [Outcome(code) for b in batches for code in b.outcome] == [Outcome.OK, Outcome.TIMEOUT]


@pytest.mark.parametrize("end", [Engine.stop, Engine.abort])
def test_a_run_that_is_stopped_while_it_opens_sends_nothing(make_engine, monkeypatch, end):
    engine, transport, _ = make_engine(Load(concurrency=2), Limits(max_samples=7))
    opening = asyncio.Event()

    async def never(_self) -> None:
        opening.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(ManualTransport, "open", never)

    async def act() -> None:
        await opening.wait()
        end(engine)

    assert asyncio.run(collect(engine, act)) == []
    assert engine.launched == 0
    assert not transport.flying


def test_a_run_that_is_stopped_before_it_opens_sends_nothing(make_engine):
    engine, _, _ = make_engine(Load(concurrency=2), Limits(max_samples=7))
    engine.stop()

    async def act() -> None:
        """Do nothing."""

    assert asyncio.run(collect(engine, act)) == []
    assert engine.launched == 0


def test_a_defect_in_a_timer_ends_the_run(make_engine, monkeypatch):
    engine, _, clock = make_engine(Load(rate=1_000), Limits(max_samples=7))

    def fail(*_arguments):
        raise ZeroDivisionError("a defect of ours")

    monkeypatch.setattr(ManualTransport, "launch", fail)

    async def act() -> None:
        await until(lambda: engine._timer is not None)
        clock.now_ns = 1_000_000_000

    with pytest.raises(ZeroDivisionError, match="a defect of ours"):
        asyncio.run(collect(engine, act))


def test_an_abort_gives_up_what_is_in_flight_and_keeps_its_outcome(make_engine):
    engine, transport, _ = make_engine(Load(concurrency=2), Limits(max_samples=100))

    async def act() -> None:
        await until(lambda: len(transport.flying) == 2)
        engine.abort()

    batches = asyncio.run(collect(engine, act))

    assert [Outcome(code) for b in batches for code in b.outcome] == [Outcome.ABORTED] * 2
    assert engine.launched == 2
    assert not engine.reached_max_time


def test_an_open_workload_does_not_wait_for_answers_and_counts_what_it_sheds(make_engine):
    engine, transport, clock = make_engine(Load(concurrency=5, rate=1_000), Limits(max_time_s=1))

    async def act() -> None:
        await until(lambda: engine._timer is not None)
        for step in range(1, 201):
            clock.now_ns = step * 1_000_000
            engine._launch_due()
        assert len(transport.flying) == engine.launched == 5
        # The last 50 ms of arrivals still wait for a slot.
        assert engine.launched + engine.shed == pytest.approx(150, abs=35)
        waiting = engine.shed
        clock.now_ns += 50_000_000
        engine._launch_due()
        assert engine.shed - waiting == pytest.approx(50, abs=35)
        engine.stop()
        for index in list(transport.flying):
            transport.end(index)

    asyncio.run(collect(engine, act))


def test_arrivals_keep_their_due_times(make_engine):
    engine, transport, clock = make_engine(
        Load(concurrency=1_000, rate=1_000, max_rate=None), Limits(max_samples=500)
    )
    due: list[int] = []

    async def act() -> None:
        await until(lambda: engine._timer is not None)
        clock.now_ns = 2_000_000_000
        engine._launch_due()
        due.extend(scheduled for _, scheduled in transport.flying.values())
        transport.abort()

    asyncio.run(collect(engine, act))

    assert len(due) == 500
    assert due == sorted(due)
    assert due[-1] == pytest.approx(500e6, rel=0.25)


def test_an_open_workload_uses_its_slots_in_turn(make_engine):
    engine, transport, clock = make_engine(Load(concurrency=4, rate=1_000), Limits(max_time_s=60))
    taken: list[int] = []

    async def act() -> None:
        await until(lambda: engine._timer is not None)
        while len(taken) < 40:
            clock.now_ns += 1_000_000
            engine._launch_due()
            for index, (slot, _) in sorted(transport.flying.items()):
                taken.append(slot)
                transport.end(index)
        engine.stop()

    asyncio.run(collect(engine, act))

    assert {taken.count(slot) for slot in range(4)} <= {len(taken) // 4, len(taken) // 4 + 1}


def test_a_failure_of_the_transport_is_raised(make_engine):
    engine, transport, _ = make_engine(Load(concurrency=1), Limits(max_samples=5))

    async def act() -> None:
        await until(lambda: transport.flying)
        transport.failure = RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        asyncio.run(collect(engine, act))


def throttle(transport: ManualTransport, index: int, after: bytes) -> None:
    """End an exchange as an answer that asks to come back later."""
    slot, scheduled_ns = transport.flying.pop(index)
    recorder, now = transport.wiring.recorder, transport.wiring.clock()
    recorder.throttled = ((b"Retry-After", after),)
    failure = Failure(FailureCode.NO_LABEL, "status 503", status=503)
    recorder.record(index, scheduled_ns, now, now, now, index, 0, ABSENT, ABSENT, 503, failure)
    transport.wiring.on_idle(slot)


def test_a_cap_holds_back_a_closed_workload_and_loses_no_slot(make_engine):
    load = Load(concurrency=8, max_rate=100)
    engine, transport, clock = make_engine(load, Limits(max_samples=40))

    async def act() -> None:
        launched = 0
        while launched < 40:
            await until(lambda: transport.flying)
            assert engine.launched <= 2 + 100 * clock.now_ns / 1e9
            for index in list(transport.flying):
                transport.end(index)
            launched = engine.launched
            clock.now_ns += 10_000_000

    batches = asyncio.run(collect(engine, act))

    assert sum(map(len, batches)) == 40
    assert clock.now_ns >= 0.38e9


def test_a_cap_makes_an_arrival_late_and_does_not_lose_it(make_engine):
    load = Load(concurrency=100, rate=1_000, max_rate=1_000)
    engine, transport, clock = make_engine(load, Limits(max_samples=50))

    async def act() -> None:
        await until(lambda: engine._timer is not None)
        clock.now_ns = 200_000_000  # some 200 arrivals are due at once
        engine._launch_due()
        assert engine.launched == engine._cap.burst == 10
        assert engine.shed == 0
        while engine.launched < 50:
            clock.now_ns += 1_000_000
            engine._launch_due()
        transport.abort()

    asyncio.run(collect(engine, act))

    assert engine.shed == 0
    assert engine.strain().lateness.longest_ns > 100e6


def test_retry_after_pauses_the_launches_for_as_long_as_it_says(make_engine):
    engine, transport, clock = make_engine(
        Load(concurrency=2, max_rate=None), Limits(max_samples=4, max_time_s=100)
    )

    async def act() -> None:
        await until(lambda: len(transport.flying) == 2)
        throttle(transport, 0, b"7")
        await until(lambda: engine.is_paused)
        launched = engine.launched
        for index in list(transport.flying):
            transport.end(index)
        clock.now_ns = 6_900_000_000
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert engine.launched == launched
        assert not transport.flying
        assert transport.ends == 0  # a pause is none
        clock.now_ns = 7_100_000_000
        await until(lambda: not engine.is_paused)
        while engine.launched < 4 or transport.flying:
            for index in list(transport.flying):
                transport.end(index)

    asyncio.run(collect(engine, act))

    assert (engine.effort().pauses, engine.overload) == (1, None)
    assert transport.ends > 0


def test_a_pause_that_does_not_fit_ends_the_run(make_engine):
    engine, transport, _ = make_engine(Load(concurrency=1), Limits(max_time_s=5))

    async def act() -> None:
        await until(lambda: transport.flying)
        throttle(transport, 0, b"60")
        await until(lambda: engine.is_stopping)
        transport.abort()

    asyncio.run(collect(engine, act))

    assert "60 s" in (engine.overload or "")


def test_a_fourth_request_for_a_pause_ends_the_run(make_engine):
    engine, transport, clock = make_engine(Load(concurrency=1), Limits(max_time_s=1_000))

    async def act() -> None:
        for pause in range(4):
            await until(lambda: transport.flying)
            throttle(transport, min(transport.flying), b"1")
            await until(lambda: engine.is_paused or engine.is_stopping)
            transport.abort()
            assert engine.is_stopping == (pause == 3)
            clock.now_ns += 2_000_000_000

    asyncio.run(collect(engine, act))

    assert engine.effort().pauses == 3
    assert "once more" in (engine.overload or "")


def test_a_run_that_must_not_stop_for_overload_does_not(make_engine):
    engine, transport, _ = make_engine(
        Load(concurrency=1, overload_stop=False, max_rate=None), Limits(max_samples=2)
    )

    async def act() -> None:
        await until(lambda: transport.flying)
        throttle(transport, 0, b"60")
        await until(lambda: 1 in transport.flying)
        transport.end(1)

    asyncio.run(collect(engine, act))

    assert engine.launched == 2
    assert engine.overload is None


def test_what_was_due_before_the_end_and_never_sent_is_shed(make_engine):
    engine, transport, clock = make_engine(
        Load(concurrency=500, rate=1_000, max_rate=None), Limits(max_time_s=1)
    )

    async def act() -> None:
        await until(lambda: engine._timer is not None)
        engine._timer.cancel()  # the loop stalls until after the end
        clock.now_ns = 1_000_000_000
        await until(lambda: engine.is_stopping)
        transport.abort()

    asyncio.run(collect(engine, act))

    assert engine.launched + engine.shed == pytest.approx(1_000, abs=150)


def test_what_is_due_during_a_pause_is_shed(make_engine):
    engine, transport, clock = make_engine(
        Load(concurrency=50, rate=1_000, max_rate=None), Limits(max_time_s=100)
    )

    async def act() -> None:
        await until(lambda: engine._timer is not None)
        clock.now_ns = 20_000_000
        engine._launch_due()
        throttle(transport, min(transport.flying), b"1")
        await until(lambda: engine.is_paused)
        launched = engine.launched
        clock.now_ns = 500_000_000
        engine._launch_due()
        assert engine.launched == launched
        assert engine.shed == pytest.approx(480, rel=0.2)
        engine.stop()
        transport.abort()

    asyncio.run(collect(engine, act))


def test_an_open_workload_does_not_send_in_a_burst_what_it_held_back_before_the_first_label(
    make_engine,
):
    load = Load(concurrency=100, rate=1_000, max_rate=None)
    engine, transport, clock = make_engine(load, Limits(max_samples=200), is_labelled=False)

    async def act() -> None:
        await until(lambda: engine._timer is not None)
        clock.now_ns = 100_000_000  # some 100 arrivals are due
        engine._launch_due()
        held = engine.launched
        transport.end(0)  # the first label
        engine._launch_due()
        assert held == 16
        assert engine.launched <= held + 2
        engine.stop()
        transport.abort()

    asyncio.run(collect(engine, act))

    assert engine.shed <= 1
