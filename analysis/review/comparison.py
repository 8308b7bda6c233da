"""Two runs side by side: what differs between them, and by how much for sure.

Every run ends when it has decided, so an interval that holds at one fixed look would not hold
here. The interval of a difference therefore comes from evidence that holds at every look of
either run (`analysis.review.difference`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from analysis.bets.kt import kt_sides
from analysis.data.batch import ABSENT, NO_DRAW
from analysis.data.report import labels_in_order
from analysis.data.split import Split
from analysis.evidence.intervals import mean_evidence
from analysis.review.compared import (
    LEVEL,
    QUANTILES,
    ComparedRun,
    ComparedShare,
    Comparison,
    LabelDifference,
    PlanDifference,
    TimesDifference,
)
from analysis.review.difference import difference_interval
from analysis.review.policies import endless_policy
from analysis.versions.twosample import histogram, quantile_difference_s, quantile_s
from analysis.weighing.expectation import Fixed
from analysis.weighing.fold import Fold

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from analysis.data.batch import Batch
    from analysis.data.report import Report
    from analysis.evidence.several_answers import Came
from analysis.review.difference import Side

_NOT_PLANNED = frozenset({"schema", "started_at", "seed", "name", "command"})
"""Of a plan: what names one run, and says nothing about how it was made."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is known of a run: its report, and, where they are left, its samples and its plan."""

    report: Report
    batch: Batch | None = None
    plan: Mapping[str, object] | None = None


def compare(first: RunRecord, second: RunRecord) -> Comparison:
    """Compare two runs.

    Parameters
    ----------
    first, second : RunRecord
        Of any two runs; labels, plans and targets may differ.

    Returns
    -------
    Comparison
        Differences are second minus first.

    Raises
    ------
    ValueError
        If both are the same run, or one of them has seen and expects no label at all.
    """
    one, other = first.report, second.report
    if (one.run.id, one.run.started_at) == (other.run.id, other.run.started_at):
        raise ValueError(f"both are the run {one.run.id}: a run does not differ from itself")
    for report in (one, other):
        if not _labels(report):
            raise ValueError(f"the run {report.run.id} holds no label: there is nothing to compare")
    labels = list(dict.fromkeys([*_labels(one), *_labels(other)]))
    sides = _Sides.of(first), _Sides.of(second)
    return Comparison(
        runs=(_run(one), _run(other)),
        level=LEVEL,
        shares=[_share_difference(label, (one, other), sides) for label in labels],
        times=_times(labels, first, second),
        plan=_plan_differences(first, second),
        notes=_notes((first, second), sides),
    )


def _labels(report: Report) -> list[str]:
    counts = _counts(report)
    return labels_in_order(report.expected, {label: n for label, n in counts.items() if n})


def _counts(report: Report) -> Mapping[str, int]:
    """Count the judged connections by label; those of all zones where each was judged."""
    zones = report.observed.by_zone.values()
    if not zones:
        return report.observed.counts
    return sum((Counter(each.counts) for each in zones), Counter[str]())


def _run(report: Report) -> ComparedRun:
    return ComparedRun(
        id=report.run.id,
        target=report.run.target,
        started_at=report.run.started_at,
        version=report.run.version,
        verdict=report.verdict,
        why=report.reasons[0].message if report.reasons else "",
        independent=report.samples.independent,
        launched=report.samples.launched,
        outcomes=dict(report.samples.outcomes),
    )


def _share_difference(
    label: str, reports: tuple[Report, Report], sides: tuple[_Sides, _Sides]
) -> LabelDifference:
    first, second = (_share(label, report) for report in reports)
    each = [run.of_label(label) for run in sides]
    interval = None
    if each[0] is not None and each[1] is not None:
        interval = difference_interval(each[0], each[1], LEVEL)
    return LabelDifference(label, first, second, second.share - first.share, interval)


