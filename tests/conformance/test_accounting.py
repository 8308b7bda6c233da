"""Every launched request ends in one outcome, and the server counted the same requests."""

from __future__ import annotations

import pytest

from analysis import Outcome
from sampler.labels.reader import LabelReader
from tests.conformance.scripted import Act, Cut


@pytest.mark.parametrize("connection", ["fresh", "2:5"])
def test_a_version_that_drops_half_of_its_requests_does_not_look_healthy(
    exchange, answer, connection
):
    def script(request):
        version = "v2" if request.number % 3 == 0 else "v1"
        drops = version == "v2" and request.number % 2
        return [Act.CLOSE] if drops else [answer(version)]

    seen = exchange(script, n=120, concurrency=4, connection=connection)

    broken = {Outcome.CLOSED, Outcome.STALE} & set(seen.outcomes)
    assert sum(seen.outcomes[outcome] for outcome in broken) == 20
    assert seen.labels.count("v2") == 20
    assert seen.labels.count("v1") == 80
    assert len(seen.server.requests) == 120


@pytest.mark.parametrize("connection", ["fresh", "reuse"])
def test_a_version_that_hangs_is_counted_with_its_timeouts(exchange, answer, connection):
    def script(request):
        return [Act.SILENCE] if request.number % 10 == 9 else [answer()]

    seen = exchange(script, n=40, concurrency=4, connection=connection, timeout_s=1)

    assert seen.outcomes == {Outcome.OK: 36, Outcome.TIMEOUT: 4}
    assert len(seen.server.requests) == 40


def test_a_mixture_of_all_that_can_happen_adds_up(exchange, answer):
    endings = [
        [answer("v1")],
        [answer("v2")],
        [Act.CLOSE],
        [Act.RESET],
        [b"nonsense\r\n\r\n"],
        [answer()[:-3], Act.CLOSE],
        [Act.SILENCE],
        [Cut(answer(), (10, 10, 30))],
        [b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"],
    ]

    seen = exchange(
        lambda request: endings[request.number % len(endings)],
        n=9 * len(endings),
        concurrency=8,
        connection="1:3",
        timeout_s=1,
    )

    expected = {
        Outcome.OK: 27,
        Outcome.PROTOCOL: 9,
        Outcome.TIMEOUT: 9,
        Outcome.UNLABELLED: 9,
    }
    assert {key: n for key, n in seen.outcomes.items() if key in expected} == expected
    assert len(seen.server.requests) == 81


def test_what_is_in_flight_at_an_abort_is_recorded_as_aborted(exchange, answer):
    def script(request):
        return [answer()] if request.number < 4 else [Act.SILENCE]

    seen = exchange(script, n=99, concurrency=4, abort_at=8)

    assert seen.launched == 8
    assert seen.outcomes == {Outcome.OK: 4, Outcome.ABORTED: 4}


def test_an_abort_leaves_nothing_behind_when_requests_are_only_being_connected(exchange, answer):
    seen = exchange([Act.SILENCE], n=99, concurrency=16, abort_at=1, unread=16)

    assert seen.launched == 16
    assert seen.only() is Outcome.ABORTED


def test_a_defect_is_no_outcome_and_ends_the_run(exchange, answer, monkeypatch):
    def fail(*_arguments):
        raise ZeroDivisionError("a defect of ours")

    monkeypatch.setattr(LabelReader, "codes", fail)

    with pytest.raises(ZeroDivisionError, match="a defect of ours"):
        exchange([answer()], n=3)
