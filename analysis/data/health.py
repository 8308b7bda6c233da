"""The canary against the stable version, as a report has it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HealthArm:
    """How one of the two compared versions did.

    Parameters
    ----------
    label : str
    responses : int
        First responses of connections that carried the label.
    errors : int
        Those with an error status.
    times_s : dict of str to float
        Quantiles ``p50`` and ``p95`` of their service times [s], to 0.3 %; empty without
        responses.
    """

    label: str
    responses: int
    errors: int
    times_s: dict[str, float]


@dataclass(frozen=True, slots=True)
class HealthErrors:
    """Whether the canary answers with more errors.

    Parameters
    ----------
    status : int
        Statuses from this one on are errors.
    log_evidence : float
        Highest log evidence at any look that the canary's rate is the higher one [nats].
    p_value : float
        Fisher's exact test at the end, one-sided; holds for that single look.
    max_ratio : float or None
        The limit ``--max-error-ratio``.
    log_evidence_beyond : float or None
        Highest log evidence that the limit is exceeded [nats]; None without a limit.
    """

    status: int
    log_evidence: float
    p_value: float
    max_ratio: float | None = None
    log_evidence_beyond: float | None = None


@dataclass(frozen=True, slots=True)
class HealthTimes:
    """Whether the canary takes longer.

    Parameters
    ----------
    pairs, slower : int
        Pairs of neighbouring responses, a canary's and a stable one's, and those in which the
        canary took longer; a tie is none.
    log_evidence : float
        Highest log evidence at any look that it takes longer in more than half [nats].
    differences_s : dict of str to (float, float)
        Intervals for the canary's quantile minus the stable one's [s]; a quantile is left
        out where there are too few responses for an interval.
    confidence : float
        Of these intervals, each at the end of the run.
    max_slowdown : float or None
        The limit ``--max-slowdown``.
    log_evidence_beyond : float or None
        Highest log evidence that the limit is exceeded [nats]; None without a limit.
    """

    pairs: int
    slower: int
    log_evidence: float
    differences_s: dict[str, tuple[float, float]]
    confidence: float
    max_slowdown: float | None = None
    log_evidence_beyond: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """The canary against the stable version, apart from the split.

    Parameters
    ----------
    canary, stable : HealthArm
    errors : HealthErrors
    times : HealthTimes
    """

    canary: HealthArm
    stable: HealthArm
    errors: HealthErrors
    times: HealthTimes