def _share(label: str, report: Report) -> ComparedShare:
    counts, zones = _counts(report), report.observed.by_zone.values()
    expected = None if report.expected is None else report.expected.shares.get(label)
    return ComparedShare(
        count=counts.get(label, 0),
        share=counts.get(label, 0) / max(sum(counts.values()), 1),
        interval=None if zones else report.observed.intervals.get(label),
        expected=None if {each.expected.get(label) for each in zones} - {expected} else expected,
    )


@dataclass(frozen=True, slots=True)
class _Sides:
    """What one run says about the share of any label.

    Parameters
    ----------
    counts : mapping of str to int
        Connections by label, where each counts as one answer.
    missing : int
        Connections without a label, which could have had any.
    means : mapping of str to Came, or None
        What connections with several answers came to; None where they have one.
    why_not : str
        What is wrong with the samples, if they say nothing; else empty.
    """

    counts: Mapping[str, int]
    missing: int = 0
    means: Mapping[str, Came] | None = None
    why_not: str = ""

    @classmethod
    def of(cls, run: RunRecord) -> Self:
        report = run.report
        counts, draws = _counts(report), _draws(report)
        if report.observed.by_zone:
            return cls(counts, why_not="are those of several zones, each judged by itself")
        if not report.observed.intervals or not draws:
            return cls(counts, why_not="depend on each other, or there are none")
        if report.decision is None or report.decision.per_connection == 1:
            return cls(counts, draws - sum(counts.values()))
        means = _means(run)
        why_not = "" if means else "are missing, and its connections carried several requests"
        return cls(counts, means=means, why_not=why_not)

    def of_label(self, label: str) -> tuple[Side, Side] | None:
        """Return the evidence on one label; None where none holds."""
        if self.why_not:
            return None
        count = self.counts.get(label, 0)
        if self.means is None:
            n = sum(self.counts.values()) + self.missing
            return kt_sides(n, count, count + self.missing)
        if label in self.means:
            return mean_evidence(self.means[label])
        # Not expected: it came on the last connection, if at all.
        return kt_sides(next(iter(self.means.values())).total(), 0, min(count, 1))


def _draws(report: Report) -> int:
    """Count the independent draws of a run: what was judged, or else all that was sent."""
    if report.decision is not None:
        drawn = report.samples.independent
    else:
        outcomes = report.samples.outcomes
        drawn = report.samples.launched - sum(outcomes.get(each.key, 0) for each in NO_DRAW)
    return max(drawn, sum(report.observed.counts.values()))


def _means(run: RunRecord) -> dict[str, Came] | None:
    """Weigh connections with several answers once more; None if these are not their samples."""
    expected, decision = run.report.expected, run.report.decision
    if run.batch is None or expected is None or decision is None or not decision.decided_after:
        return None
    split = Split.of(expected.weights)
    fold = Fold(Fixed(split, endless_policy(decision)))
    fold.weigh(run.batch)
    evidence = fold.finish().evidence
    if evidence is None or evidence.groups is None or evidence.judged != decision.decided_after:
        return None
    if evidence.answers != run.report.observed.counts:
        return None
    return dict(zip(split.arms, evidence.groups.results, strict=True))


def _times(labels: list[str], first: RunRecord, second: RunRecord) -> list[TimesDifference]:
    if first.batch is None or second.batch is None:
        return []
    one, other = _histograms(first.batch), _histograms(second.batch)
    return [
        TimesDifference(
            label,
            _quantiles(one.get(label)),
            _quantiles(other.get(label)),
            _differences(one.get(label), other.get(label)),
        )
        for label in labels
        if label in one or label in other
    ]


def _histograms(batch: Batch) -> dict[str, NDArray[np.int64]]:
    answered = (batch.label != ABSENT) & (batch.done_ns != ABSENT)
    took_ns, code = (batch.done_ns - batch.scheduled_ns)[answered], batch.label[answered]
    return {batch.labels[each]: histogram(took_ns[code == each]) for each in np.unique(code)}


