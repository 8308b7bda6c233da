from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.data.report import Observed, Reason, ReasonCode
from analysis.render import to_markdown
from analysis.render.markdown import LARGEST
from analysis.render.printable import HOLD
from analysis.render.printable import as_code as code
from analysis.render.printable import as_markdown as escape

JOINER = "\N{WORD JOINER}"


def test_the_verdict_comes_first_then_why_then_what_to_do(reports):
    text = to_markdown(reports["failed"])

    assert text.startswith("### ❌ FAIL\n\nv2 received 49.8 %")
    why, do, table = (text.index(each) for each in ("49.8 %", "**check that", "| label |"))
    assert why < do < table
    assert "- the shares look like 1:1" in text


def test_each_label_is_a_row_with_all_cells(report):
    rows = [line for line in to_markdown(report).splitlines() if line.startswith("|")]

    assert len({row.count("|") for row in rows}) == 1
    assert [row.split("|")[1].strip() for row in rows[2:]] == ["`v1`", "`v2`"]


def test_the_command_that_repeats_the_run_is_in_it(reports):
    text = to_markdown(reports["passed"])

    assert "- again: `weighbridge check 10.96.0.10 --expect v1=9,v2=1`" in text


def test_a_measurement_has_no_verdict(reports):
    assert to_markdown(reports["measured"]).startswith("### MEASURED\n\nv1 89.8 %")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<b>&", "&lt;b&gt;&amp;"),
        ("*a* _b_ `c` [d](e) ~ f~", "\\*a\\* \\_b\\_ \\`c\\` \\[d\\](e) \\~ f\\~"),
        ("@all #12 !34 $5", f"@{JOINER}all \\#{JOINER}12 !{JOINER}34 \\${JOINER}5"),
        ("http://evil www.evil.example", f"http:{JOINER}//evil www{JOINER}.evil.example"),
        (":smile: 10:30:20 1:1", f":{JOINER}smile: 10:{JOINER}30:20 1:1"),
        ("- item", "\\- item"),
        ("1. item", "1\\. item"),
        ("v2 received 10.6 % --expect", "v2 received 10.6 % --expect"),
    ],
)
def test_a_sentence_is_plain_text(text, escaped):
    assert escape(text) == escaped


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("v1", "`v1`"),
        ("a`b", "`` a`b ``"),
        ("``", "``` `` ```"),
        ("a|b", "`a\N{FULLWIDTH VERTICAL LINE}b`"),
        (" ", "`   `"),
    ],
)
def test_a_label_is_a_code_span(text, span):
    assert code(text) == span


def test_a_label_cannot_leave_its_row(reports, hostile_labels):
    right = reports["measured"]
    counts = dict.fromkeys(hostile_labels, 1)
    text = to_markdown(replace(right, observed=Observed(counts, {}, {})))

    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(counts)
    assert len({row.count("|") for row in rows}) == 1


def test_a_flood_of_reasons_is_cut_below_the_limit_and_says_so(reports):
    reasons = [
        Reason(ReasonCode.LOOKS_LIKE, f"{number} " + "漢" * 900, "do " + "語" * 900 + str(number))
        for number in range(600)
    ]

    text = to_markdown(replace(reports["failed"], reasons=reasons))

    assert len(text.encode()) <= LARGEST < 1 << 20
    assert "_Cut: " in text


@settings(max_examples=40, deadline=None, database=None)
@given(data=st.data())
def test_every_report_becomes_markdown_that_can_be_printed(any_report, data):
    text = to_markdown(data.draw(any_report))

    assert all(character.isprintable() or character in f"\n{JOINER}{HOLD}" for character in text)
    assert len(text.encode()) <= LARGEST


@pytest.mark.parametrize("limit", [0, 1, 40, 200, 700, 5000])
def test_a_summary_keeps_to_the_room_that_is_left(reports, limit):
    text = to_markdown(reports["failed"], limit=limit)

    assert len(text.encode()) <= limit
    if limit >= 700:
        assert text.startswith("### ❌ FAIL")
