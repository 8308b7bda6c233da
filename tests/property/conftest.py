"""The plain twin of the fold: one connection at a time, nothing shared with the real one."""

from __future__ import annotations

from fractions import Fraction
from itertools import groupby
from math import ceil, comb, exp, inf, lgamma, log, pi
from statistics import NormalDist

import numpy as np
import pytest

from analysis.guards.drift import uniform


class Bet:
    """One likelihood ratio, in logs, with a restarted copy."""

    def __init__(self, alternative, edge, stake):
        self.alternative, self.edge = alternative, edge
        self.yes = log(alternative / edge) if alternative > 0 else -inf
        self.no = log((1 - alternative) / (1 - edge)) if alternative < 1 else -inf
        self.stake = stake
        self.plain = 0.0
        self.restarted = 0.0

    def see(self, y, horizon):
        """Bet on a connection that counts as y, in [0, 1]; the stake is a share of wealth."""
        stake = (self.alternative - self.edge) / (self.edge * (1 - self.edge))
        factor = 1 + stake * (y - self.edge)
        step = {0: self.no, 1: self.yes}.get(y, log(factor) if factor > 0 else -inf)
        self.plain += step
        self.restarted = (self.restarted + 1 / horizon) * (exp(step) if step > -inf else 0.0)


def mixture(bets):
    return sum(bet.stake * exp(bet.plain) for bet in bets)


def passing_bets(edge, towards):
    parts, stakes = (0.8, 0.4, 0.2, 0.1), (0.75, 0.15, 0.07, 0.03)
    return [
        Bet(edge + part * (towards - edge), edge, stake)
        for part, stake in zip(parts, stakes, strict=True)
    ]


def failing_bets(edge, direction, tolerance, inner):
    far = 1.0 if direction > 0 else 0.0
    distance = max(tolerance * (1 - inner), tolerance / 2)
    if inner > 0.75:
        distance /= 2
    grid = []
    while distance < 0.999 * abs(far - edge):
        grid.append(distance)
        distance *= 2
    if not grid:
        return [Bet(far, edge, 1.0)]
    stakes = [1 / (i + 1) for i in range(len(grid))]
    if inner > 0.75 and len(grid) >= 2:
        stakes[0], stakes[1] = 0.5, 1.0
    total = sum(stakes)
    bets = [
        Bet(edge + direction * d, edge, 0.8 * s / total) for d, s in zip(grid, stakes, strict=True)
    ]
    return [*bets, Bet(far, edge, 0.2)]


def guess(edge, ratio, *, high):
    """Chance that a missing label is the arm's, if it loses `ratio` times as many, or as few."""
    if ratio == inf:
        return float(high)
    odds = edge / (1 - edge) * (ratio if high else 1 / ratio)
    return odds / (1 + odds)


class Arm:
    """One arm under test."""

    def __init__(self, band, inner, ratio):
        self.ratio = ratio
        self.band = band
        p0 = band.expected
        self.too_low = passing_bets(band.low, p0)
        self.too_high = passing_bets(band.high, p0)
        self.up = failing_bets(p0 + inner * band.above, 1, band.above, inner)
        self.down = failing_bets(p0 - inner * band.below, -1, band.below, inner)
        self.inner = (p0 - inner * band.below, p0 + inner * band.above)
        self.mine = self.missing = 0
        self.best_low = self.best_high = 1.0

    def see(self, label, horizon):
        self.mine += label == self.band.arm
        self.missing += label is None
        for bets, high in (
            (self.too_low, False),
            (self.up, False),
            (self.too_high, True),
            (self.down, True),
        ):
            for bet in bets:
                known = float(label == self.band.arm)
                y = guess(bet.edge, self.ratio, high=high) if label is None else known
                bet.see(y, horizon)
        self.best_low = max(self.best_low, mixture(self.too_low))
        self.best_high = max(self.best_high, mixture(self.too_high))

    def count(self, edge, *, high):
        return self.mine + self.missing * guess(edge, self.ratio, high=high)

    def inside(self, n):
        low, high = self.band.low, self.band.high
        return low < self.count(low, high=False) / n and self.count(high, high=True) / n < high

    def fail(self, n, horizon):
        plain = (mixture(self.up) + mixture(self.down)) / 2
        again = sum(bet.stake * bet.restarted for bet in [*self.up, *self.down]) / 2
        return 0.8 * plain + 0.2 * (again + max(0, horizon - n) / horizon)


