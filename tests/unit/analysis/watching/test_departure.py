"""The change point: found where it was, with a range that holds it."""

from __future__ import annotations

import numpy as np

from analysis import Batch, Policy, Split
from analysis.evidence.fold import weigh
from analysis.evidence.state import Evidence
from analysis.watching.departure import KEPT, Draws, locate

SPLIT = Split.parse("v1=9,v2=1")


def alarm(rng, before, share, after=4000):
    """Return the codes up to an alarm: some at 10 %, then another share."""
    codes = np.concatenate([rng.random(before) < 0.1, rng.random(after) < share]).astype(np.int16)
    evidence = Evidence.start(SPLIT, Policy(alpha=1e-7), is_endless=True)
    evidence = weigh(evidence, Batch.of_labels([SPLIT.arms[code] for code in codes]))
    return evidence, codes[: evidence.judged]


def test_the_change_is_near_and_its_range_holds_it_nearly_always():
    rng = np.random.default_rng(3)
    for share, near in ((0.5, 12), (0.3, 60), (0.0, 60)):
        errors, held = [], 0
        for _ in range(60):
            found = locate(*alarm(rng, 300, share))
            assert found is not None
            assert SPLIT.arms[found.arm] == "v2"
            errors.append(abs(found.first - 300))
            held += found.range[0] <= 300 <= found.range[1]

        assert np.median(errors) <= near
        assert held >= 45  # 2 nats are some 86 % of places


def test_a_share_that_was_never_right_is_located_at_the_beginning():
    evidence, codes = alarm(np.random.default_rng(1), 0, 0.5)
    found = locate(evidence, codes)

    assert found is not None
    assert found.range[0] == 0


def test_connections_without_a_label_prove_no_departure():
    evidence = Evidence.start(SPLIT, Policy(alpha=1e-7), is_endless=True)

    assert locate(evidence, np.full(0, -1, dtype=np.int16)) is None


def test_the_last_draws_are_remembered_and_the_first_forgotten():
    draws = Draws()
    for first in range(0, 3 * KEPT, 1000):
        at = np.arange(first, first + 1000, dtype=np.float64)
        draws.add(at, (at % 7).astype(np.int16))
    at, code = draws.since(draws.taken - 5)

    assert draws.taken == 99_000
    assert at.tolist() == [98_995, 98_996, 98_997, 98_998, 98_999]
    assert code.tolist() == [each % 7 for each in at.tolist()]
    assert len(draws.since(0)[0]) == KEPT
