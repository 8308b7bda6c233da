"""The states of a continuous weighing, as one table: a state and a sign make the next state."""

from __future__ import annotations

from enum import Enum, auto, unique
from types import MappingProxyType
from typing import TYPE_CHECKING

from analysis.data.live import State
from analysis.data.report import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping


@unique
class Sign(Enum):
    """What may turn the state."""

    PASSED = auto()
    """The stretch has passed, by the procedure of a check."""
    ALARM = auto()
    """A departure was found."""
    INSIDE = auto()
    """After a drift: the shares are inside again, for longer than the drift took to find."""
    DOUBTED = auto()
    """A guard found that the connections are not what the evidence takes them for."""
    MOVED = auto()
    """Nothing is judged until the data plane has followed, or the split is known again."""
    SETTLED = auto()
    """Judged again, as another split."""
    RESUMED = auto()
    """Judged again, as the same split: the evidence goes on."""
    LOST = auto()
    """There is nothing to judge by."""
    SEEN = auto()
    """There is again."""


BACK = "back"
"""Stands for the last state in which something was judged."""

_JUDGED = (State.STARTING, State.OK, State.DRIFT, State.RECOVERING)

TABLE: Mapping[tuple[State, Sign], State | str] = MappingProxyType(
    {
        (State.STARTING, Sign.PASSED): State.OK,
        (State.STARTING, Sign.ALARM): State.DRIFT,
        (State.OK, Sign.ALARM): State.DRIFT,
        (State.OK, Sign.DOUBTED): State.STARTING,
        (State.DRIFT, Sign.INSIDE): State.RECOVERING,
        (State.DRIFT, Sign.PASSED): State.OK,
        (State.RECOVERING, Sign.PASSED): State.OK,
        (State.RECOVERING, Sign.ALARM): State.DRIFT,
        **{(state, Sign.MOVED): State.CHANGING for state in _JUDGED},
        **{(state, Sign.LOST): State.BLIND for state in (*_JUDGED, State.CHANGING)},
        (State.CHANGING, Sign.SETTLED): State.STARTING,
        (State.CHANGING, Sign.RESUMED): BACK,
        (State.BLIND, Sign.SEEN): BACK,
        (State.BLIND, Sign.SETTLED): State.STARTING,
    }
)
"""What is not in it changes nothing."""


class Course:
    """The state of one target over time.

    Attributes
    ----------
    state : State
    since : float
        When it began [s since 1970].
    has_forgotten : bool
        Whether the last turn ended a time of which nothing is known: it has to be proven anew.
    """

    def __init__(self, at: float) -> None:
        self.state = State.STARTING
        self.since = at
        self.has_forgotten = False
        self._judged = State.STARTING

    def see(self, sign: Sign, at: float) -> bool:
        """Take a sign; return whether the state turned."""
        if sign is Sign.ALARM and self.state is State.CHANGING:
            # Found before the change, told after it: if the split is the same again, it stands.
            self._judged = State.DRIFT
        was_blind = self.state is State.BLIND
        then = TABLE.get((self.state, sign), self.state)
        if then == BACK:
            # After a time of which nothing is known, OK has to be proven anew; a drift stands.
            is_blind = sign is Sign.SEEN and self._judged is State.OK
            then = State.STARTING if is_blind else self._judged
        if then == self.state:
            return False
        self.state, self.since = State(then), at
        self.has_forgotten = was_blind and self.state is State.STARTING
        if self.state in _JUDGED:
            self._judged = self.state
        return True


def verdict_in(state: State, *, has_passed: bool) -> Verdict:
    """Return the verdict: FAIL in DRIFT, PASS with proof and while it is judged."""
    if state is State.DRIFT:
        return Verdict.FAIL
    return Verdict.PASS if state is State.OK and has_passed else Verdict.INCONCLUSIVE
