"""The policy: what counts as right, and which error rates are accepted."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from numbers import Real

from analysis.data.errors import InputError, is_a
from analysis.data.split import Tolerance

_NUMBERS = (
    "alpha", "beta", "inner", "max_unlabelled", "missing_ratio", "max_samples", "per_connection",
)  # fmt: skip

MOST_PER_CONNECTION = 1_000_000
"""Answers of a connection that are judged as one mean."""


class OutOfRangeError(InputError):
    """A field of a policy is not what it may be.

    Parameters
    ----------
    field : str
        Name of the field.
    problem : str
        What it must be, and what came.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field = field
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Policy:
    """Error rates, tolerance and budget of a decision.

    Parameters
    ----------
    alpha : float, default 0.01
        Accepted chance of ever failing a split that is within the tolerance, in (0, 0.5).
    beta : float, default 0.01
        Accepted chance of ever passing a split that is not, in (0, 0.5).
    tolerance : Tolerance, default auto
        Departure from a share that is accepted.
    inner : float, default 1
        FAIL claims a departure of more than ``inner`` times the tolerance, in [0, 1].
        Shares expected to be 0 or 1 are judged with ``inner = 0``: one label that should
        not exist is a FAIL.
    max_unlabelled : float, default 0.05
        Share of requests that may stay without a label, in (0, 1].
    missing_ratio : float, default inf
        Bound Gamma >= 1 on the ratio of any two versions' rates of missing labels, either way
        round. inf assumes nothing: a missing label counts as whatever is worst.
    per_connection : int, default 1
        Answers of a connection, at most, in [1, 1000000]; it has to be known before the first
        one. With 1, each connection is judged by its first answer, else by the mean of its
        answers (`analysis.bets.mixture`).
    calibrated : bool, default False
        Spend alpha and beta whole (`analysis.bets.calibrated`): the same bets decide sooner. It
        needs independent draws of one share, and a budget that was fixed beforehand; two
        versions, and one answer of each connection.
    max_samples : int or None
        Connections after which the run is ended undecided; None derives the 99 % quantile
        of what a right split needs (`analysis.bets.sizing`).

    Raises
    ------
    OutOfRangeError
        If a number lies outside its range, or is none; a ValueError.
    """

    alpha: float = 0.01
    beta: float = 0.01
    tolerance: Tolerance = field(default_factory=Tolerance)
    inner: float = 1.0
    max_unlabelled: float = 0.05
    missing_ratio: float = inf
    max_samples: int | None = None
    per_connection: int = 1
    calibrated: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.tolerance, Tolerance):
            raise OutOfRangeError(
                "tolerance", f"must be made by Tolerance.parse('4pp'), got {self.tolerance!r}"
            )
        for name in _NUMBERS:
            value = getattr(self, name)
            if not is_a(value, Real) and not (name == "max_samples" and value is None):
                raise OutOfRangeError(name, f"must be a number, got {value!r}")
        for name in ("alpha", "beta"):
            value = getattr(self, name)
            if not 0 < value < 0.5:
                raise OutOfRangeError(name, f"must lie between 0 and 0.5, got {value!r}")
        if not 0 <= self.inner <= 1:
            raise OutOfRangeError("inner", f"must lie in [0, 1], got {self.inner!r}")
        if not 0 < self.max_unlabelled <= 1:
            raise OutOfRangeError(
                "max_unlabelled", f"must be a share in (0, 1], got {self.max_unlabelled!r}"
            )
        if not self.missing_ratio >= 1:
            raise OutOfRangeError(
                "missing_ratio", f"must be at least 1, got {self.missing_ratio!r}"
            )
        if not 1 <= self.per_connection <= MOST_PER_CONNECTION:
            raise OutOfRangeError(
                "per_connection",
                f"must lie in [1, {MOST_PER_CONNECTION}], got {self.per_connection!r}",
            )
        self._require_what_calibration_needs()
        if self.max_samples is not None and not self.max_samples >= 1:
            raise OutOfRangeError("max_samples", f"must be at least 1, got {self.max_samples!r}")

    def _require_what_calibration_needs(self) -> None:
        if not isinstance(self.calibrated, bool):
            raise OutOfRangeError("calibrated", f"must be True or False, got {self.calibrated!r}")
        if self.calibrated and self.per_connection > 1:
            raise OutOfRangeError(
                "calibrated",
                f"needs a fresh connection for each request, got up to {self.per_connection} "
                "answers of each",
            )
        if self.calibrated and self.missing_ratio < inf:
            raise OutOfRangeError(
                "calibrated",
                "needs each missing label to count as the worst case, got a bound of "
                f"{self.missing_ratio:g} on their ratio",
            )
