"""``weighbridge check`` as a user meets it: verdict, exit code, documents."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pyarrow.parquet as pq
import pytest

from sampler.cli import main
from sampler.demo.process import EmbeddedService
from tests.processes import only_run

pytestmark = pytest.mark.in_process

NINE_TO_ONE = {"v1": 9, "v2": 1}


@pytest.fixture
def nine_to_one():
    """Nine pods of v1 and one of v2: from its seed, each test meets the same draws of them."""
    with EmbeddedService(NINE_TO_ONE, seed=5) as service:
        yield service


def report_of(completed):
    return json.loads(completed.stdout)


def test_a_right_split_passes(weighbridge, nine_to_one):
    done = weighbridge("check", nine_to_one.url, "--expect", "v1=9,v2=1", "--seed", "1")

    assert (done.returncode, done.stdout.split()[0]) == (0, "PASS"), done.stderr
    assert "; 10 % [5.0, 14.1] was expected." in " ".join(done.stdout.split())


def test_a_wrong_split_fails_and_says_what_it_is(weighbridge, nine_to_one):
    done = weighbridge("check", nine_to_one.url, "--expect", "v1=5,v2=5", "--json", "-")

    report = report_of(done)
    assert (done.returncode, report["verdict"]) == (1, "FAIL")
    assert report["reasons"][0]["code"] == "outside_tolerance"
    low, high = report["observed"]["intervals"]["v2"]
    assert low < 0.1 < high < 0.5


def test_too_small_a_budget_is_inconclusive(weighbridge, nine_to_one):
    done = weighbridge(
        "check", nine_to_one.url, "--expect", "v1=9,v2=1", "--max-samples", "30", "--json", "-"
    )

    report = report_of(done)
    assert (done.returncode, report["verdict"]) == (3, "INCONCLUSIVE")
    assert report["reasons"][0]["code"] == "budget_spent"
    assert report["samples"]["launched"] == 30


def test_a_time_limit_is_inconclusive(weighbridge, nine_to_one):
    done = weighbridge(
        "check", nine_to_one.url, "--expect", "v1=9,v2=1", "--rate", "100/s",
        "--max-time", "1s", "--json", "-",
    )  # fmt: skip

    report = report_of(done)
    assert done.returncode == 3
    assert report["reasons"][0]["code"] == "time_spent"


def test_a_foreign_label_fails_a_pure_split(weighbridge):
    with EmbeddedService({"v1": 9, "v3": 1}, seed=3) as service:
        done = weighbridge("check", service.url, "--expect", "v1=10,v2=0", "--json", "-")

    report = report_of(done)
    assert (done.returncode, report["verdict"]) == (1, "FAIL")
    assert report["reasons"][0]["code"] == "unexpected_label"
    assert "v3" in report["reasons"][0]["message"]


def test_a_closed_port_cannot_be_measured(weighbridge, closed_port):
    url = f"http://127.0.0.1:{closed_port}/"
    done = weighbridge("check", url, "--expect", "v1=9,v2=1", "--junit", "-")

    assert done.returncode == 4
    assert "Connection refused" in done.stderr
    assert ET.fromstring(done.stdout).findall(".//error")


def test_without_a_folder_nothing_is_written(weighbridge, nine_to_one, tmp_path):
    arguments = (nine_to_one.url, "--expect", "v1=9,v2=1", "--seed", "1", "--out", "none")
    done = weighbridge("check", *arguments, "--json", "-")
    refused = weighbridge("check", *arguments, "--keep", "3")

    assert (done.returncode, refused.returncode) == (0, 2), done.stderr
    assert json.loads(done.stdout)["run"]["path"] is None
    assert "--keep counts runs in a folder" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_on_a_read_only_file_system_a_run_is_not_kept_unless_a_folder_is_named(
    nine_to_one, monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    arguments = ["check", nine_to_one.url, "--expect", "v1=9,v2=1", "--seed", "1"]

    assert main(arguments) == 0
    assert "the run is not kept: reports is on a read-only" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert main([*arguments, "--out", "named"]) == 0
    assert len(list(tmp_path.joinpath("named").iterdir())) == 1


def test_a_home_that_cannot_be_written_to_makes_no_noise(weighbridge, nine_to_one, monkeypatch):
    monkeypatch.setenv("HOME", "/dev/null/home")
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    done = weighbridge(
        "check", nine_to_one.url, "--expect", "v1=9,v2=1", "--seed", "1", "--html", "page.html"
    )

    assert done.returncode == 0
    assert "atplotlib" not in done.stderr, done.stderr


def test_a_run_is_written_whole(weighbridge, nine_to_one, tmp_path):
    done = weighbridge(
        "check", nine_to_one.url, "--expect", "v1=9,v2=1", "--seed", "1",
        "--json", "out.json", "--junit", "out.xml",
    )  # fmt: skip

    run = only_run(tmp_path)
    report = json.loads((run / "report.json").read_text())
    table = pq.read_table(run / "samples.parquet")
    windows = pq.read_table(run / "windows.parquet")
    assert done.returncode == 0
    assert json.loads((tmp_path / "out.json").read_text()) == report
    assert table.num_rows == report["samples"]["launched"]
    assert sum(windows["count"].to_pylist()) == table.num_rows
    assert report["run"]["seed"] == 1
    assert json.loads((run / "expectation.json").read_text()) == report["expected"]
    assert ET.parse(run / "junit.xml").getroot().tag == "testsuites"
    assert not (run / "samples.arrows").exists()


def test_options_can_come_from_a_file_and_the_command_line_wins(weighbridge, nine_to_one, tmp_path):
    config = tmp_path / "weighbridge.toml"
    config.write_text('[check]\nexpect = "v1=9,v2=1"\nmax-samples = 20\nconcurrency = 4\n')

    done = weighbridge(
        "check", nine_to_one.url, "--config", str(config), "--concurrency", "2", "--json", "-"
    )

    report = report_of(done)
    assert report["samples"]["launched"] == 20
    assert report["performance"]["concurrency"] == 2


def test_sample_measures_without_a_verdict(weighbridge, nine_to_one):
    done = weighbridge("sample", nine_to_one.url, "--max-samples", "300", "--json", "-")

    report = report_of(done)
    assert done.returncode == 0
    assert "verdict" not in report
    assert sum(report["observed"]["counts"].values()) == 300
    assert report["samples"]["connections"] == 300


def test_reuse_judges_connections_and_not_requests(weighbridge, nine_to_one):
    done = weighbridge(
        "check", nine_to_one.url, "--expect", "v1=9,v2=1", "--connection", "reuse",
        "--max-samples", "2000", "--concurrency", "8", "--json", "-",
    )  # fmt: skip

    report = report_of(done)
    assert done.returncode == 3
    assert report["samples"]["launched"] == 2000
    assert report["samples"]["independent"] <= report["samples"]["connections"] <= 8


def test_help_lists_the_commands_that_work(weighbridge):
    done = weighbridge("--help")

    assert done.returncode == 0
    for name in ("check", "sample", "demo"):
        assert name in done.stdout
    assert "Exit codes" in done.stdout


@pytest.mark.parametrize("name", ["check", "sample", "demo"])
def test_every_command_has_help(weighbridge, name):
    done = weighbridge(name, "--help")

    assert done.returncode == 0
    assert "Example" in done.stdout


def test_the_rate_of_missing_labels_that_ends_every_pass_is_said_before_the_run(
    weighbridge, nine_to_one
):
    narrow = weighbridge(
        "check", nine_to_one.url, "--expect", "v1=9,v2=1", "--tolerance", "4pp", "--seed", "2"
    )
    bounded = weighbridge(
        "check", nine_to_one.url, "--expect", "v1=9,v2=1", "--tolerance", "4pp", "--seed", "2",
        "--missing-ratio", "2", "--inner", "50%",
    )  # fmt: skip

    assert "PASS needs less than 4.4 % without a label" in narrow.stderr
    assert "without a label" not in bounded.stderr
    assert (narrow.returncode, bounded.returncode) == (0, 0)


def test_the_report_says_what_was_asked_of_the_decision(weighbridge, nine_to_one, tmp_path):
    done = weighbridge(
        "check", nine_to_one.url, "--expect", "v1=9,v2=1", "--tolerance", "v2=-5pp+6pp",
        "--missing-ratio", "2", "--inner", "50%", "--max-samples", "40", "--json", "-",
        "--markdown", "said.md",
    )  # fmt: skip

    report = report_of(done)
    asked = {"tolerance": "v2=-5pp+6pp", "inner": 0.5, "missing_ratio": 2, "max_unlabelled": 0.05}
    assert report["decision"].items() >= asked.items()
    assert report["expected"]["tolerance"]["v2"] == pytest.approx([0.05, 0.16])
    for text in (done.stderr, (tmp_path / "said.md").read_text()):
        words = " ".join(text.split())
        assert "no version loses labels more than 2 times as often as another" in words
        assert "FAIL begins at 50 % of the tolerance" in words
