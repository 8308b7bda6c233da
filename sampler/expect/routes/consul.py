"""Consul: ServiceSplitter.

Weights are percent with two decimals. A split names the splitter's own service by default; one
of another service, without a subset, is split again by that service's splitter.

References: Consul, service splitter configuration entry; agent/consul/discoverychain/compile.go.
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import isfinite
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.backends import Branch, service_mixture, weighted
from sampler.expect.rules.fields import Fields
from sampler.expect.rules.findings import unknown
from sampler.expect.rules.model import only

if TYPE_CHECKING:
    from sampler.expect.rules.model import Mixture, Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

_ENTERPRISE = "its services are those of another part of Consul"
SPEC = Fields("a ServiceSplitter", ("splits",))
SPLIT = Fields(
    "a split",
    ("service", "serviceSubset", "weight"),
    beside=("requestHeaders", "responseHeaders"),
    refused=dict.fromkeys(("namespace", "partition"), _ENTERPRISE),
)
_RESOLVER = Fields(
    "a ServiceResolver",
    ("defaultSubset", "subsets"),
    beside=("connectTimeout", "failover", "prioritizeByLocality", "requestTimeout"),
    refused={"redirect": "another service answers", "loadBalancer": "it may bind clients to pods"},
)
_BY_META = re.compile(r"""\s*Service\.Meta\.([\w-]+)\s*==\s*(["`]?)([\w.-]+)\2\s*""", re.ASCII)
_PARTS = 100
"""Of a percent: the finest weight."""


def passes_on(router: KubeObject) -> bool:
    """Whether a ServiceRouter sends all requests on to its own service, for retries or timeouts."""
    destinations = [each["destination"] for each in router["spec"]["routes"]]
    return all(
        each["service"].text("") in {"", router.name}
        and not any(each[key].exists for key in ("serviceSubset", "namespace", "partition"))
        for each in destinations
    )


def behind_service_splitter(
    splitter: KubeObject,
    inventory: Inventory,
    question: Question,
    trail: tuple[KubeObject, ...] = (),
) -> Mixture:
    """Return what stands behind a ServiceSplitter.

    Parameters
    ----------
    splitter, inventory, question
        As for every route.
    trail : tuple of KubeObject
        ServiceSplitters on the way here.

    Raises
    ------
    ExpectationError
        If weights do not add up to 100, splitters contain each other, the version of a subset is
        not given, a ServiceRouter decides first, or as `service_mixture`.
    """
    if splitter in trail:
        raise ExpectationError(
            f"{splitter.place}: {splitter} contains itself", hint="break the circle"
        )
    SPEC.check(splitter["spec"])
    router = inventory.find("ServiceRouter", splitter.name, splitter.namespace)
    if router is not None and not passes_on(router):
        raise ExpectationError(
            f"{router.place}: {router} decides before {splitter}, and is not evaluated",
            hint="declare the split with --expect",
        )
    splits = list(splitter["spec"]["splits"])
    for node in splits:
        SPLIT.check(node)
    parts = [_parts(node["weight"]) for node in splits]
    if sum(parts) != 100 * _PARTS:
        raise ExpectationError(
            f"{splitter['spec']['splits'].where}: {splitter}: expected weights that add up to 100, "
            f"got {float(Fraction(sum(parts), _PARTS)):g}: Consul rejects it",
            hint="correct the weights; they have two decimals at most",
        )
    scale = 1 if any(part % _PARTS for part in parts) else _PARTS
    return weighted(
        [
            Branch(
                part // scale,
                node["weight"],
                "weight" if scale == _PARTS else "weight in hundredths",
                *_behind(node, inventory, question, (*trail, splitter), is_used=part > 0),
            )
            for node, part in zip(splits, parts, strict=True)
        ]
    )


def _parts(node: Node) -> int:
    """Return a weight in hundredths of a percent."""
    value = node.value or 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        node.integer()  # refuses
    parts = Fraction(str(value)) * _PARTS
    if parts < 0 or parts.denominator != 1:
        raise ExpectationError(
            f"{node.where}: {node.owner}: expected a weight from 0 to 100 with two decimals at "
            f"most, got {value}",
            hint="correct the weight",
        )
    return int(parts)


def _behind(
    node: Node,
    inventory: Inventory,
    question: Question,
    trail: tuple[KubeObject, ...],
    *,
    is_used: bool,
) -> tuple[str, Mixture]:
    """Return what a split is called, and what stands behind it."""
    owner = node.owner
    name = node["service"].text(owner.name)
    subset = node["serviceSubset"].text("")
    nested = inventory.find("ServiceSplitter", name, owner.namespace)
    if nested is not None and name != owner.name and not subset:
        return f"Service {name}", behind_service_splitter(nested, inventory, question, trail)
    resolver = inventory.find("ServiceResolver", name, owner.namespace)
    if resolver is not None:
        _RESOLVER.check(resolver["spec"])
        subset = subset or resolver["spec"]["defaultSubset"].text("")
    if not subset:
        reference = node["service"] if node["service"].exists else node
        return f"Service {name}", service_mixture(
            name, owner.namespace, reference, inventory, question, is_used=is_used
        )
    version = question.versions.of_name(subset)
    if version is None and resolver is not None:
        meta = _BY_META.fullmatch(resolver["spec"]["subsets"][subset]["filter"].text(""))
        version = meta and question.versions.of_labels({meta[1]: meta[3]})
    if version is None:
        raise unknown(
            f"{owner} sends traffic to the subset {subset} of {name}, whose instances Consul finds "
            "by a filter",
            f"name the version that answers there: --version-from {subset}=v1",
            node.where,
            is_asked=question.is_asked,
        )
    return f"Service {name}, subset {subset}", only(version, question)
