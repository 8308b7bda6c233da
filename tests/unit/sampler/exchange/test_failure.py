"""What goes wrong has a code, and each code has its outcome."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from analysis import Outcome
from sampler.exchange.failure import FailureCode, broken, connect_failure, no_label, too_late
from sampler.labels.rule import LabelRule
from sampler.plan.load import Load


def test_every_outcome_but_ok_has_a_code_and_no_key_is_used_twice():
    assert {code.outcome for code in FailureCode} == set(Outcome) - {
        Outcome.OK,
        Outcome.LOST,  # of a vantage that is gone, not of an exchange
    }
    assert len({code.key for code in FailureCode}) == len(FailureCode)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ECONNREFUSED, FailureCode.REFUSED),
        (errno.EHOSTUNREACH, FailureCode.UNREACHABLE),
        (errno.ENETUNREACH, FailureCode.UNREACHABLE),
        (errno.ETIMEDOUT, FailureCode.NO_CONNECTION_IN_TIME),
        (errno.EADDRNOTAVAIL, FailureCode.NO_ADDRESS),
        (errno.EMFILE, FailureCode.NO_RESOURCES),
        (errno.ENFILE, FailureCode.NO_RESOURCES),
        (errno.ENOBUFS, FailureCode.NO_RESOURCES),
        (errno.ENOMEM, FailureCode.NO_RESOURCES),
        (errno.EACCES, FailureCode.NOT_CONNECTED),
        (None, FailureCode.NOT_CONNECTED),
    ],
)
def test_a_failed_connect_is_named_by_its_errno(number, code):
    failure = connect_failure(number, "shop:80")

    assert failure.code is code
    assert failure.errno == (number or errno.EIO)
    assert failure.text.startswith("connect to shop:80: ")


@pytest.mark.parametrize("number", [errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED])
def test_a_connection_that_was_accepted_and_reset_is_no_refusal(number):
    assert connect_failure(number, "shop:80").code is FailureCode.RESET


@pytest.mark.parametrize("how", [FailureCode.CLOSED, FailureCode.RESET])
def test_a_kept_connection_that_ends_before_an_answer_is_stale(how):
    assert broken(how, is_kept=True, is_answered=False).code is FailureCode.STALE
    assert broken(how, is_kept=True, is_answered=True).code is how
    assert broken(how, is_kept=False, is_answered=False).code is how


def test_the_deadline_that_was_met_is_the_shorter_one_before_there_is_a_connection():
    load = Load(connect_timeout_s=1.0, timeout_s=2.0)
    longer = Load(connect_timeout_s=3.0, timeout_s=2.0)

    late = FailureCode.NO_ANSWER_IN_TIME
    assert too_late(load, "h:1", is_connected=False).code is FailureCode.NO_CONNECTION_IN_TIME
    assert too_late(load, "h:1", is_connected=True).code is late
    assert too_late(longer, "h:1", is_connected=False).code is late


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, b"Client sent an HTTP request to an HTTPS server.\n", FailureCode.HTTPS_EXPECTED),
        (400, b"no", FailureCode.NO_LABEL),
        (404, b"HTTPS", FailureCode.NO_LABEL),
        (200, b"HTTPS", FailureCode.NO_LABEL),
    ],
)
def test_an_answer_without_a_label_has_its_status(status, body, code):
    failure = no_label(LabelRule.parse("/label"), status, (), body)

    assert (failure.code, failure.status) == (code, status)


def test_the_page_of_reasons_explains_every_code():
    page = Path(__file__).parents[4].joinpath("docs/reasons.md").read_text(encoding="utf-8")
    section = page.partition("\n## unmeasurable\n")[2].partition("\n## ")[0]

    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [c.key for c in FailureCode]
