"""Continuous weighing keeps its distance of false alarms, and finds changes as soon as reported."""

from __future__ import annotations

import re
from math import sqrt

import numpy as np
import pytest

from analysis.evidence.fold import weigh
from tests.calibration.watching import (
    BEFORE,
    HIGH,
    LOW,
    REPORT,
    SHORT,
    coded,
    delay,
    evidence_of,
    naive_alarms,
    quantiles,
    reference_delay,
    run_length,
)

DESIGN = {0.0: (201, 295), 0.3: (109, 175), 0.5: (29, 44), 1.0: (8, 10)}
"""Median delays of another simulation, whose ten bets were others, at c = 1e5 and 1e7."""


@pytest.mark.parametrize("share", [LOW, 0.1, HIGH])
def test_false_alarms_are_as_far_apart_as_promised(share):
    """A run that is cut off counts as that long, so its mean is too small: the test is strict."""
    lengths = np.array(
        [run_length(np.random.default_rng(i), SHORT, share, 8_000) for i in range(60)]
    )

    assert lengths.mean() + 4.75 * lengths.std() / sqrt(len(lengths)) >= SHORT
    # At most m / c of them within m: 15 of 60 at 500, and by chance not once in 1e6 from 33 on.
    assert (lengths <= 500).sum() < 33


def test_repeated_fixed_tests_alarm_on_everything():
    assert naive_alarms(np.random.default_rng(1), 500, 10_000) > 0.9


@pytest.mark.parametrize(("place", "threshold"), [(0, 1e5), (1, 1e7)])
@pytest.mark.parametrize("share", DESIGN)
def test_a_change_is_found_as_soon_as_the_record_says(share, place, threshold):
    runs = [delay(np.random.default_rng(i), threshold, share, 1_500) for i in range(40)]
    found = [each.after for each in runs if each is not None]
    middle, _, error = quantiles(found)
    head = re.escape(f"| {100 * share:g} % | {threshold:.0e} |")
    row = re.search(
        rf"^{head} (\d+) \| (\d+) \| ([\d.]+) \|",
        REPORT.read_text(encoding="utf-8"),
        re.MULTILINE,
    )

    assert row is not None
    assert len(found) == len(runs)
    assert abs(middle - float(row[1])) <= 5 * (error + float(row[3])) + 1
    assert middle == pytest.approx(DESIGN[share][place], rel=0.25, abs=6)


def test_the_detector_is_no_later_than_confidence_sequences_begun_everywhere():
    for share in (0.0, 0.5):
        ours, theirs = [], []
        for i in range(6):
            rng = np.random.default_rng(i)
            hits = np.concatenate([rng.random(BEFORE) < 0.1, rng.random(800) < share])
            ours.append(weigh(evidence_of(1e5), coded(hits)).judged)
            theirs.append(reference_delay(hits, 1e5))

        assert min(theirs) > BEFORE
        assert np.median(ours) <= np.median(theirs) + 10
