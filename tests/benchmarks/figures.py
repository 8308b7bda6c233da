"""How long it takes to draw a run of ten million samples.

The samples are made in memory, nine of v1 to one of v2 on a fresh connection each, with ten
replicas; each figure is drawn to SVG, as the page of a run has it, and the time from the samples
to the text is taken; the median of five. The first drawing of the process, which loads
matplotlib's fonts, is told apart.

Run from the repository: ``.venv/bin/python -m tests.benchmarks.figures``.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis import Batch, Evidence, Policy, Split, Tally, Tolerance, Verdict
from analysis.data.report import Decided, Performance, Reason, ReasonCode, Report, Run, Source
from analysis.figures import (
    connections,
    evidence_over_connections,
    response_times,
    shares_by_replica,
    split_over_time,
)
from analysis.review.trace import Trace, trace
from analysis.verdict.sections import expected_of, observed_unjudged, samples_of
from sampler.base.version import __version__
from sampler.show.drawing import to_svg
from tests.benchmarks.provenance import paragraph, provenance, spread, write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure

AIM_S = 3.0
RATE_PER_S = 100_000
REPLICAS = 10
POLICY = Policy(tolerance=Tolerance.parse("0.005pp"), max_samples=100_000_000)
"""So narrow that ten million samples do not decide it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw each figure several times and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=10_000_000, help="samples of the run")
    parser.add_argument("--runs", type=int, default=5, help="drawings of each figure")
    options = parser.parse_args(arguments)
    batch = _samples(options.samples)
    report = _report(batch)
    draw: dict[str, Callable[[], Figure]] = {
        "split": partial(split_over_time, batch, report),
        "evidence": lambda: evidence_over_connections(_traced(batch, report), report),
        "replicas": partial(shares_by_replica, report),
        "times": partial(response_times, batch, report),
        "connections": partial(connections, batch, report),
    }
    first_s = _timed(lambda: to_svg(draw["replicas"], "first", "", ""))
    each = {
        name: [_timed(partial(to_svg, one, name, "", "")) for _ in range(options.runs)]
        for name, one in draw.items()
    }
    figures = {
        "schema": "weighbridge.benchmark/1",
        "made": provenance({}),
        "samples": options.samples,
        "runs": options.runs,
        "aim_s": AIM_S,
        "first_s": first_s,
        "draw_s": {name: spread(seconds) for name, seconds in each.items()},
        "each_s": each,
    }
    write("figures", figures, _markdown(figures))


def _traced(batch: Batch, report: Report) -> Trace:
    traced = trace(batch, report, POLICY)
    if traced is None:
        raise RuntimeError("the report is not of these samples")
    return traced


def _timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _samples(n: int) -> Batch:
    choose = np.random.default_rng(1)
    sent = np.arange(n, dtype=np.int64) * (1_000_000_000 // RATE_PER_S)
    took = choose.lognormal(14.0, 0.5, n).astype(np.int64)
    label = (choose.random(n) < 0.1).astype(np.int32)
    replica = np.where(label == 1, REPLICAS - 1, choose.integers(0, REPLICAS - 1, n))
    return Batch(
        first=0,
        scheduled_ns=sent,
        sent_ns=sent,
        first_byte_ns=sent + took // 2,
        done_ns=sent + took,
        connection=np.arange(n, dtype=np.int64),
        ordinal=np.zeros(n, dtype=np.int32),
        label=label,
        replica=replica.astype(np.int32),
        status=np.full(n, 200, dtype=np.int16),
        outcome=np.zeros(n, dtype=np.uint8),
        worker=np.zeros(n, dtype=np.uint16),
        labels=("v1", "v2"),
        replicas=tuple(f"app-{number}" for number in range(REPLICAS)),
    )


def _report(batch: Batch) -> Report:
    tally, n = Tally.of(batch), len(batch)
    return Report(
        verdict=Verdict.INCONCLUSIVE,
        reasons=[Reason(ReasonCode.TIME_SPENT, "made for a measurement")],
        expected=expected_of(Evidence.start(Split.parse("v1=9,v2=1"), POLICY), Source()),
        observed=observed_unjudged(tally, POLICY.alpha),
        samples=samples_of(tally, None, None),
        decision=Decided(POLICY.alpha, POLICY.beta, n),
        performance=Performance("fast", n / RATE_PER_S, RATE_PER_S, 10.0, False, 64, None, "fresh"),
        run=Run("bench", None, 1, "2026-01-01T00:00:00Z", __version__, "GET /", "/label"),
    )


def _markdown(figures: dict[str, Any]) -> str:
    rows = [
        f"| {name} | {seconds['median']:.2f} | {seconds['min']:.2f} | {seconds['max']:.2f} |"
        for name, seconds in figures["draw_s"].items()
    ]
    return f"""\
# How long figures take

Samples to SVG [s], {figures["samples"]:,} samples, {figures["runs"]} drawings each; the aim is
{figures["aim_s"]:g} s a figure. The first drawing of a process took {figures["first_s"]:.2f} s,
whatever it was: it loads matplotlib and its fonts.

| figure | median | least | greatest |
| --- | ---: | ---: | ---: |
{chr(10).join(rows)}

{paragraph(figures["made"])}"""


if __name__ == "__main__":
    main()
