"""Plans of whole runs refuse what cannot come to anything."""

from __future__ import annotations

import pytest

from sampler.base.errors import UsageError
from sampler.labels.rule import LabelRule
from sampler.plan.run import RunPlan
from sampler.plan.target import Target


@pytest.mark.parametrize("rule", ["/label", "regex:v1"])
def test_a_label_in_the_body_of_an_answer_to_head_is_refused(rule):
    with pytest.raises(UsageError, match="an answer to HEAD has none") as caught:
        RunPlan(Target("shop", method="HEAD"), label=LabelRule.parse(rule))

    assert "header:NAME" in (caught.value.hint or "")


@pytest.mark.parametrize("rule", ["header:X-Version", "status"])
def test_a_label_in_the_head_of_an_answer_to_head_is_read(rule):
    plan = RunPlan(Target("shop", method="HEAD"), label=LabelRule.parse(rule))

    assert plan.target.method == "HEAD"
