"""What is drawn: the artists and the texts of each figure, not its pixels."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.text import Text
from scipy.stats import binom

from analysis import Batch, Outcome, Verdict
from analysis.figures import (
    DARK,
    LIGHT,
    connections,
    evidence_over_connections,
    response_times,
    shares_by_replica,
    shares_compared,
    split_over_time,
    splits_compared,
    times_compared,
)
from analysis.figures.connections import rasterise
from analysis.figures.replicas import binomial_range, even_rows
from analysis.review.comparison import RunRecord, compare
from analysis.review.timeline import Timeline, ordered_labels
from sampler.show.drawing import style_sheet, to_png, to_svg
from tests.recorded import recorded, traced

HOSTILE = (
    "$x^2$ $\\frac{", "<script>alert(1)</script>&", "v1\x1b[2J\u202e2v", "漢字" * 40, "x" * 10_000,
    '"\'><svg onload=x>',
)  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"


NAMES = (
    "split", "evidence", "replicas", "times", "connections", "shares-compared", "times-compared",
)  # fmt: skip


def drawings(batch, report, theme=LIGHT):
    other = replace(report, run=replace(report.run, id="other"))
    comparison = compare(RunRecord(report, batch), RunRecord(other, batch))
    evidence = traced(batch, report)
    return {
        "evidence": partial(evidence_over_connections, evidence, report, theme),
        "shares-compared": partial(shares_compared, comparison, theme),
        "times-compared": partial(times_compared, comparison, theme),
        "split": partial(split_over_time, batch, report, theme),
        "replicas": partial(shares_by_replica, report, theme),
        "times": partial(response_times, batch, report, theme),
        "connections": partial(connections, batch, report, theme),
    }


def artists(figure):
    return {artist.get_gid(): artist for artist in figure.findobj() if artist.get_gid()}


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.fixture(scope="module")
def run():
    return recorded(["v1", "v2"], [9, 1], n=3000, lost=0.002)


def test_the_split_has_for_each_label_all_that_it_promises(run):
    batch, report = run
    drawn = artists(split_over_time(batch, report))

    for position in range(2):
        for part in ("panel", "accepted", "expected", "band", "share", "windows", "decision"):
            assert f"{part}-{position}" in drawn
    assert {"losses", "failed", "unlabelled"} <= set(drawn)


def test_the_marks_of_the_split_stand_where_the_numbers_are(run):
    batch, report = run
    timeline = Timeline.of(batch, report)
    drawn = artists(split_over_time(batch, report))

    assert drawn["expected-1"].get_ydata()[0] == 0.1
    low, high = report.expected.tolerance["v2"]
    assert drawn["accepted-1"].get_y() == pytest.approx(low)
    assert drawn["accepted-1"].get_height() == pytest.approx(high - low)
    assert drawn["share-1"].get_ydata()[-1] == pytest.approx(report.observed.shares["v2"])
    np.testing.assert_allclose(drawn["windows-1"].get_ydata(), timeline.shares(1))
    decided_s = batch.sent_ns[report.decision.decided_after - 1] / 1e9
    assert drawn["decision-1"].get_xdata()[0] == decided_s
    band = drawn["band-1"].get_paths()[0].vertices
    assert report.observed.intervals["v2"][1] in band[:, 1]


def test_an_early_fail_shows_what_came_of_all_that_was_sent():
    batch, report = recorded(["v1", "v2"], [9, 1], expect=[5, 5], n=3000)
    share = np.mean(batch.label == 1)

    figure = split_over_time(batch, report)

    drawn = artists(figure)
    assert drawn["later-share-1"].get_ydata()[-1] == pytest.approx(share)
    assert drawn["later-share-1"].get_xdata()[-1] == batch.sent_ns[-1] / 1e9
    assert len(drawn["later-band-1"].get_paths())
    assert any(text.endswith(f"; {100 * share:.1f} % of 3 000 sent") for text in texts(figure))
    assert "thin: after the decision" in texts(figure)
    assert overlaps(figure) == ([], [])


def test_a_run_without_losses_says_so_and_draws_no_empty_panel():
    batch, report = recorded(["v1", "v2"], [9, 1])

    figure = split_over_time(batch, report)

    assert "losses" not in artists(figure)
    assert "all 1 500 requests gave a label" in texts(figure)
    assert artists(figure)["panel-1"].get_xlabel().startswith("sent, ")


def test_a_run_of_less_than_a_second_is_told_in_milliseconds():
    batch, report = recorded(["v1", "v2"], [9, 1])
    short = replace(batch, sent_ns=batch.sent_ns // 10)

    figure = split_over_time(short, report)

    figure.draw_without_rendering()
    assert "sent, milliseconds since the run began" in texts(figure)
    ticks = artists(figure)["panel-1"].get_xticklabels()
    assert "150" in [tick.get_text() for tick in ticks]
    assert any(re.fullmatch(r"share in windows of \d+\.?\d* ms", text) for text in texts(figure))


def test_before_the_first_label_there_is_no_share():
    batch, report = recorded(["v1", "v2"], [9, 1], n=60)
    silent = np.arange(60) < 5
    lost = replace(
        batch,
        label=np.where(silent, -1, batch.label).astype(np.int32),
        outcome=np.where(silent, Outcome.TIMEOUT, batch.outcome).astype(np.uint8),
    )

    drawn = artists(split_over_time(lost, report))

    shares = drawn["share-1"].get_ydata()
    assert np.isnan(shares[0])
    assert np.isfinite(shares[-1])


def test_an_undecided_run_has_no_moment_of_decision():
    batch, report = recorded(["v1", "v2"], [9, 1], n=60)
    assert report.verdict is Verdict.INCONCLUSIVE

    figure = split_over_time(batch, report)

    assert not any(gid.startswith("decision") for gid in artists(figure))
    assert "decided" not in texts(figure)
    assert "INCONCLUSIVE after 60 connections" in texts(figure)


def test_a_measurement_without_judging_has_no_expectation(run):
    batch, report = run
    measured = replace(report, verdict=None, expected=None, decision=None)

    drawn = artists(split_over_time(batch, measured))

    assert "band-0" in drawn
    assert not any(re.match("accepted|expected|decision", gid) for gid in drawn)


def test_labels_beyond_the_twelfth_are_counted_in_the_heading():
    labels = [f"v{number}" for number in range(15)]
    batch, report = recorded(labels, [1] * 15, n=4000)

    figure = split_over_time(batch, report)

    assert sum(gid.startswith("panel-") for gid in artists(figure)) == 12
    assert any("(and 3 more labels)" in text for text in texts(figure))


def overlaps(figure):
    """Pairs of texts that are drawn over each other, and texts that leave the figure."""
    figure.draw_without_rendering()
    # Ticks beyond the limits of their axis exist, but are not drawn.
    hidden = [
        tick.label1
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    ]
    boxes = [
        (text.get_text(), text.get_window_extent().shrunk(0.98, 0.9))
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in hidden
    ]
    page = figure.bbox
    out = [
        text for text, box in boxes
        if box.x0 < page.x0 or box.x1 > page.x1 or box.y0 < page.y0 or box.y1 > page.y1
    ]  # fmt: skip
    pairs = [
        (one, other)
        for place, (one, box) in enumerate(boxes)
        for other, other_box in boxes[place + 1 :]
        if box.overlaps(other_box)
    ]
    return pairs, out


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("labels", "replicas"), [(2, 1), (2, 10), (12, 17), (5, 4)])
def test_no_text_covers_another_or_leaves_the_figure(name, labels, replicas):
    names = [f"release-2026.{number}-{'x' * 30}" for number in range(labels)]
    batch, report = recorded(
        names, [3] * labels, n=4000, replicas=replicas, lost=0.01, per_connection=4
    )

    assert overlaps(drawings(batch, report)[name]()) == ([], [])


def test_texts_that_cover_each_other_are_noticed(run):
    figure = split_over_time(*run)
    figure.text(0.5, 0.5, "here")
    figure.text(0.5, 0.5, "there")

    assert ("here", "there") in overlaps(figure)[0]


def test_a_replica_that_chance_does_not_explain_is_marked_and_named():
    pods = {f"app-{number:03d}": 100 for number in range(200)} | {"app-077": 300}
    _, report = recorded(["v1", "v2"], [9, 1])
    observed = replace(report.observed, replicas={"v1": pods, "v2": {"app-c": 50}})

    figure = shares_by_replica(replace(report, observed=observed))

    assert len(artists(figure)["off"].get_offsets()) == 1
    assert len(artists(figure)["usual"].get_offsets()) == 200
    assert "app-077" in texts(figure)
    assert "201 replicas, 1 beyond chance" in texts(figure)
    assert overlaps(figure) == ([], [])


def test_an_even_share_is_one_and_a_lone_replica_has_it():
    _, report = recorded(["v1", "v2"], [9, 1])
    observed = replace(report.observed, replicas={"v1": {"a": 60, "b": 40}, "v2": {"c": 7}})

    rows = even_rows(replace(report, observed=observed))

    assert [(row.replica, row.ratio) for row in rows] == [("a", 1.2), ("b", 0.8), ("c", 1.0)]
    assert not any(row.is_off for row in rows)


@pytest.mark.parametrize(
    ("n", "share"), [(50, 0.5), (900, 0.1), (900, 0.001), (3, 0.5), (20_001, 0.1), (10**7, 0.1)]
)
def test_the_range_of_an_even_share_leaves_out_no_more_than_its_level(n, share):
    low, high = binomial_range(n, share, 0.01)

    assert binom.cdf(low - 1, n, share) <= 0.005 < binom.cdf(low, n, share)
    assert binom.sf(high, n, share) <= 0.005 < binom.sf(high - 1, n, share)


def test_each_label_has_a_line_of_times_with_three_marks(run):
    batch, report = run
    drawn = artists(response_times(batch, report))

    for place in range(2):
        assert {f"times-{place}", f"p50-{place}", f"p90-{place}", f"p99-{place}"} <= set(drawn)
    took_ms = (batch.done_ns - batch.scheduled_ns)[batch.label == 1] / 1e6
    assert drawn["p50-1"].get_xdata()[0] == pytest.approx(np.median(took_ms), rel=0.03)
    assert drawn["times-1"].axes.get_xscale() == "log"


def test_the_evidence_has_both_boundaries_and_the_moment_of_the_decision(run):
    batch, report = run
    evidence = traced(batch, report)
    drawn = artists(evidence_over_connections(evidence, report))

    assert drawn["boundary-of-pass"].get_ydata()[0] == pytest.approx(2.0)
    assert drawn["boundary-of-fail"].get_ydata()[0] == pytest.approx(2.0)
    assert drawn["weakest"].get_ydata()[-1] == pytest.approx(evidence.weakest[-1] / np.log(10))
    for part in ("passing-decided", "failing-decided"):
        assert drawn[part].get_xdata()[0] == report.decision.decided_after
    assert {"low-1", "high-1", "outside"} <= set(drawn)


def test_a_run_that_was_not_decided_shows_evidence_and_no_moment():
    batch, report = recorded(["v1", "v2"], [9, 1], n=60)

    figure = evidence_over_connections(traced(batch, report), report)

    assert not any("decided" in gid for gid in artists(figure))
    assert "Evidence over 60 connections: INCONCLUSIVE" in texts(figure)


def test_a_comparison_draws_both_runs_and_their_difference_in_place(run):
    batch, report = run
    others, other = recorded(["v1", "v2"], [6, 4], seed=2)
    other = replace(other, run=replace(other.run, id="other"))
    comparison = compare(RunRecord(report, batch), RunRecord(other, others))
    drawn = artists(shares_compared(comparison))

    each = comparison.shares[1]
    assert drawn["share-a-1"].get_xdata()[0] == each.first.share
    assert tuple(drawn["interval-b-1"].get_xdata()) == each.second.interval
    assert drawn["difference-1"].get_xdata()[0] == each.difference
    assert tuple(drawn["range-1"].get_xdata()) == each.interval
    assert drawn["expected-b-1"].get_xdata()[0] == 0.4
    times = artists(times_compared(comparison))["times-b-0"].get_xdata()
    assert times[0] == pytest.approx(1e3 * comparison.times[0].second_s["p50"])


def test_the_splits_of_two_runs_have_one_scale_for_each_label():
    few, many = recorded(["v1", "v2"], [9, 1]), recorded(["v2", "v3", "v1"], [4, 1, 5], seed=2)
    alone = split_over_time(*many)

    pair = splits_compared((RunRecord(few[1], few[0]), RunRecord(many[1], many[0])))

    scales = [
        {axes.get_gid(): axes.get_ylim() for axes in figure.axes} for figure in (*pair, alone)
    ]
    assert scales[0]["panel-1"] == scales[1]["panel-0"]
    assert scales[0]["panel-0"] == scales[1]["panel-2"]
    assert scales[1]["panel-1"] == scales[2]["panel-1"]
    assert overlaps(pair[0]) == overlaps(pair[1]) == ([], [])


def test_a_connection_that_changes_its_label_is_not_counted_as_one_that_stays():
    batch = Batch.of_labels(["a", "a", "a", "b", "a", None])
    batch = replace(
        batch,
        connection=np.array([0, 0, 1, 1, 2, 2]),
        ordinal=np.array([0, 1, 0, 1, 0, 1], dtype=np.int32),
    )
    _, report = recorded(["a", "b"], [1, 1])

    raster = rasterise(batch, ordered_labels(batch, report)[1])

    assert raster.cells.tolist() == [[0, 0], [0, 1], [0, 2]]
    assert (raster.total, raster.shared, raster.sticky) == (3, 2, 1)


def test_two_workers_do_not_share_the_numbers_of_their_connections():
    batch = replace(Batch.of_labels(["a", "b"]), connection=np.zeros(2, dtype=np.int64))
    batch = replace(batch, worker=np.array([0, 1], dtype=np.uint16))
    _, report = recorded(["a", "b"], [1, 1])

    assert rasterise(batch, ordered_labels(batch, report)[1]).total == 2


def test_connections_draw_a_cell_for_each_request_that_fits():
    batch, report = recorded(["v1", "v2"], [9, 1], n=1200, per_connection=4)

    figure = connections(batch, report)

    boxes = sum(len(artist.get_path().codes) // 5 for gid, artist in artists(figure).items()
                if gid.startswith("cells-"))  # fmt: skip
    assert boxes == 40 * 4
    assert "300 of 300 connections stayed with one label" in texts(figure)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_labels_are_drawn_as_text_and_nothing_else(name):
    labels = HOSTILE[:2] if name == "evidence" else HOSTILE  # it names three at most
    batch, report = recorded(labels, [3, 2, 2, 2, 2, 2][: len(labels)], n=2000, per_connection=2)

    svg = to_svg(drawings(batch, report)[name], name, "title", "description")

    root = ET.fromstring(svg)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "g", "path", "text", "tspan", "use", "defs", "clipPath", "rect",
                    "title", "desc", "style", "pattern"}  # fmt: skip
    assert not any(key.startswith("on") for element in root.iter() for key in element.attrib)
    assert not re.search("[\x00-\x08\x0e-\x1f\u202e]", svg)
    shown = "".join("".join(text.itertext()) for text in root.iter(f"{SVG}text"))
    assert "<scr" in shown
    if name != "evidence":  # of two labels, it shows the smaller one
        assert "$x^2$" in shown
    assert len(svg) < 400_000


@pytest.mark.parametrize("name", NAMES)
def test_an_svg_is_the_same_each_time_and_refers_to_itself_only(run, name):
    batch, report = run

    first, second = (
        to_svg(drawings(batch, report)[name], name, "A title", "A <description>") for _ in range(2)
    )

    assert first == second
    assert not re.search(r"20\d\d-\d\d-\d\dT|matplotlib\.org|<!DOCTYPE", first)
    root = ET.fromstring(first)
    assert root.findtext(f"{SVG}desc") == "A <description>"
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    assert all(each == name or each.startswith(f"{name}-") for each in ids)
    for element in root.iter():
        for key, value in element.attrib.items():
            for reference in re.findall(r"url\(#([^)]+)\)", value):
                assert reference in ids
            if key.endswith("href"):
                assert value[0] == "#"
                assert value[1:] in ids


def test_every_colour_of_an_svg_follows_the_scheme(run):
    svg = to_svg(lambda: split_over_time(*run), "split", "", "")

    fixed = set(re.findall(r"(?<!, )#[0-9a-f]{6}", svg.partition("</style>")[2]))

    assert fixed == set()
    assert "prefers-color-scheme:dark" in style_sheet("#x")


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_text_and_lines_stand_out_from_the_paper(theme):
    def luminance(colour):
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(colour):
        pair = sorted((luminance(colour), luminance(theme.paper)))
        return (pair[1] + 0.05) / (pair[0] + 0.05)

    assert contrast(theme.ink) >= 7  # WCAG 2.2, 1.4.6
    assert contrast(theme.quiet) >= 4.5  # 1.4.3
    assert all(contrast(colour) >= 3 for colour in theme.series)  # 1.4.11
    colours = list(theme.roles().values())
    assert len(set(colours)) == len(colours)


def test_a_png_is_nine_hundred_and_sixty_pixels_wide_and_the_same_each_time(run):
    batch, report = run
    first, second = (to_png(partial(split_over_time, batch, report, DARK)) for _ in range(2))

    assert first == second
    assert first[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(first[16:20]) == 960


def test_a_run_without_a_label_is_drawn():
    batch = Batch.of_labels([None] * 5)
    _, report = recorded(["v1", "v2"], [9, 1])
    nothing = replace(report.observed, counts={}, shares={}, intervals={}, replicas={})

    empty = replace(report, observed=nothing)
    for draw in (split_over_time, response_times, connections):
        draw(batch, empty).draw_without_rendering()
    shares_by_replica(empty).draw_without_rendering()
    assert "no labelled answer" in texts(response_times(batch, report))
