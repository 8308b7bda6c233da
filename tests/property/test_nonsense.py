"""Objects of a cluster with a value that does not belong there: told in words, never a bug."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sampler.base.errors import WeighbridgeError
from sampler.expect.cluster.answers import event_of
from tests.replays import NAMESPACE
from tests.scenes import BY_KIND, Scene, cluster

WRONG: list[Any] = [None, "x", -1, 1.5, True, [], {}, [None], {"a": None}, "{{ x }}", "2026-99-99"]


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Give the paths to all values below a value."""
    keys = list(node) if isinstance(node, dict) else range(len(node) if type(node) is list else 0)
    return [each for key in keys for each in [(*path, key), *places(node[key], (*path, key))]]


def tell(scene: Scene, kind: str, body: dict[str, Any]) -> None:
    """Tell of an object as a watch does, and look."""
    resource = BY_KIND[kind]
    key = resource, NAMESPACE
    try:
        event = event_of(json.dumps({"type": "MODIFIED", "object": body}).encode(), resource)
        if scene.playing.state.apply(key, *event):
            scene.watcher._touch()
    except WeighbridgeError as error:
        scene.watcher._lose(key, error)
    scene.playing.now_s += 0.5
    for change in scene.watcher.changes():
        assert change.text


@pytest.mark.parametrize("kind", ["Service", "EndpointSlice", "Pod", "Deployment", "ReplicaSet"])
def test_a_value_that_does_not_belong_there_is_no_bug(kind):
    objects = cluster(2, 1)
    scene = Scene(objects)
    right = next(each for each in objects if each["kind"] == kind)
    for path in places(right):
        for wrong in WRONG:
            body = json.loads(json.dumps(right))
            inside = body
            for step in path[:-1]:
                inside = inside[step]
            inside[path[-1]] = wrong
            tell(scene, kind, body)
        tell(scene, kind, right)
        scene.watcher._blind.clear()
