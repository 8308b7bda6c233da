"""The engine on a transport that answers when the test says so."""

from __future__ import annotations

import asyncio

import pytest

from analysis import ABSENT, Batch, Outcome
from sampler import engine as engine_module
from sampler.engine import Engine, make_transport
from sampler.errors import UsageError
from sampler.labels import LabelReader, LabelRule
from sampler.plan import Limits, Load, TransportKind
from sampler.target import Target


class ManualTransport:
    """Records what is launched; `finish` ends an exchange."""

    name = "manual"
    failure: BaseException | None = None

    def __init__(self, wiring) -> None:
        self.wiring = wiring
        self.flying: dict[int, tuple[int, int]] = {}
        self.most_at_once = 0

    async def open(self) -> None:
        pass

    def launch(self, slot: int, index: int, scheduled_ns: int | None = None) -> None:
        assert slot not in {used for used, _ in self.flying.values()}
        self.flying[index] = (slot, self.wiring.clock() if scheduled_ns is None else scheduled_ns)
        self.most_at_once = max(self.most_at_once, len(self.flying))

    def finish(self, index: int, outcome: Outcome = Outcome.OK) -> None:
        slot, scheduled_ns = self.flying.pop(index)
        label = self.wiring.reader.labels.code("v1") if outcome is Outcome.OK else ABSENT
        now = self.wiring.clock()
        self.wiring.recorder.record(
            index, scheduled_ns, now, now, now, index, 0, label, ABSENT, 200, outcome
        )
        self.wiring.on_idle(slot)

    def abort(self) -> None:
        for index in list(self.flying):
            self.finish(index, Outcome.ABORTED)

    async def aclose(self) -> None:
        assert not self.flying


class ManualClock:
    """Goes on only when it is told to."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def make_engine(monkeypatch):
    monkeypatch.setattr(engine_module, "make_transport", ManualTransport)

    def make(load: Load, limits: Limits) -> tuple[Engine, ManualTransport, ManualClock]:
        clock = ManualClock()
        reader = LabelReader(LabelRule.parse("/label"))
        engine = Engine(Target("http://h/"), load, limits, reader, seed=3, clock=clock)
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
    engine, transport, _ = make_engine(Load(concurrency=3), Limits(max_samples=7))

    async def act() -> None:
        for index in range(7):
            await until(lambda index=index: index in transport.flying)
            assert len(transport.flying) == min(3, 7 - index)
            transport.finish(index)

    batches = asyncio.run(collect(engine, act))

    assert sum(map(len, batches)) == engine.launched == 7
    assert transport.most_at_once == 3


def test_batches_are_in_send_order_whatever_comes_back_first(make_engine):
    engine, transport, _ = make_engine(Load(concurrency=4), Limits(max_samples=4))

    async def act() -> None:
        await until(lambda: len(transport.flying) == 4)
        for index in (3, 1, 2):
            transport.finish(index)
        assert engine.recorder.seal() is None
        transport.finish(0)

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
        transport.finish(1, Outcome.TIMEOUT)
        transport.finish(0)

    batches = asyncio.run(collect(engine, act))

    assert engine.reached_max_time
    assert [Outcome(code) for b in batches for code in b.outcome] == [Outcome.OK, Outcome.TIMEOUT]


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
        assert len(transport.flying) == 5
        assert engine.launched + engine.shed == pytest.approx(200, abs=75)
        assert engine.shed == engine.launched + engine.shed - 5
        engine.stop()
        for index in list(transport.flying):
            transport.finish(index)

    asyncio.run(collect(engine, act))


def test_arrivals_keep_their_due_times(make_engine):
    engine, transport, clock = make_engine(
        Load(concurrency=1_000, rate=1_000), Limits(max_samples=500)
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


def test_a_failure_of_the_transport_is_raised(make_engine):
    engine, transport, _ = make_engine(Load(concurrency=1), Limits(max_samples=5))

    async def act() -> None:
        await until(lambda: transport.flying)
        transport.failure = RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        asyncio.run(collect(engine, act))


def test_fast_refuses_what_it_cannot_carry():
    class Wiring:
        load = Load(transport=TransportKind.FAST)
        target = Target("https://h/")

    with pytest.raises(UsageError, match="plain HTTP only"):
        make_transport(Wiring())  # type: ignore[arg-type]
