"""The text: its first line, its table, and what strangers cannot do to it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.data.report import Check, Decided, Observed, Reason, ReasonCode, Samples, Verdict
from analysis.render import to_markdown, to_text
from analysis.render.text import terms_in_words

SGR = re.compile(r"\x1b\[[0-9;]*m")

PASSED = """\
PASS  v2 received 10.2 % [8.7, 11.9] of 1 204 connections; --expect asks for 10 %

      label  judged  share [interval]     expected [accepted]
      v1      1 081  89.8 % [88.1, 91.3]  90 % [86.0, 95.0]    ✓ within
      v2        123  10.2 % [ 8.7, 11.9]  10 % [ 5.0, 14.0]    ✓ within

      decided after 1 204 of 1 206 connections, 0.41 s; alpha = 0.01, beta = 0.01, valid at every
      look
      fast transport · concurrency 16 · fresh connections · 2 940 requests/s
      auto tolerance: half a pod of 10, the weights taken as pods
      4 of 1 208 requests not ok: 3 timed out, 1 reset by peer

asked GET http://10.96.0.10/, label from /label
run   reports/20240501T101112Z-check
"""

FAILED = """\
FAIL  v2 received 49.8 % [44.1, 55.5] of 291 connections; --expect asks for 10 %

      label  judged  share [interval]     expected [accepted]
      v1        146  50.2 % [44.5, 55.9]  90 % [86.0, 95.0]    ✗ outside
      v2        145  49.8 % [44.1, 55.5]  10 % [ 5.0, 14.0]    ✗ outside

      decided after 291 connections, 0.41 s; alpha = 0.01, beta = 0.01, valid at every look
      fast transport · concurrency 16 · fresh connections · 2 940 requests/s
      auto tolerance: half a pod of 10, the weights taken as pods

    → check that the weights of the route were applied
also  the shares look like 1:1
    → a route without weights shares evenly
note  the first 16 requests were the preflight

asked GET http://10.96.0.10/, label from /label
run   reports/20240501T101112Z-check
"""

UNDECIDED = """\
INCONCLUSIVE  the budget of 60 requests is spent; v2 received 12 % [4, 27] of 60 connections, and up
      to 14 % would be right

      label  judged  share [interval]     expected [accepted]
      v1         53  88.3 % [73.0, 96.0]  90 % [86.0, 95.0]    ? undecided
      v2          7  11.7 % [ 4.0, 27.0]  10 % [ 5.0, 14.0]    ? undecided

      undecided after 60 connections, 0.41 s; alpha = 0.01, beta = 0.01, valid at every look
      fast transport · concurrency 16 · fresh connections · 2 940 requests/s
      auto tolerance: half a pod of 10, the weights taken as pods

    → give --max-samples 1 600 or more

asked GET http://10.96.0.10/, label from /label
"""

MEASURED = """\
MEASURED  v1 89.8 % [88.1, 91.3], v2 10.2 % [8.7, 11.9], of 1 204 labelled responses

      label  count  share [interval]
      v1     1 081  89.8 % [88.1, 91.3]
      v2       123  10.2 % [ 8.7, 11.9]

      1 208 requests on 1 206 connections, 0.41 s; not judged
      fast transport · concurrency 16 · 10:30 per connection · 2 940 of 3 000 requests/s offered
      4 of 1 208 requests not ok: 3 timed out, 1 reset by peer
      v1 from 2 replicas (540 to 541 each), v2 from 1 replica (123)

