"""Samples leave the recorder in send order, each one once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import ABSENT, Outcome
from analysis.data.batch import COLUMNS
from sampler.exchange.failure import Failure, FailureCode
from sampler.exchange.record import MAX_FAILURES, Recorder
from sampler.labels.names import NameCodes

LABELS = ("v1", "v2", "v3")
# LOST is what a vantage that is gone may have sent: no transport records it.
RECORDED = [each for each in Outcome if each is not Outcome.LOST]


@pytest.fixture
def recorder():
    return _recorder()


@given(
    order=st.integers(0, 60).flatmap(lambda n: st.permutations(range(n))),
    seals=st.sets(st.integers(0, 60)),
)
def test_any_order_of_completion_gives_each_sample_once_in_send_order(order, seals):
    recorder = _recorder()
    batches = []
    for done, index in enumerate(order):
        if done in seals:
            batches.append(recorder.seal())
        _record(recorder, index)
    batches.append(recorder.seal())

    sealed = [batch for batch in batches if batch is not None]

    firsts = np.cumsum([0] + [len(batch) for batch in sealed])
    assert [batch.first for batch in sealed] == firsts[:-1].tolist()
    for name in COLUMNS:
        column = [value for batch in sealed for value in getattr(batch, name).tolist()]
        assert column == [_row(index)[name] for index in range(len(order))]
    assert recorder.waiting == 0
    assert recorder.recorded == len(order)


@given(order=st.integers(1, 40).flatmap(lambda n: st.permutations(range(n))), data=st.data())
def test_a_seal_gives_all_that_is_complete_up_to_the_first_gap(order, data):
    taken = order[: data.draw(st.integers(1, len(order)))]
    recorder = _recorder()
    for index in taken:
        _record(recorder, index)

    batch = recorder.seal()

    complete = next(n for n in range(len(order) + 1) if n not in taken)
    assert (0 if batch is None else len(batch)) == complete
    assert recorder.waiting == len(taken) - complete


def test_nothing_recorded_seals_to_nothing(recorder):
    assert recorder.seal() is None


def test_a_sample_that_everybody_waits_for_releases_the_others(recorder):
    for index in range(1, 1_000):
        _record(recorder, index)
        assert recorder.seal() is None
    assert recorder.waiting == 999

    _record(recorder, 0)
    batch = recorder.seal()

    assert len(batch) == 1_000
    assert recorder.seal() is None


def test_columns_have_the_types_that_a_batch_promises(recorder):
    _record(recorder, 0)

    batch = recorder.seal()

    kinds = {name: getattr(batch, name).dtype for name in COLUMNS}
    assert kinds == {
        "scheduled_ns": np.int64,
        "sent_ns": np.int64,
        "first_byte_ns": np.int64,
        "done_ns": np.int64,
        "connection": np.int64,
        "ordinal": np.int32,
        "label": np.int32,
        "replica": np.int32,
        "status": np.int16,
        "outcome": np.uint8,
        "worker": np.uint16,
        "remote": np.int32,
        "planned": np.int32,
        "closed": np.bool_,
    }


@pytest.mark.parametrize("outcome", RECORDED)
@pytest.mark.parametrize("status", [0, 100, 200, 999])
def test_status_and_outcome_come_out_as_they_went_in(recorder, outcome, status):
    recorder.record(0, 1, 2, ABSENT, 3, 0, 0, ABSENT, ABSENT, status, _failure(outcome))

    batch = recorder.seal()

    assert batch.status == [status]
    assert batch.outcome == [outcome]


def test_a_batch_carries_the_names_of_its_codes(recorder):
    _record(recorder, 0)

    assert recorder.seal().labels == LABELS


def test_a_sealed_batch_does_not_change_with_later_samples(recorder):
    _record(recorder, 0)
    batch = recorder.seal()
    before = batch.done_ns.copy()
    for index in range(1, 50):
        _record(recorder, index)
    recorder.seal()

    assert (batch.done_ns == before).all()


def test_the_first_few_different_failures_of_each_outcome_are_kept(recorder):
    resets = [Failure(FailureCode.RESET, f"reason {number // 2}") for number in range(20)]
    closed = Failure(FailureCode.CLOSED, "other")
    for index, failure in enumerate([*resets, closed]):
        recorder.record(index, 0, 0, ABSENT, 0, 0, 0, ABSENT, ABSENT, 0, failure)

    assert recorder.failures == {
        Outcome.RESET: resets[::2][:MAX_FAILURES],
        Outcome.CLOSED: [closed],
    }


class _Lives:
    def codes(self, connections):
        return (connections + 7).astype(np.int32)


def test_the_planned_length_of_its_connection_stands_with_each_sample(recorder):
    recorder.planned = _Lives()
    for index in range(4):
        _record(recorder, index)

    assert recorder.seal().planned.tolist() == [7, 7, 8, 8]


def test_a_connection_that_was_cut_is_closed_with_the_exchange_that_it_ended_with(recorder):
    for index in (2, 3):  # both on connection 1
        _record(recorder, index)
    recorder.cut(1, 1)
    assert recorder.seal() is None  # the samples before them are out
    for index in (0, 1, 4):
        _record(recorder, index)

    assert recorder.seal().closed.tolist() == [False, False, False, True, False]
    _record(recorder, 5)
    assert recorder.seal().closed.tolist() == [False]


def _recorder():
    labels = NameCodes()
    for name in LABELS:
        labels.code(name)
    return Recorder(labels, NameCodes(), worker=3)


def _row(index):
    """Give a sample whose every column tells its launch number."""
    return {
        "scheduled_ns": index * 10,
        "sent_ns": index * 10 + 1,
        "first_byte_ns": ABSENT if index % 3 == 0 else index * 10 + 2,
        "done_ns": index * 10 + 3 + 2**40,
        "connection": index // 2,
        "ordinal": index % 2,
        "label": index % 4 - 1,
        "replica": ABSENT,
        "status": 200 + index,
        "outcome": int(RECORDED[index % len(RECORDED)]),
        "worker": 3,
        "remote": ABSENT,
        "planned": ABSENT,
        "closed": False,
    }


@pytest.mark.parametrize("is_doubted", [False, True])
def test_a_kept_connection_is_held_until_it_is_known_what_it_sent(recorder, is_doubted):
    for index in range(3):
        recorder.record(index, 0, 0, 0, index, 7, index, 1, ABSENT, 200)

    early = recorder.seal()
    (recorder.doubt if is_doubted else recorder.release)(7)
    late = recorder.seal()

    assert (early.label.tolist(), early.outcome.tolist()) == ([1], [Outcome.OK])
    outcome, label = (Outcome.SURPLUS, ABSENT) if is_doubted else (Outcome.OK, 1)
    assert (late.label.tolist(), late.outcome.tolist()) == ([label] * 2, [outcome] * 2)
    assert (late.status.tolist(), recorder.surplus) == ([200] * 2, int(is_doubted))


def test_nobody_waits_longer_for_a_kept_connection_than_it_may_be_held(recorder):
    for index in range(5):
        recorder.record(index, 0, 0, 0, 10 * index, 7, index, 1, ABSENT, 200)

    recorder.let_go(30)
    assert recorder.recorded == 4
    recorder.let_go()
    assert recorder.recorded == 5


def _record(recorder, index):
    row = _row(index)
    for name in ("worker", "remote", "planned", "closed"):
        row.pop(name)
    outcome = Outcome(row.pop("outcome"))
    recorder.record(index, *row.values(), _failure(outcome))
    recorder.let_go()


def _failure(outcome):
    code = next((code for code in FailureCode if code.outcome is outcome), None)
    return None if code is None else Failure(code, "")
