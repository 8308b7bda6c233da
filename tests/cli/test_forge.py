"""What GitLab and GitHub are told, in the environment that they give to jobs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from sampler.demo.process import EmbeddedService

JOB = "https://gitlab.example/group/shop/-/jobs/42"
# As GitLab's own parser looks for it in <system-out>.
MARKER = re.compile(r"\[\[ATTACHMENT\|(?P<path>[^\[\]\|]+?)\]\]")


@pytest.fixture(autouse=True)
def _no_forge(monkeypatch):
    for name in ("CI_JOB_URL", "CI_PROJECT_DIR", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def service():
    with EmbeddedService({"v1": 1}) as embedded:
        yield embedded


def failed(weighbridge, service, *arguments):
    """Check for a label that never answers, and one that must not."""
    return weighbridge("check", service.url, "--expect", "v1=0,v2=1", *arguments)


def test_gitlab_gets_links_to_the_documents_and_the_run(
    weighbridge, service, monkeypatch, tmp_path
):
    monkeypatch.setenv("CI_JOB_URL", JOB)
    monkeypatch.setenv("CI_PROJECT_DIR", str(tmp_path))
    done = failed(
        weighbridge,
        service,
        "--annotations",
        "a.json",
        "--html",
        "my page.html",
        "--junit",
        "j.xml",
    )

    assert done.returncode == 1, done.stderr
    (links,) = json.loads((tmp_path / "a.json").read_text()).values()
    urls = {link["external_link"]["label"]: link["external_link"]["url"] for link in links}
    assert urls["weighbridge FAIL: page"] == f"{JOB}/artifacts/file/my%20page.html"
    assert urls["weighbridge FAIL: JUnit"] == f"{JOB}/artifacts/file/j.xml"
    assert urls["weighbridge FAIL: run"].startswith(f"{JOB}/artifacts/browse/reports/")


def test_the_failed_case_shows_the_figure_that_is_kept(weighbridge, service, tmp_path):
    done = failed(weighbridge, service, "--html", "page.html", "--junit", "j.xml")

    assert done.returncode == 1, done.stderr
    for case in ET.parse(tmp_path / "j.xml").getroot().iter("testcase"):
        found = MARKER.search(case.findtext("system-out") or "")
        assert (found is not None) is (case.find("failure") is not None or
                                       case.find("error") is not None)  # fmt: skip
        if found:
            assert (tmp_path / found["path"]).read_bytes().startswith(b"\x89PNG")


def test_without_a_page_there_is_no_figure_to_show(weighbridge, service, tmp_path):
    failed(weighbridge, service, "--junit", "j.xml")

    assert "ATTACHMENT" not in (tmp_path / "j.xml").read_text()


def test_a_run_outside_of_the_project_is_not_linked(
    weighbridge, service, monkeypatch, tmp_path_factory, tmp_path
):
    monkeypatch.setenv("CI_JOB_URL", JOB)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = failed(
        weighbridge, service, "--out", str(elsewhere), "--html", "p.html", "--junit", "j.xml",
        "--annotations", "a.json",
    )  # fmt: skip

    assert done.returncode == 1, done.stderr
    assert "ATTACHMENT" not in (tmp_path / "j.xml").read_text()
    assert "browse" not in (tmp_path / "a.json").read_text()


def test_github_gets_an_annotation_a_summary_and_an_output(
    weighbridge, service, monkeypatch, tmp_path
):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    Path(tmp_path / "summary").write_text("an earlier one\n")
    done = failed(weighbridge, service, "--github")

    assert done.returncode == 1, done.stderr
    assert next(line for line in done.stdout.splitlines() if line.startswith("::")).startswith(
        "::error title=weighbridge%3A FAIL::"
    )
    assert (tmp_path / "summary").read_text().startswith("an earlier one\n### ❌ FAIL\n")
    verdict, line, run = (tmp_path / "output").read_text().splitlines()
    assert verdict == "verdict=FAIL"
    assert line.startswith("line=FAIL: v1 ")
    assert run.endswith("-check")


def test_a_document_on_stdout_is_not_mixed_with_the_annotation(
    weighbridge, service, monkeypatch, tmp_path
):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    done = failed(weighbridge, service, "--github", "--json", "-")

    assert json.loads(done.stdout)["verdict"] == "FAIL"
    assert "::error " in done.stderr


def test_a_summary_never_exceeds_what_github_takes(weighbridge, service, monkeypatch, tmp_path):
    summary = tmp_path / "summary"
    summary.write_text("x" * 1_048_000)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))

    done = failed(weighbridge, service, "--github")

    assert done.returncode == 1, done.stderr
    assert 1_048_000 < summary.stat().st_size <= 1_048_576


@pytest.mark.parametrize(("option", "name"), [
    (("--annotations", "a.json"), "CI_JOB_URL"), (("--github",), "GITHUB_STEP_SUMMARY"),
])  # fmt: skip
def test_outside_of_the_forge_the_option_is_refused_before_anything_is_sent(
    weighbridge, service, tmp_path, option, name
):
    before = service.counts().total
    done = failed(weighbridge, service, *option)

    assert done.returncode == 2
    assert name in done.stderr
    assert service.counts().total == before
    assert not (tmp_path / "reports").exists()
