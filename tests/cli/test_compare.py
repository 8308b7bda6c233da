"""``weighbridge report A B``: two runs side by side, and what is refused."""

from __future__ import annotations

import json

import pytest

from sampler.demo.process import EmbeddedService
from tests.processes import WEIGHBRIDGE, completed

pytestmark = pytest.mark.in_process


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of two measured runs, nine to one and one to one."""
    folder = tmp_path_factory.mktemp("runs")
    made = []
    for name, pods in (("nine", {"v1": 9, "v2": 1}), ("even", {"v1": 1, "v2": 1, "v3": 0})):
        with EmbeddedService(pods, seed=1) as service:
            command = [*WEIGHBRIDGE, "sample", service.url, "--max-samples", "600"]
            done = completed([*command, "--name", name, "--out", name], folder)
            assert done.returncode == 0, done.stderr
        (run,) = (folder / name).iterdir()
        made.append(str(run))
    return made


def test_two_runs_are_compared_in_every_document(weighbridge, runs, tmp_path):
    done = weighbridge(
        "report", *runs, "--json", "c.json", "--markdown", "c.md", "--html", "c.html"
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("COMPARED  2 of 2 shares differ: ")
    document = json.loads((tmp_path / "c.json").read_text())
    assert document["schema"] == "weighbridge.comparison/1"
    (v2,) = (each for each in document["shares"] if each["label"] == "v2")
    assert v2["interval"][0] > 0
    assert v2["interval"][0] < 0.4 < v2["interval"][1]
    assert [each["name"] for each in document["plan"]] == ["target.url"]
    assert {each["label"] for each in document["times"]} == {"v1", "v2"}
    page = (tmp_path / "c.html").read_text()
    assert page.count("<figure>") == 4
    assert (tmp_path / "c.md").read_text().startswith("### Two runs compared\n")


def test_a_comparison_on_stdout_leaves_the_text_to_stderr(weighbridge, runs):
    done = weighbridge("report", *runs, "--json", "-")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["level"] == 0.01
    assert done.stderr.startswith("COMPARED")


@pytest.mark.parametrize("option", ["--junit", "--metrics", "--dotenv"])
def test_what_judges_one_run_is_refused_for_two(weighbridge, runs, option):
    done = weighbridge("report", *runs, option, "x")

    assert done.returncode == 2
    assert "is for one run" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_is_not_compared_with_itself(weighbridge, runs):
    done = weighbridge("report", runs[0], f"{runs[0]}/../{runs[0].rpartition('/')[2]}")

    assert done.returncode == 2
    assert "expected two different ones" in done.stderr
