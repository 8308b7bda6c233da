"""The classical test of a split: how likely counts as unusual as these are, were it exact.

What `scipy.stats.chisquare` and checkers of sample ratio mismatch compute: one p-value for the
judged counts against the expected shares. It is shown beside the verdict, for people who look for
it, and decides nothing: it holds for a number of connections that was fixed before the run, for a
single look, and a split that is right within its tolerance but not exactly is "significant" as
soon as there are connections enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, erfc, exp, fsum, lgamma, log, sqrt
from typing import TYPE_CHECKING

import numpy as np

from analysis.data.report import Verdict
from analysis.text.rounding import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.data.report import Report

EXPECTED_LEAST = 5
"""Expected count of every version from which on the chi-square law is close enough."""
MOST_OUTCOMES = 100_000
"""Outcomes that an exact test enumerates, at most."""

_TIE = 1e-7
"""Relative difference up to which two outcomes count as equally likely, as in SciPy."""
_WHAT_IT_IS = (
    "Not the verdict: asks whether the shares are exactly the expected ones, not whether they are "
    "within the tolerance; valid for independent connections whose number was fixed in advance."
)
_CHOSE_ITS_END = "This run ended once it was decided, so its p-value is only a description."


@dataclass(frozen=True, slots=True)
class Classical:
    """A test for a sample size fixed in advance; never the verdict.

    Parameters
    ----------
    test : str or None
        ``chi-square`` (Pearson), ``exact binomial`` or ``exact multinomial``; None where none
        of them holds.
    statistic : float or None
        Of the chi-square test, >= 0; None for the others.
    df : int or None
        Its degrees of freedom.
    n : int
        Connections that were tested.
    p_value : float or None
        Chance of counts so unusual or more, in [0, 1], were the shares exactly as expected.
    note : str
        What the p-value does not say; or why there is none.
    """

    test: str | None
    statistic: float | None
    df: int | None
    n: int
    p_value: float | None
    note: str

    def __str__(self) -> str:
        """Return test and p-value on one line."""
        if self.test is None or self.p_value is None:
            return "no classical test"
        shape = "" if self.statistic is None else f"({self.df}) = {self.statistic:.4g}"
        return f"{self.test}{shape}, n = {self.n}, p = {self.p_value:.2g}"


def classical_test(report: Report) -> Classical | None:
    """Test the judged counts of a report against the expected split.

    Parameters
    ----------
    report : Report
        Of a run.

    Returns
    -------
    Classical or None
        Versions that must not answer are left out, with a note; None if nothing was expected.
    """
    if report.expected is None or report.decision is None:
        return None
    arms = [arm for arm, weight in report.expected.weights.items() if weight]
    counts = [report.observed.counts.get(arm, 0) for arm in arms]
    weights = [report.expected.weights[arm] for arm in arms]
    n = sum(counts)
    if report.decision.per_connection > 1:
        return _none(n, "connections with several answers were judged, which are not independent")
    if len(arms) < 2:
        return _none(n, "one version is expected to answer, which leaves nothing to compare")
    if not n:
        return _none(n, "no connection met a version that is expected to answer")
    test, statistic, p_value, caution = _tested(counts, weights)
    others = sum(report.observed.counts.values()) - n
    notes = [_WHAT_IT_IS, caution, *_left_out(others, report.samples.independent - n - others)]
    if report.verdict in {Verdict.PASS, Verdict.FAIL}:
        notes.insert(1, _CHOSE_ITS_END)
    df = None if statistic is None else len(arms) - 1
    return Classical(test, statistic, df, n, p_value, " ".join(filter(None, notes)))


def _none(n: int, why: str) -> Classical:
    return Classical(None, None, None, n, None, f"No test: {why}.")


def _left_out(others: int, missing: int) -> list[str]:
    notes = []
    if others > 0:
        notes.append(f"Left out: {counted(others, 'connection')} to versions not expected.")
    if missing > 0:
        notes.append(f"Left out: {counted(missing, 'connection')} without a label.")
    return notes


def _tested(counts: Sequence[int], weights: Sequence[int]) -> tuple[str, float | None, float, str]:
    """Choose the test and do it; the last part says what its p-value lacks."""
    n, total = sum(counts), sum(weights)
    is_small = n * min(weights) < EXPECTED_LEAST * total
    if is_small and comb(n + len(counts) - 1, n) <= MOST_OUTCOMES:
        name = "exact binomial" if len(counts) == 2 else "exact multinomial"
        return name, None, exact_p_value(counts, weights), ""
    statistic, p_value = chi_square(counts, weights)
    caution = (
        f"Approximate: fewer than {EXPECTED_LEAST} connections of a version were expected."
        if is_small
        else ""
    )
    return "chi-square", statistic, p_value, caution


def chi_square(counts: Sequence[int], weights: Sequence[int]) -> tuple[float, float]:
    """Test counts by Pearson's chi-square.

    Parameters
    ----------
    counts : (k,) sequence of int
        At least two, not all 0.
    weights : (k,) sequence of int
        Expected shares are in proportion to them, > 0.

    Returns
    -------
    statistic, p_value : float
        With k - 1 degrees of freedom.
    """
    n, total = sum(counts), sum(weights)
    expected = [n * weight / total for weight in weights]
    statistic = sum((x - mean) ** 2 / mean for x, mean in zip(counts, expected, strict=True))
    return statistic, _upper_tail(statistic, len(counts) - 1)


def _upper_tail(statistic: float, freedom: int) -> float:
    """Chance of a chi-square so large: a finite sum of positive terms (DLMF 8.4.6, 8.8.2)."""
    x, start = statistic / 2, freedom % 2 / 2
    if x <= 0:
        return 1.0
    orders = (start + k for k in range(freedom // 2))
    terms = (exp(order * log(x) - x - lgamma(order + 1)) for order in orders)
    return fsum([erfc(sqrt(x)) if freedom % 2 else 0.0, *terms])


def exact_p_value(counts: Sequence[int], weights: Sequence[int]) -> float:
    """Add up the chances of all outcomes that are no likelier than this one.

    Parameters
    ----------
    counts, weights : (k,) sequence of int
        As for `chi_square`. There are ``comb(n + k - 1, k - 1)`` outcomes of n connections, all
        of which are looked at.
    """
    n, total = sum(counts), sum(weights)
    nats = np.log(np.array(weights) / total)
    log_factorial = np.append(0.0, np.cumsum(np.log(np.arange(1, n + 1))))
    used, logs = np.zeros(1, dtype=np.intp), np.array([log_factorial[n]])
    # What each version may have had, given what those before it had; the last one has the rest.
    for each in nats[:-1]:
        room = n - used + 1
        before = np.repeat(np.arange(len(used)), room)
        x = np.arange(len(before)) - np.repeat(np.cumsum(room) - room, room)
        used, logs = used[before] + x, logs[before] + x * each - log_factorial[x]
    logs += (n - used) * nats[-1] - log_factorial[n - used]
    seen = np.array(counts)
    mine = log_factorial[n] + float(seen @ nats) - float(log_factorial[seen].sum())
    chances: NDArray[np.float64] = np.exp(logs[logs <= mine + _TIE])
    return min(float(chances.sum()), 1.0)
