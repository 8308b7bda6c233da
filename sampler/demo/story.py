"""The story of one canary, told with real requests, and judged for real.

Ten pods of v1; then nine and one of v2; then the same intent with a weight that never took
effect; then the promotion. Each stage says what was declared and what really runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis import Split
from analysis.data.report import Source, Verdict
from sampler.demo.process import EmbeddedService
from sampler.plan.load import Load
from sampler.plan.run import RunPlan
from sampler.plan.target import Target
from sampler.run.gate import Weighing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from analysis import Report


@dataclass(frozen=True, slots=True)
class Stage:
    """One moment in the life of a canary.

    Parameters
    ----------
    name : str
        Part of the run's folder.
    title : str
        What a person would say of it.
    declared : Split
        What the manifests ask for.
    running : mapping of str to int
        Pods that really answer, by label.
    verdict : Verdict
        What the gate should say.
    """

    name: str
    title: str
    declared: Split
    running: Mapping[str, int]
    verdict: Verdict


STAGES = (
    Stage(
        "demo-1-before",
        "Before the canary: 10 pods of v1, none of v2",
        Split(("v1", "v2"), (10, 0)),
        {"v1": 10, "v2": 0},
        Verdict.PASS,
    ),
    Stage(
        "demo-2-canary",
        "The canary: 9 pods of v1, 1 of v2",
        Split(("v1", "v2"), (9, 1)),
        {"v1": 9, "v2": 1},
        Verdict.PASS,
    ),
    Stage(
        "demo-3-broken",
        "A broken canary: 9:1 was declared, but the weight never took effect",
        Split(("v1", "v2"), (9, 1)),
        {"v1": 5, "v2": 5},
        Verdict.FAIL,
    ),
    Stage(
        "demo-4-promoted",
        "The promotion: no pod of v1, 10 of v2",
        Split(("v1", "v2"), (0, 10)),
        {"v1": 0, "v2": 10},
        Verdict.PASS,
    ),
)


async def tell(out: Path, *, seed: int, concurrency: int) -> AsyncIterator[tuple[Stage, Report]]:
    """Play the stages one after the other and yield each with its report.

    Parameters
    ----------
    out : Path
        Folder of the runs.
    seed : int
        Of the Service's picks and of the sampler, so that the story repeats.
    concurrency : int
        Most requests in flight at once.

    Raises
    ------
    WeighbridgeError
        If the Service cannot be started, or the runs cannot be written.
    """
    with EmbeddedService(STAGES[0].running, seed=seed) as service:
        for stage in STAGES:
            service.configure(stage.running, seed=seed)
            plan = RunPlan(
                Target(service.url),
                Load(concurrency=concurrency, max_rate=None),  # the Service is our own
                split=stage.declared,
                source=Source("declared", "demo", stage.title),
                seed=seed,
                out=out,
                name=stage.name,
                command=f"weighbridge check {service.url} --expect {stage.declared}",
            )
            yield stage, await Weighing(plan).run()