def kt(n, x, r):
    """Evidence of the Beta(1/2, 1/2) mixture against share r."""
    top = lgamma(x + 0.5) + lgamma(n - x + 0.5) - lgamma(n + 1) - log(pi)
    return top - (x * log(r) if x else 0) - ((n - x) * log(1 - r) if n > x else 0)


def above(n, x, r, alpha):
    return r < 1 and x / n > r and kt(n, x, r) >= log(1 / alpha)


def below(n, x, r, alpha):
    return r > 0 and x / n < r and kt(n, x, r) >= log(1 / alpha)


def clean_needed(tolerance, beta):
    n = 0
    while (1 - tolerance) ** n > beta:
        n += 1
    return n


class Clean:
    """Shares of 0 and 1: bets that contradictions, which missing labels may be, are rare."""

    def __init__(self, edge, needed, policy):
        self.edge, self.needed, self.level = edge, needed, policy.beta
        self.lost = guess(edge, policy.missing_ratio, high=True)
        others = passing_bets(edge, 0)
        clean = (1 - edge) ** -needed
        dirty = sum(b.stake * ((1 - b.alternative) / (1 - edge)) ** needed for b in others)
        spared = max(min(0.05, (clean - 1 / self.level) / (clean - dirty) / 2), 0)
        for bet in others:
            bet.stake *= spared
        self.bets = [Bet(0, edge, 1 - spared), *others]
        self.n = self.missing = 0
        self.is_refuted = False

    def see(self, label):
        self.n += 1
        self.missing += label is None
        for bet in self.bets:
            bet.see(self.lost if label is None else 0, 1)
        whole = self.missing == 0 and self.n >= self.needed
        self.is_refuted |= whole or mixture(self.bets) >= 1 / self.level

    def counts(self, missing):
        return self.lost * missing


def chance_of_so_few_runs(hits):
    """Sum of whole binomial coefficients over all numbers of runs up to the one seen."""
    x, y = sum(hits), len(hits) - sum(hits)
    if not x or not y:
        return 1
    ways = 0
    for runs in range(2, len(list(groupby(hits))) + 1):
        k = runs // 2
        ways += (
            comb(x - 1, k) * comb(y - 1, k - 1) + comb(x - 1, k - 1) * comb(y - 1, k)
            if runs % 2
            else 2 * comb(x - 1, k - 1) * comb(y - 1, k - 1)
        )
    return Fraction(ways, comb(x + y, x))


def deviate(counts, width, arm):
    """Place of the last window given the total, from whole binomial coefficients."""
    total, drawn = sum(counts), counts[-1]

    def ways(x):
        return comb(total, x) * comb(len(counts) * width - total, width - x)

    below = sum(ways(x) for x in range(drawn)) / comb(len(counts) * width, width)
    here = ways(drawn) / comb(len(counts) * width, width)
    (tie,) = uniform(0, arm, np.array([len(counts)])).tolist()
    return NormalDist().inv_cdf(below + here * tie)


