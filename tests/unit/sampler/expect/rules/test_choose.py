"""The one rule that answers, or why it is not known."""

from __future__ import annotations

import pytest

from sampler.base.errors import ExpectationError
from sampler.expect.rules.matching import MET, NO_URL, Meets, Rule, choose, every, no, some
from sampler.expect.rules.matching import unevaluated as open_by
from sampler.expect.rules.model import Question
from sampler.expect.rules.objects import KubeObject, Node

ROUTE = KubeObject({"kind": "Route", "metadata": {"name": "shop"}}, str)
NO, OPEN = no("the path"), open_by("a port")


def chosen(*rules, path="/"):
    made = [
        Rule(Node(ROUTE, (i,), {}), *rule) if isinstance(rule, tuple)
        else Rule(Node(ROUTE, (i,), {}), rule)
        for i, rule in enumerate(rules)
    ]  # fmt: skip
    return choose(ROUTE, made, Question(route="shop", path=path)).path[0]


@pytest.mark.parametrize(
    ("one", "two", "both", "either"),
    [
        (MET, NO, Meets.NO, Meets.YES),
        (MET, OPEN, Meets.OPEN, Meets.YES),
        (NO, OPEN, Meets.NO, Meets.OPEN),
        (NO_URL, OPEN, Meets.OPEN, Meets.OPEN),
        (MET, NO_URL, Meets.NO_URL, Meets.YES),
        (NO, NO, Meets.NO, Meets.NO),
        (MET, MET, Meets.YES, Meets.YES),
    ],
)
def test_conditions_are_joined_with_three_values(one, two, both, either):
    for pair in ([one, two], [two, one]):
        assert every(pair).meets is both
        assert some(pair).meets is either


def test_the_first_rule_that_is_met_answers():
    assert chosen(NO, MET, OPEN) == 1
    assert chosen(MET, NO_URL) == 0


@pytest.mark.parametrize("rules", [(OPEN, MET), (NO, OPEN), (OPEN,)])
def test_an_open_rule_that_may_come_first_refuses_and_never_passes(rules):
    with pytest.raises(ExpectationError, match="not known: a port"):
        chosen(*rules)


def test_the_most_specific_rule_answers_the_first_of_equals():
    assert chosen((MET, (0, 1)), (MET, (0, 5)), (NO, (1, 9))) == 1
    assert chosen((MET, (0, 5)), (MET, (0, 5))) == 0
    assert chosen((OPEN, (0, 1)), (MET, (0, 5))) == 1
    with pytest.raises(ExpectationError, match="not known"):
        chosen((OPEN, (0, 9)), (MET, (0, 5)))


def test_without_a_url_one_rule_is_taken_and_several_are_refused():
    assert chosen(NO, NO_URL, path=None) == 1
    with pytest.raises(ExpectationError, match="several rules"):
        chosen(NO_URL, NO_URL, path=None)
    with pytest.raises(ExpectationError, match="several rules"):
        chosen((MET, (0, 1)), (NO_URL, (0, 5)), path=None)


def test_no_rule_is_refused_with_what_was_not_met():
    with pytest.raises(ExpectationError, match="not met: the path"):
        chosen(NO, NO)
    with pytest.raises(ExpectationError, match="has no rule"):
        chosen()
