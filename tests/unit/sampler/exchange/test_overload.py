"""When a target counts as overloaded, and what ``Retry-After`` says."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from sampler.exchange.overload import WINDOW, OverloadWatch, retry_after_s

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def see(watch: OverloadWatch, statuses, batch: int = 7) -> bool:
    """Feed statuses in batches; whether any of them was too much."""
    codes = np.array(statuses, dtype=np.int64)
    return sum(watch.see(codes[i : i + batch]) for i in range(0, len(codes), batch)) > 0


def test_more_than_half_of_the_last_hundred_answers_is_too_much():
    watch = OverloadWatch()
    assert not see(watch, [200] * 500 + [503, 200] * 50)
    assert see(watch, [503, 503])
    assert watch.bad > WINDOW // 2


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_throttling_and_server_errors_count_and_other_errors_do_not(status):
    assert see(OverloadWatch(), [status] * WINDOW)
    assert not see(OverloadWatch(), [404] * 1_000)


def test_fewer_than_a_hundred_answers_say_nothing():
    assert not see(OverloadWatch(), [503] * (WINDOW - 1))


def test_a_canary_that_fails_its_tenth_of_the_traffic_is_not_overload():
    draws = np.random.default_rng(1).random(200_000) < 0.1
    assert not see(OverloadWatch(), np.where(draws, 500, 200), batch=1_000)


def test_requests_without_an_answer_are_passed_over():
    assert not see(OverloadWatch(), [0] * 1_000 + [503] * (WINDOW - 1))


def test_how_answers_are_cut_into_batches_changes_nothing():
    statuses = [200] * 150 + [503] * 51 + [200] * 150
    assert {see(OverloadWatch(), statuses, batch) for batch in (1, 13, 100, 400)} == {True}
    assert {see(OverloadWatch(), statuses[:200], batch) for batch in (1, 13, 200)} == {False}


def test_after_a_pause_the_count_begins_anew():
    watch = OverloadWatch()
    see(watch, [503] * (WINDOW - 1))
    watch.forget()
    assert not see(watch, [503] * (WINDOW - 1))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"120", 120.0),
        (b" 7 ", 7.0),
        (b"Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        (b"Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        (b"soon", None),
        (b"", None),
        (b"-5", None),
        (b"99999999999999999999", None),
        (b"Sun, 01 Mar 2026 12:00:30 -0000", None),
        (b"\xff\xfe", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value, seconds):
    assert retry_after_s([(b"Date", b"x"), (b"ReTry-After", value)], NOW) == seconds


def test_an_answer_without_retry_after_asks_for_nothing():
    assert retry_after_s([(b"Content-Length", b"2")], NOW) is None
