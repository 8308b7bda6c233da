"""Do the labels of a run spread as independent draws do? Two classical statistics.

The labels are taken in the order in which the requests were sent.

*Dispersion index* [Cochran, Biometrics 10 (1954), 417-451, section 3]: cut the sequence into
blocks of m, count the label in each, and divide the variance of the counts by that of a
binomial count. It is about 1 for independent draws, about 0 for a balancer that goes round,
and greater than 1 where choices stick together. ``chi2`` is its sum, with one degree of freedom
less than there are blocks, because the share is estimated.

*Runs* [Wald and Wolfowitz, Ann. Math. Statist. 11 (1940), 147-162]: the number of stretches of
equal labels, standardised given the counts. Greater than 0 where labels take turns more often
than by chance, less than 0 where they stick.

Neither takes part in any verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2

from tests.network.planes.base import Regime

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK = 20
# A sequence of independent draws is called something else not once in a million runs: counts so
# small have a heavier tail than chi-square.
RARE = 1e-10
# Balancers that look at the load avoid the pod that is just busy and spread a little less than
# chance does (0.4 to 0.8 with 16 in flight), without going round.
GOES_ROUND_BELOW = 0.4


@dataclass(frozen=True, slots=True)
class Dispersion:
    """How one label is spread over a sequence.

    Parameters
    ----------
    n : int
        Length of the sequence.
    share : float
        Of the label, in (0, 1).
    runs_z : float
        Standardised number of runs; normal with mean 0 and variance 1 under independence.
    chi2 : float
        At least 0.
    degrees : int
        Of freedom of `chi2`, at least 1.
    """

    n: int
    share: float
    runs_z: float
    chi2: float
    degrees: int

    @property
    def index(self) -> float:
        """Variance of the blocks' counts over that of binomial counts."""
        return self.chi2 / self.degrees

    @property
    def regime(self) -> Regime:
        """What the chi-square says, at a rate of `RARE` on each side."""
        if self.index < GOES_ROUND_BELOW and chi2.cdf(self.chi2, self.degrees) < RARE:
            return Regime.UNDER_DISPERSED
        if chi2.sf(self.chi2, self.degrees) < RARE:
            return Regime.OVER_DISPERSED
        return Regime.BINOMIAL


def dispersion(labels: Sequence[str], label: str) -> Dispersion:
    """Measure how `label` is spread over `labels`, which are in send order.

    Raises
    ------
    ValueError
        If there are fewer than two whole blocks, or the label is all or none of them.
    """
    hits = np.array([one == label for one in labels], dtype=np.int64)
    n, blocks = len(hits), len(hits) // BLOCK
    ones = int(hits.sum())
    whole = hits[: blocks * BLOCK].reshape(blocks, BLOCK).sum(axis=1)
    if blocks < 2 or ones in {0, n} or not 0 < whole.sum() < blocks * BLOCK:
        raise ValueError(f"expected two blocks of {BLOCK} and two labels, got {n} with {ones} hits")
    share = float(whole.sum()) / (blocks * BLOCK)
    spread = float(((whole - BLOCK * share) ** 2).sum()) / (BLOCK * share * (1 - share))
    return Dispersion(n, ones / n, _runs_z(hits, ones), spread, blocks - 1)


def _runs_z(hits: np.ndarray[tuple[int], np.dtype[np.int64]], ones: int) -> float:
    n, product = len(hits), 2.0 * ones * (len(hits) - ones)
    runs = 1 + int(np.count_nonzero(np.diff(hits)))
    mean = 1 + product / n
    variance = product * (product - n) / (n * n * (n - 1.0))
    return (runs - mean) / math.sqrt(variance)
