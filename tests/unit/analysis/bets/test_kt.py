from __future__ import annotations

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.bets.kt import excludes_at_least, excludes_at_most, kt_interval, kt_log_evidence

counts = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


@given(counts, st.sampled_from([0.01, 0.1]))
def test_the_interval_holds_the_share_and_ends_where_the_evidence_suffices(count, alpha):
    n, x = count

    low, high = kt_interval(n, x, alpha)

    assert 0 <= low <= x / n <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            assert kt_log_evidence(n, x, end) == pytest.approx(-log(alpha), abs=1e-6)


@given(counts, st.floats(0.01, 0.99))
def test_exclusion_is_what_the_interval_says(count, share):
    n, x = count
    low, high = kt_interval(n, x, 0.05)

    assert excludes_at_most(n, x, share, 0.05) == (low > share)
    assert excludes_at_least(n, x, share, 0.05) == (high < share)


def test_nothing_is_known_before_the_first_connection():
    assert kt_interval(0, 0, 0.01) == (0.0, 1.0)


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="0 <= x <= n, got x=3, n=2"):
        kt_interval(2, 3, 0.01)


def test_no_rate_exceeds_one_and_none_falls_below_zero():
    assert not excludes_at_most(100, 100, 1.0, 0.01)
    assert not excludes_at_least(100, 0, 0.0, 0.01)
    assert excludes_at_most(100, 1, 0.0, 0.01)
    assert excludes_at_least(100, 99, 1.0, 0.01)
