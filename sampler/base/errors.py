"""Errors that end a run, and the exit codes of the command line.

A failed request is data and an undecided run is a verdict; only what ends a run is here.
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
    INTERRUPTED = 130
    TERMINATED = 143


class WeighbridgeError(Exception):
    """Base of every error that ends a run.

    Parameters
    ----------
    message : str
        What was expected, what was got, and on which object.
    hint : str or None
        What to do next: a command, an option, a place to look.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(WeighbridgeError):
    """An option or a configuration cannot be used as it was given."""

    exit_code = ExitCode.USAGE


class ExpectationError(WeighbridgeError):
    """The expected split is unreadable, ambiguous or contradictory."""

    exit_code = ExitCode.USAGE


class ClusterError(WeighbridgeError):
    """The cluster could not be asked: its API server is unreachable, slow or broken."""

    exit_code = ExitCode.UNMEASURABLE


class StorageError(WeighbridgeError):
    """What was measured could not be kept: the disk is full, or fails."""

    exit_code = ExitCode.UNMEASURABLE


class SamplingError(WeighbridgeError):
    """The target could not be measured: unreachable, or nothing labelled."""

    exit_code = ExitCode.UNMEASURABLE
