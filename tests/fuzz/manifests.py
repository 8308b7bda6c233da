"""What must hold of manifests for any bytes at all: an answer or a refusal, and soon.

The corpus is the manifests of `tests/manifests`, and those of `corpus_manifests`
once were too much.
"""

from __future__ import annotations

import gc
import re
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sampler.base.errors import WeighbridgeError
from sampler.expect.lint import lint
from sampler.expect.manifests import read_manifests
from sampler.expect.resolve import ROUTES, expect
from sampler.expect.rules.model import Question
from sampler.expect.rules.versions import VersionRule
from tests.fuzz.reading import Broken, mutate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from sampler.expect.rules.objects import Inventory

FOUND = Path(__file__).parent / "corpus_manifests"
MOST_BYTES = 2 << 20
MOST_S = 2.0
"""Of processor time, for an input of `MOST_BYTES`."""

_MANIFESTS = Path(__file__).resolve().parents[1] / "manifests"
_ASKED = 3
"""Services and routes of an input that are asked."""
_TOKENS = (
    b"\t", b"\r\n", b"\n", b"\n  ", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc2\x85", b"\x7f",
    b" # ", b"---\n", b"--- ", b"...\n", b"%YAML 1.1\n---\n", b"{", b"}", b"[", b"]", b",", b": ",
    b"- ", b"? ", b"&a ", b"*a", b"<<: *a\n", b"<<: [*a, *a]\n", b"!!int ", b"!!str ", b"!!binary ",
    b"!!float ", b"!x ", b"|\n", b">-\n", b'"', b"'", b"\\ud83d\\ude00", b"\\u0000",
    b"{{ .Values.x }}", b"${TAG}", b"null", b"~", b"010", b"9.0", b".inf", b".nan", b"1e999", b"0x",
    b"08", b"1_0", b"-1", b"9" * 5_000, b"on", b"y", b"2024-05-01", b"1:20", b"[" * 300,
    b'{"a":' * 250, b"kind: List\nitems:\n- ", b"kind: DeploymentList\n", b"kind: Rollout\n",
    b"apiVersion: argoproj.io/v1alpha1\n", b"replicas: ", b"weight: ", b"name: ", b"metadata: {}\n",
    b"spec: null\n", b"kind: HTTPRoute\n", b"namespace: x\n",
)  # fmt: skip


_WORD = re.compile(rb"[\w./-]+")
_VALUES = (
    b"null", b"~", b"[]", b"{}", b"[x]", b"[{}]", b"{x: y}", b"''", b"0", b"-1", b"010", b"9.0",
    b"9.5", b"1e9", b"08", b"on", b"y", b"2024-05-01", b"'9'", b"x", b"app", b"shop", b"v1", b"*",
    b"/", b"100", b"&a x", b"*a", b"${TAG}", b"name", b"kind", b"weight", b"replicas", b"!!str 5",
    b"!x y", b"99999999999999999999",
)  # fmt: skip


def seeds() -> list[bytes]:
    """Give the corpus: manifests that are read rightly or refused, and what once was too much."""
    files = [*_MANIFESTS.rglob("input*/*"), *_MANIFESTS.rglob("input.yaml"), *FOUND.glob("*")]
    return [path.read_bytes() for path in sorted(files) if path.is_file()]


def mutated(random: Random, corpus: Sequence[bytes]) -> bytes:
    """Make an input out of the corpus; one in a thousand is as long as may be."""
    if random.random() < 0.7:  # changes of whole lines, most of which are still YAML
        lines = random.choice(corpus).splitlines(keepends=True)
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            lines = _change(random, lines)
        data = b"".join(lines)
    else:
        data = mutate(random, corpus, _TOKENS)
    if random.random() < 0.001:
        data = (data + b"\n---\n") * (MOST_BYTES // (len(data) + 5))
    return data


def _change(random: Random, lines: list[bytes]) -> list[bytes]:
    a = random.randrange(len(lines) + 1)
    b = min(len(lines), a + random.choice((1, 1, 1, 4)))
    match random.randrange(8):
        case 0:
            return lines[:a] + lines[b:]
        case 1:
            return lines[:b] + lines[a:]
        case 2:
            return lines[:a] + [b"  " + each for each in lines[a:b]] + lines[b:]
        case _:
            return lines[:a] + [_put(random, each) for each in lines[a:b]] + lines[b:]


def _put(random: Random, line: bytes) -> bytes:
    """Put another value in the place of a word."""
    words = list(_WORD.finditer(line))
    if not words:
        return line
    word = random.choice(words)
    return line[: word.start()] + random.choice(_VALUES) + line[word.end() :]


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def check(data: bytes, random: Random) -> str:
    """Read an input, and ask for what it declares; give what it came to.

    Raises
    ------
    Broken
        If that took too long twice: once may be the machine.
    """
    path = Path(_folder().name) / "input.yaml"
    path.write_bytes(data)
    took = []
    for _ in range(2):
        gc.disable()  # as the command line does
        began = time.process_time()
        try:
            inventory, _ = read_manifests(str(path))
        except WeighbridgeError:
            end = "refused"
        else:
            end = _ask(inventory, random)
        took.append(time.process_time() - began)
        gc.enable()
        if took[-1] <= MOST_S:
            return end
    raise Broken(f"{len(data)} bytes took {min(took):.1f} s of processor time")


def _ask(inventory: Inventory, random: Random) -> str:
    names = [("", f"{each.kind}/{each.name}") for each in inventory.of(*ROUTES)]
    names += [(each.name, "") for each in inventory.of("Service")]
    answers = 0
    for service, route in random.sample(names, min(_ASKED, len(names))):
        question = Question(
            service=service,
            route=route,
            versions=VersionRule.parse(random.choice(("auto", "label:track", "stable=v1"))),
            step=random.choice((None, 0, 1, 7)),
            host=random.choice((None, "shop.example")),
            path=random.choice((None, "/", "/api/x")),
        )
        try:
            answers += expect(inventory, question).split.total > 0
        except WeighbridgeError:
            continue
    with suppress(WeighbridgeError):
        lint(inventory, Question())
    return "answered" if answers else "not expected"
