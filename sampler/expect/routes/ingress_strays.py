"""Canary Ingresses, or single paths of them, that have no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.expect.routes.ingress_annotations import is_canary
from sampler.expect.routes.ingress_places import all_places, of_one_class, places_of
from sampler.expect.rules.findings import Finding, FindingCode

if TYPE_CHECKING:
    from sampler.expect.routes.ingress_places import Place
    from sampler.expect.rules.objects import Inventory, KubeObject


def own_main(place: Place, inventory: Inventory) -> Place | None:
    """Return the path of a main Ingress on the host of a canary that has its Service, if any."""
    same = all_places(inventory).by_server.get((place.host, place.upstream), ())
    return next(of_one_class(same, place.node.owner), None)


def stray_places(canary: KubeObject, inventory: Inventory) -> list[Place]:
    """Return the paths of a canary that no main Ingress has: their upstreams are dropped."""
    mains = all_places(inventory).by_key
    return [
        each
        for each in places_of(canary)
        if next(of_one_class(mains.get(each.key, ()), canary), None) is None
    ]


def stray(canary: KubeObject, inventory: Inventory) -> list[Finding]:
    """Return the findings that a canary Ingress, or one of its paths, has no effect."""
    strays = stray_places(canary, inventory)
    if not strays:
        return [
            Finding(
                FindingCode.CANARY_INEFFECTIVE,
                f"Service {each.service.text('')} of {canary} is also the main backend of "
                f"{main.node.owner} on the same host: ingress-nginx makes no canary of it, so it "
                "has no effect",
                "give the canary a Service of its own",
                each.node.where,
            )
            for each in places_of(canary)
            if (main := own_main(each, inventory)) is not None
        ]
    mains = all_places(inventory).by_key
    elsewhere = next((main for each in strays for main in mains.get(each.key, ())), None)
    if elsewhere is not None:
        return [
            Finding(
                FindingCode.CANARY_INEFFECTIVE,
                f"{canary} has another ingress class than {elsewhere.node.owner}: another "
                "controller owns it, so it has no effect",
                "give both the same ingressClassName",
                canary.place,
            )
        ]
    paths = ", ".join(f"{each} ({each.kind})" for each in strays)
    return [
        Finding(
            FindingCode.HOST_MISMATCH,
            f"{canary} has no main Ingress with the same host, path and pathType for {paths}: "
            "ingress-nginx drops its backend, so it has no effect",
            "give it exactly the hosts, the paths and the path types of the main Ingress",
            canary["spec"]["rules"].where,
        )
    ]


def strays_beside(main: KubeObject, inventory: Inventory) -> list[Finding]:
    """Find canaries without effect that share a host or a path with `main`."""
    hosts = {place.host for place in places_of(main)}
    paths = {place.path for place in places_of(main)}
    return [
        finding
        for canary in inventory.of("Ingress")
        if is_canary(canary)
        and any(place.host in hosts or place.path in paths for place in places_of(canary))
        for finding in stray(canary, inventory)
    ]
