"""How a run went: what the figures over time are drawn from.

A run of any length becomes a few hundred numbers: shares in windows whose width adapts to how
much there is, and the counts of the judged connections at some looks on the way. Drawing then
costs the same for a hundred samples as for ten million.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from analysis.bets.kt import kt_interval
from analysis.data.batch import ABSENT, Outcome, judged_rows
from analysis.data.report import Verdict, labels_in_order
from analysis.data.split import Split
from analysis.evidence.intervals import decision_bounds
from analysis.review.policies import passing_policy
from analysis.weighing.expectation import Fixed
from analysis.weighing.fold import weighed_again

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.data.batch import Batch
    from analysis.data.report import Report

MOST_WINDOWS = 80
"""Windows of a run, at most: about as many as a small figure can show."""
LEAST_IN_WINDOW = 30
"""Samples that a window holds on average, at least."""
RARE_IN_WINDOW = 4
"""Samples of the rarest expected label that a window holds on average, at least."""
MOST_LOOKS = 60
MUCH_LATER = 0.1
"""Connections after the decision, as a share of those before it, from which they are shown."""
_INTERVALS = 240
_NS_PER_S = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """Counts of the judged connections from the first one on, at some moments of the run.

    Parameters
    ----------
    at_s : (m,) float
        When the connection was sent [s since the run began].
    judged, missing : (m,) int
        Connections judged by then, and those without a label.
    counts : (k, m) int
        Those with each label.
    decided_on : (k, 2, m) float or None
        Of a PASS, the interval of each expected label that the decision had by then; None
        otherwise.
    """

    at_s: NDArray[np.float64]
    judged: NDArray[np.int64]
    missing: NDArray[np.int64]
    counts: NDArray[np.int64]
    decided_on: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """A run in windows of equal width, by the moment of sending.

    Parameters
    ----------
    labels : tuple of str
        The k labels: expected ones as declared, then the others, the most frequent first.
    edges_s : (w + 1,) float
        Edges of the windows [s since the run began].
    launched, unlabelled, failed : (w,) int
        Samples by window: all, answered without a label, and those that ended otherwise.
    by_label : (k, w) int
        Labelled samples.
    looks : Looks
        What the decision looked at, up to the one on which it fell.
    later : Looks
        What came after the decision: from the connection on which it fell to the last one; empty
        where that is hardly more than what was in flight. It did not enter the decision.
    zone : str
        Where all of this was seen; empty for the whole run.
    """

    labels: tuple[str, ...]
    edges_s: NDArray[np.float64]
    launched: NDArray[np.int64]
    unlabelled: NDArray[np.int64]
    failed: NDArray[np.int64]
    by_label: NDArray[np.int64]
    looks: Looks
    later: Looks
    zone: str = ""

    @classmethod
    def of(cls, batch: Batch, report: Report) -> Timeline:
        """Summarise a whole run; one that was judged by zone, in the zone that is named.

        Parameters
        ----------
        batch : Batch
            All samples, in send order.
        report : Report
            Of the same run.
        """
        zone, batch = _in_zone(batch, report)
        labels, rows = ordered_labels(batch, report)
        count = _windows(batch, report)
        end_ns = int(batch.sent_ns.max()) + 1 if len(batch) else 1
        window = _places(batch.sent_ns, end_ns, count)
        # One more row takes the samples without a label.
        row = rows[batch.label]
        cells = np.bincount(row * count + window, minlength=(len(labels) + 1) * count)
        grid = cells.reshape(len(labels) + 1, count)
        answered = batch.outcome == Outcome.UNLABELLED
        unlabelled = np.bincount(window[answered], minlength=count)
        looks, later = _look(batch, row, len(labels), report)
        return cls(
            labels=labels,
            edges_s=np.linspace(0.0, end_ns / _NS_PER_S, count + 1),
            launched=grid.sum(axis=0),
            unlabelled=unlabelled,
            failed=grid[-1] - unlabelled,
            by_label=grid[:-1],
            looks=looks,
            later=later,
            zone=zone,
        )

    @property
    def width_s(self) -> float:
        """Width of a window [s]."""
        return float(self.edges_s[1] - self.edges_s[0])

    @property
    def has_losses(self) -> bool:
        """Whether a request failed or came back without a label."""
        return bool(self.failed.any() or self.unlabelled.any())

    def shares(self, position: int) -> NDArray[np.float64]:
        """Shares of one label among the labelled, by window; NaN where there are none."""
        labelled = self.by_label.sum(axis=0)
        empty = np.full(len(labelled), np.nan)
        np.divide(self.by_label[position], labelled, out=empty, where=labelled > 0)
        return empty

    def band(self, position: int, report: Report) -> NDArray[np.float64]:
        """Anytime-valid interval of one label's share at each look.

        Parameters
        ----------
        position : int
            Of the label in `labels`.
        report : Report
            Of the run. A PASS gives the interval that the decision had at each look: it lies
            inside the accepted band from the look on at which this label's part of the PASS
            held. Everything else gives the Krichevsky-Trofimov sequence, as in
            `analysis.evidence.intervals`.

        Returns
        -------
        (2, m) float
            Lower and upper ends, in [0, 1]; those of the report at the last look. They hold
            for the judged connections; where several requests share one, not for requests.
        """
        label, looks = self.labels[position], self.looks
        ends = np.empty((2, len(looks.judged)))
        if looks.decided_on is not None and position < len(looks.decided_on):
            ends[:] = looks.decided_on[position]
        else:
            ends[:] = _confidence_at(looks, position, report)
        final = report.observed.intervals.get(label)
        if final is not None and len(looks.judged):
            ends[:, -1] = final
        return ends

    def later_band(self, position: int, report: Report) -> NDArray[np.float64]:
        """Interval of one label's share at each of the `later` looks; as `band`.

        It goes on with the Krichevsky-Trofimov sequence, which holds at every look, those
        after a decision included. A PASS has none: its interval was that of the decision.
        """
        if report.verdict is Verdict.PASS:
            return np.empty((2, 0))
        return _confidence_at(self.later, position, report)


def _in_zone(batch: Batch, report: Report) -> tuple[str, Batch]:
    """Return which zone the numbers of a report are those of, and its samples; else all."""
    zones, observed = report.observed.by_zone, report.observed
    for name, zone in zones.items():
        if (zone.counts, zone.intervals) == (observed.counts, observed.intervals):
            here = [
                (each.zone if each.zone in zones else each.node) == name
                for each in report.performance.workers
            ]
            if any(here):
                return name, batch.chosen(np.array(here)[batch.worker])
    return "", batch


def ordered_labels(batch: Batch, report: Report) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Order the labels of a run as its documents show them.

    Returns
    -------
    labels : tuple of str
        Expected ones as declared, then the others, the most frequent first.
    rows : (codes + 1,) int
        Position of each label code in `labels`; ``len(labels)`` at the end, for `ABSENT`.
    """
    counts = np.bincount(batch.label[batch.label != ABSENT], minlength=len(batch.labels))
    seen = {label: int(n) for label, n in zip(batch.labels, counts, strict=True) if n}
    labels = tuple(labels_in_order(report.expected, seen))
    place = {label: position for position, label in enumerate(labels)}
    rows = [place.get(label, len(labels)) for label in batch.labels]
    return labels, np.array([*rows, len(labels)], dtype=np.int64)


