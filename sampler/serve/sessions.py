"""Sessions: which requests share a weighing, which one is next, and how long a verdict is repeated.

How it works. `Sessions.ask` finds the session of a key: one that goes on is joined, one that
ended lately is repeated, otherwise one begins, which ends those of the same object at an earlier
step. `begin` hands out the next one that may run, `end` takes what came of it. Nothing here waits,
reads a clock of its own or touches a file; `sampler.serve.desk` does.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import TYPE_CHECKING

from sampler.serve.gates import UNMEASURED_LINGER_S, Spending
from sampler.serve.outcome import Kind, Outcome, line_of, undecided

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sampler.serve.gates import Ask, Gate

MOST_DONE = 200
"""Sessions that are kept after they ended."""
MOST_KEYS = 10_000
"""Keys of which is remembered how often they were weighed, or what they came to."""
MOST_NOTES = 20
SUPERSEDED = "superseded"
INTERRUPTED = "interrupted"
WITHOUT_KEY = "without_key"
_HALVINGS = 300
"""More of them would need an exponent of three digits, which no option takes."""

_WHY = {
    SUPERSEDED: "a later step of the same object is weighed instead",
    INTERRUPTED: "the check was stopped",
    WITHOUT_KEY: "no verdict while this request waited, and without key= none can ask for it again",
}


class QueueFullError(Exception):
    """As many sessions wait as may wait."""


@unique
class State(StrEnum):
    """How far a session is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


@dataclass(slots=True, eq=False)
class Session:
    """One weighing of a gate.

    Parameters
    ----------
    id : str
        Part of the name of its run.
    gate : Gate
    ask : Ask
    earlier : int
        Sessions of the same key before it; 0 where error rates are not spent.
    created_at : str
        RFC 3339, UTC.
    """

    id: str
    gate: Gate
    ask: Ask
    earlier: int
    created_at: str
    state: State = State.QUEUED
    outcome: Outcome | None = None
    progress: Outcome | None = None
    run: str = ""
    """Path of its folder on disk."""
    done_at: float = 0.0
    """By the clock of the sessions [s]."""
    stopped: str = ""
    """Why it is to end before its verdict."""
    is_past: bool = False
    """Whether its object was asked something else since."""
    notes: list[str] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def why_stopped(self) -> str:
        """The sentence behind `stopped`; empty while it goes on."""
        return _WHY.get(self.stopped, "")

    @property
    def key(self) -> str:
        """What requests share it by."""
        return self.ask.key

    @property
    def error_rates(self) -> tuple[float, float]:
        """Alpha and beta of this session."""
        if self.gate.spending is Spending.NONE:
            return self.gate.alpha, self.gate.beta
        part = 2.0 ** -(1 + min(self.earlier, _HALVINGS))
        return self.gate.alpha * part, self.gate.beta * part

    @property
    def linger_s(self) -> float:
        """How long its end is repeated [s]."""
        if self.outcome is not None and self.outcome.kind is not Kind.MEASURED:
            return min(UNMEASURED_LINGER_S, self.gate.linger_s)
        return self.gate.linger_s


