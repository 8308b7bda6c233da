"""Recordings that are told otherwise, and mean the same: the verdict is the same.

A break in what is told may cost a verdict, and never makes one.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache
from random import Random

import pytest

from analysis.data.report import ReasonCode, Verdict
from tests.replays import RECORDINGS, RESOURCES, Said, check, declare, question, read

SLICES = RESOURCES["endpointslices"]
NAMES = {"b-apply-10-0-to-9-1": (9, 1), "d-crash-loop": (9, 1), "g-scale-8-2": (9, 1)}


@cache
def recording(name):
    return read(RECORDINGS / name)


def verdict(told, declared=None, since_s=0.2):
    report = check(
        told,
        declared=None if declared is None else declare(*declared),
        since_s=since_s,
        question=question(told.name),
    )
    return report.verdict, report.reasons[0].code


def of_slices(told, change):
    """Tell of other slices in place of each."""
    said = []
    for each in told.said:
        if each.resource is not SLICES or each.kind not in {"LIST", "ADDED", "MODIFIED", "DELETED"}:
            said.append(each)
        elif each.kind == "LIST":
            items = [one for item in each.body["items"] for one in change(item)]
            said.append(replace(each, body={**each.body, "items": items}))
        else:
            said += [replace(each, body=one) for one in change(each.body)]
    return replace(told, said=said)


def permuted(told):
    rng = Random(1)

    def change(body):
        endpoints = body.get("endpoints") or []
        return [{**body, "endpoints": rng.sample(endpoints, len(endpoints))}]

    return of_slices(told, change)


def split_in_two(told):
    def change(body):
        endpoints = body.get("endpoints") or []
        other = copy.deepcopy(body["metadata"]) | {"name": body["metadata"]["name"] + "-b"}
        half = len(endpoints) // 2
        return [
            {**body, "endpoints": endpoints[:half]},
            {**body, "endpoints": endpoints[half:], "metadata": other},
        ]

    return of_slices(told, change)


def told_twice(told):
    again = [
        one
        for each in told.said
        for one in ([each, each] if each.kind in {"ADDED", "MODIFIED"} else [each])
    ]
    return replace(told, said=again)


def out_of_step(told):
    """Delay each stream by another time, as far as they may contradict each other."""
    late = {resource: 0.07 * (n % 3) for n, resource in enumerate(RESOURCES.values())}
    said = [
        each if each.kind == "LIST" else replace(each, at_s=each.at_s + late[each.resource])
        for each in told.said
    ]
    return replace(told, said=sorted(said, key=lambda each: each.at_s))


@pytest.mark.parametrize("told", [permuted, split_in_two, told_twice, out_of_step])
@pytest.mark.parametrize("name", NAMES)
def test_the_same_truth_told_otherwise_has_the_same_verdict(name, told):
    asked = recording(name)

    assert verdict(told(asked), NAMES[name]) == verdict(asked, NAMES[name])


def known_at(said, at_s):
    """Give a list of what one stream had told by then."""
    known, version = {}, "0"
    for each in said:
        if each.at_s > at_s or each.kind in {"CLOSED", "UNREACHABLE", "HTTP"}:
            continue
        metadata = each.body.get("metadata") or {}
        if each.kind == "LIST":
            known = {one["metadata"]["name"]: one for one in each.body["items"]}
        elif each.kind == "DELETED":
            known.pop(metadata["name"], None)
        elif each.kind != "BOOKMARK":
            known[metadata["name"]] = each.body
        version = metadata.get("resourceVersion", version)
    return {"metadata": {"resourceVersion": version}, "items": list(known.values())}


def broken(told, since_s, until_s, plurals=RESOURCES):
    """Tell nothing of some resources for a time, and list them then."""
    said = [each for each in told.said if each.resource.plural not in plurals]
    for plural in plurals:
        stream = [each for each in told.said if each.resource.plural == plural]
        if stream:
            resource = RESOURCES[plural]
            said += [each for each in stream if not since_s < each.at_s <= until_s]
            said.append(Said(since_s, resource, "UNREACHABLE", {"message": "gone"}))
            said.append(Said(until_s, resource, "LIST", known_at(stream, until_s)))
    return replace(told, said=sorted(said, key=lambda each: each.at_s))


@pytest.mark.parametrize("plurals", [RESOURCES, ["endpointslices"], ["pods"]])
@pytest.mark.parametrize("length_s", [0.5, 3, 6])
def test_a_version_that_is_lost_unseen_does_not_pass(length_s, plurals):
    # The canary's only pod is deleted at 15 s; another one is ready at 16.7 s.
    asked = recording("f-pods-deleted")
    seen = verdict(asked, since_s=12.0)

    assert seen == (Verdict.INCONCLUSIVE, ReasonCode.VERSION_LOST)
    assert verdict(broken(asked, 14, 14 + length_s, plurals), since_s=12.0) == seen


@pytest.mark.parametrize("length_s", [1, 6, 20])
@pytest.mark.parametrize(
    ("name", "since_s"), [("d-crash-loop", 2.0), ("g-scale-8-2", 4.5), ("j-only-terminating", 4.5)]
)
def test_no_break_makes_a_verdict_of_none(name, since_s, length_s):
    asked = broken(recording(name), since_s + 0.5, since_s + 0.5 + length_s)

    assert verdict(asked, (9, 1), since_s)[0] is Verdict.INCONCLUSIVE
