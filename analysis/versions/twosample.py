"""Canary against stable: does one fail more often, or take longer? Evidence for any look.

Two e-processes, each a nonnegative supermartingale if the canary is no worse:

* failures by blocks of responses, a likelihood ratio against the closest pair of rates that
  is still allowed (Turner, Ly & Grunwald 2021, theorem 1, here for any ratio of rates);
* times by disjoint pairs of a canary's and a stable one's, a bet on who is slower.

For the end of a run, methods that are valid for a single look: Fisher's exact test, and
quantiles from a histogram of bounded size.
"""

from __future__ import annotations

from math import ceil, exp, lgamma, log, sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 100
"""Responses of canary and stable together after which the evidence on failures is updated."""

SIGN_BETS = ((0.55, 0.5), (0.65, 0.3), (0.8, 0.2))
"""Alternatives for the chance that the canary is the slower one of a pair, and their weights."""

BINS_PER_OCTAVE = 128
"""Bins of a histogram of times for each doubling: 0.54 % wide, so 0.27 % off at most."""

_SHORTEST_NS = 1_000
_OCTAVES = 34
BINS = BINS_PER_OCTAVE * _OCTAVES
"""Bins of a histogram of times, from 1 us to 2^34 us (4.8 hours); what lies beyond is clipped."""

_LOG_WEIGHTS = np.log([[weight] for _, weight in SIGN_BETS])
_LOG_SLOWER = np.log([[2 * chance] for chance, _ in SIGN_BETS])
_LOG_FASTER = np.log([[2 - 2 * chance] for chance, _ in SIGN_BETS])
_RESAMPLES = 4_000
_LEAST_BEYOND = 8


def block_log_evidence(
    canary: tuple[int, int], stable: tuple[int, int], rates: tuple[float, float], ratio: float
) -> float:
    """Log evidence of one block against "the canary fails at most `ratio` times as often".

    Parameters
    ----------
    canary, stable : (int, int)
        Responses n >= 0 of the block, and the failures among them.
    rates : (float, float)
        Failure rates (a, b) of canary and stable that are bet on, in (0, 1); they may depend
        on earlier blocks only.
    ratio : float
        Bound X of the hypothesis ``p_canary <= X p_stable``, >= 1.

    Returns
    -------
    float
        [nats]; 0 if the rates themselves are allowed by the hypothesis.

    Notes
    -----
    With r the root in (b, a/X) of ``n_c (a - X r)/(1 - X r) + n_s (b - r)/(1 - r) = 0``, the
    likelihood of (a, b) is divided by that of (X r, r). At an allowed pair (X t, t) the
    expectation is ``A^n_c B^n_s`` with ``A = 1 + (t - r)(a - X r)/(r (1 - X r))`` and
    ``B = 1 + (t - r)(b - r)/(r (1 - r))``, whose weighted mean is 1; so the geometric mean is at
    most 1. Other allowed pairs have a lower p_c or a higher p_s, and both lower it. For X = 1
    this is r = (n_c a + n_s b)/(n_c + n_s) (Turner, Ly & Grunwald 2021, arXiv 2106.02693).
    """
    (n_c, k_c), (n_s, k_s) = canary, stable
    a, b = rates
    if a <= ratio * b or not n_c + n_s:
        return 0.0
    # The smaller root of ratio n r^2 - linear r + constant, written without cancellation.
    linear = n_c * (a + ratio) + n_s * (1 + ratio * b)
    constant = n_c * a + n_s * b
    r = 2 * constant / (linear + sqrt(max(linear**2 - 4 * ratio * (n_c + n_s) * constant, 0.0)))
    return (
        k_c * log(a / (ratio * r))
        + (n_c - k_c) * log((1 - a) / (1 - ratio * r))
        + k_s * log(b / r)
        + (n_s - k_s) * log((1 - b) / (1 - r))
    )


def smoothed_rate(n: int, k: int) -> float:
    """Rate to bet on after k of n: ``(k + 1/2)/(n + 1)``, in (0, 1)."""
    return (k + 0.5) / (n + 1)


def sign_log_evidence(pairs: NDArray[np.int64], slower: NDArray[np.int64]) -> NDArray[np.float64]:
    """Log evidence against "the canary is the slower one of a pair at most half of the time".

    Parameters
    ----------
    pairs, slower : (m,) int64
        Pairs so far, and those in which the canary was slower; a tie is none of them.

    Returns
    -------
    (m,) float64
        Log of the mixture of likelihood ratios (`SIGN_BETS`) against 1/2 [nats].
    """
    nats = _LOG_WEIGHTS + slower * _LOG_SLOWER + (pairs - slower) * _LOG_FASTER
    summed: NDArray[np.float64] = np.logaddexp.reduce(nats, axis=0)
    return summed


