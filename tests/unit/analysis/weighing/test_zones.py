"""A family of verdicts: all pass or one is named, whichever batches the samples came in."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import jsonschema
import numpy as np
import pytest
from scipy.stats import binom

from analysis import Batch, Outcome, Policy, Split, Tolerance, Verdict
from analysis.data.errors import InputError
from analysis.data.report import Performance, Reason, ReasonCode, Run
from analysis.render import from_json, schema, to_json, to_junit, to_metrics, to_text
from analysis.render.html import to_html
from analysis.versions.health import HealthEvidence, HealthPolicy, compared_arms, is_exceeded
from analysis.weighing.fold import Fold
from analysis.weighing.merging import SLICE_NS
from analysis.weighing.report import Account, Asked, assemble
from analysis.weighing.zones import Zones

SPLIT = Split.parse("v1=1,v2=1")
OTHER = Split.parse("v1=3,v2=7")
ABC = ("a", "b", "c")
POLICY = Policy(alpha=0.05, beta=0.05, tolerance=Tolerance.parse("20pp"), max_samples=600)


def stream(shares, n, random, labels=("v1", "v2"), in_slice=500):
    """Return n samples in each zone, in turns."""
    workers = np.tile(np.arange(len(shares)), n)
    is_v2 = random.random(len(workers)) < np.array(shares)[workers]
    batch = Batch.of_labels([labels[each] for each in is_v2.tolist()])
    planned = np.arange(len(workers), dtype=np.int64) * (SLICE_NS // in_slice)
    return replace(batch, worker=workers.astype(np.uint16), scheduled_ns=planned)


def weighed(batch, cuts=(), **options):
    zones = Zones(ABC, SPLIT, POLICY, **options)
    for first, end in zip((0, *cuts), (*cuts, len(batch)), strict=True):
        zones.weigh(batch[first:end])
    zones.finish()
    return zones


def told(fold, **account):
    """Assemble the report of what was folded."""
    performance = Performance("fast", 1.0, 1.0, 1.0, client_saturated=False, concurrency=1,
                              offered_per_s=None, connection="fresh")  # fmt: skip
    run = Run("id", None, 0, "2026-01-31T12:00:00Z", "1", "GET http://shop/", "/label")
    return assemble(Asked(policy=POLICY), fold.finish(), Account(performance, run, **account))


def test_all_right_pass_and_one_wrong_is_named():
    random = np.random.default_rng(1)

    right = weighed(stream([0.5, 0.5, 0.5], 600, random))
    wrong = weighed(stream([0.5, 0.95, 0.5], 600, random))

    assert {each.settled for each in right.zones.values()} == {ReasonCode.WITHIN_TOLERANCE}
    assert wrong.named == "b"
    assert wrong.evidence.settled is ReasonCode.OUTSIDE_TOLERANCE


def test_a_zone_may_have_an_expectation_of_its_own():
    batch = stream([0.5, 1.0, 0.5], 600, np.random.default_rng(2))

    zones = weighed(batch, splits={"b": Split.parse("v1=0,v2=1")})

    assert {each.settled for each in zones.zones.values()} == {ReasonCode.WITHIN_TOLERANCE}


@pytest.mark.parametrize(
    ("shares", "in_slice"), [([0.72, 0.72, 0.72], 500), ([0.95, 0.3, 0.95], 30), ([0.95] * 3, 30)]
)
def test_batches_change_nothing(shares, in_slice):
    """Of no zone: where two fail in one slice, either may be cut off."""
    random = np.random.default_rng(3)
    batch = stream(shares, 100, random, in_slice=in_slice)
    whole = weighed(batch)

    for first in range(1, len(batch), 3):
        parts = weighed(batch, [first])
        assert parts.named == whole.named
        for name, zone in whole.zones.items():
            assert (parts.zones[name].settled, parts.zones[name].judged) == (
                zone.settled, zone.judged,
            )  # fmt: skip


def test_what_a_lost_vantage_may_have_sent_fails_no_zone():
    batch = stream([0.5, 0.5, 0.5], 600, np.random.default_rng(4))
    lost = (batch.worker == 1) & (batch.scheduled_ns > 20_000_000)
    batch = replace(
        batch,
        label=np.where(lost, -1, batch.label).astype(np.int32),
        outcome=np.where(lost, Outcome.LOST, batch.outcome).astype(np.uint8),
    )

    zones = weighed(batch)

    assert zones.named == "b"
    assert zones.zones["b"].settled is ReasonCode.TOO_MANY_UNLABELLED
    assert {zones.zones[name].settled for name in "ac"} == {ReasonCode.WITHIN_TOLERANCE}
    assert zones.waits_for() == []


@pytest.mark.parametrize(
    ("shares", "wrong"),
    [([0.5, 0.5, 0.5], ReasonCode.OUTSIDE_TOLERANCE), ([0.5, 0.7, 0.5], "PASS")],
    ids=["alpha", "beta"],
)
def test_the_family_keeps_its_error_rates(shares, wrong):
    """Right zones rarely fail; with one at its edge they rarely pass, all at the full beta."""
    random, runs, errors = np.random.default_rng(5), 100, 0
    for _ in range(runs):
        zones = weighed(stream(shares, 300, random))
        settled = {each.settled for each in zones.zones.values()}
        passed = settled == {ReasonCode.WITHIN_TOLERANCE}
        errors += passed if wrong == "PASS" else wrong in settled

    assert errors <= binom.isf(1e-6, runs, 0.05)


def test_several_zones_that_are_a_little_wrong_fail_sooner_together():
    """The average adds up what a threshold for each zone leaves apart."""
    random, together, alone = np.random.default_rng(6), 0, 0
    for _ in range(25):
        zones = weighed(stream([0.84, 0.84, 0.84], 80, random, in_slice=15))
        together += zones.evidence.settled is ReasonCode.OUTSIDE_TOLERANCE
        alone += zones.evidence.log_fail >= np.log(3 / POLICY.alpha)

    assert together > alone


def fold_of(splits, health=None):
    zones = Zones(ABC, SPLIT, POLICY, splits=splits)
    compared = HealthEvidence.start(SPLIT, health or HealthPolicy())
    return Fold(zones, health=compared, zone_of=ABC)


LIMITS = HealthPolicy(max_slowdown=2, max_error_ratio=2)
ALONE = Split.parse("v1=1,v2=0")


def answered(shares, n, slow_in=(), failing_in=()):
    """Return answers of n samples a zone, with the canary slow or failing in some zones."""
    batch = stream(shares, n, np.random.default_rng(8))
    is_v2 = np.array(batch.labels)[batch.label] == "v2"
    is_slow, is_failing = (
        is_v2 & np.isin(batch.worker, [ABC.index(each) for each in zones])
        for zones in (slow_in, failing_in)
    )
    took = np.where(is_slow, 40_000_000, 10_000_000)
    return replace(
        batch,
        done_ns=batch.sent_ns + took,
        status=np.where(is_failing, 503, 200).astype(np.int16),
    )


@pytest.mark.parametrize("splits", [{}, {"b": OTHER}], ids=["alike", "different"])
@pytest.mark.parametrize(
    ("bad", "code"),
    [("slow_in", ReasonCode.SLOWDOWN), ("failing_in", ReasonCode.ERROR_RATIO)],
)
def test_a_canary_that_is_worse_in_one_zone_fails_there(splits, bad, code):
    """Over all zones it is within its limit: most answers come from zones where it is well."""
    fold = fold_of(splits, LIMITS)
    fold.take(answered([0.5, 0.5, 0.5] if not splits else [0.5, 0.7, 0.5], 300, **{bad: "b"}))
    report = told(fold)

    assert report.verdict is Verdict.FAIL
    first, *rest = report.reasons
    assert first.code is code
    assert first.message.startswith("In zone b: ")
    assert not any(each.message.count("In zone") > 1 for each in rest)
    checks = {each.name: each.verdict for each in report.decision.checks}
    name = {"slow_in": "response times", "failing_in": "errors"}[bad]
    assert checks[f"{name} in zone b"] == checks["zone b"] == "FAIL"
    assert checks[f"{name} in zone a"] == checks[f"{name} in zone c"] == "PASS"
    assert {name for name, each in report.observed.by_zone.items() if each.verdict == "FAIL"} == {
        "b"
    }
    assert (report.health is None) == bool(splits)
    assert report.observed.by_zone["b"].health.canary.responses
    jsonschema.validate(json.loads(to_json(report)), schema())
    assert from_json(to_json(report)) == report


def test_without_a_limit_a_worse_canary_is_told_and_fails_nothing():
    fold = fold_of({}, HealthPolicy())
    fold.take(answered([0.5, 0.5, 0.5], 300, slow_in="b"))
    report = told(fold)

    assert report.verdict is not Verdict.FAIL
    assert "in zone b: v2 took 39.9 ms" in " ".join(to_text(report, width=400).split())


def test_a_zone_without_both_versions_compares_nothing():
    """A slow zone that has one of them alone makes no version slow."""
    fold = fold_of({"b": ALONE}, LIMITS)
    batch = answered([0.5, 0.0, 0.5], 100)
    fold.take(replace(batch, done_ns=np.where(batch.worker == 1, 10, 1) * batch.done_ns))

    assert [each.zone for each in fold.compared] == ["a", "c"]
    assert told(fold).verdict is not Verdict.FAIL
    with pytest.raises(InputError, match="no zone is to have both v2 and v1"):
        fold_of(dict.fromkeys(ABC, ALONE) | {"c": Split.parse("v1=0,v2=1")}, LIMITS)


def test_versions_are_compared_that_the_zones_have_together():
    """The first one has no canary, or little of another."""
    zones = [ALONE, OTHER, Split.parse("v1=90,v3=10,v2=0")]

    for split in zones:
        health = HealthEvidence.start(split, LIMITS, zones=zones[:2])
        assert health is not None
        assert (health.canary, health.stable) == ("v2", "v1")
    assert compared_arms(ALONE, HealthPolicy(), zones) == ("v3", "v1")


def test_over_all_zones_the_limits_keep_their_level():
    """The comparisons share alpha: of a canary at its limit few runs fail, whichever it is."""
    random, runs, failed = np.random.default_rng(10), 200, 0
    for _ in range(runs):
        fold = Fold(Zones(ABC, SPLIT, POLICY), health=HealthEvidence.start(SPLIT, LIMITS),
                    zone_of=ABC)  # fmt: skip
        batch = stream([0.5, 0.5, 0.5], 60, random)
        took = random.exponential(1e7, len(batch)).astype(np.int64)
        took *= np.where(np.array(batch.labels)[batch.label] == "v2", 2, 1)
        fold.take(replace(batch, done_ns=batch.sent_ns + took))
        failed += is_exceeded(fold.compared, POLICY.alpha)

    assert failed <= binom.isf(1e-6, runs, POLICY.alpha)


def test_zones_differ_is_told_where_they_are_to_be_alike():
    """A FAIL of one zone comes with it; where they are to differ, it would be no news."""
    batch = stream([0.5, 0.72, 0.5], 600, np.random.default_rng(9))
    reports = {}
    for name, splits in {"alike": {}, "different": {"b": OTHER}}.items():
        fold = fold_of(splits)
        fold.take(batch)
        reports[name] = told(fold)
    measured = Fold(None, zone_of=ABC)
    measured.take(batch)
    reports["no expectation"] = told(measured)

    assert reports["different"].observed.zones_differ is None
    assert reports["different"].verdict is Verdict.PASS
    for name in ("alike", "no expectation"):
        found = reports[name].observed.zones_differ
        assert found.proven
        assert found.message in reports[name].notes
        assert "in zone b" in found.message
        assert "Zones differ from each other" in to_text(reports[name])
        assert "Zones differ from each other" in to_html(reports[name])
        jsonschema.validate(json.loads(to_json(reports[name])), schema())
        assert from_json(to_json(reports[name])).observed.zones_differ == found
    assert {
        zone: sum(each.values())
        for zone, each in reports["no expectation"].observed.zones_differ.counts.items()
    } == dict.fromkeys(ABC, 600)
    assert "zone b: " in to_text(reports["no expectation"])


def test_a_zone_that_no_vantage_is_in_stays_undecided():
    zones = weighed(stream([0.5, 0.5, 0.5], 600, np.random.default_rng(11)), splits={"d": SPLIT})

    assert zones.named == "d"
    assert zones.evidence.settled is None
    assert zones.waits_for() == ["d"]


def test_a_label_that_one_zone_expects_is_no_stranger_in_another():
    """What is read is the version: the zone that got only others is wrong, and not the question."""
    splits = {"a": Split.parse("v1=1"), "b": Split.parse("v2=1"), "c": Split.parse("v1=1")}
    reports = {}
    for labels in ("v2", "v3"):
        fold = fold_of(splits)
        fold.take(stream([0.0, 0.0, 0.0], 100, np.random.default_rng(13), labels=(labels, "")))
        reports[labels] = told(fold)

    assert reports["v2"].verdict is Verdict.FAIL
    assert reports["v2"].reasons[0].message.startswith("In zone a: Unexpected version 'v2'")
    assert reports["v3"].reasons[0].code is ReasonCode.UNMEASURABLE
    assert {each.verdict for each in reports["v3"].observed.by_zone.values()} == {"INCONCLUSIVE"}


@pytest.mark.parametrize("doubted", ["a", "b"])
def test_a_client_at_its_limit_takes_nothing_of_what_another_zone_proves(doubted):
    """Both fail in one slice, and one of them is named: it may be the one that is in doubt."""
    fold = fold_of({})
    fold.take(stream([1.0, 1.0, 0.5], 100, np.random.default_rng(14), in_slice=10_000))
    doubt = Reason(ReasonCode.CLIENT_SATURATED, "Nothing is claimed.")

    report = told(fold, zone_doubts={doubted: lambda _: doubt})

    sure = "ab".replace(doubted, "")
    verdicts = {zone: each.verdict for zone, each in report.observed.by_zone.items()}
    assert (verdicts[sure], verdicts[doubted]) == (Verdict.FAIL, Verdict.INCONCLUSIVE)
    assert report.verdict is Verdict.FAIL
    assert report.reasons[0].message.startswith(f"In zone {sure}: ")
    assert {each.name: each.verdict for each in report.decision.checks}["split"] is Verdict.FAIL


def test_calibrated_evidence_is_not_averaged():
    """Its threshold is reached with a known chance; its mean is above 1."""
    policy = replace(POLICY, calibrated=True)
    random, failed = np.random.default_rng(12), 0
    for _ in range(40):
        zones = Zones(ABC, SPLIT, policy)
        zones.weigh(stream([0.84, 0.84, 0.84], 80, random, in_slice=15))
        zones.finish()
        if zones.evidence.settled is ReasonCode.OUTSIDE_TOLERANCE:
            failed += 1
            assert zones.evidence.log_fail >= np.log(3 / POLICY.alpha) - 1e-9
    assert failed


def test_every_rendering_has_a_row_for_each_zone():
    random = np.random.default_rng(7)
    fold = Fold(Zones(ABC, SPLIT, POLICY))
    fold.take(stream([0.5, 0.95, 0.5], 600, random))
    report = told(fold)

    page, cases = to_html(report), ET.fromstring(to_junit(report))
    assert report.verdict is Verdict.FAIL
    assert report.reasons[0].message.startswith("In zone b: ")
    assert {name: each.verdict for name, each in report.observed.by_zone.items()}["b"] == "FAIL"
    assert all(f">{zone}: v1</bdi>" in page for zone in ABC)
    assert {f"zone {zone}" for zone in ABC} <= {each.get("name") for each in cases.iter("testcase")}
    assert 'canary_split_zone_verdict{zone="b"} 1' in to_metrics(report)
    assert "FAIL in zone b: " in to_text(report)
    jsonschema.validate(json.loads(to_json(report)), schema())
    assert from_json(to_json(report)).observed.by_zone == report.observed.by_zone
