"""What the pages name exists: links, headings, files, targets of make, commands and options."""

from __future__ import annotations

import json
import re
import shlex
from importlib import import_module
from itertools import takewhile
from pathlib import Path

import click
import pytest

from sampler.cli.entry import weighbridge as program
from tests.processes import REPOSITORY, WEIGHBRIDGE, completed

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "deploy/*.md", "reports/*.md",
                    "reports/*/*.md", "templates/**/*.md", "notebooks/*.md", "notebooks/*.ipynb")
    for path in REPOSITORY.glob(pattern)
)  # fmt: skip
OTHERS_OPTIONS = {
    "--accesslog": "traefik",
    "--noflush": "iptables-restore",
    "--mode": "iptables",
    "--probability": "iptables",
    "--group": "pip",
    "--privileged": "docker",
    "--build-arg": "podman build",
    "--input": "podman load",
    "--format": "vegeta",
    "--prefix": "kubectl logs",
    "--since": "kubectl logs",
    "--summary-export": "k6",
}
"""Options of other programs that a page names."""
SAFE = r"weighbridge (?:expect|plan) .*examples/"
"""Commands that change nothing, on files of this repository."""


def text_of(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def prose_of(page: Path) -> str:
    """Leave out blocks of code."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


def anchors_of(page: Path) -> set[str]:
    """Name the headings as a forge does: lower case, hyphens for spaces, no punctuation."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def links_of(page: Path) -> list[str]:
    found = re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", prose_of(page))
    return [each for each in found if not re.match(r"[a-z]+:", each)]


def code_of(page: Path) -> list[str]:
    """Give what stands in code: spans, and the lines of blocks with their continuations."""
    text = text_of(page)
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return lines + re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", prose_of(page))


def commands(
    group: click.Group, words: tuple[str, ...] = ()
) -> dict[tuple[str, ...], click.Command]:
    context = click.Context(group)
    known: dict[tuple[str, ...], click.Command] = {words: group}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            known |= commands(command, (*words, name))
        else:
            known[(*words, name)] = command
    return known


COMMANDS = commands(program)
OPTIONS = {
    words: {
        name
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("-")
    }
    | {"--help", "-h"}
    for words, command in COMMANDS.items()
}
EVERY_OPTION = set().union(*OPTIONS.values())


def calls_of(page: Path) -> list[tuple[str, tuple[str, ...], list[str]]]:
    """Find each command line of ours: its text, its words, its options."""
    calls = []
    for code in code_of(page):
        for call in re.findall(r"\bweighbridge ([^|;&#>)]+)", " ".join(code.split())):
            tokens = call.split()
            words = tuple(takewhile(lambda token: re.fullmatch(r"[a-z]+", token), tokens))
            while words and words not in COMMANDS:
                words = words[:-1]
            if words:
                options = re.findall(r"(?<![\w-])--?[a-z][a-z-]*", call)
                calls.append((call, words, options))
    return calls


def ids(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_leads_to_a_file_and_a_heading(page):
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: there is no such file"
        if anchor:
            assert anchor in anchors_of(target), f"{link}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_option_of_a_command_line_exists(page):
    for call, words, options in calls_of(page):
        unknown = set(options) - OPTIONS[words] - OPTIONS[()]
        assert not unknown, f"weighbridge {call}: {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_option_in_the_text_is_one_of_ours_or_known_to_be_anothers(page):
    spans = re.findall(r"`(-{1,2}[a-z][^`]*)`", prose_of(page))
    named = {option for span in spans for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", span)}

    assert sorted(named - EVERY_OPTION - set(OTHERS_OPTIONS)) == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_file_of_the_repository_that_is_named_exists(page):
    rooms = "sampler|analysis|tests|docs|notebooks|examples|templates"
    for code in code_of(page):
        for name in re.findall(rf"(?<![\w/.@-])((?:{rooms})/[\w./-]*[\w/])", code):
            path = REPOSITORY / name
            assert path.exists() or path.with_suffix(".py").exists(), name


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_target_of_make_that_is_named_exists(page):
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {
        name
        for code in code_of(page)
        for name in re.findall(r"(?:^|\s)(?:sudo )?make ([a-z][a-z-]*)", code)
    }

    assert sorted(named - targets) == []


def test_every_test_and_module_behind_a_claim_exists():
    page = (REPOSITORY / "docs" / "statistics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|(.+)\|(.+)\|(.+)\|(.+)\|(.+)\|$", page, re.MULTILINE)[2:]
    assert len(rows) > 10

    for *_, modules, tests in rows:
        for name in re.findall(r"`(\w+(?:\.\w+)*)`", modules):
            path = Path("analysis", *name.split("."))
            path = Path(*name.split(".")) if name.startswith("sampler.") else path
            assert (REPOSITORY / path).with_suffix(".py").exists(), name
        for name in re.findall(r"`(\w+(?:/\w+)+)`", tests):
            assert (REPOSITORY / "tests" / f"{name}.py").exists(), name


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_name_of_the_library_exists(page):
    code = "\n".join(code_of(page))
    dotted = set(re.findall(r"(?<![\w/.])((?:sampler|analysis)(?:\.[A-Za-z_]\w*)+)", code))
    for module, names in re.findall(r"from ((?:sampler|analysis)[\w.]*) import ([\w, ]+)", code):
        dotted |= {f"{module}.{name.strip()}" for name in names.split(",")}

    assert [name for name in sorted(dotted) if not is_there(name)] == []


def is_there(dotted: str) -> bool:
    """Whether a dotted name is a module, a thing in one, or an attribute of such a thing."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for name in parts[end:]:
            if not hasattr(found, name):
                return False
            found = getattr(found, name)
        return True
    return False


def shown_in(page: Path) -> list[tuple[str, str]]:
    """Find the commands on files of this repository, with the output that a page shows."""
    blocks = re.findall(r"^```console\n(.*?)^```$", text_of(page), re.DOTALL | re.MULTILINE)
    parts = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE)]
    found = [part.partition("\n") for part in parts if re.match(SAFE, part)]
    return [(command, output.strip("\n")) for command, _, output in found if output.strip()]


SHOWN = [(page, *each) for page in PAGES for each in shown_in(page)]


@pytest.mark.parametrize(("page", "command", "output"), SHOWN, ids=lambda each: str(each)[:60])
def test_what_a_page_shows_of_the_examples_is_what_is_printed(page, command, output):
    done = completed([*WEIGHBRIDGE, *shlex.split(command, comments=True)[1:]], REPOSITORY)

    assert output == done.stdout.strip("\n"), page


def test_every_page_can_be_reached_from_the_readme():
    reached, waiting = set(), [REPOSITORY / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page not in PAGES:
            continue
        reached.add(page)
        waiting += [(page.parent / link.partition("#")[0]).resolve() for link in links_of(page)]

    pages = {page for page in PAGES if page.parent.name == "docs" or page.suffix == ".ipynb"}
    assert not {ids(page) for page in pages - reached}


def test_something_is_looked_at():
    assert len(PAGES) > 20
    assert SHOWN
    assert sum(len(links_of(page)) for page in PAGES) > 50
    assert sum(len(calls_of(page)) for page in PAGES) > 30