asked GET http://10.96.0.10/, label from /label
run   reports/20240501T101112Z-check
"""

EXPECTED = {"passed": PASSED, "failed": FAILED, "undecided": UNDECIDED, "measured": MEASURED}


@pytest.mark.parametrize("kind", EXPECTED)
def test_each_kind_of_report_reads_as_it_should(reports, kind):
    assert to_text(reports[kind]) == EXPECTED[kind]


def test_colour_adds_nothing_but_colour(report):
    coloured = to_text(report, colour=True)

    assert SGR.sub("", coloured) == to_text(report)
    assert "\x1b[" in coloured


def test_every_line_gives_back_the_colour_it_took(report):
    for line in to_text(report, colour=True).splitlines():
        codes = SGR.findall(line)
        assert codes[1::2] == ["\x1b[0m"] * (len(codes) // 2)
        assert len(codes) % 2 == 0


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_sentences_keep_to_the_width_and_lose_no_word(report, width):
    text = to_text(report, width=width)

    sentences = [
        line for line in text.splitlines() if not line.lstrip().startswith(("v1", "v2", "label"))
    ]
    assert all(len(line) <= max(width, 60) for line in sentences)
    assert text.split() == to_text(report, width=1000).split()


@pytest.mark.parametrize("width", range(40, 100))
def test_a_number_is_not_parted_from_its_unit_or_its_interval(reports, width):
    text = to_text(reports["undecided"], width=width)

    assert not re.search(r"\d\n *%|%\n *\[|,\n *\d+\]", text)


@pytest.mark.parametrize("verdict", Verdict)
def test_a_word_longer_than_the_line_is_broken(reports, verdict):
    word = "漢x" * 100
    reasons = [Reason(ReasonCode.WITHIN_TOLERANCE, word)]
    long_one = replace(reports["passed"], verdict=verdict, reasons=reasons)

    why = to_text(long_one, width=50).split("\n\n")[0]

    assert all(_cells(line) <= 50 for line in why.splitlines())
    head, *tail = why.removeprefix(verdict.value).splitlines()
    assert head.strip() + "".join(line.strip() for line in tail) == word


def _with_labels(right, labels, judged=None):
    counts = {label: 100 + number for number, label in enumerate(labels)}
    total = sum(counts.values())
    shares = {label: count / total for label, count in counts.items()}
    return replace(right, observed=Observed(counts, shares, {}), **(judged or {}))


def _is_harmless(text):
    lines = text.removesuffix("\n").split("\n")
    text.encode("utf-8")
    return all(
        character == " " or unicodedata.category(character)[0] not in "CZ"
        for line in lines
        for character in line
    )


def test_labels_that_look_alike_are_told_apart(reports):
    alike = ("v1", "v1 ", " v1", "v1\u200b", "v1\u3164", "v1\ufe0f", "v1\u00a0", "")

    rows = to_text(_with_labels(reports["measured"], alike)).split("\n\n")[1].splitlines()[1:]

    names = [re.split(r"  +", row[6:])[0] for row in rows]
    assert names[::-1] == [
        "v1",
        '"v1 "',
        '" v1"',
        r"v1\u200b",
        r"v1\u3164",
        r"v1\ufe0f",
        r"v1\xa0",
        '""',
    ]


def test_marks_do_not_pile_up_on_a_letter_or_join_a_blank(reports):
    labels = ("Ti\u0302\u0301n", "e" + "\u0301" * 5, "\u0301x")

    text = to_text(_with_labels(reports["measured"], labels))

    assert "Ti\u0302\u0301n" in text
    assert "e" + "\u0301" * 3 + r"\u0301\u0301" in text
    assert r" \u0301x" in text


def _cells(text):
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), width=st.integers(1, 200), colour=st.booleans())
def test_whatever_strangers_send_the_text_is_harmless(any_report, data, width, colour):
    report = data.draw(any_report)

    text = SGR.sub("", to_text(report, width=width, colour=colour))

    assert _is_harmless(text)
    verdict = "MEASURED|NOT MEASURED" if report.verdict is None else report.verdict.value
    assert re.match(f"({verdict})  ", text)


def test_a_long_label_is_cut_and_the_columns_stay_in_line(reports, hostile_labels):
    long_ones = [label for label in hostile_labels if len(label) > 60]

    table = to_text(_with_labels(reports["passed"], long_ones)).split("\n\n")[1].splitlines()

    ends = {_cells(line.partition(" %")[0]) for line in table[3:]}
    assert len(ends) == 1
    assert all(_cells(line) <= 100 and "…" in line for line in table[3:])


def test_a_long_message_is_cut(reports):
    flood = Reason(ReasonCode.UNEXPECTED_LABEL, "unexpected " + "x" * 10**6)

    assert len(to_text(replace(reports["failed"], reasons=[flood]))) < 3000


def test_two_hundred_labels_show_twenty_and_count_the_rest(reports):
    labels = [f"v{number:03}" for number in range(200)]

    table = to_text(_with_labels(reports["measured"], labels)).split("\n\n")[1].splitlines()

    assert len(table) == 22
    assert [row.split()[0] for row in table[1:-1]] == labels[:179:-1]
    assert table[-1].strip() == "and 180 more, with 34 110 responses"


def test_an_expected_label_that_is_off_is_not_hidden_by_many_others(reports):
    floods = [f"x{number}" for number in range(200)]

    text = to_text(_with_labels(reports["failed"], floods))

    assert re.search(r"v2 +0 .*✗ outside", text)
    assert text.count("✗ unexpected") == 18
    assert "and 182 more" in text


@pytest.mark.parametrize(
    ("interval", "mark"),
    [
        ((0.06, 0.13), "✓ within"),
        ((0.04, 0.13), "? undecided"),
        ((0.06, 0.15), "? undecided"),
        ((0.15, 0.20), "✗ outside"),
        ((0.00, 0.04), "✗ outside"),
    ],
)
def test_without_a_check_of_its_own_a_label_is_marked_by_its_interval(reports, interval, mark):
    right = reports["passed"]
    observed = replace(right.observed, intervals={"v2": interval})

    text = to_text(replace(right, observed=observed, decision=Decided(0.01, 0.01, 9)))

    assert re.search(rf"v2 .*\] +{re.escape(mark)}\n", text)


def test_a_label_that_must_not_answer_and_did_is_marked(reports):
    right = reports["failed"]
    expected = replace(right.expected, weights={"v1": 9, "v2": 0})
    checks = [Check("unexpected labels", Verdict.FAIL, "v2 answered")]

    text = to_text(replace(right, expected=expected, decision=Decided(0.01, 0.01, 9, checks)))

    assert re.search(r"v2 .*✗ unexpected\n", text)


def test_a_verdict_of_one_of_three_labels_says_nothing_about_the_others(reports):
    right = reports["passed"]
    expected = replace(right.expected, weights={"v1": 8, "v2": 1, "v3": 1})
    checks = [Check("share of v3", Verdict.FAIL, "none", "v3")]

    text = to_text(replace(right, expected=expected, decision=Decided(0.01, 0.01, 9, checks)))

    assert re.search(r"v2 .*✓ within\n", text)
    assert re.search(r"v3 .*✗ outside\n", text)


@pytest.mark.parametrize(
    ("interval", "shown"),
    [
        ((0.10201, 0.10399), r"10.30 % [10.20, 10.40]"),
        ((0.099, 0.107), r"10.3 % [9.9, 10.7]"),
        ((0.05, 0.15), r"10 % [5, 15]"),
        ((0.0, 1.0), r"10 % [0, 100]"),
        ((0.1029, 0.1031), r"10.300 % [10.290, 10.310]"),
    ],
)
def test_a_share_has_the_digits_that_its_interval_supports(reports, interval, shown):
    right = reports["measured"]
    observed = Observed({"v2": 1}, {"v2": 0.103}, {"v2": interval})

    assert f"MEASURED  v2 {shown}, of 1 labelled response\n" in to_text(
        replace(right, observed=observed)
    )


@pytest.mark.parametrize(
    ("band", "interval", "shown"),
    [
        ((0.08, 0.12), (0.0801, 0.1199), "10.2 % [8.0, 12.0]  10 % [8.0, 12.0]"),
        ((0.0995, 0.1005), (0.0996, 0.1004), "10.216 % [9.960, 10.040] 10 % [9.950, 10.050]"),
        ((0.05, 0.1409), (0.06, 0.1403), "10.2 % [6.0, 14.1]  10 % [5.0, 14.1]"),
        ((0.1, 0.1), (0.06, 0.1403), "10.2 % [6.0, 14.1]  10 % [10.0, 10.0]"),
    ],
)
def test_an_interval_inside_its_band_is_inside_in_print_too(reports, band, interval, shown):
    right = reports["passed"]
    observed = Observed({"v2": 123}, {"v2": 0.10216}, {"v2": interval})
    expected = replace(right.expected, weights={"v2": 1}, tolerance={"v2": band})
    report = replace(right, observed=observed, expected=expected)

    assert " ".join(shown.split()) in " ".join(to_text(report).split())


def test_nothing_labelled_is_said_in_the_first_line(reports):
    nothing = replace(
        reports["measured"],
        observed=Observed({}, {}, {}),
        samples=Samples(30, 0, 0, 30, 0, {"unlabelled": 30}),
    )

    text = to_text(nothing)

    assert text.startswith("NOT MEASURED  none of 30 requests gave a label\n")
    assert "30 of 30 requests not ok: 30 answered without a label\n" in text


def test_what_kept_a_measurement_from_being_one_is_said_in_the_first_line(reports):
    refused = Reason(ReasonCode.UNMEASURABLE, "all 16 requests were refused", "is it running?")
    nothing = replace(
        reports["measured"], observed=Observed({}, {}, {}), reasons=[refused], notes=["a note"]
    )

    text = to_text(nothing)

    assert text.startswith("NOT MEASURED  all 16 requests were refused\n")
    assert "\n    → is it running?\nnote  a note\n" in text
    assert "also" not in text


def test_a_reason_beside_a_measurement_is_added_to_it(reports):
    stopped = Reason(ReasonCode.INTERRUPTED, "the run was interrupted", "run it again")

    text = to_text(replace(reports["measured"], reasons=[stopped]))

    assert text.startswith("MEASURED  v1 89.8 %")
    assert "\nalso  the run was interrupted\n    → run it again\n" in text


def test_without_intervals_the_heading_promises_none(reports):
    right = reports["measured"]

    text = to_text(replace(right, observed=replace(right.observed, intervals={})))

    assert "      label  count  share\n      v1     1 081  89.8 %\n" in text


def test_a_verdict_without_a_reason_still_says_what_was_seen(reports):
    text = to_text(replace(reports["passed"], reasons=[]))

    assert text.startswith("PASS  v1 89.8 % [88.1, 91.3], v2 10.2 % [8.7, 11.9], of 1 204 labelled")


def test_shed_arrivals_and_a_saturated_client_are_said(reports):
    right = reports["measured"]
    text = to_text(
        replace(
            right,
            samples=replace(right.samples, shed=1234),
            performance=replace(right.performance, client_saturated=True),
        )
    )

    assert "1 234 shed · this client was the bottleneck" in " ".join(text.split())


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0 s"),
        (0.0123, "0.012 s"),
        (2.06, "2.1 s"),
        (42.4, "42 s"),
        (119.7, "120 s"),
        (200.0, "3 min 20 s"),
    ],
)
def test_a_duration_has_two_digits_or_minutes(reports, seconds, shown):
    right = reports["passed"]
    slow = replace(right, performance=replace(right.performance, duration_s=seconds))

    assert f"connections, {shown}; alpha" in to_text(slow)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"tolerance": "4pp"}, ""),
        ({}, "auto tolerance: half a pod of 10, the weights taken as pods"),
        ({"inner": 0.5}, "FAIL begins at 50 % of the tolerance"),
        (
            {"missing_ratio": 2.5},
            "no version loses labels more than 2.5 times as often as another",
        ),
        (
            {"missing_ratio": 1.0},
            "missing labels are ignored, assuming that all versions lose them equally often",
        ),
    ],
)
def test_what_was_stated_or_asked_beyond_the_defaults_is_said(reports, asked, said):
    right = reports["passed"]
    report = replace(right, decision=replace(right.decision, **asked))

    assert said in terms_in_words(report)
    assert bool(said) == bool(terms_in_words(report))
    assert said in " ".join(to_text(report).split())
    assert said in to_markdown(report)


def test_a_measurement_states_nothing(reports):
    assert not terms_in_words(reports["measured"])


def test_answers_beyond_the_judged_ones_are_told_from_them(reports):
    """A FAIL of 26 connections is followed by requests that show what the split looks like."""
    report = reports["failed"]
    pods = {"v1": {"a": 170}, "v2": {"b": 162}}
    more = replace(report, observed=replace(report.observed, replicas=pods))
    as_many = {"v1": {"a": 146}, "v2": {"b": 145}}
    same = replace(report, observed=replace(report.observed, replicas=as_many))

    moved = replace(same, samples=replace(report.samples, independent=100))

    assert "\n      all 332 answers: v1 from 1 replica (170), v2 from 1 " in to_text(more)
    assert "\n      all 291 answers: v1 from 1 replica (146), v2 from 1 " in to_text(moved)
    assert "\n      v1 from 1 replica (146), v2 from 1 replica (145)\n" in to_text(same)
