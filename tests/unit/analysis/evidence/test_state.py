from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.bets.sizing import required_samples
from analysis.data.batch import Batch, Outcome
from analysis.data.policy import Policy
from analysis.data.report import ReasonCode
from analysis.data.split import Split, Tolerance
from analysis.evidence.fold import SLICE, weigh
from analysis.evidence.state import Evidence
from analysis.planning.forecast import remaining

NINE_ONE = Split.parse("v1=9,v2=1")


def fresh(split=NINE_ONE, **policy):
    return Evidence.start(split, Policy(**policy))


def test_a_run_begins_with_nothing():
    evidence = fresh()

    assert (evidence.judged, evidence.missing, evidence.settled) == (0, 0, None)
    assert evidence.counts == {"v1": 0, "v2": 0}
    assert evidence.log_fail == 0
    assert evidence.budget == required_samples(NINE_ONE, Policy()).q99


def test_the_budget_is_what_the_policy_says():
    assert fresh(max_samples=7).budget == 7


def test_a_tolerance_that_an_absent_version_would_meet_is_refused():
    with pytest.raises(ValueError, match="no traffic at all and pass"):
        fresh(tolerance=Tolerance.parse("10pp"))


def test_an_empty_batch_changes_nothing():
    assert weigh(fresh(), Batch.of_labels([])) == fresh()


def test_only_the_first_sample_of_each_connection_is_judged():
    batch = Batch.of_labels(["v1", "v2", "v2", "v1", "v2"])
    ordinal = np.array([0, 1, 2, 0, 1], dtype=np.int32)

    evidence = weigh(fresh(), replace(batch, ordinal=ordinal))

    assert evidence.counts == {"v1": 2, "v2": 0}
    assert evidence.judged == 2


def test_samples_that_drew_no_pod_are_not_judged():
    batch = Batch.of_labels(["v1", None, "v1"])
    outcome = np.array([Outcome.OK, Outcome.CLIENT_LIMIT, Outcome.OK], dtype=np.uint8)

    evidence = weigh(fresh(), replace(batch, outcome=outcome))

    assert (evidence.judged, evidence.missing) == (2, 0)


@pytest.mark.parametrize(
    "outcome", [o for o in Outcome if o not in {Outcome.OK, Outcome.CLIENT_LIMIT}]
)
def test_every_other_failure_is_a_connection_without_a_label(outcome):
    batch = Batch.of_labels(["v1", None])
    codes = np.array([Outcome.OK, outcome], dtype=np.uint8)

    evidence = weigh(fresh(), replace(batch, outcome=codes))

    assert (evidence.judged, evidence.missing, evidence.labelled) == (2, 1, 1)


def test_codes_may_mean_other_labels_in_the_next_batch():
    evidence = weigh(fresh(), Batch.of_labels(["v2", "v1", "v1"]))
    evidence = weigh(evidence, Batch.of_labels(["v1", "v2", "v1"], first=3))

    assert evidence.counts == {"v1": 4, "v2": 2}


@pytest.mark.parametrize(
    ("split", "labels", "policy", "settled", "judged"),
    [
        ("v1=9,v2=1", ["v2"] * 9, {}, ReasonCode.OUTSIDE_TOLERANCE, 4),
        ("v1=9,v2=1", ["v1", "x"], {}, ReasonCode.UNEXPECTED_LABEL, 2),
        ("v1=10,v2=0", ["v1", "v1", "v2"], {}, ReasonCode.UNEXPECTED_LABEL, 3),
        ("v1=0,v2=10", ["v2", "v1"], {}, ReasonCode.UNEXPECTED_LABEL, 2),
        ("v1=10", ["v1", "v2"], {}, ReasonCode.UNEXPECTED_LABEL, 2),
        ("v1=10,v2=0", ["v1"] * 500, {}, ReasonCode.WITHIN_TOLERANCE, 459),
        ("v1=10", ["v1"] * 500, {}, ReasonCode.WITHIN_TOLERANCE, 459),
        ("v1=10,v2=0", ["v1"] * 500, {"beta": 0.05}, ReasonCode.WITHIN_TOLERANCE, 299),
        ("v1=10,v2=0", ["v1", None] * 99, {}, ReasonCode.TOO_MANY_UNLABELLED, 32),
        ("v1=10", [None] * 99, {"max_unlabelled": 1.0}, ReasonCode.MISSING_LABELS, 32),
        ("v1=10,v2=0", ["v1", None] + ["v1"] * 1600, {}, ReasonCode.WITHIN_TOLERANCE, 1450),
        (
            "v1=0,v2=10",
            ["v2"] * 458 + [None] + ["v2"] * 1600,
            {},
            ReasonCode.WITHIN_TOLERANCE,
            1450,
        ),
        ("v1=10,v2=0", ["v1"] * 459 + [None], {}, ReasonCode.WITHIN_TOLERANCE, 459),
        ("v1=10", [None] + ["v1"] * 999, {"missing_ratio": 2}, ReasonCode.WITHIN_TOLERANCE, 461),
        ("v1=5,v2=5", [None] * 99, {}, ReasonCode.TOO_MANY_UNLABELLED, 32),
        ("v1=5,v2=5", [None] * 99, {"max_unlabelled": 1.0}, ReasonCode.MISSING_LABELS, 32),
    ],
)
def test_the_first_rule_that_holds_settles_a_run(run, split, labels, policy, settled, judged):
    evidence = run(split, labels, **policy)

    assert (evidence.settled, evidence.judged) == (settled, judged)


