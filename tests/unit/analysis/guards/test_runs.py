from __future__ import annotations

from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.data.report import ReasonCode, Verdict
from analysis.data.split import Tolerance
from analysis.guards.runs import EXTREME, Runs, runs_z
from analysis.verdict.decision import decide


def test_runs_of_versions_that_take_turns_exactly():
    assert runs_z(60, 300, 30) == pytest.approx(1.6161095, abs=1e-8)


def test_runs_of_a_known_stream():
    assert runs_z(175, 1000, 99) == pytest.approx(-0.781391385, abs=1e-9)


@pytest.mark.parametrize(("n", "x"), [(0, 0), (1, 1), (2, 1), (50, 0), (50, 50)])
def test_counts_that_leave_no_choice_say_nothing(n, x):
    assert runs_z(1 + (0 < x < n), n, x) == 0


@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=80), st.lists(st.integers(0, 80), max_size=5)
)
def test_runs_are_counted_whatever_the_cuts(codes, cuts):
    hit = np.array([[code == arm for code in codes] for arm in (1, 2)])
    runs = Runs.start(2)
    for first, last in pairwise([0, *sorted(min(cut, len(codes)) for cut in cuts), len(codes)]):
        runs = runs.follow(hit[:, first:last])

    assert [n + 1 for n in runs.changes] == [len(list(groupby(row))) for row in hit.tolist()]


def sticky(n, every, length):
    """One canary in ten, in stretches."""
    return [("v2" if position // length % every == 0 else "v1") for position in range(n)]


def test_connections_that_hang_together_do_not_pass(run):
    """10 % in total, always three in a row: the counts alone pass it."""
    evidence = run("v1=9,v2=1", sticky(6000, 10, 3), tolerance=Tolerance.parse("2pp"))
    decision = decide(evidence)

    assert evidence.settled is ReasonCode.DEPENDENT_CONNECTIONS
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert decision.is_final
    assert "are not independent" in decision.reasons[0].message
    assert "affinity" in decision.reasons[0].remedy
    assert evidence.runs_z_of(0) < -EXTREME
    assert decision.notes == ()


def test_round_robin_passes_and_is_said_to_be_harmless(run):
    decision = decide(
        run("v1=9,v2=1", (["v1"] * 9 + ["v2"]) * 600, tolerance=Tolerance.parse("2pp"))
    )

    assert decision.verdict is Verdict.PASS
    assert "harmless" in decision.notes[0]


def test_missing_labels_are_left_out_of_the_runs(run):
    lost = run("v1=1,v2=1", ["v1", None, "v1", "v2", None, None, "v2"])

    assert lost.runs == run("v1=1,v2=1", ["v1", "v1", "v2", "v2"]).runs


def test_a_run_without_a_verdict_says_when_its_connections_hang_together(run):
    decision = decide(run("v1=9,v2=1", sticky(300, 10, 5), max_samples=300, alpha=1e-9))

    assert decision.verdict is Verdict.INCONCLUSIVE
    assert decision.reasons[0].code is ReasonCode.BUDGET_SPENT
    assert "are not independent" in decision.notes[0]
