"""What judging costs a sample, by versions, size of the batches and answers of a connection.

Processor time of `weigh`, of the canary's health, and of `Tally.of`, the best of some rounds.
Nothing is decided in these runs, as in nearly all of every run. With ``reuse``, hardly any sample
is the first of its connection, so hardly any is weighed.

Run from the repository: ``.venv/bin/python -m tests.benchmarks.verdict_path``.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis import Batch, Evidence, Policy, Split, Tally, Tolerance, weigh
from analysis.simulate import RandomPerConnection, RandomPerRequest, simulate
from analysis.versions.health import HealthEvidence, HealthPolicy
from tests.benchmarks.provenance import paragraph, provenance, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from analysis.simulate import Router

NINE_ONE = Split.parse("v1=9,v2=1")
SPLITS = {"two": NINE_ONE, "three": Split.parse("a=8,b=1,c=1")}
SIZES = (20, 100, 300, 700, 1000)
SAMPLES = 20_000
ROUNDS = 5
POLICY = Policy(alpha=1e-9, beta=1e-9, tolerance=Tolerance.parse("0.4pp"), max_samples=10**9)
ANSWERS = (1, 2, 5, 10)
GROUPED_BATCH = 1000
REUSE_BATCH, REUSE_SLOTS = 5000, 64
PICKS: dict[str, Router] = {
    "connection": RandomPerConnection((0.9, 0.1)),
    "request": RandomPerRequest((0.9, 0.1)),
}


def main() -> None:
    """Measure, and write the report."""
    figures = {
        "schema": "weighbridge.benchmark/1",
        "made": provenance({}),
        "fresh": [_fresh(name, size) for name in SPLITS for size in SIZES],
        "grouped": [_grouped(answers, pick) for answers in ANSWERS for pick in PICKS],
        "reuse_weigh_us": _reuse(),
    }
    write("verdict_path", figures, _markdown(figures))


def _fresh(name: str, size: int) -> dict[str, Any]:
    split = SPLITS[name]
    made = _batches(split, size)

    def start() -> Evidence:
        return Evidence.start(split, POLICY)

    health = _best(
        HealthEvidence.observe, lambda: HealthEvidence.start(split, HealthPolicy()), made
    )
    tally = _best(lambda tally, batch: tally + Tally.of(batch), Tally, made)
    return {
        "versions": name,
        "batch": size,
        "weigh_us": _best(weigh, start, made),
        "health_us": health,
        "tally_us": tally,
    }


def _grouped(answers: int, pick: str) -> dict[str, Any]:
    made = _groups(PICKS[pick], answers)
    policy = replace(POLICY, per_connection=answers)
    took = _best(weigh, lambda: Evidence.start(NINE_ONE, policy), made)
    return {"answers": answers, "picks": pick, "weigh_us": took}


def _reuse() -> float:
    """Measure a run on kept connections, as it judges the first answer of each."""
    template = Batch.of_labels(["v1"] * REUSE_BATCH)
    made = []
    for first in range(0, 10 * SAMPLES, REUSE_BATCH):
        launched = np.arange(first, first + REUSE_BATCH)
        slot, ordinal = launched % REUSE_SLOTS, (launched // REUSE_SLOTS).astype(np.int32)
        made.append(replace(template, first=first, connection=slot, ordinal=ordinal))
    return _best(weigh, lambda: Evidence.start(NINE_ONE, POLICY), made)


def _batches(split: Split, size: int) -> list[Batch]:
    """Make a run of independent draws, in batches."""
    random = np.random.default_rng(1)
    template = Batch.of_labels([split.arms[0]] * size)
    made = []
    for first in range(0, SAMPLES - size + 1, size):
        label = random.choice(len(split.arms), size, p=split.shares).astype(np.int32)
        done = template.sent_ns + random.lognormal(14, 0.5, size).astype(np.int64)
        made.append(replace(template, first=first, label=label, labels=split.arms, done_ns=done))
    return made


def _groups(router: Router, answers: int) -> list[Batch]:
    """Make a run of connections that carry several answers each, in batches."""
    whole = simulate(router, SAMPLES // answers, np.random.default_rng(1), requests=answers)
    whole = replace(whole, planned=np.full(len(whole), answers, dtype=np.int32))
    return [whole[first : first + GROUPED_BATCH] for first in range(0, len(whole), GROUPED_BATCH)]


def _best(step: Callable[..., Any], start: Callable[[], Any], made: list[Batch]) -> float:
    """Give the least processor time of a fold over the batches [us a sample]."""
    took = []
    for _ in range(ROUNDS):
        state = start()
        began = time.process_time()
        for batch in made:
            state = step(state, batch)
        took.append(time.process_time() - began)
    return min(took) / sum(map(len, made)) * 1e6


def _markdown(figures: dict[str, Any]) -> str:
    fresh = [
        f"| {row['versions']} | {row['batch']} | {row['weigh_us']:.2f} "
        f"| {row['health_us']:.2f} | {row['tally_us']:.2f} |"
        for row in figures["fresh"]
    ]
    grouped = [
        f"| {row['answers']} | {row['picks']} | {row['weigh_us']:.2f} |"
        for row in figures["grouped"]
    ]
    return f"""\
# What judging costs a sample

Processor time [µs a sample], the best of {ROUNDS} rounds of {SAMPLES} simulated samples.

A fresh connection each, by versions and size of the batches:

| versions | batch | weigh | health | tally |
| --- | ---: | ---: | ---: | ---: |
{chr(10).join(fresh)}

Several answers of each connection, in batches of {GROUPED_BATCH}, by what the balancer picks a
version for:

| answers of a connection | picks for each | weigh |
| ---: | --- | ---: |
{chr(10).join(grouped)}

{REUSE_SLOTS} kept connections, of each of which the first answer is judged, in batches of
{REUSE_BATCH}: {figures["reuse_weigh_us"]:.4f}.

{paragraph(figures["made"])}"""


if __name__ == "__main__":
    main()
