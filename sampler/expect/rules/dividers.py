"""Kinds that divide traffic and are not evaluated: they must not pass unnoticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.expect.rules.groups import DIVIDERS, GROUPS, SETTINGS, WEIGHERS
from sampler.expect.rules.objects import names_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sampler.expect.rules.objects import Inventory, KubeObject

_WEIGHTS = frozenset(
    {
        "canary", "canaryTrafficPercent", "percent", "percentage", "ratio", "split", "splits",
        "traffic", "trafficPercent", "weight", "weightedBackendServices", "weightedTargets",
        "weighted_clusters", "weights",
    }
)  # fmt: skip
"""Fields with which traffic is divided, of any kind."""

_COUNTS = frozenset({"count", "instances", "members", "nodeSets", "replicas", "size"})
"""Fields with which operators are told how many pods to run."""

_BINDINGS = frozenset(
    {
        "consistentHash", "hashOn", "hashPolicies", "hash_on", "maglev", "ringHash",
        "sessionAffinity", "sessionPersistence", "stickySessions",
    }
)  # fmt: skip
"""Fields with which policies of gateways bind a client to a pod."""


def divides_traffic(each: KubeObject, inventory: Inventory) -> bool:
    """Whether an object of a kind that is not evaluated may divide traffic.

    One of `DIVIDERS`, or of the name of a kind that is read and of another group, does if it has
    weights or names a Service that was read, or may do so where none was; one of `WEIGHERS`, if it
    has weights; one of any other kind, if it has weights and names a Service.
    """
    has_weights = names_service = False
    for key, value in _said(each):
        has_weights = has_weights or key in _WEIGHTS or (key, value) == ("plugin", "canary")
        if isinstance(value, str):
            name = value.rpartition("//")[2].partition(":")[0].partition(".")[0].partition("/")[0]
            names_service = names_service or bool(inventory.by(names_of, name, "Service"))
    word, dot, _ = each.kind.partition(".")
    if each.kind in WEIGHERS:
        return has_weights
    if each.kind in DIVIDERS or (dot and word in GROUPS):
        is_open = each.kind in DIVIDERS - SETTINGS
        is_open = is_open and not inventory.has_beside(each.namespace, "Service")
        return has_weights or names_service or is_open
    return has_weights and names_service


def runs_pods(each: KubeObject) -> bool:
    """Whether an object of a kind that is not read may run pods, as those of operators do."""
    return each.kind not in GROUPS and any(key in _COUNTS for key, _ in _said(each))


def binding(each: KubeObject) -> str:
    """Return the field with which an object that is not evaluated binds clients; empty if none."""
    return next(
        (key for key, value in _said(each) if key in _BINDINGS and value not in {"None", "NONE"}),
        "",
    )


MAPPINGS = "getambassador.io/config"
"""Annotation of a Service that holds Mappings of Emissary, as text."""


def divides_by_annotation(each: KubeObject) -> bool:
    """Whether an object, of any kind, holds Mappings with weights in an annotation."""
    metadata = each.body.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    text = annotations.get(MAPPINGS) if isinstance(annotations, dict) else None
    return isinstance(text, str) and "weight" in text


def _said(each: KubeObject) -> Iterator[tuple[str, object]]:
    """Yield what an object says; a KongPlugin has no spec."""
    body = {key: value for key, value in each.body.items() if key not in {"metadata", "status"}}
    return _leaves(body)


def _leaves(spec: object) -> Iterator[tuple[str, object]]:
    """Yield every key of a spec with its value, and every item of a list with the list's key."""
    pending: list[tuple[str, object]] = [("", spec)]
    while pending:
        key, here = pending.pop()
        if isinstance(here, dict):
            yield key, None
            # Weights of an affinity are the scheduler's.
            pending += [(str(name), value) for name, value in here.items() if name != "affinity"]
        elif isinstance(here, list):
            yield key, None
            pending += [(key, value) for value in here]
        else:
            yield key, here
