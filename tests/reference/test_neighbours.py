"""Values about the order of connections: published ones, and those of `generate_neighbours.py`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from analysis.guards.markov import markov_log_evidence, transitions_of
from analysis.guards.runs import Runs

STORED = json.loads((Path(__file__).parent / "neighbours.json").read_text())
PUBLISHED = [[700, 100, 80, 20, -4.14984206], [810, 90, 90, 10, -6.16143271]]
"""D3 and D4 of the procedure's table of reference values."""


@pytest.mark.parametrize("row", [*PUBLISHED, *STORED["markov"]], ids=str)
def test_markov_log_evidence(row):
    n00, n01, n10, n11, expected = row

    assert markov_log_evidence(((n00, n01), (n10, n11))) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(
    ("width", "counts", "statistic", "p_value"),
    [(100, [7, 13, 5, 15], 7.55555556, 0.0561480439), *map(tuple, STORED["windows"])],
    ids=str,
)
def test_homogeneity_of_windows_as_the_drift_guards_naive_twin_has_it(
    width, counts, statistic, p_value
):
    """D9 and D10: what `calibration/test_guards` looks at, again and again."""
    hits = np.array(counts)

    found = chi2_contingency([hits, width - hits], correction=False)

    assert (found.statistic, found.pvalue) == pytest.approx((statistic, p_value), abs=1e-8)
    assert found.dof == len(counts) - 1


@pytest.mark.parametrize("seed", ["a", "b", "sticky"])
@pytest.mark.parametrize("cut", [0, 1, 2, 700])
def test_transitions_are_read_off_what_the_runs_guard_remembers(stream, seed, cut):
    labels = np.array([label == "v2" for label in stream(seed, 0.3, 900)])
    runs = Runs.start(1).follow(labels[None, :cut]).follow(labels[None, cut:])
    expected = [
        [int(np.sum((labels[:-1] == a) & (labels[1:] == b))) for b in (False, True)]
        for a in (False, True)
    ]

    found = transitions_of(runs, 0, 900, int(labels.sum()))

    assert [list(row) for row in found] == expected


def test_before_two_connections_nothing_has_followed_anything():
    assert transitions_of(Runs.start(1), 0, 0, 0) == ((0, 0), (0, 0))
    one = Runs.start(1).follow(np.array([[True]]))
    assert transitions_of(one, 0, 1, 1) == ((0, 0), (0, 0))