def _windows(batch: Batch, report: Report) -> int:
    """Choose how many windows there are: enough samples in each to see a share."""
    least: float = LEAST_IN_WINDOW
    if report.expected is not None:
        rarest = min(share for share in report.expected.shares.values() if share > 0)
        least = max(least, RARE_IN_WINDOW / rarest)
    return int(min(max(len(batch) // least, 1), MOST_WINDOWS))


def _places(sent_ns: NDArray[np.int64], end_ns: int, count: int) -> NDArray[np.int64]:
    """Return the window of each instant in [0, end_ns); windows are numbered from 0."""
    # Of runs that last for years, the last bits go: a product must not leave 64 bits.
    spare = max((end_ns * count).bit_length() - 63, 0)
    window: NDArray[np.int64] = (sent_ns >> spare) * count // max(end_ns >> spare, 1)
    return np.minimum(window, count - 1)


def _look(batch: Batch, row: NDArray[np.int64], k: int, report: Report) -> tuple[Looks, Looks]:
    """Count at some looks up to the decision, and at some after it."""
    rows = judged_rows(batch)
    decided = len(rows)
    if report.decision is not None:
        decided = min(report.decision.decided_after, decided)
    m = max(min(MOST_LOOKS, _INTERVALS // max(k, 1)), 12)
    early = early_looks(decided, m)
    is_much = decided > 0 and len(rows) - decided > MUCH_LATER * decided
    late = np.unique(np.linspace(decided - 1, len(rows) - 1, m).astype(np.int64))[1:]
    counted = _count_at(np.append(early, late) if is_much else early, batch, rows, row, k)
    looks = _part_of(counted, 0, len(early))
    looks = replace(looks, decided_on=_decided_on(batch, rows[early], report))
    return looks, _part_of(counted, len(early) - 1 if is_much else len(early), len(counted.judged))


def early_looks(n: int, m: int) -> NDArray[np.int64]:
    """Choose m of n positions, the last one among them; closer together in the beginning.

    There the band moves most.
    """
    if not n:
        return np.zeros(0, dtype=np.int64)
    parts = np.linspace(0.0, 1.0, m) ** 1.5
    return np.unique(np.round(parts * (n - 1)).astype(np.int64))


def _count_at(
    positions: NDArray[np.int64],
    batch: Batch,
    rows: NDArray[np.intp],
    row: NDArray[np.int64],
    k: int,
) -> Looks:
    """Count the labels of the judged rows up to each of some positions among them, ascending."""
    m = len(positions)
    if not m:
        nothing = np.zeros(0, dtype=np.int64)
        return Looks(np.zeros(0), nothing, nothing, np.zeros((k, 0), dtype=np.int64))
    upto = rows[: positions[-1] + 1]
    segment = np.searchsorted(positions, np.arange(len(upto)))
    cells = np.bincount(row[upto] * m + segment, minlength=(k + 1) * m)
    counts = cells.reshape(k + 1, m).cumsum(axis=1)
    return Looks(batch.sent_ns[rows[positions]] / _NS_PER_S, positions + 1, counts[-1], counts[:-1])


def _part_of(looks: Looks, first: int, end: int) -> Looks:
    part = slice(first, end)
    return Looks(looks.at_s[part], looks.judged[part], looks.missing[part], looks.counts[:, part])


def _decided_on(batch: Batch, ends: NDArray[np.intp], report: Report) -> NDArray[np.float64] | None:
    """Decide once more, and read the intervals on the way: (k, 2, m), after each row of `ends`."""
    if report.verdict is not Verdict.PASS or report.expected is None or report.decision is None:
        return None
    split = Split.of(report.expected.weights)
    expectation = Fixed(split, passing_policy(report.expected, report.decision))
    looks = (ends + 1).tolist()
    if expectation.evidence.groups is not None and looks:
        looks[-1] = len(batch)  # the last connection is judged with its last answer
    parts = (batch[first:end] for first, end in pairwise([0, *looks]))
    bounds = np.empty((len(split.arms), 2, len(ends)))
    for look, evidence in enumerate(weighed_again(expectation, parts)):
        for position, arm in enumerate(split.arms):
            bounds[position, :, look] = decision_bounds(evidence, arm)
    return bounds


def _confidence_at(looks: Looks, position: int, report: Report) -> NDArray[np.float64]:
    """Krichevsky-Trofimov interval of one label at each look: (2, m)."""
    each = zip(looks.judged, looks.counts[position], looks.missing, strict=True)
    ends = [_confidence(report, int(n), int(x), int(missing)) for n, x, missing in each]
    return np.array(ends, dtype=np.float64).reshape(-1, 2).T


def _confidence(report: Report, n: int, x: int, missing: int) -> tuple[float, float]:
    level = _level(report)
    low, high = kt_interval(n, x, level)
    return low, kt_interval(n, x + missing, level)[1] if missing else high


def _level(report: Report) -> float:
    """Return the level of the intervals that a report shows, as `analysis.evidence.intervals`."""
    if report.decision is None:
        return 0.01
    is_fail = report.verdict is Verdict.FAIL
    return report.decision.alpha if is_fail else report.decision.beta


def log_histogram(
    values: NDArray[np.int64], bins: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distribution of positive durations on a logarithmic grid.

    Parameters
    ----------
    values : (n,) int
        Durations; those below 1 count as 1.
    bins : int
        Number of steps between the least and the greatest.

    Returns
    -------
    upper, share : (b,) float
        Upper edges of the steps that hold something, the last being the greatest value, and
        the share of all values up to each; both increase. Empty for no values.
    """
    if not len(values):
        return np.zeros(0), np.zeros(0)
    logs = np.log10(np.maximum(values, 1))
    low, high = float(logs.min()), float(logs.max())
    span = max(high - low, 1e-9)
    step = np.minimum(((logs - low) * (bins / span)).astype(np.int64), bins - 1)
    counts = np.bincount(step, minlength=bins)
    upper = 10.0 ** (low + span * np.arange(1, bins + 1) / bins)
    held = counts > 0
    return upper[held], (counts.cumsum() / len(values))[held]


def quantiles(
    upper: NDArray[np.float64], share: NDArray[np.float64], levels: Sequence[float]
) -> list[float]:
    """Read quantiles off a `log_histogram`: the first edge up to which the share is reached."""
    positions = np.searchsorted(share, np.asarray(levels) - 1e-12)
    return [float(upper[min(position, len(upper) - 1)]) for position in positions]
