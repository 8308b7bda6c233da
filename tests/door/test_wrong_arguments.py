"""What cannot be used is refused by one family of errors, and told with how to write it."""

# mypy: disable-error-code="arg-type, list-item, dict-item, call-arg"

from __future__ import annotations

import asyncio
import pickle
import traceback
from collections import Counter

import numpy as np
import pytest

import weighbridge
from weighbridge import (
    ConnectionLife,
    HealthPolicy,
    LabelRule,
    Limits,
    Load,
    PinnedHost,
    Policy,
    Split,
    Target,
    Tolerance,
    UsageError,
    WeighbridgeError,
    check,
    judge,
    read,
    sample,
)

URL = "http://127.0.0.1:1/"
WEIGHTS = {"v1": 9, "v2": 1}
NUMPY_NAN = float("nan")

SPLITS = {
    "percent": {"v1": "90%", "v2": "10%"},
    "text weights": {"v1": "9", "v2": "1"},
    "shares": {"v1": 0.9, "v2": 0.1},
    "no number": {"v1": NUMPY_NAN, "v2": 1},
    "endless": {"v1": float("inf"), "v2": 1},
    "negative": {"v1": -9, "v2": 1},
    "none": {"v1": None, "v2": 1},
    "list of weights": [9, 1],
    "list of labels": ["v1", "v2"],
    "pairs": [("v1", 9), ("v2", 1)],
    "tuple": (9, 1),
    "set": {"v1", "v2"},
    "number": 0.1,
    "nothing": None,
    "bytes": b"v1=9,v2=1",
    "labels that are numbers": {1: 9, 2: 1},
    "a label that is nothing": {None: 9, "v2": 1},
    "empty": {},
    "empty text": "",
    "no weight": "v1,v2",
    "percent in text": "v1=90%,v2=9%",
    "zero": {"v1": 0, "v2": 0},
    "a policy": Policy(),
}
CALLS = {
    "target number": lambda: check(5, WEIGHTS),
    "target nothing": lambda: check(None, WEIGHTS),
    "target bytes": lambda: check(b"http://app/", WEIGHTS),
    "target of another scheme": lambda: check("ftp://app/", WEIGHTS),
    "policy text": lambda: check(URL, WEIGHTS, policy="5pp"),
    "policy mapping": lambda: check(URL, WEIGHTS, policy={"alpha": 0.01}),
    "policy tolerance": lambda: check(URL, WEIGHTS, policy=Tolerance.parse("5pp")),
    "health": lambda: check(URL, WEIGHTS, health=1.5),
    "load": lambda: check(URL, WEIGHTS, load=16),
    "load limits": lambda: check(URL, WEIGHTS, load=Limits(5)),
    "limits": lambda: check(URL, WEIGHTS, limits=60),
    "limits text": lambda: sample(URL, "60s"),
    "label number": lambda: check(URL, WEIGHTS, label=5),
    "label nothing": lambda: check(URL, WEIGHTS, label=None),
    "label text": lambda: check(URL, WEIGHTS, label="label"),
    "replica": lambda: check(URL, WEIGHTS, replica=b"/host"),
    "seed text": lambda: check(URL, WEIGHTS, seed="1"),
    "seed float": lambda: check(URL, WEIGHTS, seed=1.5),
    "seed negative": lambda: check(URL, WEIGHTS, seed=-1),
    "out": lambda: check(URL, WEIGHTS, out=5),
    "name": lambda: check(URL, WEIGHTS, name=5),
    "tolerance too wide": lambda: check(
        URL, WEIGHTS, policy=Policy(tolerance=Tolerance.parse("20pp"))
    ),
    "tolerance of a stranger": lambda: check(
        URL, WEIGHTS, policy=Policy(tolerance=Tolerance.parse("v3=1pp"))
    ),
    "health of a stranger": lambda: check(URL, WEIGHTS, health=HealthPolicy(canary="v3")),
    "health of one": lambda: check(URL, "v1=1", health=HealthPolicy(max_slowdown=2)),
    "body to read of HEAD": lambda: check(Target(URL, method="HEAD"), WEIGHTS),
    "acheck": lambda: asyncio.run(weighbridge.acheck(URL, [9, 1])),
    "asample": lambda: asyncio.run(weighbridge.asample(URL, 60)),
    "read number": lambda: read(5),
    "read nothing": lambda: read(None),
    "read no run": lambda: read("/nowhere"),
    "judge number": lambda: judge(5),
    "judge no run": lambda: judge("/nowhere", WEIGHTS),
}
PARTS = {
    "split text": lambda: Split("v1", 1),
    "split lengths": lambda: Split(("v1",), (9, 1)),
    "split twice": lambda: Split(("v1", "v1"), (9, 1)),
    "split of list": lambda: Split.of([9, 1]),
    "split parse nothing": lambda: Split.parse(None),
    "split parse mapping": lambda: Split.parse(WEIGHTS),
    "tolerance text": lambda: Tolerance("4pp"),
    "tolerance number": lambda: Tolerance(0.04),
    "tolerance amount": lambda: Tolerance(Tolerance.parse("4pp").kind, "4"),
    "tolerance below": lambda: Tolerance(below="4pp"),
    "tolerance by_arm": lambda: Tolerance(by_arm={"v1": "4pp"}),
    "tolerance by_arm pairs": lambda: Tolerance(by_arm=(("v1", "4pp"),)),
    "tolerance by_arm single": lambda: Tolerance(by_arm=(5,)),
    "tolerance parse number": lambda: Tolerance.parse(0.04),
    "tolerance parse text": lambda: Tolerance.parse("four"),
    "policy alpha text": lambda: Policy(alpha="0.01"),
    "policy alpha range": lambda: Policy(alpha=1),
    "policy beta nothing": lambda: Policy(beta=None),
    "policy inner": lambda: Policy(inner="100%"),
    "policy unlabelled": lambda: Policy(max_unlabelled=[0.05]),
    "policy missing": lambda: Policy(missing_ratio="2"),
    "policy samples": lambda: Policy(max_samples="100"),
    "policy connection": lambda: Policy(per_connection=None),
    "policy tolerance": lambda: Policy(tolerance=0.05),
    "health ratio": lambda: HealthPolicy(max_error_ratio="2"),
    "health slowdown": lambda: HealthPolicy(max_slowdown=0.5),
    "health status": lambda: HealthPolicy(error_status="5xx"),
    "load concurrency": lambda: Load(concurrency="32"),
    "load rate": lambda: Load(rate="50/s"),
    "load timeout": lambda: Load(timeout_s=None),
    "load connection": lambda: Load(connection="fresh"),
    "load transport": lambda: Load(transport="full"),
    "load pins": lambda: Load(pins="app:80:127.0.0.1"),
    "load pins text": lambda: Load(pins=("app:80:127.0.0.1",)),
    "pin": lambda: PinnedHost.parse("app"),
    "limits nothing": Limits,
    "limits text": lambda: Limits(max_time_s="20s"),
    "limits float": lambda: Limits(max_samples=10.5),
    "life text": lambda: ConnectionLife("fresh"),
    "life parse number": lambda: ConnectionLife.parse(10),
    "life range": lambda: ConnectionLife(5, 2),
    "rule kind": lambda: LabelRule("pointer", "/label"),
    "rule argument": lambda: LabelRule.parse("header:"),
    "rule parse number": lambda: LabelRule.parse(5),
    "target url": lambda: Target(None),
    "target method": lambda: Target(URL, method=None),
    "target headers mapping": lambda: Target(URL, headers={"X": "1"}),
    "target headers number": lambda: Target(URL, headers=5),
    "target headers flat": lambda: Target(URL, headers=("X", "1")),
    "target headers values": lambda: Target(URL, headers=(("X", 1),)),
    "target body": lambda: Target(URL, body="x", allow_unsafe=True),
    "target cacert": lambda: Target("https://app/", cacert=5),
}  # fmt: skip


