"""Sentences of a verdict that somebody has to read at night."""

from __future__ import annotations

import numpy as np
import pytest

from analysis import Batch, Evidence, Policy, Split, Tolerance, Verdict, decide, weigh
from analysis.evidence.intervals import shares_with_intervals
from analysis.verdict.decision import Ended


def weighed(shares, weights, *, n, tolerance):
    split = Split.parse(",".join(f"v{arm}={weight}" for arm, weight in enumerate(weights, 1)))
    answers = np.random.default_rng(2).choice(split.arms, n, p=shares)
    policy = Policy(tolerance=Tolerance.parse(tolerance))
    return weigh(Evidence.start(split, policy), Batch.of_labels(answers.tolist()))


def test_a_pass_of_many_shares_tells_the_least_certain_one():
    evidence = weighed([0.25, 0.25, 0.18, 0.17, 0.15], [5, 5, 4, 3, 3], n=20_000, tolerance="6pp")

    decision = decide(evidence)

    message = decision.reasons[0].message
    assert decision.verdict is Verdict.PASS
    assert message.startswith("All 5 shares are within tolerance; the least certain one: v")
    assert message.count("received") == 1
    table, bands = shares_with_intervals(evidence), {band.arm: band for band in evidence.bands}
    room = {
        arm: min(low - bands[arm].low, bands[arm].high - high)
        for arm, (_, low, high) in table.items()
    }
    assert message.partition("certain one: ")[2].split()[0] == min(room, key=room.__getitem__)


def test_an_undecided_run_of_many_shares_does_so_too():
    decision = decide(weighed([0.25] * 4, [1] * 4, n=200, tolerance="1pp"), Ended.SAMPLES)

    message = decision.reasons[0].message
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "The least certain of 4 shares: v" in message
    assert message.count("received") == 1


@pytest.mark.parametrize(("arms", "told"), [(2, 1), (3, 3)])
def test_of_few_shares_each_is_told(arms, told):
    evidence = weighed([1 / arms] * arms, [1] * arms, n=200, tolerance="1pp")

    message = decide(evidence, Ended.SAMPLES).reasons[0].message

    assert message.count("received") == told
