"""Label rules as people write them."""

from __future__ import annotations

import pytest

from sampler.base.errors import UsageError
from sampler.labels.rule import LabelRule, RuleKind


def test_rules_are_read_from_their_text_and_written_back():
    for text in ("/label", "/a/0/b", "header:X-Version", r"regex:v(\d+)", "regex:a:b", "status"):
        assert str(LabelRule.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "label",
        "/a~b",
        "/a~2",
        "header:",
        "header:a b",
        "header:a:(",
        "cookie:",
        "cookie:a b",
        "regex:(",
        "pointer:/a",
    ],
)
def test_a_rule_of_another_form_is_refused(text):
    with pytest.raises(UsageError):
        LabelRule.parse(text)


@pytest.mark.parametrize("kind", RuleKind)
def test_a_rule_knows_whether_it_needs_the_body(kind):
    arguments = {RuleKind.POINTER: "/a", RuleKind.STATUS: ""}
    rule = LabelRule(kind, arguments.get(kind, "a"))

    assert rule.reads_body is (kind in {RuleKind.POINTER, RuleKind.REGEX})
