"""What must hold of a command for any bytes in its files: an answer or a refusal, never a bug.

Each input is one file of others: a log, a document or the samples of a run, a configuration. It
goes through the command line itself, whose exit code is 70 for what it did not expect.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sampler.base.errors import WeighbridgeError
from sampler.cli import entry
from sampler.cli.entry import main
from sampler.logs import KINDS
from tests.fuzz.reading import Broken, mutate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

HERE = Path(__file__).parent
FOUND_LOGS, FOUND_RUNS, FOUND_CONFIGURATIONS = (
    HERE / f"corpus_{name}" for name in ("logs", "runs", "configurations")
)
_STORED, _RECORDED = HERE.parent / "stored", HERE.parent / "recordings"
_LONGEST_SEED = 8_192
_EXPECTED = {0, 1, 2, 3, 4}
_EXPECT = ("--expect", "v1=9,v2=1")
_TOKENS = (
    b"\n", b"\r\n", b"\0", b",", b"\t", b" ", b'"', b"{", b"}", b"[", b"]", b":", b"null", b"true",
    b"-1", b"1e400", b"NaN", b"9" * 5_000, b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\x1f\x8b",
    b"PAR1", b"\\ud800", b"v1", b"v2", b"1700000000", b"2026-01-01T00:00:00Z",
    b"[01/Jan/2026:00:00:00 +0000]",
    b'{"a":' * 200, b"[" * 2_000, b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"[check]\n",
    b"[plan]\n",
    b"tolerance = ", b"alpha = ", b'"""', b"'''", b"= 0x", b"inf",
)  # fmt: skip
_LOG_OPTIONS = (
    (), (), (), ("--reorder", "0"), ("--time-column", "none"), ("--connection-column", "none"),
    ("--label-column", "version"), ("--map", "10.*=v1,*=v2"), ("--label-column", "status"),
    ("--per-connection", "3"), ("--metric", "answers"), ("--tolerance", "5pp"),
    *(("--format", kind) for kind in KINDS),
)  # fmt: skip
_SUFFIXES = ("csv", "log", "jsonl", "json", "parquet", "txt")
_CONFIGURATION = (
    b"# of a check\n[check]\nexpect = 'v1=9,v2=1'\ntolerance = '2pp'\nconcurrency = 16\n"
    b"html = 'a'\nheader = ['A: b', 'C: d']\n[plan]\nalpha = '1%'\nbeta = 0.01\ntolerance = '1pp'\n"
    b"expect = 'v1=9,v2=1'\n[judge]\nreorder = 10\n"
)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def _called(*arguments: str) -> str:
    """Call the command line; give what it came to."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        code = int(main(list(arguments)))
    if code not in _EXPECTED:
        err.flush()
        told = err.buffer.getvalue().decode()[-2_000:]
        raise Broken(f"{arguments[0]} ends with {code}: {told}")
    return "refused" if code in {2, 4} else "read"


def _found(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*"))]


def mutated(random: Random, corpus: Sequence[bytes]) -> bytes:
    """Make an input out of the corpus."""
    return mutate(random, corpus, _TOKENS)


def logs() -> list[bytes]:
    """Give logs of each kind, and what once was too much."""
    files = sorted(each for each in _RECORDED.iterdir() if each.is_file() and each.suffix != ".py")
    rows = b"".join(b"%d.5,v%d,%d\n" % (n, 1 + n % 10 // 9, n) for n in range(100))
    plain = b"time,label,connection\n" + rows
    lines = b"".join(b'{"time": %d, "label": "v1"}\n' % n for n in range(50))
    return [
        *_found(FOUND_LOGS),
        plain,
        lines,
        *(each.read_bytes()[:_LONGEST_SEED] for each in files),
    ]


def check_log(data: bytes, random: Random) -> str:
    """Judge a log."""
    path = Path(_folder().name) / f"log.{random.choice(_SUFFIXES)}"
    path.write_bytes(data)
    try:
        bad = () if random.random() < 0.2 else ("--max-bad-lines", "100%")
        return _called("judge", str(path), *_EXPECT, *bad, *random.choice(_LOG_OPTIONS))
    finally:
        path.unlink()


@cache
def _runs() -> dict[str, Path]:
    """Give copies of stored runs, by name."""
    copies = {}
    for run in sorted(_STORED.iterdir()):
        copies[run.name] = Path(_folder().name) / run.name
        shutil.copytree(run, copies[run.name])
    return copies


def runs() -> list[bytes]:
    """Give each file of each stored run, behind its name; and what once was too much."""
    files = [each for run in _runs().values() for each in sorted(run.iterdir()) if each.is_file()]
    return [
        *_found(FOUND_RUNS),
        *(f"{each.parent.name}/{each.name}\n".encode() + each.read_bytes() for each in files),
    ]


def mutated_run(random: Random, corpus: Sequence[bytes]) -> bytes:
    """Change one file of a run, and not its name."""
    name, _, data = random.choice(corpus).partition(b"\n")
    if random.random() < 0.5:  # binary files: a few bytes, at their place
        changed = bytearray(data)
        for _ in range(random.randint(1, 6) if data else 0):
            changed[random.randrange(len(data))] = random.choice((0, 1, 0x7F, 0x80, 0xFF, 0x30))
        return name + b"\n" + bytes(changed)
    return name + b"\n" + mutate(random, [data], _TOKENS)


def check_run(data: bytes, random: Random) -> str:
    """Report on a run and judge it, with one of its files replaced."""
    name, _, content = data.partition(b"\n")
    run, _, file = name.decode().partition("/")
    path = _runs()[run] / file
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        command = random.choice((("report",), ("judge", *_EXPECT)))
        return _called(command[0], str(path.parent), *command[1:])
    finally:
        path.write_bytes(before)


def configurations() -> list[bytes]:
    """Give a configuration, and what once was too much."""
    return [*_found(FOUND_CONFIGURATIONS), _CONFIGURATION]


def check_configuration(data: bytes, _random: Random) -> str:
    """Take the options of a check from a configuration; nothing is sent."""
    path = Path(_folder().name) / "weighbridge.toml"
    path.write_bytes(data)
    root = click.Context(entry.weighbridge)
    command = entry.weighbridge.get_command(root, "check")
    if command is None:
        raise Broken("there is no command check")
    arguments = ["http://127.0.0.1:9/", "--config", str(path)]
    try:
        command.make_context("check", arguments, parent=root)
    except (WeighbridgeError, click.ClickException):
        return "refused"
    return "read"
