"""Service Mesh Interface: TrafficSplit.

References: SMI, split.smi-spec.io v1alpha1 (weights are quantities) to v1alpha4 (integers).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.backends import Branch, require_positive, service_mixture, weighted
from sampler.expect.rules.fields import Fields

if TYPE_CHECKING:
    from sampler.expect.rules.model import Mixture, Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

SPEC = Fields(
    "a TrafficSplit",
    ("service", "backends"),
    refused={"matches": "it names an HTTPRouteGroup for which alone the split holds"},
)
_QUANTITY = re.compile(r"([0-9]+)(m?)")


def behind_traffic_split(split: KubeObject, inventory: Inventory, question: Question) -> Mixture:
    """Return what stands behind a TrafficSplit.

    Raises
    ------
    ExpectationError
        If it holds for some requests only, all weights are 0, or as `service_mixture`.
    """
    spec = split["spec"]
    SPEC.check(spec)
    spec["service"].text("")  # an object in its place is refused
    branches = []
    for node in spec["backends"]:
        name, weight = node["service"].text(), _weight(node["weight"])
        mixture = service_mixture(
            name, split.namespace, node["service"], inventory, question, is_used=weight > 0
        )
        branches.append(Branch(weight, node["weight"], "weight", f"Service {name}", mixture))
    require_positive(split, branches, "no backend gets anything then")
    return weighted(branches)


def _weight(node: Node) -> int:
    """Return a weight; of v1alpha1 in thousandths, because it may be written as ``500m``."""
    if not node.owner["apiVersion"].text("").endswith("/v1alpha1"):
        return node.count(0)
    quantity = _QUANTITY.fullmatch(str(node.value or 0))
    if quantity is None:
        raise ExpectationError(
            f"{node.where}: {node.owner}: expected a weight such as 1 or 500m, got {node.value!r}",
            hint="write whole numbers, and an apiVersion of v1alpha2 or later",
        )
    return int(quantity[1]) * (1 if quantity[2] else 1000)
