"""What a report says was expected and observed, made of the evidence and the tally."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.data.report import Expected, Observed, Samples
from analysis.data.tally import addresses_of, replicas_of
from analysis.evidence.intervals import kt_interval, shares_with_intervals
from analysis.versions.correlation import effective_draws

if TYPE_CHECKING:
    from analysis.data.report import Source, View
    from analysis.data.tally import Tally
    from analysis.evidence.state import Evidence
    from analysis.versions.correlation import Correlation


def expected_of(evidence: Evidence, source: Source, views: tuple[View, ...] = ()) -> Expected:
    """Describe what is expected, its bands clipped to [0, 1]."""
    split = evidence.split
    return Expected(
        source=source,
        weights=split.weight_of,
        shares={arm: split.share(arm) for arm in split.arms},
        tolerance={band.arm: band.clipped for band in evidence.bands},
        views=views,
    )


def observed_of(evidence: Evidence, tally: Tally) -> Observed:
    """Describe what answered on the judged connections, and who in all samples of the run."""
    table = shares_with_intervals(evidence)
    return Observed(
        counts=evidence.answers,
        shares={label: share for label, (share, _, _) in table.items()},
        intervals={label: (low, high) for label, (_, low, high) in table.items()},
        replicas=replicas_of(tally),
        addresses=addresses_of(tally),
    )


def observed_unjudged(tally: Tally, alpha: float | None) -> Observed:
    """Describe what answered in a run that judges nothing.

    Parameters
    ----------
    tally : Tally
        All samples of the run.
    alpha : float or None
        Chance that an interval ever misses its share, in (0, 1); None gives no intervals,
        because they hold for independent samples only.
    """
    counts = dict(tally.labels.most_common())
    n = tally.labelled
    return Observed(
        counts=counts,
        shares={label: count / n for label, count in counts.items()},
        intervals={}
        if alpha is None
        else {label: kt_interval(n, count, alpha) for label, count in counts.items()},
        replicas=replicas_of(tally),
        addresses=addresses_of(tally),
    )


def samples_of(
    tally: Tally, evidence: Evidence | None, correlation: Correlation | None, *, shed: int = 0
) -> Samples:
    """Describe how many samples there are, and how they ended.

    Parameters
    ----------
    tally : Tally
        All samples of the run.
    evidence : Evidence or None
        None if nothing is judged: each connection then counts as a draw.
    correlation : Correlation or None
        Of all samples; None if each had a connection of its own.
    shed : int, default 0
        Arrivals that were due and not sent.
    """
    return Samples(
        launched=tally.launched,
        labelled=tally.labelled,
        independent=tally.connections if evidence is None else evidence.judged,
        connections=tally.connections,
        shed=shed,
        outcomes={outcome.key: tally.outcomes[outcome] for outcome in sorted(tally.outcomes)},
        effective=effective_draws(evidence, correlation, tally.labelled),
    )