def cases(table):
    return pytest.mark.parametrize("call", table.values(), ids=table)


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
def test_a_split_that_is_none_is_explained(split):
    with pytest.raises(UsageError) as told:
        check(URL, split)

    assert len(str(told.value)) > 20
    # As before: what `analysis` refuses is a ValueError, too.
    assert isinstance(told.value, ValueError)


@cases(CALLS | PARTS)
def test_what_a_call_or_a_part_cannot_use_is_refused_by_one_family(call):
    with pytest.raises(WeighbridgeError) as told:
        call()

    assert type(told.value).__module__ != "builtins"
    assert isinstance(told.value, UsageError)
    assert len(str(told.value)) > 20


@pytest.mark.parametrize(
    ("call", "got", "remedy"),
    [
        (lambda: check(URL, {"v1": "90%"}), "'90%'", "9 and 1"),
        (lambda: check(URL, {"v1": 0.9, "v2": 0.1}), "0.9", "9 and 1"),
        (lambda: check(URL, [9, 1]), "[9, 1]", '{"v1": 9, "v2": 1}'),
        (lambda: check(URL, {1: 9}), "1", '"1"'),
        (lambda: check(URL, WEIGHTS, policy="5pp"), "'5pp'", "Policy(tolerance="),
        (lambda: check(URL, WEIGHTS, limits=60), "60", "Limits(max_time_s=20)"),
        (lambda: check(URL, WEIGHTS, label=5), "5", "LabelRule.parse('/label')"),
        (lambda: Tolerance(0.04), "0.04", "Tolerance.parse('4pp')"),
        (lambda: Target(5), "5", "http://HOST"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_told_with_what_came_and_how_to_write_it(call, got, remedy):
    with pytest.raises(UsageError) as told:
        call()

    assert got in str(told.value)
    assert remedy in str(told.value.hint)
    assert f"→ {told.value.hint}" in "".join(traceback.format_exception(told.value))


def test_counts_of_other_libraries_are_weights():
    weights = Split.of(Counter({"v1": np.int64(9), "v2": 1.0}))

    assert weights.share("v2") == 0.1


def test_a_header_that_may_be_a_secret_is_not_repeated():
    with pytest.raises(UsageError) as told:
        Target(URL, headers={"Authorization": "hunter2"})

    assert "hunter2" not in f"{told.value}{told.value.hint}"


def test_an_error_survives_the_way_between_processes():
    with pytest.raises(UsageError) as told:
        check(URL, [9, 1])

    again = pickle.loads(pickle.dumps(told.value))

    assert type(again) is weighbridge.InputError
    assert (str(again), again.hint) == (str(told.value), told.value.hint)
