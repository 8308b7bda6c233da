"""The operating characteristic: what is drawn is what was computed."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.text import Text

from analysis.data.policy import Policy
from analysis.data.split import Split, Tolerance
from analysis.figures import characteristic_in_words, operating_characteristic
from analysis.planning.outlook import characteristic, foresee


def lines(figure):
    drawn = {artist.get_gid(): artist for artist in figure.findobj() if artist.get_gid()}
    return {name: line.get_xydata() for name, line in drawn.items() if hasattr(line, "get_xydata")}


@pytest.fixture(scope="module")
def pair():
    return foresee(Split.parse("v1=9,v2=1"), Policy())


def test_the_curves_go_through_the_rows_of_the_table(pair):
    drawn = lines(operating_characteristic(pair))

    low, high = drawn["passed-0"][[0, -1], 0]
    rows = [row for row in pair.prospects if low <= row.share <= high]
    assert len(rows) >= 7
    for row in rows:
        for name in ("passed", "failed", "undecided", "mean"):
            points = dict(drawn[f"{name}-0"].tolist())
            assert points[row.share] == pytest.approx(getattr(row, name))


def test_the_curve_reaches_beyond_what_is_told_apart_on_both_sides(pair):
    (found,) = pair.distinctions

    shares = [each.share for each in characteristic(pair, "v2")]

    assert shares == sorted(shares)
    assert shares[0] < found.below < found.above < shares[-1]
    for share in (found.below, found.above):
        assert share == pytest.approx(min(shares, key=lambda each: abs(each - share)), abs=1e-9)


def test_chances_add_up_and_an_exact_outlook_has_an_exact_curve():
    policy = Policy(tolerance=Tolerance.parse("9pp"))
    outlook = foresee(Split.parse("v1=6,v2=4"), policy, exact=True)

    curve = characteristic(outlook, "v2", 5)

    rows = {row.share: row for row in outlook.prospects}
    shared = [each for each in curve if each.share in rows]
    assert len(shared) > 5
    assert all(each.passed == pytest.approx(rows[each.share].passed) for each in shared)
    assert all(each.passed + each.failed + each.undecided == pytest.approx(1) for each in curve)


def test_each_tested_version_has_its_panels_and_its_own_tolerance():
    policy = Policy(tolerance=Tolerance.parse("c=-5pp+8pp,9pp"))
    outlook = foresee(Split.parse("a=6,b=2,c=2"), policy)

    figure = operating_characteristic(outlook)

    texts = " ".join(text.get_text() for text in figure.findobj(Text))
    assert {f"passed-{position}" for position in range(3)} <= lines(figure).keys()
    assert "c: expected 20 %, accepted [15.0, 28.0]" in texts
    assert "a at 4" in characteristic_in_words(outlook)


def test_a_share_of_zero_is_drawn_from_zero_on():
    outlook = foresee(Split.parse("v1=10,v2=0"), Policy())

    passed = lines(operating_characteristic(outlook))["passed-0"]

    assert passed[0].tolist() == [0, 1]
    assert passed[-1][0] > 0.01
    assert (np.diff(passed[:, 1]) < 0).all()


@pytest.mark.parametrize("name", ["plan.svg", "plan.png"])
def test_the_command_writes_the_figure_in_the_format_of_its_name(weighbridge, tmp_path, name):
    done = weighbridge(
        "plan", "--expect", "v1=9,v2=1", "--figure", str(tmp_path / name), "--json", "-"
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["budget"] == 1822
    written = (tmp_path / name).read_bytes()
    if name.endswith("png"):
        assert written.startswith(b"\x89PNG")
    else:
        assert "716 connections on average" in "".join(ET.fromstring(written).itertext())


@pytest.mark.parametrize(
    ("name", "word"), [("plan.pdf", ".svg or .png"), ("no/such/plan.svg", "existing folder")]
)
def test_a_figure_that_cannot_be_written_is_a_usage_error(weighbridge, tmp_path, name, word):
    done = weighbridge("plan", "--expect", "v1=9,v2=1", "--figure", str(tmp_path / name))

    assert done.returncode == 2
    assert word in done.stderr
