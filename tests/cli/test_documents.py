"""The documents that a check and a report write for people and forges."""

from __future__ import annotations

import json
import shutil

import pytest

from sampler.demo.pods import Faults
from sampler.demo.process import EmbeddedService
from sampler.show.stored import read
from tests.processes import only_run

pytestmark = pytest.mark.in_process


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
    assert page.count("<figure>") == 3  # one replica: nothing to compare
    run = only_run(tmp_path)
    assert (run / "report.html").read_text() == page
    assert (run / "split.svg").read_text().startswith("<svg")
    assert (run / "split.png").read_bytes().startswith(b"\x89PNG")


def test_where_nothing_answered_with_a_label_nothing_is_drawn(weighbridge, tmp_path):
    with EmbeddedService({"v1": 1}, {"v1": Faults(html=True)}) as broken:
        done = weighbridge(
            "check", broken.url, "--expect", "v1=9,v2=1", "--html", "p.html", "--junit", "j.xml"
        )

    assert done.returncode == 4, done.stderr
    told = " ".join(done.stdout.split())
    assert "ended as unlabelled (status 200" in told
    assert "times unlabelled, for example" not in told
    page = (tmp_path / "p.html").read_text()
    assert "<figure>" not in page
    assert "Canary against stable" not in page
    assert "ATTACHMENT" not in (tmp_path / "j.xml").read_text()
    assert not (only_run(tmp_path) / "split.png").exists()


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


def test_a_target_that_cannot_be_reached_is_named_without_its_secret(weighbridge):
    done = weighbridge("check", "http://127.0.0.1:9/?token=s3cret", "--expect", "v1=1")

    assert done.returncode == 4
    assert "token=***" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr


def test_a_stored_run_draws_its_evidence_with_and_without_its_plan(weighbridge, service, tmp_path):
    weighbridge("check", service.url, "--expect", "v1=1")
    folder = only_run(tmp_path)
    drawn = [read(folder).figure("evidence")]
    (folder / "plan.json").unlink()
    drawn.append(read(folder).figure("evidence"))

    for figure in drawn:
        assert figure.texts[0].get_text().endswith(": PASS")
