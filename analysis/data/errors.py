"""The errors that end a run or refuse an argument: one family for both packages.

A failed request is data and an undecided run is a verdict; only what ends a run is here. The
family stands below everything else, so that whichever layer finds a fault raises one of its
members. `sampler.base.errors` adds those that need a target, a cluster or a disk.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import ClassVar


@unique
class ExitCode(IntEnum):
    """Exit codes; stable, documented in ``docs/exit-codes.md``."""

    PASS = 0
    FAIL = 1
    USAGE = 2
    INCONCLUSIVE = 3
    UNMEASURABLE = 4
    BUG = 70
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class WeighbridgeError(Exception):
    """Base of every error that ends a run.

    Parameters
    ----------
    message : str
        What was expected, what was got, and on which object.
    hint : str or None
        What to do next: a command, an option, a place to look. A traceback shows it as a note.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        if hint:
            self.add_note(f"→ {hint}")


class UsageError(WeighbridgeError):
    """An argument, an option or a configuration cannot be used as it was given."""

    exit_code = ExitCode.USAGE


class InputError(UsageError, ValueError):
    """A value that a split, a tolerance or a policy cannot have; also a `ValueError`."""


def is_a(value: object, *kinds: type) -> bool:
    """Return whether an argument has one of these types: not every caller checks its types."""
    return isinstance(value, kinds)
