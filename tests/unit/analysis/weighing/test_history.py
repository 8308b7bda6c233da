"""What a folder keeps of a moving expectation leads to the same evidence again."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest

from analysis import Batch, Policy, Split, Tolerance, finish
from analysis.data.events import ENDPOINTS, Event
from analysis.data.report import Source
from analysis.weighing.expectation import Retold
from analysis.weighing.history import History, Part, Stretch, alike
from analysis.weighing.watched import Watched
from sampler.base.clock import NS_PER_S
from sampler.base.errors import UsageError
from sampler.expect.cluster.news import ExpectationChange
from sampler.expect.rules.model import Expectation
from sampler.store.expectation_history import read_history

SPLITS = [Split.parse(text) for text in ("v1=9,v2=1", "v1=1,v2=1", "v1=18,v2=2", "v1=8,v2=2")]
NINE = SPLITS[0]


class Script:
    """Tells each change at the first look after it."""

    def __init__(self, changes):
        self.pending = sorted(changes, key=lambda each: each.at_ns)
        self.now_ns = 0

    def changes(self):
        told = [each for each in self.pending if each.at_ns <= self.now_ns]
        self.pending = self.pending[len(told) :]
        return told

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None


def samples(rng, n, per_connection):
    """Give n samples over ten seconds; each connection asks up to so many times."""
    batch = Batch.of_labels(["v2" if each else "v1" for each in rng.random(n) < 0.2])
    times = np.sort(rng.integers(0, 10 * NS_PER_S, n))
    connection = np.arange(n)
    ordinal = np.zeros(n, dtype=np.int32)
    if per_connection > 1:
        slots = 7
        turn, slot = np.divmod(np.arange(n), slots)
        connection = slots * (turn // per_connection) + slot
        ordinal = (turn % per_connection).astype(np.int32)
    instants = ("scheduled_ns", "sent_ns", "first_byte_ns", "done_ns")
    columns: dict[str, Any] = dict.fromkeys(instants, times)
    return replace(
        batch,
        connection=connection.astype(np.int64),
        ordinal=ordinal,
        planned=np.full(n, per_connection, dtype=np.int32),
        **columns,
    )


def some_changes(rng):
    """Give changes at random times; now and then nobody can say what should be."""
    changes = []
    for at_s in rng.uniform(0.0, 9.5, rng.integers(0, 6)):
        split = None if rng.random() < 0.2 else SPLITS[rng.integers(len(SPLITS))]
        source = Source("Service", "app", f"slice at {at_s:.1f}")
        expectation = None if split is None else Expectation(split, source)
        changes.append(ExpectationChange(round(at_s * NS_PER_S), expectation, True, "changed"))
    return changes


@pytest.mark.parametrize("per_connection", [1, 3])
@pytest.mark.parametrize("seed", range(25))
def test_a_stored_run_is_judged_as_the_live_one(seed, per_connection):
    rng = np.random.default_rng([seed, per_connection])
    # So strict that nothing settles, or so wide that it may.
    tolerance = "0.1pp" if seed % 2 else "9pp"
    policy = Policy(
        tolerance=Tolerance.parse(tolerance), max_samples=10_000, per_connection=per_connection
    )
    batch = samples(rng, 1500, per_connection)
    script = Script(some_changes(rng))
    settle_s = [None, 0.0, 0.1, 0.7][seed % 4]
    live = Watched(NINE, policy, 5, Source(), settle_s=settle_s)
    edges = np.unique([0, *rng.integers(0, 1500, 40), 1500]).tolist()
    seen = 0
    for first, end in pairwise(edges):
        # News come late: after the batch that they are about.
        script.now_ns = int(batch.sent_ns[end - 1]) - round(rng.random() * 0.3 * NS_PER_S)
        live.notice(script.changes(), 0)
        live.weigh(batch[first:end])
        seen = end
        if live.evidence.settled is not None and live.is_sure(int(batch.sent_ns[end - 1])):
            break
    live.finish()

    document = json.loads(json.dumps(msgspec.to_builtins(live.history(is_over=True))))
    history = msgspec.convert(document, History)
    told = Retold(history, policy, 5)
    for first in range(0, seen, 101):
        told.weigh(batch[first : min(first + 101, seen)])

    ours, theirs = finish(told.evidence), finish(live.evidence)
    assert (ours.split, ours.policy) == (theirs.split, theirs.policy)
    assert (ours.judged, ours.settled) == (theirs.judged, theirs.settled)
    assert ours.counts == pytest.approx(theirs.counts)
    assert history.previous == live.previous
    assert history.doubt == live.doubt


def test_what_is_judged_now_has_no_end_until_the_run_is_over():
    live = Watched(NINE, Policy(), 0, Source())
    assert live.history().last.judged == (Part(),)

    live.weigh(Batch.of_labels(["v1"] * 10))

    assert live.history().last.judged[0].end_row is None
    assert live.history(is_over=True).last.judged[0].end_row == 10


def test_while_nothing_is_judged_no_part_is_open():
    change = ExpectationChange(0, None, True, "no endpoint is ready")
    live = Watched(NINE, Policy(), 0, Source())
    live.notice([change], 0)
    live.weigh(Batch.of_labels(["v1"] * 10))

    history = live.history()

    assert history.last.judged == ()
    assert history.doubt == "no endpoint is ready"
    assert history.not_judged == 10
    assert not history.is_uniform


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("v1=9,v2=1", "v1=18,v2=2", True),
        ("v1=9,v2=1", "v2=1,v1=9", True),
        ("v1=9,v2=1", "v1=9,v2=1,v3=0", True),
        ("v1=9,v2=1", "v1=9,v3=1", False),
        ("v1=9,v2=1", "v1=8,v2=2", False),
    ],
)
def test_splits_are_alike_if_every_label_has_the_same_share(one, other, expected):
    assert alike(Split.parse(one), Split.parse(other)) is expected
    assert alike(Split.parse(other), Split.parse(one)) is expected


def test_the_previous_split_is_the_last_other_one():
    even = Split.parse("v1=1,v2=1")

    def history(*splits):
        return History(tuple(Stretch.of(split, Source()) for split in splits))

    assert history(NINE).previous is None
    assert history(NINE, NINE).previous is None
    assert history(NINE, even).previous == NINE
    assert history(NINE, even, even).previous == NINE
    assert history(even, NINE, even).previous == NINE


def test_a_file_without_stretches_has_no_history(tmp_path):
    file = tmp_path / "expectation.json"
    assert read_history(file) is None

    file.write_text('{"source": {}, "weights": {"v1": 1}}')

    assert read_history(file) is None


def test_what_is_written_is_read_again(tmp_path):
    file = tmp_path / "expectation.json"
    part = Part(3, 10, 0.5, 1.5, 2)
    history = History(
        (Stretch.of(NINE, Source("Service", "shop/app", "slice"), (part,)),),
        events=(Event(0.25, ENDPOINTS, "changed"),),
        not_judged=3,
        lags_s=(0.5,),
        doubt="",
        remarks=("read",),
    )
    later = {"a field of a later version": 1, **msgspec.to_builtins(history)}
    file.write_text(json.dumps(later))

    assert read_history(file) == history


@pytest.mark.parametrize(
    "text", ["{", '{"stretches": []}', '{"stretches": 3}', '{"stretches": [{"weights": {}}]}']
)
def test_a_broken_file_is_refused_with_its_name(tmp_path, text):
    file = tmp_path / "expectation.json"
    file.write_text(text)

    with pytest.raises(UsageError, match=r"expectation\.json cannot be read"):
        read_history(file)
