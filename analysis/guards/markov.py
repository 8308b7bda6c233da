"""Evidence, valid at every look, that consecutive connections depend on each other.

The runs guard (`analysis.guards.runs`) is looked at once, when a PASS would fall. Where a run was
stopped by something else, the same question takes evidence that holds at any moment: a Markov
chain, whose two chances of meeting a version after the version and after another one are
learned on the way, against any constant share. It needs far more connections to see weak
dependence, and never sees too much.
"""

from __future__ import annotations

from math import lgamma, log, pi
from typing import TYPE_CHECKING

from analysis.guards.drift import highest_log_likelihood

if TYPE_CHECKING:
    from analysis.guards.runs import Runs


def markov_log_evidence(transitions: tuple[tuple[int, int], tuple[int, int]]) -> float:
    """Log evidence that 0s and 1s in a row are no independent draws of one share [nats].

    Parameters
    ----------
    transitions : ((int, int), (int, int))
        How often 0 was followed by 0 and by 1, and 1 by 0 and by 1.

    Returns
    -------
    float
        Its exponential has mean at most 1 at every stopping time, if the draws are independent
        with any share.

    References
    ----------
    A. Ramdas, J. Ruf, M. Larsson and W. Koolen, Testing exchangeability: fork-convexity,
    supermartingales and e-processes (arXiv 2102.00630), section 4: the mixture over Markov
    chains (Krichevsky-Trofimov, after each state) over the highest likelihood of any share.
    """
    chain = sum(_mixture(zeros, ones) for zeros, ones in transitions)
    zeros, ones = (sum(row[state] for row in transitions) for state in (0, 1))
    return chain - highest_log_likelihood(zeros + ones, ones)


def transitions_of(runs: Runs, row: int, n: int, x: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return how often each state followed each, from what the runs guard remembers.

    Parameters
    ----------
    runs : Runs
        Of the run.
    row : int
        The arm, as a row of `runs`.
    n, x : int
        Labelled connections, and those that met the arm.
    """
    if runs.last is None or n < 2:
        return (0, 0), (0, 0)
    changes, last = runs.changes[row], runs.last[row]
    # With an even number of changes, a run ends as it began.
    first = last if changes % 2 == 0 else not last
    up = (changes + last - first) // 2
    down = changes - up
    return (n - x - (not last) - up, up), (down, x - last - down)


def _mixture(zeros: int, ones: int) -> float:
    """Log of the Beta(1/2, 1/2) mixture of likelihoods of one sequence with these counts."""
    return lgamma(zeros + 0.5) + lgamma(ones + 0.5) - lgamma(zeros + ones + 1) - log(pi)
