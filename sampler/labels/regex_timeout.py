"""A time limit for regular expressions.

A regular expression with repeats inside repeats can take longer than the universe on a few
dozen bytes. It runs in the event loop: no timeout fires and no signal is heard meanwhile. The
engine of `re` looks for signals now and then, though, and a timer of the process sends one.
"""

from __future__ import annotations

import signal
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, TypeVar

from sampler.base.errors import SamplingError

if TYPE_CHECKING:
    from collections.abc import Callable

    Found = TypeVar("Found")

SEARCH_TIMEOUT_S = 0.1
"""CPU time that a search in one answer may take [s]: 64 kB take some milliseconds, and no other
answer is read meanwhile."""

_is_searching = False


class _TooSlowError(Exception):
    """The timer has fired within a search."""


def with_timeout(search: Callable[[bytes], Found], expression: str) -> Callable[[bytes], Found]:
    """Limit the time of a search, where signals can be handled: in the main thread.

    Parameters
    ----------
    search : callable
        Takes the body of an answer.
    expression : str
        What the user wrote.

    Returns
    -------
    callable
        The same search, which raises `SamplingError` after `SEARCH_TIMEOUT_S`.
    """
    timed_out: list[SamplingError] = []

    def bounded(body: bytes) -> Found:
        global _is_searching  # noqa: PLW0603 - a signal knows nothing but the process
        if timed_out:  # other answers are there already: each would take its time, too
            raise timed_out[0]
        if not _can_interrupt():
            return search(body)
        _is_searching = True
        signal.setitimer(signal.ITIMER_VIRTUAL, SEARCH_TIMEOUT_S)
        try:
            return search(body)
        except _TooSlowError:
            timed_out.append(_too_slow(expression, len(body)))
            raise timed_out[0] from None
        finally:
            _is_searching = False
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    return bounded


def _too_slow(expression: str, length: int) -> SamplingError:
    return SamplingError(
        f"the regular expression {expression!r} took more than {SEARCH_TIMEOUT_S:g} s "
        f"of one answer of {length} bytes",
        hint="a repeat inside a repeat, such as (a+)+, takes exponential time: write "
        "it without, or read the label with a JSON pointer",
    )


def _can_interrupt() -> bool:
    """Whether this thread handles signals, and this signal is free."""
    if current_thread() is not main_thread():
        return False
    handler = signal.getsignal(signal.SIGVTALRM)
    if handler is signal.SIG_DFL:
        signal.signal(signal.SIGVTALRM, _interrupt)
        return True
    return handler is _interrupt


def _interrupt(_signum: int, _frame: object) -> None:
    if _is_searching:
        raise _TooSlowError
