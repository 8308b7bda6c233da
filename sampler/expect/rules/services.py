"""What stands behind a Service: pods as they are declared, or endpoints as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules import endpoints, workloads
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.objects import selects

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from sampler.expect.rules.model import Mixture, Question
    from sampler.expect.rules.objects import Inventory, KubeObject


def behind_service(service: KubeObject, inventory: Inventory, question: Question) -> Mixture:
    """Return the pods, or the endpoints, by label that a Service sends traffic to.

    Raises
    ------
    ExpectationError
        As `workloads.behind_service` and `endpoints.behind_endpoints`.
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
    if inventory.has_endpoints:
        if service["spec"]["type"].text("") == "ExternalName":
            raise ExpectationError(
                f"{service.place}: {service} is an ExternalName: its pods are elsewhere",
                hint="declare the split with --expect",
            )
        return endpoints.behind_endpoints(service, inventory, question, labels)
    if not labels:
        return workloads.behind_service(service, inventory, question)
    selector = service["spec"]["selector"].texts() | dict(labels)
    return workloads.behind_selector(service, selector, inventory, question)


def selector_keys(service: KubeObject) -> Iterator[Hashable]:
    """Yield namespace and first pair of a Service's selector, under which it is found."""
    pairs = sorted(service["spec"]["selector"].texts().items())
    if pairs:
        yield (service.namespace, *pairs[0])


def services_of(
    labels: Mapping[str, str], namespace: str, inventory: Inventory
) -> Iterator[KubeObject]:
    """Yield the Services of a namespace that select pods with these labels."""
    for pair in labels.items():
        for service in inventory.by(selector_keys, (namespace, *pair), "Service"):
            if selects(service["spec"]["selector"].texts(), labels):
                yield service
