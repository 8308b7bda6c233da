"""Errors that end a run, and the exit codes of the command line.

The base of the family stands in `analysis.data.errors`, where `analysis` can raise it, too.
"""

from __future__ import annotations

from analysis.data.errors import ExitCode, InputError, UsageError, WeighbridgeError, is_a

__all__ = [
    "ClusterError",
    "ExitCode",
    "ExpectationError",
    "InputError",
    "SamplingError",
    "StorageError",
    "UsageError",
    "WeighbridgeError",
    "is_a",
]


class ExpectationError(WeighbridgeError):
    """The expected split is unreadable, ambiguous or contradictory."""

    exit_code = ExitCode.USAGE


class ClusterError(WeighbridgeError):
    """The cluster could not be asked: its API server is unreachable, slow or broken."""

    exit_code = ExitCode.UNMEASURABLE


class StorageError(WeighbridgeError):
    """What was measured could not be kept or handed over: the disk is full, or fails."""

    exit_code = ExitCode.UNMEASURABLE


class SamplingError(WeighbridgeError):
    """The target could not be measured: unreachable, or nothing labelled."""

    exit_code = ExitCode.UNMEASURABLE
