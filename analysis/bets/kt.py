"""The Krichevsky-Trofimov confidence sequence: where a share can still lie, at any time.

Evidence against a share r is the Beta(1/2, 1/2) mixture of likelihood ratios against it
(Krichevsky & Trofimov 1981; as a confidence sequence Robbins 1970). It bets on no share in
particular, and so describes any outcome; a PASS, which asks about two edges only, is
decided by sharper bets (`analysis.bets.hypotheses`).
"""

from __future__ import annotations

from functools import partial
from math import inf, lgamma, log, log1p, pi
from typing import TYPE_CHECKING

from analysis.bets.bisection import turning_point

if TYPE_CHECKING:
    from collections.abc import Callable

    CountedSide = tuple[float, Callable[[float], float]]


def kt_log_evidence(n: int, x: float, share: float) -> float:
    """Log evidence against one share after x of n [nats]; inf for a contradicted 0 or 1."""
    mixture = lgamma(x + 0.5) + lgamma(n - x + 0.5) - lgamma(n + 1) - log(pi)
    if (share <= 0 and x > 0) or (share >= 1 and x < n):
        return inf
    with_label = x * log(share) if x else 0.0
    without = (n - x) * log1p(-share) if x < n else 0.0
    return mixture - with_label - without


def kt_interval(n: int, x: float, alpha: float) -> tuple[float, float]:
    """Shares that are not refuted at level alpha, however often one looks.

    Parameters
    ----------
    n : int
        Connections, >= 0.
    x : int or float
        Those with the label, in [0, n]; or the sum of parts of connections that have it, for
        which the interval is wider than it has to be.
    alpha : float
        Chance that the sequence of intervals ever misses the true share, in (0, 1).

    Returns
    -------
    low, high : float
        In [0, 1]; ``(0, 1)`` for n = 0.

    Raises
    ------
    ValueError
        If x lies outside [0, n].
    """
    if not 0 <= x <= n:
        raise ValueError(f"expected 0 <= x <= n, got x={x}, n={n}")
    if n == 0:
        return 0.0, 1.0

    def is_refuted(share: float) -> bool:
        return kt_log_evidence(n, x, share) >= -log(alpha)

    low = turning_point(x / n, 0.0, is_refuted) if x > 0 else 0.0
    high = turning_point(x / n, 1.0, is_refuted) if x < n else 1.0
    return low, high


def kt_sides(n: int, least: float, most: float) -> tuple[CountedSide, CountedSide]:
    """Return the evidence against shares below, and above, what was counted.

    Parameters
    ----------
    n : int
        Connections, >= 1.
    least, most : int or float
        Those with the label, if those without any had none of it, or all; in [0, n].

    Returns
    -------
    low, high : (share, callable)
        The share that was counted, and the log evidence against any share [nats].
    """
    return (
        (least / n, partial(kt_log_evidence, n, least)),
        (most / n, partial(kt_log_evidence, n, most)),
    )


def excludes_at_most(n: int, x: float, share: float, alpha: float) -> bool:
    """Whether the lower end of the interval lies above `share`."""
    return x > n * share and kt_log_evidence(n, x, share) >= -log(alpha)


def excludes_at_least(n: int, x: float, share: float, alpha: float) -> bool:
    """Whether the upper end of the interval lies below `share`."""
    return x < n * share and kt_log_evidence(n, x, share) >= -log(alpha)
