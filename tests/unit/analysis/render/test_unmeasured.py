"""A run in which nothing answered with a label: no table of nothing, and no share of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.data.report import Observed
from analysis.render import to_markdown, to_text
from analysis.render.html import to_html
from analysis.text import rounding


@pytest.mark.parametrize("render", [to_text, to_markdown, to_html])
def test_without_any_label_there_is_no_table_of_shares(reports, render):
    report = reports["undecided"]
    nothing = replace(report, observed=Observed({"v1": 0, "v2": 0}, {}, {}, {}))

    assert "undecided" in render(report)
    assert "? undecided" not in render(nothing)
    assert report.reasons[0].message.split()[0] in render(nothing)


def test_independent_draws_are_told_where_they_are_not_the_connections(reports):
    report = reports["passed"]
    judged = report.decision.decided_after

    def told(effective):
        return to_text(replace(report, samples=replace(report.samples, effective=effective)))

    assert "independent draw" not in told(float(judged))
    assert f"({rounding.amount(judged - 7)} independent draws)" in told(judged - 7.0)
