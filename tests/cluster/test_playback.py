"""Recordings of a real cluster, played through sockets: `check --cluster`, at three paces."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from analysis import Policy
from analysis.data.report import ReasonCode, Verdict
from sampler.expect.cluster.overview import look
from sampler.expect.rules.model import Question
from sampler.plan.load import Limits, Load
from sampler.plan.run import RunPlan
from sampler.plan.target import Target
from sampler.run.gate import Weighing
from tests.playback import Playback
from tests.replays import NAMESPACE, PER_S, RECORDINGS, declare, read

SCALES = [3.0, 6.0, 12.0]


def play(reach, name, scale, *, since_s, declared=None, wait_s=12.0):
    """Check a recording as the command does, on the clock of the recording."""
    recording = read(RECORDINGS / name)
    with Playback(recording, scale, since_s) as playback:
        reach(playback)
        question = Question(service="app", namespace=NAMESPACE)
        overview = asyncio.run(look(question, declared=declared))
        expected = overview.expectation()
        plan = RunPlan(
            Target(playback.url),
            Load(max_rate=PER_S, concurrency=64, overload_stop=False),
            Limits(max_time_s=recording.end_s + 60),
            split=expected.split,
            policy=Policy(),
            source=expected.source,
            seed=4,
        )
        watch = overview.watch(None, wait_s=wait_s, clock=playback.clock)
        # Recorded times are of that day: how long ago the last change was is not asked here.
        watch = replace(watch, age_s=None)
        return asyncio.run(Weighing(plan, watch=watch, clock=playback.clock).run())


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("name", "declared", "since_s", "verdict", "code"),
    [
        ("a-settled", (10, 0), 0.2, Verdict.PASS, ReasonCode.WITHIN_TOLERANCE),
        ("b-apply-10-0-to-9-1", (9, 1), 3.0, Verdict.PASS, ReasonCode.WITHIN_TOLERANCE),
        ("c-promotion", (9, 1), 4.5, Verdict.INCONCLUSIVE, ReasonCode.DECLARED_DIFFERS),
        ("d-crash-loop", None, 4.5, Verdict.INCONCLUSIVE, ReasonCode.EXPECTATION_MOVED),
        ("j-only-terminating", None, 4.5, Verdict.INCONCLUSIVE, ReasonCode.EXPECTATION_MOVED),
        ("p-proxy-frozen", (7, 3), 0.2, Verdict.FAIL, ReasonCode.TOO_MANY_UNLABELLED),
    ],
)
def test_a_played_recording_ends_as_its_truth_asks(
    reach, name, declared, since_s, verdict, code, scale
):
    given = None if declared is None else declare(*declared)

    report = play(reach, name, scale, since_s=since_s, declared=given)

    assert (report.verdict, report.reasons[0].code) == (verdict, code), report.reasons
