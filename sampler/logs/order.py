"""When each request of a log was sent, as far as the log tells.

A program writes a row when the request has ended. If its time is that of the end, how long the
request took is taken off it. Whole seconds are not enough for that: requests that ended in one
second are spread over it in the order of their rows, which is that of their ends.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from sampler.base.clock import NS_PER_S
from sampler.logs.source import SAMPLED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sampler.logs.reading import Clock, LogRow, LogRows

    Numbered = tuple[int, LogRow | str]

_MOST_HELD = 1 << 16
UNKNOWN = "the log says when requests ended, and neither when they were sent nor how long they took"
COARSE = "the log says only in which second a request ended"


def sent(rows: LogRows, clock: Clock) -> LogRows:
    """Yield the rows with the times at which their requests were sent.

    Parameters
    ----------
    rows : LogRows
        With the times of the log.
    clock : Clock
        What these mean; it learns whether they leave the order in doubt.
    """
    first: list[Numbered] = []
    for numbered in rows:
        first.append(numbered)
        if len(first) == SAMPLED:
            break
    everything = chain(first, rows)
    if not clock.ends:
        return everything
    known = [row for _, row in first if not isinstance(row, str)]
    times = [row[0] for row in known if row[0] is not None]
    if not any(row[5] is not None for row in known):
        clock.doubt = clock.doubt or UNKNOWN
        return everything
    if any(time % NS_PER_S for time in times):
        return (_begun(numbered) for numbered in everything)
    clock.doubt = clock.doubt or COARSE
    return (_begun(numbered) for numbered in _spread(everything))


def _begun(numbered: Numbered) -> Numbered:
    number, row = numbered
    if isinstance(row, str):
        return numbered
    time, took = row[0], row[5]
    return numbered if time is None or took is None else (number, (time - took, *row[1:]))


def _spread(rows: Iterable[Numbered]) -> Iterator[Numbered]:
    """Spread the rows of each second over it, evenly and in their order."""
    held: list[Numbered] = []
    second: int | None = None
    for numbered in rows:
        row = numbered[1]
        time = None if isinstance(row, str) else row[0]
        # Writers that share a file may be a second behind each other.
        is_new = time is not None and second is not None and not second - NS_PER_S <= time <= second
        if is_new or len(held) >= _MOST_HELD:
            yield from _placed(held, second)
            held = []
        if time is not None and (second is None or is_new):
            second = time
        held.append(numbered)
    yield from _placed(held, second)


def _placed(held: list[Numbered], second: int | None) -> Iterator[Numbered]:
    for place, (number, row) in enumerate(held):
        if isinstance(row, str) or row[0] is None or second is None:
            yield number, row
        else:
            yield number, (second + (2 * place + 1) * NS_PER_S // (2 * len(held)), *row[1:])