def test_a_missing_label_after_enough_clean_connections_does_no_harm(run):
    labels = ["v1", "v2"] * 230 + [None] + ["v1", "v2"] * 500

    evidence = run("v1=1,v2=1,v3=0", labels, tolerance=Tolerance.parse("5pp"), max_samples=9999)

    assert evidence.settled is ReasonCode.WITHIN_TOLERANCE
    assert evidence.judged > 461


def test_a_missing_label_before_the_clean_run_is_complete_makes_it_longer(run):
    evidence = run("v1=10,v2=0", ["v1"] * 458 + [None] + ["v1"] * 100)

    assert (evidence.settled, evidence.judged) == (None, 559)
    more = remaining(evidence)
    assert more is not None
    assert 1450 - 559 < more < evidence.budget - 559
    assert evidence.budget == 5 * 459


def test_missing_labels_may_not_exceed_the_tolerance_of_a_share_of_zero(run):
    """The other shares would have passed earlier."""
    labels = ["v1", "v2"] * 230 + [None] * 20 + ["v1", "v2"] * 2000
    evidence = run("v1=50,v2=50,v3=0", labels, max_samples=9999, alpha=1e-6)

    assert evidence.settled is ReasonCode.WITHIN_TOLERANCE
    assert evidence.judged == 2001


@pytest.mark.parametrize(("first", "then"), [("v1", "v2"), ("v2", "v1")])
def test_a_share_that_has_left_its_band_again_does_not_pass(run, first, then):
    """Both hypotheses have been refuted in their time, but 64 % is not 50 % +-10 pp."""
    policy = {"tolerance": Tolerance.parse("10pp"), "beta": 0.05, "alpha": 1e-12}
    labels = [first] * 20 + [then] * 50

    evidence = run("v1=1,v2=1", labels, **policy)

    assert evidence.settled is None
    assert all(peak.log_evidence > 3 for peak in evidence.peaks_of("v2"))


def test_nothing_is_consumed_after_the_run_is_settled(run):
    settled = run("v1=9,v2=1", ["v2"] * 9)

    assert weigh(settled, Batch.of_labels(["x"] * 5)) is settled


def test_nothing_is_consumed_beyond_the_budget(run):
    evidence = run("v1=9,v2=1", ["v1"] * 70, max_samples=50)

    assert (evidence.judged, evidence.settled) == (50, None)
    assert weigh(evidence, Batch.of_labels(["x"])) is evidence


def test_a_foreign_label_is_counted_by_its_name(run):
    evidence = run("v1=9,v2=1", ["v1", "v1", "canary", "v3"])

    assert evidence.counts == {"v1": 2, "v2": 0, "canary": 1}


def test_fail_comes_before_the_budget_ends_and_pass_before_missing_labels(run):
    """Rules that hold at one connection are ranked."""
    assert run("v1=9,v2=1", ["v2"] * 4, max_samples=4).settled is ReasonCode.OUTSIDE_TOLERANCE
    assert run("v1=1,v2=0", ["v1"] * 459, max_samples=459).settled is ReasonCode.WITHIN_TOLERANCE


def test_a_batch_longer_than_a_slice_is_judged_to_its_end(run):
    labels = (["v1"] * 9 + ["v2"]) * ((SLICE + 5000) // 10)

    evidence = run("v1=9,v2=1", labels, tolerance=Tolerance.parse("0.2pp"), max_samples=10**6)

    assert evidence.judged == len(labels)
    assert evidence.counts["v2"] == len(labels) // 10


def test_evidence_is_a_value(run):
    first, second = run("v1=9,v2=1", ["v1", "v2"] * 3), run("v1=9,v2=1", ["v1", "v2"] * 3)

    assert first == second
    assert first != run("v1=9,v2=1", ["v2", "v1"] * 3)


def test_only_arms_tested_by_counting_have_peaks(run):
    evidence = run("v1=2,v2=1,v3=0", ["v1", "v2"])

    assert len(evidence.peaks_of("v2")) == 2
    with pytest.raises(ValueError, match="not in"):
        evidence.peaks_of("v3")
