"""What was sent over time, by seconds, by tens of them, and by five minutes.

`analysis.review.chronicle` keeps the buckets.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import floor
from typing import TYPE_CHECKING

from analysis.data.live_events import BucketTold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WIDTHS = (1, 10, 300)
"""Of the buckets [s]."""
MOST_EMPTY = 600
"""Empty seconds in a row that are told; a longer gap is one."""

_BASE = WIDTHS[0]


@dataclass(slots=True)
class _Open:
    """A bucket that is not over."""

    counts: Counter[str] = field(default_factory=Counter)
    is_judged: bool = True


class Buckets:
    """Counts of one target by time.

    Parameters
    ----------
    target : str
    at : float
        When the weighing began [s since 1970].
    """

    def __init__(self, target: str, at: float) -> None:
        self._target = target
        self._next = floor(at)
        self._open: dict[int, _Open] = {}
        self._wider = {width: _Open() for width in WIDTHS if width != _BASE}

    def add(self, second: int, counts: Mapping[str, int], *, is_judged: bool) -> None:
        """Count what was sent within a second; what comes too late is put into the next one."""
        bucket = self._open.setdefault(max(second, self._next), _Open())
        bucket.counts.update(counts)
        bucket.is_judged &= is_judged

    def follow_clock(self, moved_s: float) -> None:
        """Go on at once where the clock was set back [s], instead of waiting for it."""
        back = min(floor(moved_s), 0)
        self._next += back
        self._open = {second + back: bucket for second, bucket in self._open.items()}

    def close(
        self,
        until: float,
        share: Mapping[str, float],
        interval: Mapping[str, tuple[float, float]],
        *,
        is_blind: bool = False,
    ) -> Iterator[BucketTold]:
        """Yield the buckets that are over at a moment.

        Parameters
        ----------
        until : float
            What was sent before this is all there [s since 1970].
        share, interval : mapping
            As they stand.
        is_blind : bool, default False
            Whether nothing can be judged meanwhile.
        """
        end = floor(until)
        while self._next < end:
            filled = min(self._open, default=end)
            if min(filled, end) - self._next > MOST_EMPTY:
                self._next = min(filled, end) - MOST_EMPTY
            second, self._next = self._next, self._next + 1
            bucket = self._open.pop(second, None) or _Open()
            if is_blind:  # no line is drawn on
                bucket.is_judged, share, interval = False, {}, {}
            yield self._over(second, _BASE, bucket, share, interval)
            for width, wider in self._wider.items():
                wider.counts.update(bucket.counts)
                wider.is_judged &= bucket.is_judged
                if self._next % width == 0:
                    yield self._over(self._next - width, width, wider, share, interval)
                    self._wider[width] = _Open()

    def _over(
        self,
        since: int,
        width: int,
        bucket: _Open,
        share: Mapping[str, float],
        interval: Mapping[str, tuple[float, float]],
    ) -> BucketTold:
        return BucketTold(
            seq=0, at=float(since + width), target=self._target, since=float(since),
            width_s=float(width), counts=dict(bucket.counts), share=dict(share),
            interval=dict(interval), is_judged=bucket.is_judged,
        )  # fmt: skip
