"""Runs made from random numbers, for the tests of what is drawn from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis import Batch, Evidence, Outcome, Policy, Split, Tally, Verdict, decide, weigh
from analysis.data.report import Performance, Report, Run, Source
from analysis.review.trace import Trace, trace
from analysis.verdict.decision import decided
from analysis.verdict.sections import expected_of, observed_of, samples_of

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS = 2.0


def recorded(
    labels: Sequence[str],
    weights: Sequence[int],
    *,
    n: int = 1500,
    replicas: int = 3,
    per_connection: int = 1,
    lost: float = 0.0,
    expect: Sequence[int] | None = None,
    seed: int = 1,
    policy: Policy | None = None,
) -> tuple[Batch, Report]:
    """Make a run of `n` requests over two seconds, and judge it.

    Parameters
    ----------
    labels, weights
        Who answers, and how often.
    lost : float
        Share of requests that time out, and of those that are answered without a label.
    expect : sequence of int or None
        Weights that are expected; None expects the right ones.
    policy : Policy or None
        What is asked; None asks the defaults.
    """
    choose = np.random.default_rng(seed)
    share = np.array(weights) / sum(weights)
    connection = np.arange(n) // per_connection
    label = choose.choice(len(labels), n, p=share)
    label = label[connection * per_connection]  # a connection stays with its label
    fate = choose.random(n)
    outcome = np.where(fate < lost, Outcome.TIMEOUT, Outcome.OK)
    outcome = np.where((fate >= lost) & (fate < 2 * lost), Outcome.UNLABELLED, outcome)
    answered = outcome == Outcome.OK
    sent = np.sort(choose.integers(0, int(SECONDS * 1e9), n))
    took = choose.lognormal(14, 0.5, n).astype(np.int64) * (1 + label)
    batch = Batch(
        first=0,
        scheduled_ns=sent,
        sent_ns=sent,
        first_byte_ns=sent + took // 2,
        done_ns=np.where(outcome == Outcome.TIMEOUT, -1, sent + took),
        connection=connection.astype(np.int64),
        ordinal=(np.arange(n) % per_connection).astype(np.int32),
        label=np.where(answered, label, -1).astype(np.int32),
        replica=np.where(answered, label * replicas + choose.integers(0, replicas, n), -1).astype(
            np.int32
        ),
        status=np.full(n, 200, np.int16),
        outcome=outcome.astype(np.uint8),
        worker=np.zeros(n, np.uint16),
        labels=tuple(labels),
        replicas=tuple(f"{name}-{pod}" for name in labels for pod in range(replicas)),
    )
    return batch, _judged(
        batch, Split(tuple(labels), tuple(expect or weights)), per_connection, policy or Policy()
    )


def _judged(batch: Batch, split: Split, per_connection: int, policy: Policy) -> Report:
    tally = Tally.of(batch)
    evidence = weigh(Evidence.start(split, policy), batch)
    decision = decide(evidence)
    return Report(
        verdict=decision.verdict if decision.is_final else Verdict.INCONCLUSIVE,
        reasons=list(decision.reasons),
        expected=expected_of(evidence, Source()),
        observed=observed_of(evidence, tally),
        samples=samples_of(tally, evidence, None),
        decision=decided(policy, evidence.judged, decision.checks),
        performance=Performance(
            "fast", SECONDS, len(batch) / SECONDS, 40.0, False, 16, None,
            "fresh" if per_connection == 1 else str(per_connection),
        ),
        run=Run(
            "20260102T030405.000000Z-made", None, 7, "2026-01-02T03:04:05Z", "0.1.0",
            "GET http://10.0.0.1/", "/label", f"weighbridge check 10.0.0.1 --expect {split}",
        ),
    )  # fmt: skip


def traced(batch: Batch, report: Report, policy: Policy | None = None) -> Trace:
    """Weigh a run once more; its evidence must be that of its report."""
    made = trace(batch, report, policy or Policy())
    if made is None:
        raise ValueError("these samples and this report are not of one decision")
    return made