class Sessions:
    """All sessions of a server.

    Parameters
    ----------
    at_once : int
        Sessions that run at the same time, at most.
    queue : int
        Sessions that wait, at most.
    clock : callable
        Monotonic time [s].
    now : callable
        The time of day, RFC 3339.
    on_stop : callable
        Called with a running session that is to end.
    on_past : callable
        Called with a session whose object has gone on since.
    """

    def __init__(
        self,
        at_once: int,
        queue: int,
        clock: Callable[[], float],
        now: Callable[[], str],
        on_stop: Callable[[Session], None],
        on_past: Callable[[Session], None],
    ) -> None:
        self._at_once, self._queue = at_once, queue
        self._clock, self._now = clock, now
        self._on_stop, self._on_past = on_stop, on_past
        self._by_id: OrderedDict[str, Session] = OrderedDict()
        self._latest: dict[tuple[str, Ask], Session] = {}
        self._weighed: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._undecided_since: OrderedDict[tuple[str, Ask], float] = OrderedDict()
        self._waiting: OrderedDict[str, Session] = OrderedDict()
        self._running: dict[str, Session] = {}
        self.is_ending = False

    def __iter__(self) -> Iterator[Session]:
        """Yield all sessions that are remembered, the oldest first."""
        return iter(self._by_id.values())

    @property
    def counts(self) -> dict[State, int]:
        """Number of sessions by state."""
        unfinished = {State.QUEUED: len(self._waiting), State.RUNNING: len(self._running)}
        return {**unfinished, State.DONE: len(self._by_id) - sum(unfinished.values())}

    def find(self, identity: str) -> Session | None:
        """Return a session that is remembered."""
        return self._by_id.get(identity)

    def latest(self, gate: Gate, ask: Ask) -> Session | None:
        """Return the last session of a key, however old it is; nothing begins."""
        return self._latest.get((gate.name, ask)) if ask.key else None

    def ask(self, gate: Gate, ask: Ask, *, is_fresh: bool = False) -> Session:
        """Return the session that answers a request: a present one, or a new one.

        Parameters
        ----------
        gate : Gate
        ask : Ask
        is_fresh : bool
            Whether a verdict that was reached before is not to be repeated.

        Raises
        ------
        QueueFullError
            If one would have to begin, and may not.
        """
        last = self.latest(gate, ask)
        if last is not None:
            is_lingering = self._clock() - last.done_at < last.linger_s
            if last.state is not State.DONE or (is_lingering and not is_fresh):
                return last
        if self.is_ending or len(self._waiting) >= self._queue:
            raise QueueFullError
        self._supersede(gate, ask)
        session = Session(secrets.token_hex(8), gate, ask, self._count(gate, ask), self._now())
        self._by_id[session.id] = self._waiting[session.id] = session
        if ask.key:
            self._latest[gate.name, ask] = session
        return session

    def begin(self) -> Session | None:
        """Return the next session that may run; None if none may."""
        if self.is_ending or not self._waiting or len(self._running) >= self._at_once:
            return None
        _, session = self._waiting.popitem(last=False)
        session.state = State.RUNNING
        self._running[session.id] = session
        return session

    def position(self, session: Session) -> int:
        """Return the place of a waiting session in the queue, from 1."""
        return list(self._waiting).index(session.id) + 1

    def end(self, session: Session, outcome: Outcome) -> None:
        """Take what came of a session; callers that wait for it go on."""
        if session.state is State.DONE:
            return
        if session.stopped and outcome.verdict == "INCONCLUSIVE":
            outcome = _stopped(session.stopped, outcome)
        self._waiting.pop(session.id, None)
        self._running.pop(session.id, None)
        session.state, session.outcome, session.progress = State.DONE, outcome, None
        session.done_at = self._clock()
        self._note_undecided(session, outcome)
        session.done.set()
        self._sweep()

    def stop(self, session: Session, why: str) -> None:
        """End a session before its verdict; one that is over stays as it is."""
        if session.state is State.DONE or session.stopped:
            return
        session.stopped = why
        if session.state is State.QUEUED:
            self.end(session, undecided(_WHY[why], why))
        else:
            self._on_stop(session)

    def stop_all(self) -> None:
        """Begin nothing more, and end what waits and runs."""
        self.is_ending = True
        for session in [*self._waiting.values(), *self._running.values()]:
            self.stop(session, INTERRUPTED)

    def undecided_s(self, session: Session) -> float | None:
        """Return for how long the key of a session has ended INCONCLUSIVE again and again [s].

        None if it has not, or ended otherwise since.
        """
        since = self._undecided_since.get((session.gate.name, session.ask))
        return None if since is None else self._clock() - since

    def note(self, gate: Gate, where: str, text: str) -> None:
        """Write a remark beside the sessions of an object that are not over."""
        for session in [*self._waiting.values(), *self._running.values()]:
            if session.gate is gate and session.ask.object == where:
                session.notes = [*session.notes, text][-MOST_NOTES:]

    def restore(
        self,
        session: Session,
        ago_s: float,
        *,
        is_current: bool = True,
        undecided_s: float | None = None,
    ) -> None:
        """Remember a session of an earlier process that is over.

        Parameters
        ----------
        session : Session
            The older ones first.
        ago_s : float
            How long ago it ended [s].
        is_current : bool
            Whether its gate asks now what it asked then: otherwise its verdict is not repeated.
        undecided_s : float or None
            As the method of this name returned it.
        """
        session.state = State.DONE
        session.done_at = self._clock() - ago_s
        session.done.set()
        self._by_id[session.id] = session
        if session.ask.key:
            if is_current and not session.is_past:
                self._latest[session.gate.name, session.ask] = session
            if session.ask.object:
                self.pass_by(session.gate, session.ask.object, session.ask)
            is_decided = session.outcome is None or session.outcome.verdict != "INCONCLUSIVE"
            self._since(session, None if session.is_past or is_decided else undecided_s)
            family = (session.gate.name, session.key)
            if session.gate.spending is not Spending.NONE:
                self._weighed[family] = max(self._weighed.get(family, 0), session.earlier + 1)
        self._sweep()

    def _supersede(self, gate: Gate, ask: Ask) -> None:
        if not ask.object:
            return
        for session in [*self._waiting.values(), *self._running.values()]:
            is_same = session.gate.name == gate.name and session.ask.object == ask.object
            if is_same and session.ask != ask:
                self.stop(session, SUPERSEDED)
        self.pass_by(gate, ask.object, ask)

    def pass_by(self, gate: Gate, where: str, ask: Ask) -> None:
        """Note that an object is asked something else now: its FAIL before is over.

        Parameters
        ----------
        gate : Gate
        where : str
            The object, as `Ask.object`.
        ask : Ask
            What is asked of it now.
        """
        self._pass(gate, where, lambda each: each != ask)

    def start_over(self, gate: Gate, where: str) -> None:
        """Note that the canary of an object has no weight: nothing is left of what had one.

        A roll-out that begins again may ask the same, and gets none of it. Parameters are those of
        `pass_by`.
        """
        for session in self._pass(gate, where, lambda ask: not ask.is_alone):
            del self._latest[session.gate.name, session.ask]
            self.stop(session, SUPERSEDED)

    def _pass(self, gate: Gate, where: str, is_over: Callable[[Ask], bool]) -> list[Session]:
        """Let what some asks of an object came to be over; return their last sessions."""
        beginning = f"{where}/"  # as `Ask.object` reads it, and fast: there may be many

        def is_meant(place: tuple[str, Ask]) -> bool:
            name, ask = place
            return ask.key.startswith(beginning) and name == gate.name and is_over(ask)

        for place in [each for each in self._undecided_since if is_meant(each)]:
            del self._undecided_since[place]
        meant = [session for place, session in self._latest.items() if is_meant(place)]
        for session in meant:
            if not session.is_past:
                session.is_past = True
                self._on_past(session)
        return meant

    def _count(self, gate: Gate, ask: Ask) -> int:
        """Count a session of a key, if that matters; return how many there were before."""
        if not ask.key or gate.spending is Spending.NONE:
            return 0
        family = (gate.name, ask.key)
        before = self._weighed.pop(family, 0)
        self._weighed[family] = before + 1
        if len(self._weighed) > MOST_KEYS:
            self._weighed.popitem(last=False)
        return before

    def _note_undecided(self, session: Session, outcome: Outcome) -> None:
        if outcome.verdict != "INCONCLUSIVE":
            self._since(session, None)
        elif outcome.kind is Kind.MEASURED and not session.stopped and session.ask.key:
            self._since(session, self.undecided_s(session) or 0.0)

    def _since(self, session: Session, ago_s: float | None) -> None:
        """Note for how long a key is undecided; None: it is not."""
        place = (session.gate.name, session.ask)
        self._undecided_since.pop(place, None)
        if ago_s is not None:
            self._undecided_since[place] = self._clock() - ago_s
            if len(self._undecided_since) > MOST_KEYS:
                self._undecided_since.popitem(last=False)

    def _sweep(self) -> None:
        """Forget the oldest sessions that are over and need not be repeated."""
        surplus = self.counts[State.DONE] - MOST_DONE
        if surplus <= 0:
            return
        now = self._clock()
        done = [each for each in self._by_id.values() if each.state is State.DONE]
        old = [each for each in done if now - each.done_at >= each.linger_s][:surplus]
        for session in old or done[: max(len(done) - MOST_KEYS, 0)]:
            del self._by_id[session.id]
            place = (session.gate.name, session.ask)
            if self._latest.get(place) is session:
                del self._latest[place]


def _stopped(why: str, outcome: Outcome) -> Outcome:
    """Say why a run was stopped, in place of that a signal did."""
    return Outcome(
        **{
            **outcome.to_document(),
            "reason": why,
            "kind": Kind.MEASURED,
            "line": line_of(outcome.verdict, _WHY[why]),
            "hint": "",
        }
    )
