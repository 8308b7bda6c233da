"""The documents that a check and a report write for people and forges."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sampler.demo.process import EmbeddedService


def only_run(folder):
    (run,) = (path for path in Path(folder, "reports").iterdir() if path.is_dir())
    return run


@pytest.fixture(scope="module")
def service():
    with EmbeddedService({"v1": 1}) as embedded:
        yield embedded


def test_a_check_writes_every_document_that_is_asked_for(weighbridge, service, tmp_path):
    done = weighbridge(
        "check", service.url, "--expect", "v1=1", "--json", "r.json", "--junit", "j.xml",
        "--markdown", "s.md", "--metrics", "m.txt", "--html", "p.html",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "s.md").read_text().startswith("### ✅ PASS\n")
    assert (tmp_path / "m.txt").read_text().endswith("# EOF\n")
    page = (tmp_path / "p.html").read_text()
    assert page.count("<figure>") == 2  # one replica: nothing to compare
    run = only_run(tmp_path)
    assert (run / "report.html").read_text() == page
    assert (run / "split.svg").read_text().startswith("<svg")


def test_a_run_keeps_its_summary_and_metrics_and_draws_nothing_unasked(
    weighbridge, service, tmp_path
):
    done = weighbridge("check", service.url, "--expect", "v1=1")

    assert done.returncode == 0, done.stderr
    names = {path.name for path in only_run(tmp_path).iterdir()}
    assert {"summary.md", "metrics.txt", "junit.xml", "report.json"} <= names
    assert not names & {"report.html", "split.svg", "summary.txt"}


def test_a_run_that_was_moved_is_drawn_where_it_lies(weighbridge, service, tmp_path):
    weighbridge("check", service.url, "--expect", "v1=1")
    moved = tmp_path / "moved"
    shutil.move(only_run(tmp_path), moved)

    done = weighbridge("report", str(moved), "--html", "-")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("<!DOCTYPE html>")
    assert "<figure>" in done.stdout
    assert (moved / "report.html").exists()


def test_a_fail_of_a_run_that_measured_nothing_has_a_page_too(weighbridge, tmp_path):
    done = weighbridge(
        "check", "http://127.0.0.1:9/", "--expect", "v1=1", "--html", "p.html", "--json", "r.json"
    )

    assert done.returncode == 4, done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["samples"]["labelled"] == 0
    page = (tmp_path / "p.html").read_text()
    assert "nothing could be measured" in page
    assert "What to do" in page
