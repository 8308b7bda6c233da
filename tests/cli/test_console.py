"""Every command of every page is run as it stands, or its block says why not.

A block of `console` or `sh` is run by bash in a folder that has what the pages speak of, beside a
Service at the address that they use. A comment before it, which readers do not see, keeps it from
that: ``<!-- not run: WHY -->``; `WHY_NOT` has what is never run. A command ends with 0, or with
what its ``# exit N`` says.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from sampler.demo.process import EmbeddedService
from tests.answering import each_connection
from tests.processes import REPOSITORY, program_in

if TYPE_CHECKING:
    from pathlib import Path

PAGES = sorted(
    path
    for pattern in (
        "*.md",
        "docs/*.md",
        "docs/start/*.md",
        "deploy/*.md",
        "examples/*/*.md",
        "notebooks/*.md",
    )
    for path in REPOSITORY.glob(pattern)
    if path.name != "CHANGELOG.md"
)
ADDRESS = "127.0.0.1:8080"
MODELS = f"{ADDRESS}/v1/chat/completions"
"""Where a gateway for language models answers."""
ASKS = re.compile(rf"{ADDRESS}|shop\.example\b|\$SERVICE_IP|--config")
"""What stands in a command that asks the Service; the first two are its host and port."""
WHY_NOT = {
    r"\bkubectl\b|--cluster\b|--in-cluster\b|\.svc\b": "a cluster; tests/cluster has its own",
    r"weighbridge (watch|serve|demo)\b": "runs for long; tests/watch, tests/serve, tests/cli",
    r"--via\b": "a server of gates; tests/serve",
    r"\bmake\b|\bpip\b|\buvx?\b|\bpodman\b|\bjupyter\b": "installs or builds; tests/packaging",
    r"\bhelm\b|\bprom(tool|etheus)\b": "a program of others",
}
"""What no command here is run that names it, and where else it is."""
_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>.+?) -->\n)?^```(?P<kind>\w*)[^\n]*\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_EXIT = re.compile(r"\s+#\s+exit (\d+)$")


@dataclass(frozen=True)
class Block:
    """A block of commands.

    Parameters
    ----------
    page : Path
    line : int
    commands : tuple of str
        As they are typed, with the comments after them.
    why : str
        Why it is not run; empty if it is.
    """

    page: Path
    line: int
    commands: tuple[str, ...]
    why: str

    @property
    def run(self) -> tuple[str, ...]:
        """The commands that are run here."""
        here = () if self.why else self.commands
        return tuple(each for each in here if not any(re.search(why, each) for why in WHY_NOT))

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        if match["kind"] not in {"console", "sh"}:
            continue
        lines = match["text"].replace("\\\n", " ").splitlines()
        typed = [line[2:] for line in lines if line.startswith("$ ")]
        commands = typed if match["kind"] == "console" else [line for line in lines if line]
        line = text.count("\n", 0, match.start("text"))
        found.append(Block(page, line, tuple(commands), match["why"] or ""))
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def answer(number: int, _request: bytes) -> bytes:
    """Answer as a gateway does that sends each tenth prompt to the second model."""
    body = json.dumps({"model": "small-b" if number % 10 == 7 else "small-a"}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


@pytest.fixture
def place(tmp_path):
    """Return the folder in which a page's commands are run, with what they speak of."""
    for source, target in (
        ("examples", "examples"),
        ("examples/gitops/i", "i"),
        ("reports/example/pass", "reports/A"),
        ("reports/example/fail", "reports/B"),
    ):
        shutil.copytree(REPOSITORY / source, tmp_path / target)
    rows = (f"2026-01-31T12:{n // 60:02}:{n % 60:02}.000Z,{label}" for n, label in log())
    (tmp_path / "access.csv").write_text("\n".join(["ts,version", *rows, ""]), encoding="utf-8")
    (tmp_path / "prompt.json").write_text('{"messages": []}', encoding="utf-8")
    shutil.copytree(tmp_path / "i" / "k8s", tmp_path / "all" / "base")
    (tmp_path / "all" / "prod").mkdir()
    deploy = (tmp_path / "i" / "k8s" / "deploy.yaml").read_text(encoding="utf-8")
    other = deploy.replace("replicas: 10", "replicas: 20")
    (tmp_path / "all" / "prod" / "deploy.yaml").write_text(other, encoding="utf-8")
    program_in(tmp_path / "bin")
    for words in (
        ["init", "-q", "--bare", "origin.git"],
        ["init", "-q"],
        ["add", "i"],
        ["commit", "-q", "-m", "Ten pods of v1"],
        ["remote", "add", "origin", "origin.git"],
        ["push", "-q", "-u", "origin", "HEAD"],
    ):
        subprocess.run(["git", *words], cwd=tmp_path, env=surroundings(tmp_path), check=True)
    return tmp_path


def log():
    """Give 3 000 rows of a log: a tenth is v2, as chance has it."""
    state = 7
    for n in range(3000):
        state = state * 1103515245 + 12345 & 0x7FFFFFFF
        yield n, "v2" if (state >> 12) % 10 == 0 else "v1"


def surroundings(place: Path, **more: str) -> dict[str, str]:
    nobody = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER")
              for what in ("NAME", "EMAIL")}  # fmt: skip
    return os.environ | nobody | {
        "PYTHONPATH": str(REPOSITORY),
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **more,
    }  # fmt: skip


@pytest.mark.needs("git")
@pytest.mark.parametrize(
    "page",
    dict.fromkeys(block.page for block in BLOCKS if block.run),
    ids=lambda page: str(page.relative_to(REPOSITORY)),
)
def test_what_a_page_tells_to_type_does_what_it_says(place, page):
    commands = [line for block in blocks_of(page) for line in block.run]
    with ExitStack() as stack:
        service = ""
        if any(ASKS.search(line) for line in commands):
            running = stack.enter_context(EmbeddedService({"v1": 9, "v2": 1}, seed=1))
            service = running.url.removeprefix("http://").rstrip("/")
            (place / "weighbridge.toml").write_text(
                f'[check]\nurl = "{running.url}"\nexpect = "v1=9,v2=1"\n', encoding="utf-8"
            )
        models = ""
        if any(MODELS in line for line in commands):
            models = stack.enter_context(each_connection(answer))
        for line in commands:
            code = _EXIT.search(line)
            told = line.replace(MODELS, f"{models}/v1/chat/completions")
            told = told.replace(ADDRESS, service).replace("shop.example", service)
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", told],
                env=surroundings(place, SERVICE_IP=service),
                cwd=place,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=240,
            )
            expected = int(code[1]) if code else 0
            assert done.returncode == expected, (
                f"{line}\nmake it run, or say why not: <!-- not run: WHY --> before its block\n"
                f"{done.stdout}{done.stderr}"
            )


def test_every_block_is_run_or_says_why_not():
    assert len(BLOCKS) > 40
    assert sum(bool(block.run) for block in BLOCKS) > 15
    assert [str(block) for block in BLOCKS if not block.commands] == []
