"""Answers brought together by connection."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.data import connections as module
from analysis.data.batch import Outcome
from analysis.data.connections import Assembly, arms_of
from tests.kept import cut, kept

ARMS = ("a", "b")


def assemble(batches):
    """Give the complete connections of all batches, and what is left."""
    assembly = Assembly.start(len(ARMS))
    complete: list[tuple[int, list[int], int]] = []
    for batch in batches:
        found, assembly = assembly.take(batch, arms_of(batch.labels, ARMS))
        complete += zip(
            found.key.tolist(), found.answers.T.tolist(), found.planned.tolist(), strict=True
        )
    return complete, assembly


def test_answers_are_counted_by_connection_in_the_order_of_the_openings():
    batch = kept([["a", "b"], ["b", "b"], ["a", None], ["x", "a"]], planned=2, in_flight=2)

    complete, left = assemble([batch])

    assert complete == [
        (0, [1, 1, 0, 0], 2),
        (1, [0, 2, 0, 0], 2),
        (2, [1, 0, 0, 1], 2),
        (3, [1, 0, 1, 0], 2),
    ]
    assert len(left.open) == 0


def test_a_connection_that_is_not_complete_holds_back_those_after_it():
    batch = kept([["a", "a", "a"], ["b"], ["b"]], planned=[3, 1, 1], in_flight=2)
    before, after = cut(batch, [4])

    early, _ = assemble([before])
    all_of_them, _ = assemble([before, after])

    assert early == []
    assert [key for key, _, _ in all_of_them] == [0, 1, 2]


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.RESET, Outcome.STALE])
def test_a_failure_ends_its_connection(outcome):
    batch = kept([["a", None], ["b"]], planned=[5, 1], outcomes={(0, 1): outcome})

    complete, _ = assemble([batch])

    assert complete == [(0, [1, 0, 0, 1], 5), (1, [0, 1, 0, 0], 1)]


def test_what_the_transport_knows_to_be_closed_is_complete():
    batch = kept([["a", "a"], ["b"]], planned=[5, 1])
    batch.closed[1] = True

    assert [answers for _, answers, _ in assemble([batch])[0]] == [[2, 0, 0, 0], [0, 1, 0, 0]]


def test_of_a_connection_that_sent_a_surplus_only_the_first_answer_counts():
    surplus = {(0, 3): Outcome.SURPLUS, (1, 0): Outcome.SURPLUS, (1, 1): Outcome.SURPLUS}
    batch = kept([["a", "b", "x", None], [None, None], ["b", "a"]], planned=[9, 2, 2],
                 outcomes=surplus)  # fmt: skip

    for parts in ([batch], cut(batch, [2, 3])):
        complete, _ = assemble(parts)

        assert [answers for _, answers, _ in complete] == [[1, 0, 0, 3], [0, 0, 0, 2], [1, 1, 0, 0]]


def test_where_no_length_was_planned_the_first_answer_stands_for_the_connection():
    complete, _ = assemble([kept([["a", "b", "b"], ["b", "a"]], in_flight=2)])

    assert complete == [(0, [1, 0, 0, 0], 1), (1, [0, 1, 0, 0], 1)]


def test_nobody_waits_for_a_connection_that_is_not_used_any_more():
    batch = kept([["a", "a"], ["b"]], planned=[3, 1], gap_ns=module.PATIENCE_NS // 2)
    idle = kept([["a"], ["b"], ["b"], ["b"], ["b"]], planned=[3, 1, 1, 1, 1], gap_ns=10**9)

    assert len(assemble([batch])[0]) == 0
    assert [key for key, _, _ in assemble([idle])[0]] == [0, 1, 2, 3, 4]


def late_answer():
    """A connection that goes on after a pause that nobody waits for."""
    batch = kept([["a", "b", "b"], ["b"], ["b"], ["b"]], planned=[3, 1, 1, 1], in_flight=2)
    order = np.array([0, 1, 3, 5, 2, 4])
    sent = batch.sent_ns.copy()
    sent[:] = np.array([0, 1, 2, 2 + module.PATIENCE_NS, 3 + module.PATIENCE_NS, 10**10])
    return batch, order, sent


def reordered(batch, order, sent):
    columns = {
        name: getattr(batch, name)[order]
        for name in ("connection", "ordinal", "label", "outcome", "planned", "closed", "remote")
    }
    return batch.__class__(
        **{
            name: getattr(batch, name)
            for name in ("first", "replica", "status", "worker", "labels")
        },
        **columns,
        scheduled_ns=sent,
        sent_ns=sent,
        first_byte_ns=sent,
        done_ns=sent,
    )


@pytest.mark.parametrize("at", [[], [3], [4], [5], [1, 2, 3, 4, 5]])
def test_what_comes_too_late_is_left_out_however_samples_were_cut(at):
    batch = reordered(*late_answer())

    complete, _ = assemble(cut(batch, at))

    assert complete[0] == (0, [1, 0, 0, 0], 3)
    assert [key for key, _, _ in complete] == [0, 1, 2, 3]


@pytest.mark.parametrize("at", [[], [2], [3], [1, 2, 3, 4]])
def test_not_more_than_so_many_wait(monkeypatch, at):
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    batch = kept([["a", "a"], ["b"], ["b"], ["b"]], planned=[2, 1, 1, 1], in_flight=2)
    order = np.array([0, 1, 3, 4, 2])

    complete, _ = assemble(cut(reordered(batch, order, batch.sent_ns), at))

    assert complete[0] == (0, [1, 0, 0, 0], 2)
    assert len(complete) == 4


def test_what_is_left_at_the_end_is_given_as_it_is():
    batch = kept([["a", "a"], ["b"]], planned=[9, 1])

    _, assembly = assemble([batch])
    rest, nothing = assembly.rest()

    assert rest.undelivered.tolist() == [7, 0]
    assert rest.is_short.tolist() == [True, False]
    assert len(nothing.open) == 0


def test_a_connection_that_never_opened_is_not_short_but_without_a_label():
    batch = kept([[None], ["b"]], planned=[4, 1], outcomes={(0, 0): Outcome.CONNECT_FAILED})

    complete, _ = Assembly.start(len(ARMS)).take(batch, arms_of(batch.labels, ARMS))

    assert complete.undelivered.tolist() == [3, 0]
    assert complete.is_short.tolist() == [False, False]


def test_what_never_left_this_machine_is_no_connection():
    batch = kept([[None], ["b"]], planned=1, outcomes={(0, 0): Outcome.CLIENT_LIMIT})

    assert assemble([batch])[0] == [(1, [0, 1, 0, 0], 1)]


def test_workers_number_their_connections_on_their_own():
    batch = kept([["a"], ["b"]], planned=1)
    batch.connection[:] = 7
    batch.worker[1] = 1

    assert [answers[:2] for _, answers, _ in assemble([batch])[0]] == [[1, 0], [0, 1]]
