"""Compute `values.json` with 40 digits, from formulas typed anew: python generate.py > values.json.

Nothing of the project is imported, except that its results are compared with these. Bands
are those of the automatic tolerance, entered as exact fractions.
"""

from __future__ import annotations

import hashlib
import json
import sys

from mpmath import mp, mpf

mp.dps = 40

HALF_POD_ABOVE = (mpf(2) / 11 - mpf(1) / 10) / 2
CASES = {
    # name: share, tolerance below, above, inner, alpha, beta
    "9+1 pods": (mpf(1) / 10, mpf(1) / 20, HALF_POD_ABOVE, 1, mpf("0.01"), mpf("0.01")),
    "4+1 pods": (mpf(1) / 5, mpf(1) / 20, (mpf(2) / 6 - mpf(1) / 5) / 2, 1, "0.01", "0.01"),
    "9:1, 4 pp, half": (mpf(1) / 10, mpf("0.04"), mpf("0.04"), "0.5", "0.05", "0.01"),
    "1:1, 5 pp, sharp": (mpf(1) / 2, mpf("0.05"), mpf("0.05"), 0, "0.01", "0.05"),
    "99:1, 0.5 pp": (mpf("0.01"), mpf("0.005"), mpf("0.005"), 1, "0.01", "0.01"),
}
COUNTS = ((1, 0), (1, 1), (20, 2), (20, 11), (100, 0), (100, 10), (700, 70), (5000, 520))
MEANS = {
    # Answers with the label out of ten, connection by connection.
    "steady": (1, 0, 2, 1, 0, 3, 1, 1, 0, 1) * 20,
    "pinned": (0, 0, 0, 10, 0, 0, 0, 0, 10, 0, 0, 0) * 10,
    "heavy": (2, 5, 1, 3, 10, 0, 4, 2) * 8,
}
PER_CONNECTION = 10
LOOKS = (20, 50, 137, 200, 400, 800, 1600)


def log_ratio(n, x, q, r):
    total = mpf(0)
    if x:
        total += x * mp.log(q / r) if q > 0 else mpf("-inf")
    if n > x:
        total += (n - x) * mp.log((1 - q) / (1 - r)) if q < 1 else mpf("-inf")
    return total


def evidence(n, x, r, bets):
    return mp.fsum(w * mp.exp(log_ratio(n, x, q, r)) for q, w in bets)


def pass_bets(r, towards):
    parts = [mpf(u) / 10 for u in (8, 4, 2, 1)]
    return [
        (r + u * (towards - r), mpf(w) / 100) for u, w in zip(parts, (75, 15, 7, 3), strict=True)
    ]


def mean_bets(r, towards, end, m):
    """Bets for connections with m answers: half of each stake goes beyond the expected share."""
    distance, room = abs(towards - r), abs(end - r)
    parts, u = [], mpf("1.6")
    while u * distance < mpf("0.95") * room and u < mpf("1.6") * m:
        parts.append(u)
        u *= 2
    if u * distance >= mpf("0.95") * room:
        parts.append(mpf("0.95") * room / distance)
    near = [(q, w / 2) for q, w in pass_bets(r, towards)]
    sign = 1 if end > r else -1
    return near + [(r + sign * u * distance, mpf("0.5") / len(parts)) for u in parts]


def evidence_of_means(parts, r, bets):
    return mp.fsum(
        w * mp.fprod(y * q / r + (1 - y) * (1 - q) / (1 - r) for y in parts) for q, w in bets
    )


def fail_bets(r, sign, tolerance, inner):
    end = mpf(1) if sign > 0 else mpf(0)
    step = max(tolerance - inner * tolerance, tolerance / 2)
    strict = inner > mpf("0.75")
    if strict:
        step /= 2
    distances = []
    while step < mpf("0.999") * abs(end - r):
        distances.append(step)
        step *= 2
    if not distances:
        return [(end, mpf(1))]
    raw = [mpf(1) / (i + 1) for i in range(len(distances))]
    if strict and len(raw) > 1:
        raw[0], raw[1] = mpf("0.5"), mpf(1)
    total = mp.fsum(raw)
    grid = [(r + sign * d, mpf("0.8") * w / total) for d, w in zip(distances, raw, strict=True)]
    return [*grid, (end, mpf("0.2"))]


