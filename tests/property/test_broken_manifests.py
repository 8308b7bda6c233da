"""Manifests are written by people: whatever stands in them is read or refused, never a crash."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sampler.base.errors import ExpectationError
from sampler.expect.lint import lint
from sampler.expect.manifests import read_manifests
from sampler.expect.resolve import expect
from sampler.expect.rules.model import Question
from sampler.expect.rules.objects import Inventory, KubeObject
from sampler.expect.rules.versions import VersionRule

ROOT = Path(__file__).resolve().parents[1] / "manifests"
ODD: tuple[Any, ...] = (
    None,
    "",
    "x",
    "10%",
    0,
    -1,
    10**9,
    1.5,
    True,
    [],
    {},
    [None],
    [{}],
    ["x"],
    {"x": "y"},
)


def bodies_of(folder):
    try:
        inventory, _ = read_manifests(str(folder / "input.yaml"))
    except ExpectationError:
        return None
    return json.loads(json.dumps([each.body for each in inventory.objects], default=str))


@cache
def examples():
    found = [bodies_of(path.parent) for path in sorted(ROOT.glob("*/input.yaml"))]
    return [each for each in found if each]


def places(value, path=()):
    """Every place below a value."""
    if path:
        yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from places(item, (*path, key))


def put(value, path, odd):
    *way, last = path
    for key in way:
        value = value[key]
    value[last] = odd


def places_of(bodies):
    """All but the kinds, without which the reader makes no object."""
    for position, body in enumerate(bodies):
        for path in places(body):
            if path != ("kind",):
                yield (position, *path)


@settings(max_examples=150)
@given(seed=st.integers(0, 2**32))
def test_any_value_may_be_odd(seed):
    draw = Random(seed)
    bodies = copy.deepcopy(draw.choice(examples()))
    for _ in range(draw.choice([1, 1, 2])):
        put(bodies, draw.choice(list(places_of(bodies))), copy.deepcopy(draw.choice(ODD)))
    inventory = Inventory(
        [
            KubeObject(each, lambda path: "/".join(map(str, path)), "shop")
            for each in bodies
            if isinstance(each, dict)
        ]
    )
    service = draw.choice(["app", ""])
    question = Question(
        service=service,
        route="" if service else "app",
        versions=VersionRule.parse("stable=v1,primary=v1"),
        step=draw.choice([None, 0, 1, 5]),
        host="shop.example",
        path=draw.choice([None, "/shop"]),
    )

    with suppress(ExpectationError):
        assert expect(inventory, question).split.total > 0
    with suppress(ExpectationError):
        lint(inventory, question)
