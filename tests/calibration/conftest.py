"""Simulated runs, weighed by the real fold, and bounds for what chance explains."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from analysis.data.batch import ABSENT, Batch, Outcome
from analysis.evidence.fold import weigh
from analysis.evidence.state import Evidence

STEP = 512


def batch_of(codes, labels, first):
    """Make a batch of fresh connections from label codes."""
    times = np.arange(first, first + len(codes), dtype=np.int64)
    codes = codes.astype(np.int32)
    return Batch(
        first=first,
        scheduled_ns=times,
        sent_ns=times,
        first_byte_ns=times,
        done_ns=times,
        connection=times,
        ordinal=np.zeros(len(codes), dtype=np.int32),
        label=codes,
        replica=np.full(len(codes), ABSENT, dtype=np.int32),
        status=np.full(len(codes), 200, dtype=np.int16),
        outcome=np.where(codes == ABSENT, Outcome.TIMEOUT, Outcome.OK).astype(np.uint8),
        worker=np.zeros(len(codes), dtype=np.uint16),
        labels=labels,
    )


@pytest.fixture(scope="session")
def settle():
    """Weigh runs of independent draws until settled; gives the evidence of each."""

    def runs(split, policy, shares, *, count, seed, unlabelled=None):
        random = np.random.default_rng(seed)
        fresh = Evidence.start(split, policy)
        lost = np.zeros(len(shares)) if unlabelled is None else np.array(unlabelled)
        for _ in range(count):
            evidence = fresh
            while evidence.settled is None and evidence.judged < evidence.budget:
                codes = random.choice(len(shares), size=STEP, p=shares)
                codes = np.where(random.random(STEP) < lost[codes], ABSENT, codes)
                evidence = weigh(evidence, batch_of(codes, split.arms, evidence.judged))
            yield evidence

    return runs


@pytest.fixture(scope="session")
def weigh_codes():
    """Weigh label codes in the given order."""

    def run(split, policy, codes):
        return weigh(Evidence.start(split, policy), batch_of(codes, split.arms, 0))

    return run


@pytest.fixture(scope="session")
def at_most():
    """Give the most hits that a rate explains, but for one chance in a million."""
    return lambda rate, trials: int(binom.isf(1e-6, trials, rate))


@pytest.fixture(scope="session")
def at_least():
    return lambda rate, trials: int(binom.ppf(1e-6, trials, rate))
