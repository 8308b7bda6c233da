"""Which requests share a session, with a clock of the test's own."""

from __future__ import annotations

import pytest

from sampler.serve import sessions as module
from sampler.serve.gates import Ask, Gate, Spending
from sampler.serve.outcome import Kind, Outcome
from sampler.serve.sessions import QueueFullError, Session, Sessions, State

GATE = Gate("shop", {}, {"v1": 9, "v2": 1})


class World:
    """Sessions, the time, and which of them were told to end."""

    def __init__(self, at_once=2, queue=64):
        self.now = 100.0
        self.stopped: list[Session] = []
        self.past: list[Session] = []
        self.sessions = Sessions(
            at_once, queue, lambda: self.now, lambda: "2026-01-01",
            self.stopped.append, self.past.append,
        )  # fmt: skip

    def ask(self, key="", gate=GATE, **how):
        return self.sessions.ask(gate, Ask(key), **how)

    def end(self, session, verdict="PASS", kind=Kind.MEASURED):
        while session.state is State.QUEUED:
            assert self.sessions.begin() is not None
        self.sessions.end(session, Outcome(verdict, "reason", f"{verdict}: x", kind=kind))


@pytest.fixture
def world():
    return World()


def test_requests_with_a_key_join_while_it_goes_on_and_repeat_its_verdict_for_a_while(world):
    first = world.ask("a")
    assert world.ask("a") is first  # queued
    assert world.sessions.begin() is first
    assert world.ask("a") is first  # running
    world.end(first)

    world.now += GATE.linger_s - 0.1
    assert world.ask("a") is first
    world.now += 0.2
    assert world.ask("a") is not first


def test_what_differs_in_anything_that_is_asked_is_another_session(world):
    asks = [Ask("a"), Ask("b"), Ask("a", "v1=1,v2=1"), Ask("a", "", 1), Ask("a", url="http://x/")]

    assert len({world.sessions.ask(GATE, ask).id for ask in asks}) == len(asks)
    assert world.sessions.ask(Gate("other", {}), Ask("a")).gate.name == "other"


def test_no_key_begins_a_session_each_time_and_fresh_one_after_a_verdict():
    world = World(at_once=9)
    assert world.ask() is not world.ask()
    kept = world.ask("a")
    assert world.ask("a", is_fresh=True) is kept  # it goes on: there is nothing to repeat
    world.end(kept)
    assert world.ask("a", is_fresh=True) is not kept


def test_what_could_not_be_measured_is_not_repeated_for_long(world):
    first = world.ask("a")
    world.end(first, "INCONCLUSIVE", Kind.UNMEASURABLE)

    world.now += 4
    assert world.ask("a") is first
    world.now += 2
    assert world.ask("a") is not first


def test_only_so_many_run_and_so_many_wait():
    world = World(at_once=2, queue=3)
    running = [world.ask(), world.ask()]
    assert [world.sessions.begin() for _ in running] == running
    waiting = [world.ask(str(n)) for n in range(3)]

    assert world.sessions.begin() is None
    assert [world.sessions.position(each) for each in waiting] == [1, 2, 3]
    with pytest.raises(QueueFullError):
        world.ask("4")
    assert world.ask("0") is waiting[0]  # joining takes no place
    world.end(running[0])
    assert world.sessions.begin() is waiting[0]
    assert [world.sessions.position(each) for each in waiting[1:]] == [1, 2]


def test_a_later_step_of_an_object_ends_the_one_before(world):
    queued, running, other = (world.ask(f"ns/app/{n}") for n in (1, 2, 3))
    assert queued.state is State.DONE
    assert queued.outcome is not None
    assert (queued.outcome.verdict, queued.outcome.reason) == ("INCONCLUSIVE", "superseded")
    del running, other
    present = world.sessions.begin()
    assert present is not None
    assert present.key == "ns/app/3"

    later = world.ask("ns/app/4")
    assert world.stopped == [present]
    world.sessions.end(present, Outcome("INCONCLUSIVE", "interrupted", "INCONCLUSIVE: x"))
    assert present.outcome is not None
    assert present.outcome.reason == "superseded"
    assert later.state is State.QUEUED


def test_a_verdict_that_fell_before_the_stop_stays(world):
    session = world.ask("ns/app/1")
    world.sessions.begin()
    world.ask("ns/app/2")
    world.sessions.end(session, Outcome("FAIL", "outside_tolerance", "FAIL: x"))

    assert session.outcome is not None
    assert (session.outcome.verdict, session.outcome.reason) == ("FAIL", "outside_tolerance")


@pytest.mark.parametrize("keys", [("a", "b"), ("ns/a/1", "ns/b/1"), ("ns/a", "ns/b"), ("", "")])
def test_sessions_of_different_objects_leave_each_other_alone(world, keys):
    first, second = (world.ask(key) for key in keys)

    assert (first.stopped, second.stopped) == ("", "")
    assert world.ask("ns/a/2", Gate("other", {})).stopped == ""
    assert first.stopped == ""


