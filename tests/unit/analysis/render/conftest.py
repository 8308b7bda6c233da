"""Sample reports, and a strategy for hostile ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import strategies as st

from analysis.data.health import Health, HealthArm, HealthErrors, HealthTimes
from analysis.data.report import (
    Check,
    Decided,
    Expected,
    Observed,
    Performance,
    Reason,
    ReasonCode,
    Report,
    Run,
    Samples,
    Source,
    Verdict,
)

HOSTILE = (
    "v1\x1b[2J\x1b[31m",
    "v1\u202e2v",
    "v1\r\nPASS  everything is fine",
    "v1\x00",
    "v1\u2028\u2029\x85",
    "v1\ufffe\uffff",
    "v1\ud800",
    "v1\ufe0f\u200b\u3164",
    "]]></system-out><testcase/>&lt;",
    "x" * 5000,
    "漢字" * 40,
    "\N{FULLWIDTH LATIN CAPITAL LETTER V}" * 80,
    "e" + "\u0301" * 300,
    "",
    " v1 ",
    '"\\',
)


def _observed(counts, intervals):
    n = sum(counts.values())
    return Observed(counts, {label: count / n for label, count in counts.items()}, intervals)


def _passed():
    return Report(
        verdict=Verdict.PASS,
        reasons=[
            Reason(
                ReasonCode.WITHIN_TOLERANCE,
                "v2 received 10.2 % [8.7, 11.9] of 1 204 connections; --expect asks for 10 %",
            )
        ],
        expected=Expected(
            Source(),
            {"v1": 9, "v2": 1},
            {"v1": 0.9, "v2": 0.1},
            {"v1": (0.86, 0.95), "v2": (0.05, 0.14)},
        ),
        observed=_observed({"v1": 1081, "v2": 123}, {"v1": (0.881, 0.913), "v2": (0.087, 0.119)}),
        samples=Samples(1208, 1204, 1204, 1206, 0, {"ok": 1204, "timeout": 3, "reset": 1}),
        decision=Decided(
            0.01,
            0.01,
            1204,
            [
                Check(
                    "share of v2", Verdict.PASS, "10.2 % [8.7, 11.9] lies within [5, 14] %", "v2"
                ),
                Check("unlabelled", Verdict.PASS, "0.33 % of the requests gave no label"),
            ],
        ),
        performance=Performance("fast", 0.4137, 2937.4, 41.2, False, 16, None, "fresh"),
        run=Run(
            id="20240501T101112Z-check",
            path="reports/20240501T101112Z-check",
            seed=7,
            started_at="2024-05-01T10:11:12Z",
            version="0.1.0",
            target="GET http://10.96.0.10/",
            label="/label",
            command="weighbridge check 10.96.0.10 --expect v1=9,v2=1",
        ),
    )


def _failed():
    right = _passed()
    return replace(
        right,
        verdict=Verdict.FAIL,
        reasons=[
            Reason(
                ReasonCode.OUTSIDE_TOLERANCE,
                "v2 received 49.8 % [44.1, 55.5] of 291 connections; --expect asks for 10 %",
                "check that the weights of the route were applied",
            ),
            Reason(
                ReasonCode.LOOKS_LIKE,
                "the shares look like 1:1",
                "a route without weights shares evenly",
            ),
        ],
        observed=_observed({"v1": 146, "v2": 145}, {"v1": (0.445, 0.559), "v2": (0.441, 0.555)}),
        samples=Samples(291, 291, 291, 291, 0, {"ok": 291}),
        decision=Decided(
            0.01, 0.01, 291, [Check("share of v2", Verdict.FAIL, "49.8 % lies above 14 %", "v2")]
        ),
        notes=["the first 16 requests were the preflight"],
    )


def _undecided():
    right = _passed()
    return replace(
        right,
        verdict=Verdict.INCONCLUSIVE,
        reasons=[
            Reason(
                ReasonCode.BUDGET_SPENT,
                "the budget of 60 requests is spent; v2 received 12 % [4, 27] of 60 connections, "
                "and up to 14 % would be right",
                "give --max-samples 1 600 or more",
            )
        ],
        observed=_observed({"v1": 53, "v2": 7}, {"v1": (0.73, 0.96), "v2": (0.04, 0.27)}),
        samples=Samples(60, 60, 60, 60, 0, {"ok": 60}),
        decision=Decided(
            0.01, 0.01, 60, [Check("share of v2", Verdict.INCONCLUSIVE, "12 % [4, 27]", "v2")]
        ),
        run=replace(right.run, path=None),
    )


def _measured():
    right = _passed()
    return replace(
        right,
        verdict=None,
        reasons=[],
        expected=None,
        decision=None,
        observed=replace(
            right.observed, replicas={"v1": {"app-1": 540, "app-2": 541}, "v2": {"app-3": 123}}
        ),
        performance=replace(right.performance, offered_per_s=3000.0, connection="10:30"),
    )


REPORTS = {
    "passed": _passed,
    "failed": _failed,
    "undecided": _undecided,
    "measured": _measured,
}


@pytest.fixture(scope="session")
def reports():
    """Give one report of each kind by name."""
    return {name: make() for name, make in REPORTS.items()}


@pytest.fixture(params=list(REPORTS))
def report(request):
    """Give one report after the other."""
    return REPORTS[request.param]()


@pytest.fixture(scope="session")
def hostile_labels():
    """Give labels that a stranger might send."""
    return HOSTILE


def _is_one_a_decoder_gives(text):
    # Two surrogates that pair up are one character to every JSON decoder.
    return not any("\ud800" <= a < "\udc00" <= b < "\ue000" for a, b in pairwise(text))


def _health(texts):
    """Health with labels of strangers; its numbers are ours, so a few will do."""
    arms = st.builds(HealthArm, texts, st.just(640), st.just(12), st.just({"p50": 0.02}))
    errors = HealthErrors(500, 30.5, 1e-9, 2.0, 0.5)
    times = HealthTimes(64, 60, 9.0, {"p50": (-0.01, 0.03)}, 0.95)
    return st.builds(Health, arms, arms, st.just(errors), st.just(times))


def _strategies():
    characters = st.characters(codec=None)
    texts = st.text(characters, max_size=12).filter(_is_one_a_decoder_gives) | st.sampled_from(
        HOSTILE
    )
    counts = st.integers(0, 10**9)
    shares = st.floats(0, 1)
    intervals = st.tuples(shares, shares).map(lambda ends: (min(ends), max(ends)))
    times = st.floats(0, 1e6)

    def by(values, keys=texts, least=0):
        return st.dictionaries(keys, values, min_size=least, max_size=5)

    reasons = st.builds(Reason, st.sampled_from(ReasonCode), texts.filter(bool), texts)
    checks = st.builds(Check, texts.filter(bool), st.sampled_from(Verdict), texts)
    sources = st.builds(Source, st.just("declared"), texts, texts)
    rates = st.floats(1e-6, 0.49)
    outcomes = by(st.integers(1, 10**9), st.sampled_from(["ok", "timeout", "reset", "unlabelled"]))
    fields = {
        "observed": st.builds(
            Observed, by(counts), by(shares), by(intervals), by(by(st.integers(1, 10**6)))
        ),
        "samples": st.builds(Samples, counts, counts, counts, counts, counts, outcomes),
        "performance": st.builds(
            Performance,
            st.sampled_from(["fast", "full"]),
            times,
            times,
            times,
            st.booleans(),
            st.integers(1, 10**4),
            st.none() | st.floats(0.1, 1e6),
            st.sampled_from(["fresh", "reuse", "10:30"]),
        ),
        "run": st.builds(
            Run,
            texts,
            st.none() | texts,
            st.integers(0, 2**64),
            st.just("2024-05-01T10:11:12.5Z"),
            st.just("0.1.0"),
            texts,
            texts,
            texts,
        ),
        "notes": st.lists(texts, max_size=3),
        "health": st.none() | _health(texts),
    }
    judged = st.builds(
        Report,
        verdict=st.sampled_from(Verdict),
        reasons=st.lists(reasons, min_size=1, max_size=4),
        expected=st.builds(
            Expected,
            sources,
            by(st.integers(0, 10**15), least=1),
            by(shares, least=1),
            by(intervals, least=1),
        ),
        decision=st.builds(Decided, rates, rates, counts, st.lists(checks, max_size=4)),
        **fields,
    )
    measured = st.builds(
        Report,
        verdict=st.none(),
        reasons=st.lists(reasons, max_size=2),
        expected=st.none(),
        decision=st.none(),
        **fields,
    )
    return judged | measured


@pytest.fixture(scope="session")
def any_report():
    """Give a strategy of reports whose texts come from strangers."""
    return st.deferred(_strategies)