def drift(rows, width):
    """Highest evidence of a change, each window's bets summed up from the beginning."""
    highest = 1.0
    z: list[list[float]] = [[] for _ in rows]
    for last in range(2, len(rows[0]) // width + 1):
        values = []
        for arm, hits in enumerate(rows):
            counts = [sum(hits[i * width : (i + 1) * width]) for i in range(last)]
            z[arm].append(deviate(counts, width, arm))
            shifted = sum(
                exp(sum(d * v - d * d / 2 for v in z[arm][start:]))
                for start in range(len(z[arm]))
                for d in (-4, -2, -1, -0.5, 0.5, 1, 2, 4)
            )
            scattered = sum(
                exp(sum(v * v * (1 - 1 / t**2) / 2 - log(t) for v in z[arm])) for t in (1.4, 2, 4)
            )
            values.append((shifted / 64 / 8 + (64 - len(z[arm])) / 64 + scattered / 3) / 2)
        highest = max(highest, sum(values) / len(values))
    return highest


def guarded(labels, bands, budget, alpha):
    """What becomes of a PASS on these labels."""
    rows = [[label == band.arm for label in labels if label is not None] for band in bands]
    shares = [min(band.expected, 1 - band.expected) for band in bands]
    if bands and drift(rows, max(ceil(5 / min(shares)), ceil(budget / 64))) >= 1 / alpha:
        return "not_stationary"
    return (
        "dependent_connections"
        if any(chance_of_so_few_runs(hits) * 2000 * len(rows) <= 1 for hits in rows)
        else "within_tolerance"
    )


def fold(labels, split, policy, budget):
    """Give (code or None, n, FAIL evidence by arm, best PASS evidence by row, bets)."""
    bands = policy.tolerance.bands(split)
    tested = [int(split.weights[0] >= split.weights[1])] if len(bands) == 2 else range(len(bands))
    certain = [bands[i] for i in tested if bands[i].expected in {0, 1}]
    ratio = policy.missing_ratio
    arms = [Arm(bands[i], policy.inner, ratio) for i in tested if bands[i].expected not in {0, 1}]
    slack = [b.above if b.expected == 0 else b.below for b in certain]
    needed = max((clean_needed(t, policy.beta) for t in slack), default=0)
    horizon = budget
    forbidden = {a for a, w in zip(split.arms, split.weights, strict=True) if w == 0}
    missing = 0
    clean = Clean(min(slack), needed, policy) if slack else None

    def state(code, n):
        return (
            code,
            n,
            [arm.fail(n, horizon) for arm in arms],
            [arm.best_low for arm in arms] + [arm.best_high for arm in arms],
            missing,
        )

    for n, label in enumerate(labels[:budget], start=1):
        missing += label is None
        for arm in arms:
            arm.see(label, horizon)
        if label is not None and (label in forbidden or label not in split.arms):
            return state("unexpected_label", n)
        if arms and sum(arm.fail(n, horizon) for arm in arms) / len(arms) >= 1 / policy.alpha:
            return state("outside_tolerance", n)
        if clean:
            clean.see(label)
        if (
            all(min(arm.best_low, arm.best_high) >= 1 / policy.beta for arm in arms)
            and all(arm.inside(n) for arm in arms)
            and (clean is None or (clean.is_refuted and clean.counts(missing) / n < min(slack)))
        ):
            tested = [arm.band for arm in arms]
            return state(guarded(labels[:n], tested, budget, policy.alpha), n)
        if label is None and n >= 32 and above(n, missing, policy.max_unlabelled, policy.alpha):
            return state("too_many_unlabelled", n)
        if missing and n % 32 == 0:
            a = policy.alpha

            def proven_above(arm, edge, n=n, a=a):
                return edge <= 0 or above(n, arm.count(edge, high=True), edge, a)

            def proven_below(arm, edge, n=n, a=a):
                return edge >= 1 or below(n, arm.count(edge, high=False), edge, a)

            no_pass = any(
                proven_above(arm, arm.band.high) or proven_below(arm, arm.band.low) for arm in arms
            )
            if clean:
                no_pass |= above(n, clean.counts(missing), min(slack), a)
            no_fail = all(
                proven_below(arm, arm.inner[1]) and proven_above(arm, arm.inner[0]) for arm in arms
            )
            if no_pass and no_fail:
                return state("missing_labels", n)
    return state(None, min(len(labels), budget))


@pytest.fixture(scope="session")
def plain_fold():
    return fold
