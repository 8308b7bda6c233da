"""Record the runs that the notebooks read: real requests to the embedded Service.

``make notebook-runs``, or ``python -m notebooks.record`` from the repository. What chance picks
differs from time to time, so the notebooks compute the numbers of their sentences; run
``make notebooks`` afterwards.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from analysis import Split, Verdict
from sampler import Limits, Load, Target, check, sample
from sampler.demo.pods import Faults
from sampler.demo.process import EmbeddedService
from sampler.plan.load import ConnectionLife

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis import Report

RUNS = Path(__file__).resolve().parent / "runs"
KEPT = ("report.json", "samples.parquet", "plan.json", "expectation.json")
"""Files of a run that are kept; ``weighbridge report`` makes the others again."""
ATTEMPTS = 5
"""A right split is left undecided in one run of a hundred; the notebooks show the usual case."""
SEED = 20
"""Of the pods that the Service picks."""
COLLEAGUES = 12
"""Runs of the two series."""

TEN_PERCENT = Split.parse("v1=9,v2=1")
KEEP_ALIVE = Load(connection=ConnectionLife(20, 20))


@dataclass(frozen=True, slots=True)
class Scene:
    """One run: what serves, what is sent, and what usually comes of it.

    Parameters
    ----------
    pods : mapping of str to int
        Of the embedded Service, by version.
    faults : mapping of str to Faults
        What is wrong with them.
    load : Load
        How requests are sent.
    requests : int or None
        Sample so many without judging; None checks for `expect`.
    expect : Split
        What is checked for.
    usual : Verdict or None
        The verdict to show; None where nothing is judged.
    """

    pods: Mapping[str, int]
    faults: Mapping[str, Faults] = field(default_factory=dict)
    load: Load = field(default_factory=Load)
    requests: int | None = None
    expect: Split = TEN_PERCENT
    usual: Verdict | None = None


SCENES = {
    "first-look": Scene({"v1": 9, "v2": 1}, usual=Verdict.PASS),
    "weight-ignored": Scene({"v1": 5, "v2": 5}, usual=Verdict.FAIL),
    "keep-alive-check": Scene({"v1": 9, "v2": 1}, load=KEEP_ALIVE, usual=Verdict.PASS),
    "half-dropped": Scene({"v1": 9, "v2": 2}, {"v2": Faults(drop=0.5)}, requests=1500),
    "slow-canary": Scene({"v1": 9, "v2": 1}, {"v2": Faults(delay_s=0.15)}, usual=Verdict.PASS),
    "next-step": Scene(
        {"v1": 7, "v2": 3}, expect=Split.parse("v1=7,v2=3"), usual=Verdict.PASS
    ),
    **{
        f"{name}/{number:02}": Scene({"v1": 9, "v2": 1}, load=load, requests=1000)
        for name, load in (("fresh", Load()), ("keep-alive", KEEP_ALIVE))
        for number in range(1, COLLEAGUES + 1)
    },
}  # fmt: skip


def main() -> None:
    """Replace the runs."""
    # One Service with one address for all of them, as it would be in a cluster.
    with (
        tempfile.TemporaryDirectory() as folder,
        chdir(folder),
        EmbeddedService({"v1": 1}, seed=SEED) as service,
    ):
        for number, (name, scene) in enumerate(SCENES.items(), start=1):
            report = record(name, scene, service, seed=100 * number)
            keep(Path(report.run.path or ""), RUNS / name)
            said = report.verdict or f"{report.samples.launched} samples"
            print(f"{name}: {said}", file=sys.stderr)


def record(name: str, scene: Scene, service: EmbeddedService, seed: int) -> Report:
    """Play a scene until its usual verdict comes of it."""
    service.configure(scene.pods, scene.faults)
    for attempt in range(ATTEMPTS):
        report = asyncio.run(_play(name, scene, service.url, seed + attempt))
        if report.verdict is scene.usual:
            return report
    raise RuntimeError(f"{name}: none of {ATTEMPTS} runs ended with {scene.usual}")


async def _play(name: str, scene: Scene, url: str, seed: int) -> Report:
    run_name = name.replace("/", "-")
    if scene.requests is not None:
        limits = Limits(max_samples=scene.requests)
        return await sample(
            Target(url), limits, load=scene.load, seed=seed, out=Path("runs"), name=run_name
        )
    return await check(
        Target(url), scene.expect, load=scene.load, seed=seed, out=Path("runs"), name=run_name
    )


def keep(made: Path, kept: Path) -> None:
    """Keep what the notebooks read of a run."""
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for name in KEPT:
        if (made / name).exists():
            shutil.copy(made / name, kept / name)


if __name__ == "__main__":
    main()
