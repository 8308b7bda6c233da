"""Compute `neighbours.json` with 40 digits: python generate_neighbours.py > neighbours.json.

Two questions about the order of connections, from formulas typed anew; nothing of the project
is imported. The Markov chain's likelihood is the product of its conditional chances, one
connection after the other, and not a ratio of Gamma functions. The chi-square of windows is
summed over its cells, and its tail is an incomplete Gamma function.
"""

from __future__ import annotations

import json
import sys

from mpmath import mp, mpf

mp.dps = 40

TRANSITIONS = ((700, 100, 80, 20), (810, 90, 90, 10), (0, 0, 0, 0), (5, 0, 0, 0), (30, 20, 20, 30),
               (950, 20, 20, 10), (0, 50, 50, 0))  # fmt: skip
WINDOWS = ((100, (7, 13, 5, 15)), (100, (10, 10)), (30, (0, 1, 9)), (1000, (90, 104, 99, 131, 80)))


def chain_log_evidence(n00, n01, n10, n11):
    """KT's estimate (ones + 1/2)/(n + 1) after each state, over the best constant share."""
    total = mpf(0)
    for zeros, ones in ((n00, n01), (n10, n11)):
        for seen in range(zeros):  # the order within a state does not matter: all zeros first
            total += mp.log((seen + mpf(1) / 2) / (seen + 1))
        for seen in range(ones):
            total += mp.log((seen + mpf(1) / 2) / (zeros + seen + 1))
    zeros, ones = n00 + n10, n01 + n11
    n = zeros + ones
    best = sum((count * mp.log(mpf(count) / n) for count in (zeros, ones) if count), mpf(0))
    return total - best


def homogeneity(width, counts):
    """Pearson's chi-square of equal shares in windows, and the chance of a larger one."""
    share = mpf(sum(counts)) / (width * len(counts))
    statistic = sum((x - width * share) ** 2 / (width * share * (1 - share)) for x in counts)
    return statistic, mp.gammainc(mpf(len(counts) - 1) / 2, statistic / 2, regularized=True)


if __name__ == "__main__":
    document = {
        "markov": [[*counts, float(chain_log_evidence(*counts))] for counts in TRANSITIONS],
        "windows": [
            [width, list(counts), *map(float, homogeneity(width, counts))]
            for width, counts in WINDOWS
        ],
    }
    json.dump(document, sys.stdout, indent=1)
    sys.stdout.write("\n")
