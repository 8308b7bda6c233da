"""The report: everything a run has to say, in the shape of its JSON document.

The classes mirror the document ``weighbridge.report/1`` field by field, so that a report
read back from disk is the report that was written. Renderers turn it into text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, unique
from html import escape
from typing import TYPE_CHECKING

from analysis.data.brief import html_list, html_table, one_line, percent
from analysis.data.errors import ExitCode, WeighbridgeError
from analysis.data.events import Event  # noqa: TC001 - msgspec resolves the fields of a report
from analysis.data.health import Health  # noqa: TC001 - as above

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

SCHEMA = "weighbridge.report/1"


@unique
class Verdict(StrEnum):
    """What the policy makes of the evidence."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def exit_code(self) -> ExitCode:
        """What a command ends with that came to it."""
        return ExitCode[self.value]


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
    CLIENT_SATURATED = "client_saturated"
    TARGET_OVERLOADED = "target_overloaded"
    FEW_CONNECTIONS = "few_connections"
    NOT_STATIONARY = "not_stationary"
    DEPENDENT_CONNECTIONS = "dependent_connections"
    LOOKS_LIKE = "looks_like"
    UNMEASURABLE = "unmeasurable"
    ERROR_RATIO = "error_ratio"
    SLOWDOWN = "slowdown"
    EXPECTATION_MOVED = "expectation_moved"
    DECLARED_DIFFERS = "declared_differs"
    VERSION_LOST = "version_lost"
    ORDER_UNKNOWN = "order_unknown"
    VANTAGE_LOST = "vantage_lost"


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
    failure : str or None
        With code ``unmeasurable``: what the requests failed with, as ``docs/reasons.md`` lists.
    """

    code: ReasonCode
    message: str
    remedy: str = ""
    failure: str | None = None


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
    label : str or None
        Whose share it is about; None for the other parts.
    """

    name: str
    verdict: Verdict
    message: str
    label: str | None = None


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
class View:
    """What one place says that the split should be, beside the expectation.

    Parameters
    ----------
    name : str
        ``declared`` for manifests, ``configured`` for the routes and workloads of a cluster,
        ``endpoints`` for those that get traffic.
    source : Source
    shares : dict of str to float
        In [0, 1].
    """

    name: str
    source: Source
    shares: dict[str, float]


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
    views : tuple of View
        What else was read of it, where a cluster was asked; empty otherwise.
    """

    source: Source
    weights: dict[str, int]
    shares: dict[str, float]
    tolerance: dict[str, tuple[float, float]]
    views: tuple[View, ...] = ()


@dataclass(frozen=True, slots=True)
class Zone:
    """What answered in one zone, on its judged connections.

    Parameters
    ----------
    verdict : Verdict
        Of this zone alone, its FAIL at alpha over the number of zones.
    message : str
        One sentence with the numbers.
    counts : dict of str to int
    shares : dict of str to float
    intervals : dict of str to (float, float)
        As in `Observed`.
    expected : dict of str to float
        Expected shares, in [0, 1].
    tolerance : dict of str to (float, float)
        The accepted band of each label.
    health : Health or None
        Of the canary in this zone; None where it is not to have both versions.
    """

    verdict: Verdict
    message: str
    counts: dict[str, int]
    shares: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    expected: dict[str, float]
    tolerance: dict[str, tuple[float, float]]
    health: Health | None = None


@dataclass(frozen=True, slots=True)
class ZonesDiffer:
    """Whether the zones that a run was sent from differ from each other, whatever is expected.

    Parameters
    ----------
    proven : bool
        At any look, with chance alpha at most if they are all alike.
    message : str
        One sentence with the numbers.
    counts : dict of str to dict of str to int
        Connections by zone and the label of their first answer, those without one left out.
    """

    proven: bool
    message: str
    counts: dict[str, dict[str, int]]


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
        Anytime-valid interval of each share, of one label at a time: each end misses with
        chance at most beta, of a FAIL alpha.
    replicas : dict of str to dict of str to int
        Samples by label and replica; empty where no replica was asked for.
    addresses : dict of str to dict of str to int
        Samples by the IP address that they went to and label, the empty label for those that
        gave none; empty where the name has one address.
    by_zone : dict of str to Zone
        Where zones are judged each by itself; the counts above are then those of the zone that the
        verdict is about.
    zones_differ : ZonesDiffer or None
        Where a run was sent from several zones that are to have the same split.
    """

    counts: dict[str, int]
    shares: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    replicas: dict[str, dict[str, int]] = field(default_factory=dict)
    addresses: dict[str, dict[str, int]] = field(default_factory=dict)
    by_zone: dict[str, Zone] = field(default_factory=dict)
    zones_differ: ZonesDiffer | None = None


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
    effective : float or None
        Independent draws that the labelled samples are worth, in [0, labelled]; None in a
        document of an earlier version.
    """

    launched: int
    labelled: int
    independent: int
    connections: int
    shed: int
    outcomes: dict[str, int]
    effective: float | None = None


@dataclass(frozen=True, slots=True)
class Groups:
    """Connections that carried several requests.

    Parameters
    ----------
    judged_by : str or None
        ``means`` or ``first answers`` of connections; None if nothing was judged.
    shared, mixed : int
        Connections with two labels or more; those of them that met more than one version.
    icc : float or None
        Intraclass correlation of the answers of a connection: 1 if they are all the same, about
        0 if they have nothing to do with each other. None where nothing tells.
    picks : str
        What the balancer picks a pod for: ``connection``, ``request``, ``partly`` (some
        requests stay with the pod of the one before) or ``unknown``.
    short : int
        Judged connections that ended before their planned length.
    """

    judged_by: str | None
    shared: int
    mixed: int
    icc: float | None
    picks: str
    short: int = 0


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
    tolerance : str
        As it was asked for; what it came to is in `Expected`.
    inner : float
        Part of the tolerance within which a FAIL is a false alarm, in [0, 1].
    missing_ratio : float or None
        Stated bound on the ratio of the versions' rates of missing labels, >= 1; None for
        no bound: each counts as the worst.
    max_unlabelled : float
        Share of connections that may stay without a label.
    per_connection : int
        Answers of a connection, at most; 1 where its first answer was judged.
    calibrated : int or None
        Budget that the thresholds were calibrated for; None where they were not.
    """

    alpha: float
    beta: float
    decided_after: int
    checks: list[Check] = field(default_factory=list)
    tolerance: str = "auto"
    inner: float = 1.0
    missing_ratio: float | None = None
    max_unlabelled: float = 0.05
    per_connection: int = 1
    calibrated: int | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """One vantage of a run that was sent from several.

    Parameters
    ----------
    name, node, zone : str
        What it is called and where it is; empty where that is not known.
    launched : int
        Requests that it launched, as far as it could tell.
    lost : int
        Requests that it may have launched beside these, and of which nothing is known.
    cpu_share : float
        CPU time of its process while it sent, over the length of that time; 1 is one core.
    saturated : bool
        Whether it was the bottleneck.
    gone : str
        Why it was lost; empty if it came to its end.
    run : str
        Folder of its own run, where it is; empty where none was written.
    """

    name: str
    node: str = ""
    zone: str = ""
    launched: int = 0
    lost: int = 0
    cpu_share: float = 0.0
    saturated: bool = False
    gone: str = ""
    run: str = ""


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
    cpu_share : float
        CPU time of this process while it sent, over the length of that time; 1 is one core.
    loop_lag_ms : dict of str to float
        By how much the event loop woke up late: ``p50``, ``p99`` and ``max`` [ms]. Empty in
        a document of an earlier version.
    lateness_ms : dict of str to float, or None
        By how much requests were launched after they were due, likewise; None in a closed
        workload, which has no schedule.
    max_rate_per_s : float or None
        The cap on launches per second [1/s]; None if it was lifted.
    closed : dict of str to int
        Connections by who ended them: ``by_server``, ``by_us``, ``reset`` (by us). Empty
        where the transport cannot tell.
    workers : list of Worker
        The vantages, where several sent the run; empty for one process. `cpu_share`, `loop_lag_ms`
        and `lateness_ms` are then those of the one that had to work hardest.
    """

    transport: str
    duration_s: float
    rate_per_s: float
    cpu_us_per_request: float
    client_saturated: bool
    concurrency: int
    offered_per_s: float | None
    connection: str
    cpu_share: float = 0.0
    loop_lag_ms: dict[str, float] = field(default_factory=dict)
    lateness_ms: dict[str, float] | None = None
    max_rate_per_s: float | None = None
    closed: dict[str, int] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)


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
    commit : str
        Of the manifests that were read, or of the folder where the run was started: the Git
        commit, ended by ``-dirty`` if files were changed since; empty outside of Git.
    """

    id: str
    path: str | None
    seed: int
    started_at: str
    version: str
    target: str
    label: str
    command: str = ""
    commit: str = ""


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
    health : Health or None
        Canary against stable version; None where there are no two to compare.
    groups : Groups or None
        Connections that carried several requests; None where each carried one.
    events : tuple of Event
        What happened beside the samples, in the order of time; empty where nothing was watched.
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
    health: Health | None = None
    groups: Groups | None = None
    events: tuple[Event, ...] = ()
    schema: str = SCHEMA

    @property
    def passed(self) -> bool:
        """Whether the verdict is PASS: no for FAIL, INCONCLUSIVE, and what was not judged."""
        return self.verdict is Verdict.PASS

    def raise_unless_pass(self) -> None:
        """Return if the verdict is PASS.

        Raises
        ------
        NotPassedError
            Otherwise; it has the verdict, the reasons, what to do, and this report.
        """
        if not self.passed:
            raise NotPassedError(self)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a report is neither true nor false: use report.passed, report.verdict or "
            "report.raise_unless_pass()"
        )

    def __str__(self) -> str:
        """Return the verdict and why, on one line; `analysis.render.to_text` tells the rest."""
        why = self.reasons[0].message if self.reasons else str(self.observed.counts)
        return f"{self.verdict or 'not judged'}: {why}"

    def __repr__(self) -> str:
        return f"<Report {one_line(str(self), 240)} ({one_line(self.run.id, 80)})>"

    def _repr_html_(self) -> str:
        """Return the verdict, the shares and what to do, for a notebook."""
        verdict, _, why = one_line(str(self)).partition(": ")
        headline = f"<p><strong>{escape(verdict)}</strong> {escape(why)}</p>"
        return headline + html_table(_COLUMNS, _rows(self)) + html_list(_remedies(self))


