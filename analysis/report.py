"""The report: everything a run has to say, in the shape of its JSON document.

The classes mirror the document ``weighbridge.report/1`` field by field, so that a report
read back from disk is the report that was written. Renderers turn it into text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, unique

SCHEMA = "weighbridge.report/1"


@unique
class Verdict(StrEnum):
    """What the policy makes of the evidence."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@unique
class ReasonCode(StrEnum):
    """Stable codes of reasons, documented in ``docs/reasons.md``."""

    WITHIN_TOLERANCE = "within_tolerance"
    OUTSIDE_TOLERANCE = "outside_tolerance"
    UNEXPECTED_LABEL = "unexpected_label"
    TOO_MANY_UNLABELLED = "too_many_unlabelled"
    MISSING_LABELS = "missing_labels"
    BUDGET_SPENT = "budget_spent"
    TIME_SPENT = "time_spent"
    INTERRUPTED = "interrupted"
    CLIENT_LIMIT = "client_limit"
    FEW_CONNECTIONS = "few_connections"
    LOOKS_LIKE = "looks_like"
    UNMEASURABLE = "unmeasurable"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a verdict is what it is, and what to do next.

    Parameters
    ----------
    code : ReasonCode
        Stable identifier.
    message : str
        One sentence with the numbers.
    remedy : str
        What to do; empty where there is nothing to do.
    """

    code: ReasonCode
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One part of a decision.

    Parameters
    ----------
    name : str
        Stable, free of numbers: ``split``, ``share of v2``, ``unexpected labels``, ``unlabelled``.
    verdict : Verdict
        Of this part alone.
    message : str
        One sentence with the numbers.
    """

    name: str
    verdict: Verdict
    message: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where an expectation was read.

    Parameters
    ----------
    kind : str
        ``declared`` for ``--expect``; later the kind of a Kubernetes object.
    name, where : str
        The object, and the option, file and line, or generation.
    """

    kind: str = "declared"
    name: str = "--expect"
    where: str = "command line"


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected split.

    Parameters
    ----------
    source : Source
    weights : dict of str to int
    shares : dict of str to float
        In [0, 1].
    tolerance : dict of str to (float, float)
        The accepted band [low, high] of each label, clipped to [0, 1].
    """

    source: Source
    weights: dict[str, int]
    shares: dict[str, float]
    tolerance: dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Observed:
    """What answered, among the judged connections (all labelled samples in `sample`).

    Parameters
    ----------
    counts : dict of str to int
        By label; labels that are not expected included.
    shares : dict of str to float
        Of the labelled, in [0, 1].
    intervals : dict of str to (float, float)
        Anytime-valid interval of each share.
    replicas : dict of str to dict of str to int
        Samples by label and replica; empty where no replica was asked for.
    """

    counts: dict[str, int]
    shares: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    replicas: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Samples:
    """How many samples there are, and how they ended.

    Parameters
    ----------
    launched : int
        Requests launched; the sum of `outcomes`.
    labelled : int
        Those that gave a label.
    independent : int
        Independent draws that the decision consumed.
    connections : int
        Connections that were opened.
    shed : int
        Arrivals that were due and not sent, because the concurrency limit was reached.
    outcomes : dict of str to int
        By `Outcome.key`; only those that occurred.
    """

    launched: int
    labelled: int
    independent: int
    connections: int
    shed: int
    outcomes: dict[str, int]


@dataclass(frozen=True, slots=True)
class Decided:
    """The decision and its parameters.

    Parameters
    ----------
    alpha, beta : float
        Accepted error rates.
    decided_after : int
        Judged connections when the verdict fell, or when the run ended without one.
    checks : list of Check
        The parts.
    """

    alpha: float
    beta: float
    decided_after: int
    checks: list[Check] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Performance:
    """How the client did.

    Parameters
    ----------
    transport : str
        ``fast`` or ``full``.
    duration_s : float
        From the first request to the end of the drain [s].
    rate_per_s : float
        Achieved: launched requests per second of sending [1/s].
    cpu_us_per_request : float
        CPU time of this process, user and system, per launched request [us].
    client_saturated : bool
        Whether the client itself was the bottleneck.
    concurrency : int
        Most exchanges in flight at once.
    offered_per_s : float or None
        Asked arrival rate [1/s]; None in a closed workload.
    connection : str
        ``fresh``, ``reuse`` or ``MIN:MAX``.
    """

    transport: str
    duration_s: float
    rate_per_s: float
    cpu_us_per_request: float
    client_saturated: bool
    concurrency: int
    offered_per_s: float | None
    connection: str


@dataclass(frozen=True, slots=True)
class Run:
    """Which run this was.

    Parameters
    ----------
    id : str
        Name of the run's folder.
    path : str or None
        The folder, or None where none was written.
    seed : int
        Of every random choice of the run.
    started_at : str
        RFC 3339, UTC.
    version : str
        Of weighbridge.
    target : str
        Method and URL.
    label : str
        Where the label was read.
    command : str
        The command line that repeats the run; empty if it was not started from one.
    """

    id: str
    path: str | None
    seed: int
    started_at: str
    version: str
    target: str
    label: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A run's report.

    Parameters
    ----------
    verdict : Verdict or None
        None for `sample`, which measures without judging.
    reasons : list of Reason
        The first one is the reason for the verdict; the others add to it.
    expected : Expected or None
        None for `sample`.
    observed, samples, performance, run
        What was measured.
    decision : Decided or None
        None for `sample`.
    notes : list of str
        Sentences of context that change nothing about the verdict.
    """

    verdict: Verdict | None
    reasons: list[Reason]
    expected: Expected | None
    observed: Observed
    samples: Samples
    decision: Decided | None
    performance: Performance
    run: Run
    notes: list[str] = field(default_factory=list)
    schema: str = SCHEMA
