"""A comparison as text, JSON, Markdown and a page, whatever the labels are."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from analysis.render.comparison import (
    headline,
    to_comparison_html,
    to_comparison_json,
    to_comparison_markdown,
    to_comparison_text,
)
from analysis.render.markdown import LARGEST
from analysis.render.printable import HOLD
from analysis.review.comparison import RunRecord, compare
from tests.recorded import recorded

MARKUP = (
    "<script>document.title='owned'</script>", "[x](javascript:alert(1))", "a|b\n| c", "@all #1",
    "</script><!--", "x" * 10_000,
)  # fmt: skip


def made(labels=("v1", "v2"), first=(9, 1), second=(6, 4)):
    one, other = recorded(labels, first), recorded(labels, second, seed=2)
    renamed = replace(other[1], run=replace(other[1].run, id="other"))
    return compare(RunRecord(one[1], one[0]), RunRecord(renamed, other[0]))


@pytest.fixture(scope="module")
def comparison():
    return made()


def test_the_first_line_says_which_share_differs_most(comparison):
    first = to_comparison_text(comparison).splitlines()[0]

    assert first.startswith("COMPARED  2 of 2 shares differ: ")
    assert "pp [" in first


def test_runs_that_agree_are_said_to_agree():
    assert headline(made(second=(9, 1))).startswith("No share is proven to differ; the largest")


def test_no_line_of_the_text_is_wider_than_a_terminal(comparison):
    assert max(map(len, to_comparison_text(comparison).splitlines())) <= 100


def test_each_document_tells_shares_times_outcomes_and_plans(comparison):
    documents = [render(comparison) for render in
                 (to_comparison_text, to_comparison_markdown, to_comparison_html)]  # fmt: skip
    for text in documents:
        for part in ("p99", "≠ differs", "How requests ended", "weight of v2"):
            assert part in text, part


def test_the_json_has_the_differences_as_numbers(comparison):
    document = json.loads(to_comparison_json(comparison))

    assert document["schema"] == "weighbridge.comparison/1"
    assert [run["verdict"] for run in document["runs"]] == [run.verdict for run in comparison.runs]
    share = document["shares"][1]
    assert share["label"] == "v2"
    assert share["interval"][0] < share["difference"] < share["interval"][1]


def test_hostile_labels_are_text_in_every_document(hostile_labels):
    labels = [label for label in (*hostile_labels, *MARKUP) if label]
    comparison = made(labels, [3] * len(labels), range(1, len(labels) + 1))

    page = to_comparison_html(comparison)
    markdown, text = to_comparison_markdown(comparison), to_comparison_text(comparison)

    assert page.count("<script") == 2
    assert "document.title" not in page.replace("document.title=&#39;", "")
    assert "](javascript" not in re.sub("`[^`]*`", "", markdown)
    assert len(markdown.encode()) < LARGEST
    for document in (page, markdown, text):
        assert all(character.isprintable() or character in f"\n{HOLD}⁠" for character in document)
    json.loads(to_comparison_json(comparison))


def test_a_flood_of_labels_is_counted():
    labels = [f"v{number}" for number in range(60)]
    comparison = made(labels, [1] * 60, [1] * 60)

    assert "and 20 more" in to_comparison_text(comparison)
    assert "and 20 more" in to_comparison_html(comparison)