class NotPassedError(WeighbridgeError):
    """A report had to be a PASS, and is not; `Report.raise_unless_pass` raises it.

    Parameters
    ----------
    report : Report
        Kept as the attribute `report`.
    """

    exit_code = ExitCode.FAIL

    def __init__(self, report: Report) -> None:
        self.report = report
        lines = [one_line(str(report)), *_NOT_PROVEN.get(report.verdict, ())]
        lines += [f"  also: {one_line(each.message)}" for each in report.reasons[1:]]
        lines += [f"  → {one_line(remedy)}" for remedy in _remedies(report)]
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[NotPassedError], tuple[Report]]:
        return NotPassedError, (self.report,)


_NOT_PROVEN = {
    Verdict.INCONCLUSIVE: ["  The split was proven neither right nor wrong."],
    None: ["  Only a check is judged; a sample measures."],
}
_COLUMNS = ("version", "answers", "share", "interval", "expected", "accepted")


def _remedies(report: Report) -> list[str]:
    return list(dict.fromkeys(reason.remedy for reason in report.reasons if reason.remedy))


def _rows(report: Report) -> list[list[str]]:
    """Return what is known of each label: texts under `_COLUMNS`."""
    seen, expected = report.observed, report.expected
    shares = {} if expected is None else expected.shares
    bands = {} if expected is None else expected.tolerance
    return [
        [
            one_line(label, 80),
            str(seen.counts.get(label, 0)),
            *map(percent, (seen.shares.get(label), seen.intervals.get(label))),
            *map(percent, (shares.get(label), bands.get(label))),
        ]
        for label in labels_in_order(expected, seen.counts)
    ]


def labels_in_order(expected: Expected | None, counts: Mapping[str, int]) -> list[str]:
    """Order labels as documents and figures show them.

    Parameters
    ----------
    expected : Expected or None
        Its labels come first, as declared, whether they were seen or not.
    counts : mapping of str to int
        The others among these follow, the most frequent first.
    """
    declared = [] if expected is None else list(expected.weights)
    others = sorted(set(counts).difference(declared), key=lambda label: (-counts[label], label))
    return declared + others
