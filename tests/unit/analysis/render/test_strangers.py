"""What a stranger wrote never acts: hostile text through every field, to every medium."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.render import to_dotenv, to_json, to_junit, to_markdown, to_metrics, to_text
from analysis.render.annotations import to_github_annotations, to_gitlab_annotations
from analysis.render.html import to_html
from analysis.render.printable import in_json, logged, message, visible, wrap

HOSTILE = (
    "::set-output name=verdict::PASS",
    "  \t::stop-commands::zz",
    "\u00a0::add-mask::FAIL",
    "v2##[set-output name=verdict]PASS",
    "###[error]x",
    "##vso[task.complete result=Succeeded;]",
    "##teamcity[buildStatus status='SUCCESS']",
    "x\n::error::y",
    "x\r::error::y",
    "x ::error::y",
    "a" * 300 + " ::warning title=weighbridge::PASS",
    "section_start:1:x\r\x1b[0Ksection_end:1:x\r\x1b[0K",
    "\x1b[2J\x1b]8;;http://evil\x07PASS\x1b[0m",
    "\x9b2J\x7f",
    "\u202ePASS\u2066\u200b\u2028\u2029\ufeff",
    "<script>alert(1)</script><!-- ]]> &amp; \"'",
    "](javascript:x) @all #1 `| $(x)",
    'v"} 1\n# EOF\n',
    "\ud800",
)
COMMANDS = re.compile(
    # actions/runner, ActionCommand.cs: TryParseV2 trims, TryParse looks anywhere in the line.
    r"(?:\A|(?<=[\r\n]))[^\S\r\n]*::[A-Za-z][^\r\n]*?::"
    r"|##\w*\["
    # GitLab's runner, and a terminal.
    r"|section_(?:start|end):\d+:"
)
STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def poisoned(value, poison, name=""):
    """Put a hostile text into every text of a report, keys included."""
    if isinstance(value, Enum) or name == "schema":
        return value
    if isinstance(value, str):
        return poison if name != "classical" else value
    if isinstance(value, dict):
        return {
            poison + key if isinstance(key, str) else key: poisoned(each, poison)
            for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(poisoned(each, poison) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value,
            **{
                each.name: poisoned(getattr(value, each.name), poison, each.name)
                for each in fields(value)
                if each.init
            },
        )
    return value


def media(report, poison):
    yield "text", to_text(report)
    yield "narrow", to_text(report, width=40)
    yield "json", to_json(report)
    yield "junit", to_junit(report)
    yield "markdown", to_markdown(report)
    yield "metrics", to_metrics(report)
    yield "dotenv", to_dotenv(report)
    yield "html", to_html(report)
    yield "gitlab", to_gitlab_annotations({poison: poison})
    github = to_github_annotations(report)
    assert github.count("\n") == 1
    yield "github", github.partition("::")[2].partition("::")[2]  # what follows our own command


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, tuple(name for name, _ in attrs)))


@pytest.mark.parametrize("poison", HOSTILE)
@pytest.mark.parametrize("name", ["passed", "failed", "undecided", "measured"])
def test_nothing_acts_in_any_medium(reports, name, poison):
    report = poisoned(reports[name], poison)

    for medium, text in media(report, poison):
        assert not COMMANDS.search(text), (medium, COMMANDS.search(text))
        assert not STEERING.search(text), (medium, STEERING.search(text))
        text.encode()


@pytest.mark.parametrize("poison", HOSTILE)
def test_documents_stay_what_they_are(reports, poison):
    failed = reports["failed"]
    clean = replace(failed, run=replace(failed.run, commit="c"))
    report = poisoned(clean, poison)

    assert json.loads(to_json(report))["run"]["id"] == poison
    assert {case.tag for case in ET.fromstring(to_junit(report)).iter()} == {
        case.tag for case in ET.fromstring(to_junit(clean)).iter()
    }
    assert to_metrics(report).count("# EOF\n") == 1
    assert len(to_dotenv(report).splitlines()) == len(to_dotenv(clean).splitlines())
    tags = _Tags()
    tags.feed(to_html(report))
    other = _Tags()
    other.feed(to_html(clean))
    assert set(tags.tags) <= set(other.tags)


@pytest.mark.parametrize("poison", HOSTILE)
def test_an_error_is_one_line_that_acts_nowhere(poison):
    text = message(f"--header {poison}: expected NAME: VALUE")

    assert not COMMANDS.search(text)
    assert not STEERING.search(text)
    assert "\n" not in text


_SIGNS = st.sampled_from("::##[]\n\r \t\xa0abe-section_start:1")
TEXT = st.text(_SIGNS | st.characters(), max_size=80)


@settings(max_examples=300, deadline=None, database=None)
@given(text=TEXT, width=st.integers(1, 30))
def test_no_line_is_a_command_however_it_is_wrapped(text, width):
    assert not COMMANDS.search("\n".join(wrap(visible(text), max(width, 12))))
    assert not COMMANDS.search(logged(text))
    assert logged(logged(text)) == logged(text)


@settings(max_examples=300, deadline=None, database=None)
@given(value=st.dictionaries(TEXT, TEXT))
def test_json_keeps_its_values(value):
    text = in_json(json.dumps(value, ensure_ascii=False, indent=2))

    assert json.loads(text) == value
    assert json.loads(logged(text)) == value
    assert not COMMANDS.search(text)
    assert not STEERING.search(text.replace("\n", ""))


def test_what_is_harmless_stays_as_it_is():
    for text in ("std::vector", "http://[::1]:80/", "## heading", "a::b", "::1", "v1 # 2"):
        assert visible(text) == logged(text) == in_json(text) == text
