"""Overload: when a target asks for less, and when it shows that it cannot take more.

Two rules, both on answers alone; a timeout or a reset may be a fault of one version, which a
check has to see to the end.

1. More than half of the last 100 answers are 429 or 5xx, whether or not they carry a label:
   the run ends. A canary that fails every request of its 10 % stays far below that.
2. A 429 or 503 names a time with ``Retry-After`` (RFC 9110 section 10.2.3): launches pause
   for so long if the run has the time, a few times at most; then the run ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray

THROTTLED = frozenset({429, 503})
"""Statuses whose ``Retry-After`` is honoured (RFC 6585 section 4, RFC 9110 section 15.6.4)."""

WINDOW = 100
"""Answers that are looked at together."""
MOST_PAUSES = 3
"""Times that a run waits as it is told before it ends."""
SHORTEST_PAUSE_S = 1.0
"""A pause is no shorter [s], whatever the target says: it counts in whole seconds."""
LONGEST_PAUSE_S = 300.0
"""A pause that a run without a time limit accepts [s]."""

_NONE = np.zeros(0, dtype=np.bool_)


class OverloadWatch:
    """Looks at the answers of a run for signs of overload.

    Attributes
    ----------
    pauses : int
        Times that the run has waited.
    bad : int
        Answers with 429 or 5xx among the `WINDOW` that were too many, 0 before.
    """

    __slots__ = ("_last", "bad", "pauses")

    def __init__(self) -> None:
        self.pauses = 0
        self.bad = 0
        self._last = _NONE

    def see(self, statuses: NDArray[np.int64]) -> bool:
        """Take the statuses of the next answers; return whether too many of the last are bad.

        Parameters
        ----------
        statuses : (n,) int
            In the order of their arrival; 0 stands for no answer and is passed over.
        """
        answered = statuses[statuses > 0]
        bad = np.concatenate((self._last, (answered == 429) | (answered >= 500)))
        self._last = bad[-WINDOW:]
        if len(bad) < WINDOW or not bad.any():
            return False
        counts = np.concatenate(([0], np.cumsum(bad)))
        worst = int((counts[WINDOW:] - counts[:-WINDOW]).max())
        if 2 * worst <= WINDOW:
            return False
        self.bad = worst
        return True

    def forget(self) -> None:
        """Begin anew, after a pause."""
        self._last = _NONE


def retry_after_s(headers: Sequence[tuple[bytes, bytes]], now: datetime) -> float | None:
    """Read ``Retry-After``: seconds, or the time until a date.

    Parameters
    ----------
    headers : sequence of (bytes, bytes)
        Of the answer.
    now : datetime
        With a time zone.

    Returns
    -------
    float or None
        Seconds from now, >= 0; None if the field is absent or unreadable.
    """
    text = next((v for k, v in headers if k.lower() == b"retry-after"), b"").strip()
    if text.isdigit() and len(text) <= 9:
        return float(text)
    if not text:
        return None
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - rarely needed

    try:
        date = parsedate_to_datetime(text.decode("ascii", "replace"))
        return max((date - now).total_seconds(), 0.0)
    except (TypeError, ValueError, OverflowError):  # no date, or one without a zone
        return None
