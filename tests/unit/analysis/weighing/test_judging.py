from __future__ import annotations

import numpy as np
import pytest

from analysis import Batch, Evidence, Policy, Split, Verdict, decide, judge, verdict_of, weigh
from analysis.simulate import RandomPerConnection, simulate

SPLIT = Split.parse("v1=9,v2=1")


def made(share: float, n: int = 3000) -> Batch:
    return simulate(RandomPerConnection((1 - share, share)), n, np.random.default_rng(1))


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.1, Verdict.PASS), (0.5, Verdict.FAIL), (0.0, Verdict.FAIL)]
)
def test_a_whole_run_is_judged_as_batch_by_batch(share, verdict):
    batch = made(share)
    evidence = Evidence.start(SPLIT, Policy())
    for first in range(0, len(batch), 100):
        evidence = weigh(evidence, batch[first : first + 100])
    expected = decide(evidence)

    decision = judge(batch, SPLIT)

    assert decision == expected
    assert decision.verdict is verdict_of(evidence) is verdict


def test_a_run_that_is_too_short_is_inconclusive_and_final():
    decision = judge(made(0.1, 20), SPLIT)

    assert decision.verdict is Verdict.INCONCLUSIVE
    assert decision.is_final
    assert decision.decided_after == 20


def test_the_verdict_alone_of_a_run_that_goes_on_is_inconclusive():
    assert verdict_of(Evidence.start(SPLIT, Policy())) is Verdict.INCONCLUSIVE


def test_a_policy_is_respected():
    assert judge(made(0.1), SPLIT, Policy(max_samples=50)).decided_after == 50


def test_a_slice_of_a_batch_keeps_its_launch_numbers_and_columns():
    batch = made(0.1, 50)

    part = batch[10:20]

    assert part.first == 10
    assert len(part) == 10
    assert part.labels == batch.labels
    np.testing.assert_array_equal(part.sent_ns, batch.sent_ns[10:20])
    assert batch[:0].first == 0
    assert len(batch[60:]) == 0
    assert batch[-5:].first == 45


@pytest.mark.parametrize("step", [2, -1])
def test_a_slice_that_leaves_rows_out_is_refused(step):
    with pytest.raises(ValueError, match="consecutive"):
        made(0.1, 50)[::step]


def test_a_single_row_is_refused():
    with pytest.raises(TypeError, match="slice"):
        made(0.1, 50)[3]  # type: ignore[index]
