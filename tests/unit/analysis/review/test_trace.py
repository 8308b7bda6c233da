"""The evidence of a run is weighed again, and agrees with the decision."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest

from analysis import Evidence, Policy, Split, Tolerance, Verdict, weigh
from analysis.review import trace
from tests.recorded import recorded, traced

LEVEL = log(100)


def test_a_pass_falls_where_the_weakest_evidence_reaches_its_boundary():
    batch, report = recorded(["v1", "v2"], [9, 1])
    made = traced(batch, report)

    assert report.decision is not None
    assert report.verdict is Verdict.PASS
    assert made.judged[-1] == report.decision.decided_after
    assert made.weakest[-1] >= made.pass_at == pytest.approx(LEVEL)
    assert made.weakest[-2] < made.pass_at
    assert made.failing.max() < made.fail_at
    assert made.at_s[-1] == batch.sent_ns[report.decision.decided_after - 1] / 1e9


def test_a_fail_falls_where_the_evidence_against_reaches_its_boundary():
    made = traced(*recorded(["v1", "v2"], [9, 1], expect=[5, 5]))

    assert made.failing[-1] >= made.fail_at
    assert (made.failing[:-1] < made.fail_at).all()
    assert made.weakest[-1] < made.pass_at


def test_each_look_has_the_evidence_of_a_fold_up_to_there():
    batch, report = recorded(["v1", "v2", "v3"], [6, 3, 1], n=900, lost=0.005)
    made = traced(batch, report)
    folded = weigh(Evidence.start(Split(("v1", "v2", "v3"), (6, 3, 1)), Policy(), 7), batch)

    assert made.arms == ("v1", "v2", "v3")
    peaks = [peak.log_evidence for peak in folded.peaks]
    np.testing.assert_allclose(made.passing[:, -1], peaks)
    assert (np.diff(made.passing, axis=1) >= 0).all()
    assert made.failing[-1] == pytest.approx(folded.log_fail)


def test_shares_of_nought_and_one_have_a_clean_run_instead_of_rows():
    made = traced(*recorded(["v1", "v2"], [1, 0], n=900))

    assert made.arms == ()
    assert made.clean is not None
    assert made.clean[-1] >= made.pass_at
    assert len(made.failing) == 0


@pytest.mark.parametrize(
    "policy",
    [
        Policy(alpha=0.02),
        Policy(tolerance=Tolerance.parse("2pp")),
        Policy(max_samples=40),
    ],
)
def test_the_evidence_of_another_policy_is_not_shown(policy):
    assert trace.trace(*recorded(["v1", "v2"], [9, 1]), policy) is None


def test_the_evidence_of_other_samples_is_not_shown():
    _, report = recorded(["v1", "v2"], [9, 1])
    others, _ = recorded(["v1", "v2"], [8, 2], seed=5)

    assert trace.trace(others, report, Policy()) is None


def test_a_measurement_has_no_evidence():
    batch, report = recorded(["v1", "v2"], [9, 1])

    assert trace.trace(batch, replace(report, decision=None, expected=None), Policy()) is None


def test_beyond_the_exact_part_the_counts_go_on(monkeypatch):
    policy = Policy(tolerance=Tolerance.parse("2pp"), max_samples=100_000)
    batch, report = recorded(["v1", "v2"], [9, 1], n=6000, policy=policy)
    whole = traced(batch, report, policy)
    monkeypatch.setattr(trace, "EXACT", 500)

    rough = traced(batch, report, policy)

    assert not rough.is_exact
    assert whole.is_exact
    np.testing.assert_array_equal(rough.judged, whole.judged)
    # At the looks the evidence for PASS is the same; between them its peak may be missed.
    assert (rough.passing <= whole.passing + 1e-9).all()
    assert (rough.passing >= whole.passing - 1.0).all()
    assert (rough.failing <= whole.failing + 1e-9).all()
