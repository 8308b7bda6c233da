"""Kinds that divide traffic and are not evaluated: they must not pass unnoticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.expect.rules.groups import DIVIDERS, GROUPS
from sampler.expect.rules.objects import names_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sampler.expect.rules.objects import Inventory, KubeObject

_WEIGHTS = frozenset(
    {
        "canary", "percent", "percentage", "ratio", "split", "splits", "traffic", "trafficPercent",
        "weight", "weights", "weightedBackendServices", "weightedTargets",
    }
)  # fmt: skip
"""Fields with which traffic is divided, of any kind."""


def divides_traffic(each: KubeObject, inventory: Inventory) -> bool:
    """Whether an object of a kind that is not evaluated may divide traffic.

    One of `DIVIDERS`, or of the name of a kind that is read and of another group, does if it has
    weights or names a Service that was read; one of any other kind, if it does both.
    """
    has_weights = names_service = False
    spec = {key: value for key, value in each.body.items() if key not in {"metadata", "status"}}
    for key, value in _leaves(spec):  # a KongPlugin has no spec
        has_weights = has_weights or key in _WEIGHTS
        if isinstance(value, str):
            name = value.rpartition("//")[2].partition(":")[0].partition(".")[0].partition("/")[0]
            names_service = names_service or bool(inventory.by(names_of, name, "Service"))
    word, dot, _ = each.kind.partition(".")
    if each.kind in DIVIDERS or (dot and word in GROUPS):
        return has_weights or names_service
    return has_weights and names_service


MAPPINGS = "getambassador.io/config"
"""Annotation of a Service that holds Mappings of Emissary, as text."""


def divides_by_annotation(each: KubeObject) -> bool:
    """Whether an object, of any kind, holds Mappings with weights in an annotation."""
    metadata = each.body.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    text = annotations.get(MAPPINGS) if isinstance(annotations, dict) else None
    return isinstance(text, str) and "weight" in text


def _leaves(spec: object) -> Iterator[tuple[str, object]]:
    """Yield every key of a spec with its value, and every item of a list with the list's key."""
    pending: list[tuple[str, object]] = [("", spec)]
    while pending:
        key, here = pending.pop()
        if isinstance(here, dict):
            yield key, None
            pending += [(str(name), value) for name, value in here.items()]
        elif isinstance(here, list):
            yield key, None
            pending += [(key, value) for value in here]
        else:
            yield key, here