class Case:
    def __init__(self, share, below, above, inner, alpha, beta):
        inner = mpf(inner)
        self.share, self.below, self.above = share, below, above
        self.inner, self.alpha, self.beta = inner, mpf(alpha), mpf(beta)
        self.low, self.high = share - below, share + above
        self.up = share + inner * above
        self.down = share - inner * below
        self.up_bets = fail_bets(self.up, 1, above, inner)
        self.down_bets = fail_bets(self.down, -1, below, inner)

    def too_high(self, n, x):
        return evidence(n, x, self.high, pass_bets(self.high, self.share))

    def too_low(self, n, x):
        return evidence(n, x, self.low, pass_bets(self.low, self.share))

    def core(self, n, x):
        up = evidence(n, x, self.up, self.up_bets)
        return (up + evidence(n, x, self.down, self.down_bets)) / 2

    def of_means(self, counts, m, horizon):
        """Logs: "too low", "too high" and the whole FAIL evidence after these connections."""
        parts = [mpf(count) / m for count in counts]
        low = evidence_of_means(parts, self.low, mean_bets(self.low, self.share, mpf(1), m))
        high = evidence_of_means(parts, self.high, mean_bets(self.high, self.share, mpf(0), m))
        return mp.log(low), mp.log(high), self.restarted(parts, horizon)

    def boundaries(self, n):
        """(U, L, f_lo, f_hi): largest and smallest x that refute, and that fail."""
        fails = [x for x in range(n + 1) if mpf("0.8") * self.core(n, x) >= 1 / self.alpha]
        refuted_high = [x for x in range(n + 1) if self.too_high(n, x) >= 1 / self.beta]
        refuted_low = [x for x in range(n + 1) if self.too_low(n, x) >= 1 / self.beta]
        middle = n * self.share
        return (
            max(refuted_high, default=-1),
            min(refuted_low, default=n + 1),
            max((x for x in fails if x < middle), default=-1),
            min((x for x in fails if x > middle), default=n + 1),
        )

    def restarted(self, labels, horizon):
        """Log of the whole FAIL evidence after connections, one at a time.

        A label is 0 or 1, or the part of the connection's answers that have it.
        """
        h = mpf(horizon)
        values = [
            [r, q, w, mpf(0)]
            for r, bets in ((self.up, self.up_bets), (self.down, self.down_bets))
            for q, w in bets
        ]
        for label in labels:
            for value in values:
                r, q, _, current = value
                y = mpf(label)
                value[3] = (current + 1 / h) * (y * q / r + (1 - y) * (1 - q) / (1 - r))
        n, y = len(labels), [mpf(label) for label in labels]
        plain = evidence_of_means(y, self.up, self.up_bets)
        plain = (plain + evidence_of_means(y, self.down, self.down_bets)) / 2
        again = mp.fsum(w * current for _, _, w, current in values) / 2
        again += max(mpf(0), h - n) / h
        return mp.log(mpf("0.8") * plain + mpf("0.2") * again)


def stream(seed, share, n):
    digests = (hashlib.sha256(f"{seed}:{i}".encode()).digest() for i in range(1, n + 1))
    return [int.from_bytes(d[:8], "big") < share * 2**64 for d in digests]


def values():
    for name, parameters in CASES.items():
        case = Case(*parameters)
        yield {
            "name": name,
            "share": float(case.share),
            "below": float(case.below),
            "above": float(case.above),
            "inner": float(case.inner),
            "alpha": float(case.alpha),
            "beta": float(case.beta),
            "log_evidence": [
                [n, x, *(float(mp.log(f(n, x))) for f in (case.too_low, case.too_high, case.core))]
                for n, x in COUNTS
            ],
            "boundaries": [[n, *case.boundaries(n)] for n in LOOKS],
            "restarted": [
                [seed, share, n, horizon, float(case.restarted(stream(seed, share, n), horizon))]
                for seed, share, n, horizon in (
                    ("p", 0.1, 300, 1000),
                    ("q", 0.1, 300, 200),
                    ("r", 0.02, 150, 1000),
                )
            ],
            "means": [
                [name, list(counts), 1000]
                + [float(value) for value in case.of_means(counts, PER_CONNECTION, 1000)]
                for name, counts in MEANS.items()
            ],
        }


if __name__ == "__main__":
    json.dump(list(values()), sys.stdout, indent=1)
    sys.stdout.write("\n")
