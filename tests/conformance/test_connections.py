"""Which connection carries which exchange."""

from __future__ import annotations

from collections import Counter

import pytest

from analysis import ABSENT, Outcome
from sampler.exchange.failure import FailureCode
from tests.conformance.scripted import Act, Turns


def test_every_request_has_a_connection_of_its_own_when_they_are_fresh(exchange, answer):
    seen = exchange([answer()], n=12, concurrency=3)

    assert seen.server.connections == 12
    assert sorted(seen.batch.connection) == list(range(12))
    assert set(seen.batch.ordinal) == {0}


def test_one_connection_of_each_slot_carries_all_its_requests_when_they_are_reused(
    exchange, answer
):
    seen = exchange([answer()], n=24, concurrency=3, connection="reuse")

    assert seen.server.connections == 3
    assert set(seen.batch.connection) == {0, 1, 2}
    _assert_ordinals_count_up(seen)


def test_connections_have_lengths_between_the_ends_of_the_range(exchange, answer):
    seen = exchange([answer()], n=60, concurrency=2, connection="2:4")

    lengths = Counter(seen.batch.connection.tolist())
    finished = sorted(lengths.values())[2:]  # the last connection of a slot may be cut short
    assert set(finished) == {2, 3, 4}
    assert max(lengths.values()) <= 4
    assert seen.server.connections == len(lengths)
    assert sorted(lengths) == list(range(len(lengths)))
    _assert_ordinals_count_up(seen)


def test_the_planned_length_is_recorded_with_each_exchange(exchange, answer):
    seen = exchange([answer()], n=60, concurrency=2, connection="2:4")

    planned = dict(zip(seen.batch.connection.tolist(), seen.batch.planned.tolist(), strict=True))
    lengths = Counter(seen.batch.connection.tolist())
    cut_short = [number for number, length in lengths.items() if length < planned[number]]
    assert len(cut_short) <= 2  # those of the end
    assert all(length <= planned[number] for number, length in lengths.items())
    assert set(planned.values()) == {2, 3, 4}
    assert not seen.batch.closed.any()


@pytest.mark.parametrize(("connection", "planned"), [("fresh", 1), ("reuse", ABSENT)])
def test_a_length_is_planned_where_there_is_one(exchange, answer, connection, planned):
    assert set(exchange([answer()], n=4, connection=connection).batch.planned) == {planned}


@pytest.mark.parametrize("steps", [(), (Act.CLOSE,)], ids=["left open", "closed"])
def test_a_connection_that_the_server_ends_early_is_closed_where_that_is_seen(
    exchange, answer, kind, steps
):
    seen = exchange(
        [answer(fields="Connection: close\r\n"), *steps], n=4, connection="3:3", pause=4
    )

    assert seen.batch.planned.tolist() == [3] * 4
    # aiohttp does not say; the analysis then stops waiting by itself.
    assert seen.batch.closed.tolist() == [kind != "full"] * 4


def test_only_the_last_request_of_a_connection_asks_to_close_it(exchange, answer):
    seen = exchange([answer()], n=9, connection="3:3")

    asked = [("connection", "close") in request.fields for request in seen.server.requests]
    assert asked == [False, False, True] * 3


def test_reused_connections_never_ask_to_be_closed(exchange, answer):
    seen = exchange([answer()], n=4, connection="reuse")

    assert all("connection" not in dict(request.fields) for request in seen.server.requests)


def test_fresh_connections_always_ask_to_be_closed(exchange, answer):
    seen = exchange([answer()], n=4)

    assert all(("connection", "close") in request.fields for request in seen.server.requests)


@pytest.mark.parametrize("steps", [(), (Act.CLOSE,)], ids=["left open", "closed"])
def test_a_server_that_says_close_gets_a_new_connection(exchange, answer, steps):
    seen = exchange(
        [answer(fields="Connection: close\r\n"), *steps], n=4, connection="reuse", pause=4
    )

    assert seen.only() is Outcome.OK
    assert seen.server.connections == 4
    assert list(seen.batch.connection) == [0, 1, 2, 3]
    assert set(seen.batch.ordinal) == {0}


def test_a_connection_closed_while_idle_is_replaced_without_losing_a_request(exchange, answer):
    seen = exchange([answer(), Act.CLOSE], n=6, connection="reuse", pause=12)

    assert seen.only() is Outcome.OK
    assert seen.server.connections == 6


@pytest.mark.parametrize("last", [Act.CLOSE, Act.RESET])
def test_a_kept_connection_that_breaks_before_the_answer_is_stale(exchange, answer, last):
    def script(request):
        return [answer()] if request.ordinal == 0 else [last]

    seen = exchange(script, n=8, connection="reuse")

    assert seen.outcomes == {Outcome.OK: 4, Outcome.STALE: 4}
    assert list(seen.batch.ordinal) == [0, 1] * 4
    assert "kept" in seen.failure.text


def test_a_request_that_crosses_the_closing_of_its_connection_is_stale_and_not_repeated(
    exchange, answer
):
    seen = exchange([answer(), Turns(1), Act.CLOSE], n=8, connection="reuse", unread=8)

    outcomes = seen.outcomes
    assert set(outcomes) <= {Outcome.OK, Outcome.STALE}
    assert outcomes[Outcome.OK] == len(seen.server.requests)


