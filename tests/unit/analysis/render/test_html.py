import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.data.events import Event
from analysis.data.health import Health, HealthArm, HealthErrors, HealthTimes
from analysis.data.report import Check, Decided, Observed, Reason, ReasonCode, Verdict
from analysis.render.html import to_html
from analysis.render.page import Drawing, Reading, Row
from analysis.review.classical import classical_test

KNOWN = {
    "html", "head", "meta", "title", "link", "style", "body", "header", "main", "footer", "section",
    "div", "p", "span", "h1", "h2", "ul", "li", "table", "caption", "thead", "tbody", "tr", "th",
    "td", "bdi", "figure", "figcaption", "svg", "desc", "dl", "dt", "dd", "pre", "code", "script",
    "h3", "details", "summary", "rect", "line", "circle",
}  # fmt: skip
VOID = {"meta", "link"}


class Page(HTMLParser):
    """Collects the tags, attributes and texts of a page; refuses tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open and self.open[-1] != "style" and data.strip():
            self.texts.append(data.strip())

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())  # blanks that hold are blanks


def test_options_in_a_sentence_are_set_as_code_and_labels_stay_text(reports):
    reason = Reason(ReasonCode.LOOKS_LIKE, "a <b>--x</b>", "Raise --max-samples, or a--b.")
    text = to_html(replace(reports["failed"], reasons=[reason]))

    assert "<li>Raise <code>--max-samples</code>, or a--b.</li>" in text
    assert "a &lt;b&gt;<code>--x</code>&lt;/b&gt;" in text


def test_a_number_is_not_parted_from_its_unit_at_the_end_of_a_line(reports):
    reason = Reason(ReasonCode.LOOKS_LIKE, "v2 10.1 % [8.8, 12.0] of 2 038 connections", "")

    assert "v2 10.1\xa0%\xa0[8.8,\xa012.0] of 2\xa0038 connections" in to_html(
        replace(reports["failed"], reasons=[reason])
    )


def test_many_replicas_scroll_in_a_part_of_the_page(reports):
    def page(n):
        pods = {f"app-{number}": 1 for number in range(n)}
        observed = replace(reports["passed"].observed, replicas={"v1": pods})
        return to_html(replace(reports["passed"], observed=observed))

    assert 'class="scroll tall"' in page(200)
    assert 'class="scroll tall"' not in page(10)


def test_what_the_heading_says_is_not_said_again_by_the_checks(reports):
    report, said = reports["failed"], reports["failed"].reasons[0].message
    checks = [
        Check("split", Verdict.FAIL, said),
        Check("share of v2", Verdict.FAIL, said, "v2"),
        Check("unlabelled", Verdict.PASS, "0 of 291 connections gave no label."),
    ]

    page = Page(to_html(replace(report, decision=replace(report.decision, checks=checks))))

    assert page.texts.count("See above.") == 2
    assert "0 of 291 connections gave no label." in page.text


def poisoned(right, label):
    n = {label: 60, "v1": 40}
    return replace(
        right,
        observed=Observed(n, {}, {}, {label: {label: 60}}),
        reasons=[Reason(ReasonCode.LOOKS_LIKE, label, label)],
        decision=Decided(0.01, 0.01, 100, [Check(label, Verdict.FAIL, label)]),
        run=replace(right.run, id=label, target=label, label=label, command=label, version=label),
        samples=replace(right.samples, outcomes={label: 1}),
        notes=[label],
        events=(Event(1.5, label, label),),
        health=health(label),
    )


def health(label):
    canary, stable = (HealthArm(name, 640, 12, {"p50": 0.02, "p95": 0.2}) for name in (label, "v1"))
    return Health(
        canary,
        stable,
        HealthErrors(500, 30.5, 1e-9, 2.0, 0.5),
        HealthTimes(64, 60, 9.0, {"p50": (-0.01, 0.03)}, 0.95),
    )


def drawing(label):
    reading = Reading("panel-0", "losses", label, (0.5,), (label,), (Row(0, (label,)),))
    return Drawing("split", label, "<svg><desc>x</desc></svg>", reading)


def test_the_page_says_verdict_then_why_then_what_to_do(reports):
    page = Page(to_html(reports["failed"]))

    order = ["FAIL", "v2 received 49.8 %", "What to do", "check that the weights", "Versions"]
    places = [page.text.index(each, 10) for each in order]
    assert places == sorted(places)


def test_the_page_has_every_table(reports):
    right = reports["failed"]
    observed = replace(right.observed, replicas={"v1": {"app-1": 146}, "v2": {"app-2": 145}})
    page = Page(to_html(replace(right, observed=observed)))

    for heading in ("Versions", "What was decided", "How requests ended", "Replicas",
                    "Where it comes from", "Again"):  # fmt: skip
        assert heading in page.texts
    for text in ("app-1", "share of v2", "✗ outside", "145", right.run.command, right.run.id, "7"):
        assert text in page.texts, text


def test_the_page_has_the_classical_test_and_what_it_does_not_say(reports):
    right, text = reports["failed"], "Classical test"
    page = Page(to_html(right))
    found = classical_test(right)

    assert found is not None
    assert f"{text} {found} {found.note}" in page.text
    assert page.text.index("What was decided") < page.text.index(text)
    assert text not in Page(to_html(reports["measured"])).texts


def test_where_there_is_no_classical_test_the_page_says_why(reports):
    right = reports["failed"]
    assert right.decision is not None
    several = replace(right, decision=replace(right.decision, per_connection=10))

    page = Page(to_html(several))

    assert "Classical test No test: connections with several answers" in page.text


def test_the_page_compares_canary_and_stable_where_there_are_two(reports):
    page = Page(to_html(replace(reports["failed"], health=health("v2"))))

    assert "Canary against stable" in page.texts
    for text in (
        "12 (1.9 %)",
        "200 ms",
        "[-10, +30] ms, 95 %",
        "worse: more than a million to one; beyond 2 times: 1.6:1",
    ):
        assert text in page.texts, text
    assert "Canary against stable" not in Page(to_html(reports["failed"])).texts


def test_the_page_tells_events_by_the_numbers_of_the_figure(reports):
    events = (Event(-0.5, "weight", "v2 gets 10 %"), Event(2.25, "endpoints", "one pod more"))
    page = Page(to_html(replace(reports["failed"], events=events)))

    assert "What happened meanwhile" in page.texts
    assert page.text.index("-0.5 s weight v2 gets 10 %") < page.text.index("2 2.2 s endpoints")


def test_the_command_says_that_secrets_are_left_out_only_where_they_are(reports):
    right = reports["passed"]
    redacted = replace(right, run=replace(right.run, command="weighbridge --header 'A: …'"))

    assert "fill them in" in to_html(redacted)
    assert "fill them in" not in to_html(right)


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></style></svg><iframe src=//evil>",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:alert(1)",
    "&lt;b&gt;",
    "<!-- -->]]>",
    "\u202egnp.exe",
    "x" * 10_000,
]


@pytest.mark.parametrize("label", HOSTILE)
def test_a_hostile_label_is_text_wherever_it_stands(reports, label):
    text = to_html(poisoned(reports["failed"], label), [drawing(label)])
    clean = Page(to_html(poisoned(reports["failed"], "harmless"), [drawing("harmless")]))
    page = Page(text)

    assert page.tags == clean.tags
    assert [name for name, _ in page.attributes] == [name for name, _ in clean.attributes]
    assert [value for _, value in page.attributes] == [value for _, value in clean.attributes]
    assert label[:30].replace("\u202e", "\\u202e") in page.text
    # What the script is given is the text itself; only JSON stands around it.
    assert json.loads(page.scripts[0])["figures"][0]["heads"] == [label]
    assert page.scripts[1] == clean.scripts[1]
    assert len(text) < 120_000


def test_nothing_is_loaded_from_elsewhere_and_one_script_runs(report):
    text = to_html(report, [Drawing("split", "caption", "<svg><desc>x</desc></svg>")])
    page = Page(text)

    assert set(page.tags) <= KNOWN
    contents = [value or "" for name, value in page.attributes if name == "content"]
    policy = next(value for value in contents if "default-src" in value)
    assert "default-src 'none'" in policy
    block, script = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert re.findall(r"script-src ([^;]*)", policy) == [f"'sha256-{digest}'"]
    assert json.loads(block)["figures"] == []
    links = [value for name, value in page.attributes if name in {"src", "href", "action"}]
    assert links == ["data:,"]
    assert not re.search(r"@import|url\(|https?://(?!10\.)", text)


def test_a_figure_is_passed_through_and_its_caption_is_not(reports):
    drawing = Drawing("split", "<b>caption", '<svg id="split"><desc>seen</desc></svg>')

    text = to_html(reports["passed"], [drawing])

    assert '<svg id="split"><desc>seen</desc></svg><figcaption>&lt;b&gt;caption' in text


def test_five_hundred_replicas_show_four_hundred_and_count_the_rest(reports):
    right = reports["passed"]
    pods = {f"app-{number}": 1 for number in range(500)}
    text = to_html(replace(right, observed=replace(right.observed, replicas={"v1": pods})))

    assert text.count('<th scope="row"><bdi>app-') == 400
    assert "and 100 more" in text


@settings(max_examples=40, deadline=None, database=None)
@given(data=st.data())
def test_every_report_becomes_a_well_formed_page(any_report, data):
    text = to_html(data.draw(any_report))

    assert set(Page(text).tags) <= KNOWN
    text.encode("utf-8")
