"""No regular expression holds a run up."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from sampler.base.errors import SamplingError
from sampler.labels import regex_timeout
from sampler.labels.reader import LabelReader
from sampler.labels.rule import LabelRule


@pytest.fixture
def short_timeout(monkeypatch):
    monkeypatch.setattr(regex_timeout, "SEARCH_TIMEOUT_S", 0.02)
    before = signal.getsignal(signal.SIGVTALRM)
    yield
    signal.signal(signal.SIGVTALRM, before)


@pytest.mark.usefixtures("short_timeout")
def test_an_expression_that_takes_for_ever_ends_the_run_instead_of_hanging_it():
    reader = LabelReader(LabelRule.parse("regex:(v+)+$"))

    with pytest.raises(SamplingError, match=r"'\(v\+\)\+\$' took more than 0\.02 s") as caught:
        reader.codes(200, (), b"v" * 60 + b"!")

    assert "exponential" in (caught.value.hint or "")
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    with pytest.raises(SamplingError):
        reader.codes(200, (), b"vv")  # at once: the run has ended


@pytest.mark.usefixtures("short_timeout")
def test_a_signal_that_somebody_else_handles_is_left_to_them():
    def theirs(*_):
        """Count their time."""

    signal.signal(signal.SIGVTALRM, theirs)

    assert _read(r"regex:v\d", b"v1") == ("v1",)
    assert signal.getsignal(signal.SIGVTALRM) is theirs


def test_an_expression_is_searched_in_a_thread_too():
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(_read, r"regex:v\d", b"v1").result() == ("v1",)


def _read(rule, body):
    """Return the names of labels after one answer."""
    reader = LabelReader(LabelRule.parse(rule))
    reader.codes(200, (), body)
    return reader.labels.names
