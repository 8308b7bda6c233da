"""Batches of connections that carry several requests, for tests."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from analysis.data.batch import ABSENT, Batch, Outcome


def kept(connections, *, planned=None, in_flight=1, outcomes=None, gap_ns=1_000_000):
    """Make a batch of connections, given their answers; None is an answer without a label.

    Parameters
    ----------
    connections : list of list of (str or None)
        Answers of each connection, in the order of the openings.
    planned : int, list of int or None
        Requests that each was planned for; None does not say.
    in_flight : int
        Connections that are open at once; requests take turns.
    outcomes : dict of (int, int) to Outcome
        Of some requests, by connection and ordinal.
    gap_ns : int
        Between two requests.
    """
    waiting = list(enumerate(connections))
    slots: list[list[tuple[int, int, str | None]]] = [[] for _ in range(in_flight)]
    rows = []
    while waiting or any(slots):
        for slot in slots:
            if not slot and waiting:
                number, answers = waiting.pop(0)
                slot += [(number, place, label) for place, label in enumerate(answers)]
            if slot:
                rows.append(slot.pop(0))
    names = sorted({label for _, _, label in rows if label is not None})
    code_of: dict[str | None, int] = {name: code for code, name in enumerate(names)}
    lengths = planned if isinstance(planned, list) else [planned] * len(connections)
    label = np.array([code_of.get(label, ABSENT) for _, _, label in rows], dtype=np.int32)
    n = len(rows)
    given = outcomes or {}
    plain = [Outcome.UNLABELLED if code == ABSENT else Outcome.OK for code in label.tolist()]
    outcome = [given.get(row[:2], default) for row, default in zip(rows, plain, strict=True)]
    sent = np.arange(n, dtype=np.int64) * gap_ns
    return Batch(
        first=0,
        scheduled_ns=sent,
        sent_ns=sent,
        first_byte_ns=sent,
        done_ns=sent,
        connection=np.array([number for number, _, _ in rows], dtype=np.int64),
        ordinal=np.array([place for _, place, _ in rows], dtype=np.int32),
        label=label,
        replica=np.full(n, ABSENT, dtype=np.int32),
        status=np.full(n, 200, dtype=np.int16),
        outcome=np.array(outcome, dtype=np.uint8),
        worker=np.zeros(n, dtype=np.uint16),
        labels=tuple(names),
        planned=np.array(
            [ABSENT if lengths[number] is None else lengths[number] for number, _, _ in rows],
            dtype=np.int32,
        ),
    )


def cut(batch, at):
    """Cut a batch into several, before the given rows."""
    edges = [0, *sorted(set(at) - {0, len(batch)}), len(batch)]
    return [batch[first:end] for first, end in pairwise(edges)]


def of_counts(counts, length, names=("v1", "v2")):
    """Give connections of one length by how many of their answers are the second label."""
    return [[names[1]] * count + [names[0]] * (length - count) for count in counts]
