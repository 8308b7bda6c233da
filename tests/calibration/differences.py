"""How wide the intervals of differences are: ``python -m tests.calibration.differences``.

Widths of `analysis.review.difference` over those of a box of two intervals at half of the level,
for some pairs of runs, and over those of a normal approximation, which holds for one fixed look
only.
"""

from __future__ import annotations

from math import sqrt

from scipy.stats import norm

from analysis.bets.kt import kt_interval, kt_sides
from analysis.review.difference import difference_interval

LEVEL = 0.01
PAIRS = (
    ((900, 90), (900, 90)),
    ((900, 90), (900, 180)),
    ((5000, 2500), (5000, 2500)),
    ((900, 90), (5000, 500)),
    ((900, 90), (100_000, 10_000)),
    ((700, 70), (30, 15)),
    ((900, 90), (300, 0)),
    ((459, 0), (459, 0)),
)


def width(ends):
    return ends[1] - ends[0]


def box(first, second):
    """Give the differences of two intervals, each at half of the level."""
    one, other = (kt_interval(n, x, LEVEL / 2) for n, x in (first, second))
    return other[0] - one[1], other[1] - one[0]


def of_one_look(first, second):
    """Give the width of the interval of two proportions (Wald's), which holds at a single look."""
    variance = sum(x / n * (1 - x / n) / n for n, x in (first, second))
    return 2 * norm.isf(LEVEL / 2) * sqrt(variance)


def main():
    print("first run     second run        width  / box  / one look")
    for first, second in PAIRS:
        one, other = (kt_sides(n, x, x) for n, x in (first, second))
        found = width(difference_interval(one, other, LEVEL))
        single = of_one_look(first, second)
        of_box = found / width(box(first, second))
        ratio = f"{found / single:10.2f}" if single else "         -"
        runs = [f"{x} of {n}" for n, x in (first, second)]
        print(f"{runs[0]:<13} {runs[1]:<15} {100 * found:6.2f} pp  {of_box:.3f} {ratio}")


if __name__ == "__main__":
    main()
