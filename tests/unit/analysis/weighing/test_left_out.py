"""Where a sample leaves the denominator, no version can hide: each place, and its twin.

In each, a version has twice the share that is expected of it, and half of its connections end in a
way that a careless count would leave out; what is left then looks right. The twin leaves them out
and passes. docs/statistics.md lists the places.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis import ABSENT, Batch, Outcome, Policy, Split, Verdict
from analysis.data.batch import NO_DRAW
from analysis.weighing.expectation import Fixed
from analysis.weighing.fold import Fold
from analysis.weighing.report import Asked, assemble
from tests.kept import kept
from tests.unit.analysis.weighing.test_report import ACCOUNT

SPLIT = Split.parse("v1=9,v2=1")
N = 4000


def verdict(batch, per_connection=1):
    fold = Fold(Fixed(SPLIT, Policy(per_connection=per_connection)))
    fold.take(batch)
    is_fresh = per_connection == 1
    return assemble(Asked(is_fresh=is_fresh), fold.finish(), ACCOUNT).verdict


def hidden(outcome):
    """Give samples of which 18 % are v2's, and every other one of those ends in `outcome`."""
    is_second = np.random.default_rng(3).random(N) < 0.18
    hides = is_second & (np.cumsum(is_second) % 2 == 0)
    batch = Batch.of_labels(["v2" if each else "v1" for each in is_second])
    return hides, replace(
        batch,
        outcome=np.where(hides, outcome, Outcome.OK).astype(np.uint8),
        label=np.where(hides, ABSENT, batch.label).astype(np.int32),
        # What the machine could not send had been drawn: v2 is behind an address of its own.
        remote=is_second.astype(np.int32),
        remotes=("10.0.0.1", "10.0.0.2"),
    )


def without(batch, rows):
    """Leave rows out: the careless count."""
    return Batch.of_labels([batch.labels[code] for code in batch.label[~rows]])


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.OK])
def test_no_outcome_hides_a_version(outcome):
    hides, batch = hidden(outcome)

    assert verdict(without(batch, hides)) is Verdict.PASS  # the twin
    assert verdict(batch) is not Verdict.PASS


def test_what_leaves_the_count_is_named_in_one_place():
    assert NO_DRAW == (Outcome.CLIENT_LIMIT,)


def connections(second, outcome, answers=4):
    """Give kept connections of which each belongs to one version; those of v2 that come second to
    one another have one answer, and end in `outcome`."""
    is_second = np.random.default_rng(5).random(N) < second
    hides = is_second & (np.cumsum(is_second) % 2 == 0)
    rows = [
        [None] * answers if hide else ["v2" if each else "v1"] * answers
        for each, hide in zip(is_second, hides, strict=True)
    ]
    ends = {
        (number, ordinal): outcome
        for number in np.flatnonzero(hides).tolist()
        for ordinal in range(answers)
    }
    kept_rows = [row for row, hide in zip(rows, hides, strict=True) if not hide]
    return (
        kept(rows, planned=answers, in_flight=4, outcomes=ends),
        kept(kept_rows, planned=answers, in_flight=4),
    )


@pytest.mark.parametrize("outcome", [Outcome.SURPLUS, Outcome.STALE, Outcome.RESET])
def test_no_end_of_a_kept_connection_hides_a_version(outcome):
    batch, twin = connections(0.18, outcome)

    assert verdict(twin, per_connection=4) is Verdict.PASS
    assert verdict(batch, per_connection=4) is not Verdict.PASS
