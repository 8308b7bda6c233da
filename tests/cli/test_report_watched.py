"""``weighbridge report`` of a run that was watched: its page, made again of the events."""

from __future__ import annotations

import pytest

from analysis.data.live import state_of
from analysis.data.live_events import event_of
from analysis.render.live import View, to_live_page
from analysis.review.chronicle import Chronicle
from sampler.show.drawing import style_sheet
from tests.processes import REPOSITORY

RECORD = (REPOSITORY / "tests" / "recordings" / "watch" / "events.jsonl").read_bytes()
LINES = RECORD.splitlines(keepends=True)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "events.jsonl").write_bytes(RECORD)
    return folder


def test_the_page_is_that_of_the_events(weighbridge, run, tmp_path):
    done = weighbridge("report", str(run), "--html", "page.html", "--json", "state.json")

    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page == to_live_page(Chronicle(map(event_of, LINES)), View(colours=style_sheet(".live")))
    assert "shop: " in done.stdout
    assert "alarm" in done.stdout
    assert state_of((tmp_path / "state.json").read_bytes()).target == "shop"


def test_a_line_that_was_being_written_is_left_out(weighbridge, run):
    whole = weighbridge("report", str(run)).stdout
    (run / "events.jsonl").write_bytes(RECORD + LINES[-1][:40])
    torn = weighbridge("report", str(run))

    assert torn.returncode == 0, torn.stderr
    assert torn.stdout == whole


@pytest.mark.parametrize("damage", [b"no json\n", b"{}\n", b"\xff\xfe\n", b"x" * (1 << 21)])
def test_what_is_no_event_is_said_with_its_line(weighbridge, run, damage):
    (run / "events.jsonl").write_bytes(LINES[0] + damage)
    done = weighbridge("report", str(run))

    assert done.returncode == 2
    assert "line 2: expected an event" in done.stderr


def test_a_run_without_a_state_is_refused(weighbridge, run):
    (run / "events.jsonl").write_bytes(b"")

    assert weighbridge("report", str(run)).returncode == 2


def test_documents_of_one_verdict_are_refused(weighbridge, run):
    done = weighbridge("report", str(run), "--junit", "junit.xml")

    assert done.returncode == 2
    assert "this run was watched" in done.stderr
