"""Runs: what a client sees of a router, as a batch in the order of sending."""

from __future__ import annotations

import heapq
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.data.batch import ABSENT, Batch, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    from analysis.simulate.routers import Router

_NS_PER_S = 1_000_000_000


def simulate(
    router: Router,
    connections: int,
    random: Generator,
    *,
    arms: Sequence[str] = ("v1", "v2"),
    requests: int = 1,
    seconds: Sequence[float] | None = None,
    in_flight: int = 16,
) -> Batch:
    """Simulate a run.

    Parameters
    ----------
    router : Router
        Picks the arms: once for each connection, or for each request.
    connections : int
        Connections that are made, >= 0.
    random : numpy.random.Generator
        Source of chance; the same seed gives the same run.
    arms : sequence of str, default ("v1", "v2")
        Label of each arm.
    requests : int, default 1
        Requests on each connection, >= 1, sent one after the other.
    seconds : (k,) sequence of float, or None
        Mean service time of each arm, > 0; times are exponential. None takes 1 ms for all.
    in_flight : int, default 16
        Requests in flight at once, >= 1; the next one is sent when one of them is done.

    Returns
    -------
    Batch
        In the order of sending, with the instants of sending and completion.

    Raises
    ------
    ValueError
        If a number lies outside its range.
    """
    if not (requests >= 1 and in_flight >= 1 and connections >= 0):
        raise ValueError(
            f"expected connections >= 0, requests >= 1 and in_flight >= 1, "
            f"got {connections}, {requests} and {in_flight}"
        )
    n = connections * requests
    if router.by_connection:
        label = np.repeat(router.draw(connections, random), requests)
    else:
        label = router.draw(n, random)
    means = np.array([0.001] * len(arms) if seconds is None else seconds, dtype=np.float64)
    if len(means) != len(arms) or not means.min(initial=1.0) > 0:
        raise ValueError(f"expected a mean time > 0 for each arm, got {seconds!r}")
    # What gives no label took as long as the slowest: it may have been any.
    takes = random.exponential(1.0, n) * np.append(means, means.max())[label]
    sent = _sent(takes, in_flight)
    sent_ns = np.round(sent * _NS_PER_S).astype(np.int64)
    done_ns = np.round((sent + takes) * _NS_PER_S).astype(np.int64)
    return Batch(
        first=0,
        scheduled_ns=sent_ns,
        sent_ns=sent_ns,
        first_byte_ns=done_ns,
        done_ns=done_ns,
        connection=np.repeat(np.arange(connections, dtype=np.int64), requests),
        ordinal=np.tile(np.arange(requests, dtype=np.int32), connections),
        label=label.astype(np.int32),
        replica=np.full(n, ABSENT, dtype=np.int32),
        status=np.full(n, 200, dtype=np.int16),
        outcome=np.where(label == ABSENT, Outcome.UNLABELLED, Outcome.OK).astype(np.uint8),
        worker=np.zeros(n, dtype=np.uint16),
        labels=tuple(arms),
    )


def by_completion(batch: Batch) -> Batch:
    """Put a run into the order of completion, to show what tallying in that order does.

    A version that is slow is then under-counted at every look, so error rates do not hold.
    """
    return batch.chosen(np.argsort(batch.done_ns, kind="stable"))


def every_request_a_connection(batch: Batch) -> Batch:
    """Pretend that each request had a connection of its own, to show what that does.

    Where the pod is picked once for each connection, its requests are no independent draws.
    """
    n = len(batch)
    return replace(
        batch, connection=np.arange(n, dtype=np.int64), ordinal=np.zeros(n, dtype=np.int32)
    )


def _sent(takes: NDArray[np.float64], in_flight: int) -> NDArray[np.float64]:
    """Instants [s] of sending in a closed loop: each when the first of those in flight is done."""
    sent = np.zeros(len(takes))
    free = [0.0] * min(in_flight, max(len(takes), 1))
    for position, time in enumerate(takes.tolist()):
        start = free[0]
        sent[position] = start
        heapq.heapreplace(free, start + time)
    return sent