def test_error_rates_of_all_sessions_of_a_key_add_up_to_those_of_the_gate(world):
    gate = Gate("spent", {}, alpha=0.02, beta=0.01, spending=Spending.STEP)
    rates = []
    for _ in range(60):
        session = world.ask("a", gate)
        rates.append(session.error_rates)
        world.end(session, "INCONCLUSIVE")
        world.now += gate.linger_s
    assert rates[:3] == [(0.01, 0.005), (0.005, 0.0025), (0.0025, 0.00125)]
    assert sum(alpha for alpha, _ in rates) <= 0.02
    assert sum(beta for _, beta in rates) <= 0.01
    assert min(min(pair) for pair in rates) > 0
    assert world.ask("b", gate).error_rates == rates[0]
    assert world.ask("b").error_rates == (GATE.alpha, GATE.beta)


def test_the_end_of_a_server_ends_what_waits_and_runs(world):
    running, waiting = world.ask("a"), world.ask("b")
    world.sessions.begin()

    world.sessions.stop_all()

    assert world.stopped == [running]
    assert waiting.outcome is not None
    assert (waiting.outcome.verdict, waiting.outcome.reason) == ("INCONCLUSIVE", "interrupted")
    assert world.sessions.begin() is None
    with pytest.raises(QueueFullError):
        world.ask("c")


def test_stopping_twice_or_after_the_end_changes_nothing(world):
    session = world.ask("a")
    world.sessions.begin()
    for _ in range(2):
        world.sessions.stop(session, "interrupted")
    assert world.stopped == [session]
    world.sessions.end(session, Outcome("PASS", "x", "PASS: x"))
    world.sessions.stop(session, "interrupted")
    world.sessions.end(session, Outcome("FAIL", "x", "FAIL: x"))

    assert session.outcome is not None
    assert session.outcome.verdict == "PASS"


def test_memory_of_sessions_and_keys_is_bounded(world, monkeypatch):
    monkeypatch.setattr(module, "MOST_DONE", 20)
    monkeypatch.setattr(module, "MOST_KEYS", 30)
    gate = Gate("spent", {}, spending=Spending.STEP)
    ids = []
    for n in range(200):
        session = world.ask(f"key-{n}", gate)
        ids.append(session.id)
        world.end(session, "INCONCLUSIVE")
        world.now += GATE.linger_s

    assert [each.id for each in world.sessions] == ids[-20:]
    assert world.sessions.find(ids[0]) is None
    sizes = [len(held) for held in vars(world.sessions).values() if hasattr(held, "__len__")]
    assert max(sizes) <= 30


def test_verdicts_that_linger_are_kept_up_to_another_number(world, monkeypatch):
    monkeypatch.setattr(module, "MOST_DONE", 5)
    monkeypatch.setattr(module, "MOST_KEYS", 52)
    first = world.ask("first")
    world.end(first)
    for n in range(50):
        world.end(world.ask(f"key-{n}"))

    assert world.ask("first") is first
    for n in range(2):
        world.end(world.ask(f"more-{n}"))
    assert world.ask("first") is not first
    assert len(list(world.sessions)) == 53  # the last one was begun just now


def test_a_restored_session_is_repeated_and_counted(world):
    gate = Gate("spent", {}, spending=Spending.STEP)
    old = World().ask("a", gate)
    old.earlier = 3
    old.outcome = Outcome("PASS", "x", "PASS: x")

    world.sessions.restore(old, 30.0)

    assert world.ask("a", gate) is old
    changed = World()
    changed.sessions.restore(old, 30.0, is_current=False)
    assert changed.ask("a", gate) is not old  # the gate asks something else now
    assert old in list(changed.sessions)
    assert changed.ask("a", gate).earlier == 4
    old.done_at = world.now - 30
    world.now += 31
    assert world.ask("a", gate).earlier == 4


def test_how_long_a_key_is_undecided_counts_from_its_first_inconclusive_end(world):
    for verdict, expected_s in (("INCONCLUSIVE", 60.0), ("INCONCLUSIVE", 120.0), ("FAIL", None)):
        session = world.ask("a")
        world.end(session, verdict)
        world.now += GATE.linger_s
        assert world.sessions.undecided_s(session) == expected_s


def test_a_canary_without_weight_ends_what_is_weighed_of_it(world):
    other, split = world.ask("ns/b/split"), world.ask("ns/a/split")
    world.sessions.start_over(GATE, "ns/a")
    assert (split.stopped, other.stopped) == ("superseded", "")
    assert world.ask("ns/a/split") is not split

    alone = world.sessions.ask(GATE, Ask("ns/a/alone", is_alone=True))
    world.sessions.start_over(GATE, "ns/a")
    assert alone.stopped == ""


@pytest.mark.parametrize("is_asked", [True, False], ids=["asked something else", "without weight"])
def test_what_came_of_an_object_is_over_once_it_is_at_something_else(world, is_asked):
    failed, undecided, other = (world.ask(f"ns/{key}") for key in ("a/1/x", "b/1/x", "c/1/x"))
    for session, verdict in ((failed, "FAIL"), (undecided, "INCONCLUSIVE"), (other, "FAIL")):
        world.end(session, verdict)
    world.now += 3600
    assert not failed.is_past

    for name in ("a", "b"):
        if is_asked:
            world.ask(f"ns/{name}/2/x")
        else:
            world.sessions.start_over(GATE, f"ns/{name}")

    assert [failed.is_past, other.is_past] == [True, False]
    assert world.sessions.undecided_s(undecided) is None
    assert world.past == [failed, undecided]