def fisher_p_value(canary: tuple[int, int], stable: tuple[int, int]) -> float:
    """Return the one-sided p-value of Fisher's exact test; holds for a single look.

    Parameters
    ----------
    canary, stable : (int, int)
        Responses n >= 0, and the failures k in [0, n] among them.

    Returns
    -------
    float
        Chance that at least as many of the failures fall on the canary, if the rates are equal.
    """
    (n_c, k_c), (n_s, k_s) = canary, stable
    failures, most = k_c + k_s, min(n_c, k_c + k_s)
    if k_c <= max(0, failures - n_s):
        return 1.0
    log_first = _log_choose(n_c, k_c) + _log_choose(n_s, k_s) - _log_choose(n_c + n_s, failures)
    # Terms relative to the first one, each from the one before.
    total = term = 1.0
    for k in range(k_c, most):
        term *= (n_c - k) * (failures - k) / ((k + 1) * (n_s - failures + k + 1))
        total += term
        if term < total * 1e-17:
            break
    return min(exp(log_first + log(total)), 1.0)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def histogram(times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count times by logarithmic bins; histograms of parts add up to that of the whole.

    Parameters
    ----------
    times_ns : (n,) int64
        Times [ns].

    Returns
    -------
    (BINS,) int64
    """
    return np.bincount(bins_of(times_ns), minlength=BINS)


def bins_of(times_ns: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the bin (n,) of each time in a histogram."""
    position = np.log2(np.maximum(times_ns, 1) / _SHORTEST_NS)
    position *= BINS_PER_OCTAVE
    bins: NDArray[np.intp] = np.minimum(np.maximum(position, 0.0), BINS - 1).astype(np.intp)
    return bins


def quantile_s(counts: NDArray[np.int64], level: float) -> float:
    """Return a quantile of the times of a histogram [s]: the ``ceil(level n)``-th smallest.

    Parameters
    ----------
    counts : (BINS,) int64
        At least one time.
    level : float
        In (0, 1].
    """
    rank = max(ceil(level * int(counts.sum())), 1)
    return float(_times_s(counts, np.array([rank]))[0])


def mean_s(counts: NDArray[np.int64]) -> float:
    """Return the mean of the times of a histogram [s], to 0.3 %; it holds at least one time."""
    middles = _SHORTEST_NS * 2 ** ((np.arange(BINS) + 0.5) / BINS_PER_OCTAVE)
    return float(counts @ middles / counts.sum() / 1e9)


def quantile_difference_s(
    canary: NDArray[np.int64],
    stable: NDArray[np.int64],
    level: float,
    *,
    confidence: float,
    seed: int,
) -> tuple[float, float] | None:
    """Return an interval for the canary's quantile minus the stable one's [s].

    Parameters
    ----------
    canary, stable : (BINS,) int64
        Histograms of times.
    level : float
        Of the quantile, in (0, 1).
    confidence : float
        In (0, 1); approximate, for a single look.
    seed : int
        Of the resampling, >= 0.

    Returns
    -------
    (float, float) or None
        None where a version has fewer than 8 times expected on either side of the quantile:
        the bootstrap would be too narrow there (90 % instead of 95 % at 4).

    Notes
    -----
    The percentile bootstrap of both quantiles, drawn without resampling: the j-th smallest of
    n values drawn anew has the rank ``ceil(n U)`` with U from Beta(j, n - j + 1).
    """
    random = np.random.default_rng(seed)
    drawn = []
    for counts in (canary, stable):
        n = int(counts.sum())
        if n * min(level, 1 - level) < _LEAST_BEYOND - 1e-9:
            return None
        rank = max(ceil(level * n), 1)
        where = random.beta(rank, n - rank + 1, _RESAMPLES)
        drawn.append(_times_s(counts, np.ceil(where * n).astype(np.int64)))
    tail = (1 - confidence) / 2
    # What np.quantile does, without the 10 ms that its first call takes to import masked arrays.
    places = np.array([tail, 1 - tail]) * (_RESAMPLES - 1)
    low, high = np.interp(places, np.arange(_RESAMPLES), np.sort(drawn[0] - drawn[1])).tolist()
    return low, high


def _times_s(counts: NDArray[np.int64], ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the times of some ranks (from 1) [s]: the middles of their bins."""
    bins = np.searchsorted(np.cumsum(counts), ranks)
    middles: NDArray[np.float64] = _SHORTEST_NS / 1e9 * 2 ** ((bins + 0.5) / BINS_PER_OCTAVE)
    return middles
