"""``--config weighbridge.toml``: the same names, held to the same rules as what is typed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sampler.cli import watch
from sampler.cli.configuration import TARGETS
from sampler.cli.entry import main
from sampler.demo.process import EmbeddedService
from tests.processes import only_run

pytestmark = pytest.mark.in_process

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
URL = "http://127.0.0.1:9/"


@pytest.fixture
def configured(weighbridge, tmp_path):
    """Run ``check`` with a file."""

    def run(text, *arguments, url=URL):
        (tmp_path / "weighbridge.toml").write_text(text, encoding="utf-8")
        return weighbridge("check", url, "--config", "weighbridge.toml", *arguments)

    return run


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[check]\nconcurency = 4\n", "concurrency"),
        ("[chekc]\nconcurrency = 4\n", "chekc"),
        ("concurrency = 4\n", "[check]"),
        ("[check]\nconcurrency = 0\n", "concurrency = 0"),
        ("[check]\nconcurrency = 2.5\n", "concurrency = 2.5"),
        ("[check]\nconcurrency = true\n", "concurrency = true"),
        ("[check]\ntimeout = -1\n", "timeout = -1"),
        ("[check]\ntimeout = nan\n", "timeout = nan"),
        ("[check]\ntimeout = true\n", "timeout = true"),
        ("[check]\nmax-rate = inf\n", "max-rate = inf"),
        ("[check]\nmax-slowdown = 0.5\n", "max-slowdown = 0.5"),
        ("[check]\nmax-unlabelled = 5\n", "max-unlabelled = 5"),
        ("[check]\ninsecure = 'yes'\n", "insecure = 'yes'"),
        ("[check]\nexpect = ['v1=9', 'v2=1']\n", "expect"),
        ("[check]\nheader = [1979-05-27]\n", "header"),
        ("[check]\nlabel = {pointer = '/label'}\n", "label"),
        ("[check]\nconfig = 'other.toml'\n", "config"),
        ("[check\n", "TOML"),
    ],
)
def test_what_the_command_line_would_refuse_is_refused_with_its_place(
    capsys, tmp_path, text, named
):
    config = tmp_path / "weighbridge.toml"
    config.write_text(text, encoding="utf-8")

    code = main(["check", URL, "--config", str(config), "--expect", "v1=9,v2=1"])

    said = " ".join(capsys.readouterr().err.split())
    assert code == 2, said
    assert "weighbridge.toml" in said
    assert named in said
    assert "Traceback" not in said


@pytest.mark.parametrize("header", ['"X-Asked: yes"', '["X-Asked: yes", "X-More: too"]'])
def test_a_repeatable_option_takes_one_value_or_a_list(configured, header, tmp_path):
    with EmbeddedService({"v1": 1}) as service:
        done = configured(
            f"[check]\nheader = {header}\nexpect = 'v1=1'\nmax-samples = 5\ntimeout = 4\n",
            url=service.url,
        )

    run = only_run(tmp_path)
    asked = json.loads((run / "plan.json").read_text())
    assert done.returncode == 3, done.stderr
    assert asked["target"]["headers"][0] == "X-Asked"
    assert asked["load"]["timeout_s"] == 4


def test_tables_of_other_commands_may_stand_beside(configured):
    done = configured("[sample]\nmax-time = '1s'\n[check]\nexpect = 'v1=x'\n")

    assert done.returncode == 2
    assert "v1=x" in done.stderr


def test_the_file_on_the_page_about_it_can_be_used(tmp_path, configured):
    text, several = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        done = configured(text, "--label", "/label", "--max-samples", "5", url=service.url)

    assert done.returncode == 3, done.stderr
    file = tmp_path / "several.toml"
    file.write_text(several, encoding="utf-8")
    of_targets = watch.command.make_context("watch", ["--config", str(file)]).meta[TARGETS]
    assert list(of_targets) == ["shop", "search"]


def test_a_byte_order_mark_is_read_over(tmp_path, configured):
    done = configured("\ufeff[check]\nconcurrency = 0\n", "--expect", "v1=1")

    assert done.returncode == 2
    assert "[check] concurrency = 0: expected a whole number" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = " + "[" * 10_000, "is nested too deeply"),
        ("[check]\nrate = " + "1" * 5000, "is not TOML"),
        ("# " + "x" * 40_000, "has more than 32 kB"),
    ],
)
def test_a_file_that_would_take_for_ever_is_refused(tmp_path, capsys, text, words):
    file = tmp_path / "weighbridge.toml"
    file.write_text(text)

    assert main(["check", "http://127.0.0.1:9/", "--config", str(file)]) == 2
    assert words in capsys.readouterr().err


def test_weights_may_be_a_table(weighbridge, tmp_path):
    (tmp_path / "w.toml").write_text("[check.expect]\nv1 = 0.9\nv2 = 0.2\n", encoding="utf-8")

    done = weighbridge("check", "http://127.0.0.1:9/", "--config", "w.toml")

    assert done.returncode == 2
    assert "shares that add up to 1, got 1.1" in done.stderr


def test_a_second_expectation_is_refused(weighbridge):
    done = weighbridge("plan", "--expect", "v1=9", "--expect", "v2=1")

    assert done.returncode == 2
    assert "--expect: expected once, got 2 times" in done.stderr


@pytest.mark.parametrize("key", ["{}", "[{}]", "x = {{ {} = 1 }}", "[check]\n{} = 1"])
@pytest.mark.parametrize("part", ["a", '"a"', "a \t", "'b'"])
def test_a_name_of_thousands_of_parts_is_refused_before_it_is_parsed(
    weighbridge, tmp_path, key, part
):
    (tmp_path / "c.toml").write_text(key.format(".".join([part] * 5_000)) + "\n")

    done = weighbridge("check", "http://127.0.0.1:9/", "--expect", "v1=1", "--config", "c.toml")

    assert done.returncode == 2
    assert "has a name of more than 32 parts" in done.stderr
