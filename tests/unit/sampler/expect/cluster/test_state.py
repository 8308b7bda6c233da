"""Live objects: their places, the views of a split, and what counts as a change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sampler.expect.cluster.resources import PODS, Resource
from sampler.expect.cluster.state import ClusterState, changed_at, live_object, watched
from sampler.expect.resolve import expect
from sampler.expect.rules.model import Question
from sampler.expect.rules.versions import VersionRule
from sampler.expect.views import compare_views
from tests.clusters import (
    PLURALS,
    canary,
    deployment,
    endpoint,
    endpoint_slice,
    names,
    pod,
    replica_set,
    service,
)


def resource(kind):
    *group, version, plural = PLURALS[kind].split("/")
    return Resource(group[0] if group else "", version, plural, kind)


def state_of(bodies):
    state = ClusterState()
    for body in bodies:
        key = (resource(body["kind"]), body["metadata"]["namespace"])
        known = [each.body for each in state.objects.get(key, {}).values()]
        state.take(key, [*known, body], "1")
    return state


def view(bodies, **question):
    state = state_of(bodies)
    asked = Question(namespace="shop", **question)
    return compare_views(None, state.configured(), state.running(), asked)


def weights(expectation):
    return dict(zip(expectation.split.arms, expectation.split.weights, strict=True))


def custom(kind, group, name="app", **parts):
    return {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "generation": 5},
        **parts,
    }


def test_the_place_of_a_live_number_is_kind_name_and_generation():
    assert live_object(deployment("app", "v1", 3)).place == "Deployment shop/app, generation 1"
    bare = {"kind": "Service", "metadata": {"name": "app", "resourceVersion": "77"}}
    assert live_object(bare).place == "Service app, resourceVersion 77"


def test_what_controllers_own_is_not_counted_twice():
    shown = view(canary(9, 1), service="app")

    assert weights(shown.configured) == weights(shown.observed) == {"v1": 9, "v2": 1}
    assert shown.contradiction() is None
    assert shown.findings == ()


def test_in_the_middle_of_a_roll_out_the_old_version_is_named():
    bodies = [body for body in canary(9, 1) if body["metadata"]["name"] != "app"]
    shown = view([*bodies, service(), deployment("app", "v3", 9)], service="app")

    contradiction = str(shown.contradiction())
    assert "v3 is configured (Deployment shop/app, generation 1)" in contradiction
    assert "none of its endpoints is ready" in contradiction


def test_pods_of_an_unknown_controller_count_and_nothing_is_said_to_be_configured():
    clone = pod("c-0", "v1", "x")
    clone["metadata"]["ownerReferences"] = [
        {"apiVersion": "apps.kruise.io/v1", "kind": "CloneSet", "name": "c", "controller": True}
    ]
    shown = view([service(), clone, endpoint_slice([endpoint("c-0")])], service="app")

    assert weights(shown.observed) == {"v1": 1}
    assert shown.configured is None
    assert [finding.code for finding in shown.findings] == ["unread"]


def test_the_subsets_of_a_virtual_service_are_endpoints_with_their_labels():
    route = custom(
        "VirtualService",
        "networking.istio.io",
        spec={
            "hosts": ["app"],
            "http": [
                {
                    "route": [
                        {"destination": {"host": "app", "subset": "one"}, "weight": 75},
                        {"destination": {"host": "app", "subset": "two"}, "weight": 25},
                    ]
                }
            ],
        },
    )
    rule = custom(
        "DestinationRule",
        "networking.istio.io",
        spec={
            "host": "app",
            "subsets": [
                {"name": "one", "labels": {"version": "v1"}},
                {"name": "two", "labels": {"version": "v2"}},
            ],
        },
    )
    shown = view([*canary(2, 2), route, rule], route="VirtualService/app")

    assert weights(shown.observed) == weights(shown.configured) == {"v1": 75, "v2": 25}


def test_a_rollout_is_read_with_its_status():
    rollout = custom(
        "Rollout",
        "argoproj.io",
        spec={
            "replicas": 4,
            "strategy": {"canary": {"trafficRouting": {}, "steps": [{"setWeight": 20}]}},
            "template": {"metadata": {"labels": {"app": "app", "version": "v2"}}},
        },
        status={
            "stableRS": "abc",
            "currentStepIndex": 0,
            "canary": {"weights": {"canary": {"weight": 20}}},
        },
    )
    old = replica_set("app", 4, "v1")
    old["metadata"]["labels"] = {"rollouts-pod-template-hash": "abc"}
    shown = view([service(), rollout, old], route="Rollout/app")

    assert weights(shown.observed) == {"v1": 80, "v2": 20}
    assert shown.observed is not None
    assert {number.where for number in shown.observed.numbers} == {"Rollout shop/app, generation 5"}


def test_a_canary_of_flagger_is_read_with_its_status():
    flagger = custom(
        "Canary",
        "flagger.app",
        spec={"targetRef": {"kind": "Deployment", "name": "app"}, "service": {}},
        status={"canaryWeight": 30},
    )
    bodies = [flagger, deployment("app", "v2", 2), deployment("app-primary", "v1", 2)]

    assert weights(view(bodies, route="Canary/app").observed) == {"v1": 70, "v2": 30}


@pytest.mark.parametrize(
    ("change", "matters"),
    [
        (lambda body: body["metadata"].update(resourceVersion="2"), False),
        (lambda body: body.update(status={"readyReplicas": 3}), False),
        (lambda body: body["spec"].update(replicas=4), True),
        (lambda body: body["spec"]["template"]["metadata"]["labels"].update(version="v9"), True),
    ],
)
def test_only_what_can_move_a_split_is_a_change(change, matters):
    state = state_of([deployment("app", "v1", 3)])
    fresh = deployment("app", "v1", 3)
    change(fresh)

    assert state.apply((resource("Deployment"), "shop"), "MODIFIED", fresh) is matters


def test_a_bookmark_moves_the_watch_on_and_changes_nothing():
    state = state_of([service()])
    key = (PODS[0], "shop")

    assert not state.apply(key, "BOOKMARK", {"metadata": {"resourceVersion": "42"}})
    assert state.versions[key] == "42"
    assert list(state.objects[key]) == ["app"]


def test_a_deleted_object_is_gone():
    state = state_of(canary(1, 1))
    key = (resource("Pod"), "shop")

    assert state.apply(key, "DELETED", pod("v2-0", "v2", "app-canary"))
    assert not state.apply(key, "DELETED", pod("v2-0", "v2", "app-canary"))
    assert list(state.objects[key]) == ["v1-0"]


def test_the_last_change_is_that_of_slices_pods_and_people_and_not_of_status():
    slices = endpoint_slice([], annotations={
        "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:05Z"
    })  # fmt: skip
    written = deployment("app", "v1", 1, managedFields=[
        {"time": "2026-01-01T00:00:03Z"},
        {"time": "2026-01-01T00:00:59Z", "subresource": "status"},
    ])  # fmt: skip
    ready = pod("v1-0", "v1", "app")
    ready["status"] = {
        "conditions": [{"type": "Ready", "lastTransitionTime": "2026-01-01T00:00:04Z"}]
    }

    def latest(*bodies):
        moment = changed_at(map(live_object, bodies))
        return None if moment is None else moment.second

    assert latest(slices, written, ready) == 5
    assert latest(written, ready) == 4
    assert latest(written) == 3
    assert changed_at([]) is None
    assert changed_at([live_object(slices)]) == datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)


def test_what_is_watched_is_what_the_split_was_made_of():
    state = state_of(canary(1, 1))
    question = Question(service="app", namespace="shop")
    kinds = {each.kind for each in expect(state.running(), question).objects}

    watched_kinds = {key[0].kind for key in watched(state, question, kinds)}

    assert watched_kinds == {"Service", "EndpointSlice", "Pod", "Deployment", "ReplicaSet"}


def test_a_service_of_its_own_version_names_pods_that_do_not():
    bodies = canary(1, 0)
    for body in bodies:
        if body["kind"] == "Pod":
            del body["metadata"]["labels"]["version"]
    shown = view(bodies, service="app", versions=VersionRule.parse("app=v1,app-canary=v2"))

    assert weights(shown.observed) == {"v1": 1, "v2": 0}
    assert names("v1", 1) == ["v1-0"]