def test_a_kept_connection_that_breaks_within_the_answer_is_not_stale(exchange, answer):
    def script(request):
        return [answer()] if request.ordinal == 0 else [b"HTTP/1.1 200 OK\r\nConte", Act.CLOSE]

    seen = exchange(script, n=6, connection="reuse")

    assert seen.outcomes == {Outcome.OK: 3, Outcome.CLOSED: 3}


def test_a_connection_with_surplus_bytes_is_not_used_again(exchange, answer):
    seen = exchange([answer() + b"surplus"], n=4, connection="reuse")

    assert seen.only() is Outcome.OK
    assert seen.server.connections == 4


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one(exchange, answer):
    seen = exchange([answer(), Turns(), answer("stray")], n=4, connection="reuse", pause=16)

    assert seen.labels == ["v1"] * 4
    assert seen.server.connections == 4


SURPLUS = {
    "an answer": (0, lambda answer: answer("v9")),
    "an answer once, in the middle": (1, lambda answer: answer("v9")),
    "two answers": (0, lambda answer: answer("v9") * 2),
    "half of an answer": (0, lambda answer: answer("v9")[:-7]),
    "what is no HTTP": (0, lambda _: b"zzz"),
    "more than a read takes": (0, lambda answer: answer("v9", fields=f"X: {'x' * 9_000}\r\n")),
}


@pytest.mark.parametrize("turns", [1, 3, 6, 12])
@pytest.mark.parametrize("name", SURPLUS)
def test_nothing_after_a_late_surplus_counts_as_a_label(exchange, answer, name, turns):
    first, surplus = SURPLUS[name]

    def script(request):
        late = [Turns(turns), surplus(answer)]
        if request.ordinal < first or (first and request.ordinal > first):
            late = []
        return [answer(), *late]

    # The next request is on its way when the surplus comes, which answers none.
    seen = exchange(script, n=12, connection="4:4", unread=12)

    known = seen.batch.connection < seen.batch.connection.max()  # has ended
    ordinals = seen.batch.ordinal[known]
    labels = [label for label, is_known in zip(seen.labels, known, strict=True) if is_known]
    assert "v9" not in labels
    firsts = {label for label, n in zip(labels, ordinals, strict=True) if n == 0}
    assert firsts == {"v1"}
    # What is not whole may be taken for the start of the next answer.
    broken = {Outcome.PROTOCOL, Outcome.UNLABELLED}
    assert set(seen.outcomes) <= {Outcome.OK, Outcome.SURPLUS, *broken}


def test_a_server_that_answers_twice_is_told_by_the_outcome(exchange, answer):
    seen = exchange([answer(), Turns(), answer("v9")], n=12, connection="4:4", unread=12)

    assert {failure.code for failure in seen.failures[Outcome.SURPLUS]} == {FailureCode.UNASKED}
    assert seen.outcomes[Outcome.SURPLUS] + seen.outcomes[Outcome.OK] == 12


def test_a_server_that_says_that_an_idle_connection_ends_answers_nobody(exchange, answer):
    late = answer("v9", status="408 Request Timeout", fields="Connection: close\r\n")

    def script(request):
        return [answer()] if request.ordinal == 0 else [answer(), Turns(), late, Act.CLOSE]

    seen = exchange(script, n=6, connection="9:9", pause=40)

    assert seen.labels == ["v1"] * 6
    assert seen.server.connections == 3


@pytest.mark.parametrize("size", [4_096, 8_192])
def test_an_answer_that_fills_the_buffer_does_not_hide_what_is_behind_it(exchange, answer, size):
    head = len(answer(fields="X-Pad: \r\n"))
    wire = answer(fields=f"X-Pad: {'x' * (size - head)}\r\n")
    assert len(wire) == size

    seen = exchange([wire + answer("stray")], n=4, connection="reuse")

    assert seen.labels == ["v1"] * 4
    assert seen.server.connections == 4


def test_an_answer_that_fills_the_buffer_is_no_reason_to_leave_its_connection(exchange, answer):
    head = len(answer(fields="X-Pad: \r\n"))
    wire = answer(fields=f"X-Pad: {'x' * (4_096 - head)}\r\n")

    seen = exchange([wire], n=4, connection="reuse")

    assert seen.labels == ["v1"] * 4
    assert seen.server.connections == 1


def test_a_connection_is_not_used_again_after_a_timeout(exchange, answer):
    def script(request):
        return [answer()] if request.number != 1 else [Act.SILENCE]

    seen = exchange(script, n=4, connection="reuse", timeout_s=0.2)

    assert [Outcome(code) for code in seen.batch.outcome] == [
        Outcome.OK,
        Outcome.TIMEOUT,
        Outcome.OK,
        Outcome.OK,
    ]
    assert list(seen.batch.connection) == [0, 0, 1, 1]


def _assert_ordinals_count_up(seen):
    of_connection: dict[int, int] = {}
    for connection, ordinal in zip(seen.batch.connection, seen.batch.ordinal, strict=True):
        assert ordinal == of_connection.get(connection, 0)
        of_connection[connection] = ordinal + 1
