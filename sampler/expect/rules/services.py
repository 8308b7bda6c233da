"""What stands behind a Service: pods as they are declared, or endpoints as they are."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from sampler.expect.rules import declared, endpoints
from sampler.expect.rules.findings import Finding, FindingCode, unknown
from sampler.expect.rules.model import only
from sampler.expect.rules.objects import selects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sampler.expect.rules.model import Mixture, Question
    from sampler.expect.rules.objects import Inventory, KubeObject


def behind_service(service: KubeObject, inventory: Inventory, question: Question) -> Mixture:
    """Return the pods, or the endpoints, by label that a Service sends traffic to.

    Raises
    ------
    ExpectationError
        If its pods are elsewhere, or as `declared.behind_selector` and
        `endpoints.behind_endpoints`.
    """
    return behind_subset(service, {}, inventory, question)


def affinity_of(service: KubeObject) -> Finding | None:
    """Return the finding that kube-proxy keeps a client with one pod, if it does."""
    node = service["spec"]["sessionAffinity"]
    if node.text("None") == "None":
        return None
    return Finding(
        FindingCode.SESSION_AFFINITY,
        f"{service} has sessionAffinity {node.text()}: one client stays with one pod, and cannot "
        "see the split",
        "remove it while the canary runs, or check a second Service with the same selector",
        node.where,
    )


def behind_subset(
    service: KubeObject, labels: Mapping[str, str], inventory: Inventory, question: Question
) -> Mixture:
    """Return those of them whose pods carry more labels.

    Raises
    ------
    ExpectationError
        As `behind_service`.
    """
    key = (service, tuple(sorted(labels.items())))
    return inventory.once(key, question, lambda: _behind(service, labels, inventory, question))


def _behind(
    service: KubeObject, labels: Mapping[str, str], inventory: Inventory, question: Question
) -> Mixture:
    is_external = service["spec"]["type"].text("") == "ExternalName"
    if is_external or not (inventory.has_endpoints or selector_of(service)):
        version = question.versions.of_name(service.name)
        if version is not None:
            return only(version, question)
        why = (
            "is an ExternalName: its pods are elsewhere"
            if is_external
            else "has no selector: its endpoints are managed by hand"
        )
        raise unknown(
            f"{service} {why}",
            f"name the version that answers there: --version-from {service.name}=v1, or declare "
            "the split with --expect",
            service.place,
            is_asked=question.is_asked,
        )
    if inventory.has_endpoints:
        return endpoints.behind_endpoints(service, inventory, question, labels)
    selector = {**selector_of(service), **labels}
    return declared.behind_selector(service, selector, inventory, question)


def selector_of(service: KubeObject) -> Mapping[str, str]:
    """Return the selector of a Service."""
    return service.once(_selector_of)


def _selector_of(service: KubeObject) -> Mapping[str, str]:
    return service["spec"]["selector"].texts()


@lru_cache(maxsize=1)
def _by_pair(inventory: Inventory) -> dict[tuple[str, ...], list[KubeObject]]:
    """Return the Services by namespace and that pair of their selector that the fewest have."""
    services = inventory.of("Service")
    often = Counter(pair for each in services for pair in selector_of(each).items())
    found: dict[tuple[str, ...], list[KubeObject]] = {}
    for each in services:
        pair = min(selector_of(each).items(), key=lambda pair: often[pair], default=())
        found.setdefault((each.namespace, *pair), []).append(each)
    return found


def services_of(
    labels: Mapping[str, str], namespace: str, inventory: Inventory
) -> Iterator[KubeObject]:
    """Yield the Services of a namespace that select pods with these labels."""
    for pair in labels.items():
        for service in _by_pair(inventory).get((namespace, *pair), ()):
            if selects(selector_of(service), labels):
                yield service
