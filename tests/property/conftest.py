"""The plain twin of the fold: one connection at a time, nothing shared with the real one."""

from __future__ import annotations

from math import exp, inf, lgamma, log, pi

import pytest


class Bet:
    """One likelihood ratio, in logs, with a restarted copy."""

    def __init__(self, alternative, edge, stake):
        self.yes = log(alternative / edge) if alternative > 0 else -inf
        self.no = log((1 - alternative) / (1 - edge)) if alternative < 1 else -inf
        self.stake = stake
        self.plain = 0.0
        self.restarted = 0.0

    def see(self, hit, horizon):
        step = self.yes if hit else self.no
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


class Arm:
    """One arm under test; `low` counts a missing label as another's, `high` as its own."""

    def __init__(self, band, inner):
        self.band = band
        p0 = band.expected
        self.too_low = passing_bets(band.low, p0)
        self.too_high = passing_bets(band.high, p0)
        self.up = failing_bets(p0 + inner * band.above, 1, band.above, inner)
        self.down = failing_bets(p0 - inner * band.below, -1, band.below, inner)
        self.inner = (p0 - inner * band.below, p0 + inner * band.above)
        self.low = self.high = 0
        self.best_low = self.best_high = 1.0

    def see(self, label, horizon):
        mine, could_be = label == self.band.arm, label in {self.band.arm, None}
        self.low += mine
        self.high += could_be
        for bets, hit in (
            (self.too_low, mine),
            (self.up, mine),
            (self.too_high, could_be),
            (self.down, could_be),
        ):
            for bet in bets:
                bet.see(hit, horizon)
        self.best_low = max(self.best_low, mixture(self.too_low))
        self.best_high = max(self.best_high, mixture(self.too_high))

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


def fold(labels, split, policy, budget):
    """Give (code or None, n, FAIL evidence by arm, best PASS evidence by row, bets)."""
    bands = policy.tolerance.bands(split)
    tested = [int(split.weights[0] >= split.weights[1])] if len(bands) == 2 else range(len(bands))
    certain = [bands[i] for i in tested if bands[i].expected in {0, 1}]
    arms = [Arm(bands[i], policy.inner) for i in tested if bands[i].expected not in {0, 1}]
    slack = [b.above if b.expected == 0 else b.below for b in certain]
    needed = max((clean_needed(t, policy.beta) for t in slack), default=0)
    horizon = min(budget, 100_000)
    forbidden = {a for a, w in zip(split.arms, split.weights, strict=True) if w == 0}
    missing = 0

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
        if label is None and n <= needed:
            return state("missing_labels", n)
        if (
            n >= needed
            and all(min(arm.best_low, arm.best_high) >= 1 / policy.beta for arm in arms)
            and all(arm.band.low < arm.low / n and arm.high / n < arm.band.high for arm in arms)
            and all(missing / n < t for t in slack)
        ):
            return state("within_tolerance", n)
        if label is None and n >= 32 and above(n, missing, policy.max_unlabelled, policy.alpha):
            return state("too_many_unlabelled", n)
        if missing and n % 32 == 0 and arms:
            a = policy.alpha
            no_pass = any(
                above(n, arm.high, arm.band.high, a) or below(n, arm.low, arm.band.low, a)
                for arm in arms
            )
            no_fail = all(
                below(n, arm.low, arm.inner[1], a) and above(n, arm.high, arm.inner[0], a)
                for arm in arms
            )
            if no_pass and no_fail:
                return state("missing_labels", n)
    return state(None, min(len(labels), budget))


@pytest.fixture(scope="session")
def plain_fold():
    return fold
