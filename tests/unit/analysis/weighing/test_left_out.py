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
from analysis.data.report import Reason, ReasonCode
from analysis.weighing.expectation import Fixed
from analysis.weighing.fold import Fold
from analysis.weighing.history import opened_since
from analysis.weighing.report import Asked, assemble
from tests.kept import kept
from tests.unit.analysis.weighing.test_report import ACCOUNT
from tests.unit.analysis.weighing.test_watched import EVEN, begin, change, mixed, sent
from tests.unit.sampler.engine.test_saturation import delays, strain

SPLIT = Split.parse("v1=9,v2=1")
N = 4000


def verdict(batch, per_connection=1, account=ACCOUNT):
    fold = Fold(Fixed(SPLIT, Policy(per_connection=per_connection)))
    fold.take(batch)
    is_fresh = per_connection == 1
    return assemble(Asked(is_fresh=is_fresh), fold.finish(), account).verdict


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


def test_a_version_with_short_connections_is_counted_by_connections():
    is_second = np.random.default_rng(7).random(N) < 0.18
    batch = kept([["v2"] if each else ["v1", "v1"] for each in is_second])

    # The twin counts all answers: the more a connection has, the more of them.
    assert verdict(Batch.of_labels([batch.labels[code] for code in batch.label])) is Verdict.PASS
    assert verdict(batch) is Verdict.FAIL


@pytest.mark.parametrize(("share", "found"), [(0.1, Verdict.PASS), (0.2, Verdict.FAIL)])
def test_what_one_address_never_got_changes_no_verdict(share, found):
    """Half of the requests could not be sent; the twin takes them for v1's, and passes 20 %."""
    random = np.random.default_rng(8)
    is_second, is_unsent = random.random(N) < share, random.random(N) < 0.5
    batch = Batch.of_labels(np.where(is_second & ~is_unsent, "v2", "v1").tolist())
    label = np.where(is_unsent, ABSENT, batch.label).astype(np.int32)
    outcome = np.where(is_unsent, Outcome.CLIENT_LIMIT, Outcome.OK).astype(np.uint8)

    assert verdict(replace(batch, outcome=outcome, label=label)) is found
    assert (verdict(batch) is Verdict.PASS) == (share == 0.2)


def test_arrivals_that_a_saturated_client_shed_hide_no_version():
    hides, batch = hidden(Outcome.OK)
    is_v2 = batch.remote == 1
    labels = np.where(is_v2, "v2", "v1")[~hides]
    left = Batch.of_labels(labels.tolist())
    lost = strain(lateness=delays(1.0), launched=len(left), shed=int(hides.sum()))

    def doubt(reason):
        text = lost.doubt(reason.code, {}, 0.05)
        return None if text is None else Reason(ReasonCode.CLIENT_SATURATED, text)

    assert verdict(left) is Verdict.PASS  # the twin
    assert verdict(left, account=replace(ACCOUNT, doubt=doubt)) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("settle_s", "settled"), [(None, "outside_tolerance"), (25.0, "within_tolerance")]
)
def test_a_data_plane_is_waited_for_so_long_and_no_longer(settle_s, settled):
    """It follows after 20 s; the twin leaves out whatever comes before."""
    news, stretches = begin(settle_s=settle_s)
    news.pending.append(change(1.0, EVEN))
    stretches.notice(news.changes(), 0)
    stretches.weigh(sent((0, 21), mixed(0.1, 21 * 100)))
    stretches.weigh(sent((21, 71), mixed(0.5, 50 * 100), first=21 * 100))

    assert str(stretches.evidence.settled) == settled


def test_connections_from_before_a_change_make_no_version_rare():
    """Of old ones, which stay with their pods, and of new ones, of which 20 % are v2's."""
    random = np.random.default_rng(9)
    is_old, is_second = random.random(N) < 0.5, random.random(N) < 0.2
    batch = Batch.of_labels(np.where(is_second & ~is_old, "v2", "v1").tolist())
    number = np.where(is_old, np.cumsum(is_old) - 1, is_old.sum() + np.cumsum(~is_old) - 1)
    batch = replace(batch, connection=number)

    assert verdict(batch) is Verdict.PASS  # the twin
    assert verdict(opened_since(batch, int(is_old.sum()))) is Verdict.FAIL


def test_what_comes_after_a_decision_takes_nothing_back():
    early, late = (
        ["v2" if each else "v1" for each in np.random.default_rng(4).random(n) < share]
        for n, share in ((1000, 0.3), (6000, 0.1))
    )

    assert verdict(Batch.of_labels(late)) is Verdict.PASS  # the twin begins later
    assert verdict(Batch.of_labels([*early, *late])) is Verdict.FAIL


@pytest.mark.parametrize("end", [500, 1000, 2000, 3999])
def test_a_run_that_was_cut_off_hides_no_version(end):
    hides, batch = hidden(Outcome.TIMEOUT)

    assert verdict(batch[:end]) is not Verdict.PASS
    if end > 1500:  # the twin drops the damaged rows, and not what comes after the first one
        assert verdict(without(batch[:end], hides[:end])) is Verdict.PASS