def _quantiles(counts: NDArray[np.int64] | None) -> dict[str, float]:
    if counts is None:
        return {}
    return {name: quantile_s(counts, level) for name, level in QUANTILES.items()}


def _differences(
    one: NDArray[np.int64] | None, other: NDArray[np.int64] | None
) -> dict[str, tuple[float, float]]:
    if one is None or other is None:
        return {}
    each = {
        name: quantile_difference_s(other, one, level, confidence=1 - LEVEL, seed=0)
        for name, level in QUANTILES.items()
    }
    return {name: interval for name, interval in each.items() if interval is not None}


def _plan_differences(first: RunRecord, second: RunRecord) -> list[PlanDifference]:
    if first.plan is not None and second.plan is not None:
        one, other = _flat(first.plan), _flat(second.plan)
    else:
        one, other = _settings(first.report), _settings(second.report)
    one["weighbridge"], other["weighbridge"] = first.report.run.version, second.report.run.version
    return [
        PlanDifference(name, one.get(name, ""), other.get(name, ""))
        for name in dict.fromkeys([*one, *other])
        if one.get(name, "") != other.get(name, "")
    ]


def _flat(plan: Mapping[str, object]) -> dict[str, str]:
    """Return the settings of a plan by their dotted names."""
    flat: dict[str, str] = {}
    parts: list[tuple[str, object]] = [
        (name, value) for name, value in plan.items() if name not in _NOT_PLANNED
    ]
    while parts:
        name, value = parts.pop(0)
        if isinstance(value, dict):
            parts = [(f"{name}.{key}", inner) for key, inner in value.items()] + parts
        elif isinstance(value, list):
            flat[name] = ", ".join(map(_plain, value))
        else:
            flat[name] = _plain(value)
    return flat


def _plain(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
    return str(value)


def _settings(report: Report) -> dict[str, str]:
    """Return the settings that a report tells, for a run without a plan."""
    performance = report.performance
    settings: dict[str, object] = {
        "target": report.run.target,
        "label": report.run.label,
        "load.transport": performance.transport,
        "load.concurrency": performance.concurrency,
        "load.connection": performance.connection,
        "load.rate": performance.offered_per_s,
        "load.max_rate": performance.max_rate_per_s,
    }
    if report.expected is not None:
        for label, weight in report.expected.weights.items():
            settings[f"weight of {label}"] = weight
    if report.decision is not None:
        settings |= {"policy.alpha": report.decision.alpha, "policy.beta": report.decision.beta}
    return {name: _plain(value) for name, value in settings.items()}


def _seen(run: RunRecord) -> set[str]:
    """Labels that answered at all: after an early verdict, more than were judged."""
    judged = {label for label, n in run.report.observed.counts.items() if n}
    if run.batch is None:
        return judged
    codes = np.unique(run.batch.label[run.batch.label != ABSENT])
    return judged | {run.batch.labels[code] for code in codes}


def _notes(runs: tuple[RunRecord, RunRecord], sides: tuple[_Sides, _Sides]) -> list[str]:
    notes = []
    first, second = runs
    one, other = first.report, second.report
    seen = [_seen(run) for run in runs]
    if not seen[0] & seen[1]:
        notes.append("no label answered in both runs: they may not be runs of one Service")
    for only, where in ((seen[0] - seen[1], "first"), (seen[1] - seen[0], "second")):
        notes += [f"{label} answered in the {where} run only" for label in sorted(only)[:20]]
    for said, where in zip(sides, ("first", "second"), strict=True):
        if said.why_not:
            notes.append(
                f"the samples of the {where} run {said.why_not}: no interval of a difference holds"
            )
    if one.run.target != other.run.target:
        notes.append("the two runs asked different targets")
    if first.plan is None or second.plan is None:
        notes.append("a plan is missing: the settings are compared as far as the reports tell them")
    if first.batch is None or second.batch is None:
        notes.append("samples are missing: response times are not compared")
    return notes
