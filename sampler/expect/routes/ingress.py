"""ingress-nginx: a main Ingress and its canary, told apart by annotations.

The weight is compared with a random draw from the total, for each request that no header or
cookie rule decides. A canary belongs to an upstream, that is to a Service and port of a main
Ingress: to every path with that Service, whatever its namespace. One path of a canary that no
main Ingress has takes its whole upstream away. Only one canary counts for an upstream, and
without a pod it gets nothing. A total that is not above 100 is ignored: it is 100.

References: ingress-nginx, annotations canary*, mergeAlternativeBackends of
internal/ingress/controller/controller.go, and its balancer (rootfs/etc/nginx/lua).
"""

from __future__ import annotations

import dataclasses
import re
from itertools import islice
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.routes.ingress_annotations import (
    class_of,
    hashed,
    is_canary,
    is_regex,
    refuse_others,
    remarks,
    weight_of,
)
from sampler.expect.routes.ingress_places import (
    Place,
    all_places,
    of_one_class,
    places_of,
)
from sampler.expect.routes.ingress_strays import own_main, stray_places, strays_beside
from sampler.expect.rules.backends import (
    Branch,
    has_several,
    overlap,
    service_mixture,
    weighted,
)
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.matching import (
    MET,
    Match,
    Rule,
    choose,
    host_matches,
    no,
    path_is,
    under_prefix,
    unevaluated,
    wrong_host,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sampler.expect.rules.model import Mixture, Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node, Path

_TEXT = r"(?:(?!\.[*+])[\w/.~-]|\\[.-])*"
_PLAIN_REGEX = re.compile(
    rf"{_TEXT}(?:\(/\|\$\)|/\?)?(?:\(\))?{_TEXT}(?:\.[*+]|\(\.[*+]\))?\$?", re.ASCII
)
"""As nearly all are, such as ``/api(/|$)(.*)``: they mean the same here, and take no time."""
_MOST_PATH = 256
_MOST_COMPARED = 20
"""Ingresses of one path that are looked at: only the oldest one answers."""


def behind_ingress(
    ingress: KubeObject, inventory: Inventory, question: Question, rule: Node | None = None
) -> Mixture:
    """Return what stands behind a main Ingress, or behind the one that a canary belongs to.

    A rule is one of its paths.

    Raises
    ------
    ExpectationError
        If no path, or more than one, can be meant; if two canaries claim it; if an
        annotation is no number or divides traffic in a way that is not evaluated; or as
        `service_mixture`.
    """
    main = _main_of(ingress, inventory) if is_canary(ingress) else ingress
    refuse_others(main, inventory)
    place = _place(main, question) if rule is None else main.once(_by_path)[rule.path]
    _, service, port = place.upstream
    refuse_others(main, inventory, service, port)
    findings = [*_host(main, question), *remarks(main), *_overlaps(place, inventory, question)]
    stable_name, stable = _backend(place, inventory, question, is_used=True)
    if question.route:  # else each canary is looked at by itself
        findings += strays_beside(main, inventory)
    canaries = _canaries(place, inventory)
    if not canaries:
        everything = Branch(
            1, place.node, "all, without a canary", stable_name, stable, is_derived=True
        )
        mixture = weighted([everything])
        return dataclasses.replace(mixture, findings=(*findings, *mixture.findings))
    if len(canaries) > 1:
        first, second = (each.node.owner for each in canaries[:2])
        raise ExpectationError(
            f"{first} ({first.place}) and {second} ({second.place}) are both canaries of {main}: "
            "ingress-nginx uses only one of them",
            hint="keep one canary per host and path",
        )
    at = canaries[0]
    canary = at.node.owner
    refuse_others(canary, inventory)
    weight, total, number, more = weight_of(canary, question)
    findings += [*more, *remarks(canary), *_shared(place, at, inventory)]
    name, behind = _backend(at, inventory, question, is_used=weight > 0)
    if weight and behind.weights and not behind.total:
        findings.append(_unready(canary, weight, number))
        weight = 0
    mixture = weighted(
        [
            Branch(
                total - weight, number, f"rest of {total}", stable_name, stable, is_derived=True
            ),
            Branch(weight, number, f"canary-weight of {total}", name, behind),
        ]
    )
    return dataclasses.replace(
        mixture,
        findings=(*findings, *mixture.findings),
        objects=(*mixture.objects, main, canary),
    )


def _canaries(place: Place, inventory: Inventory) -> list[Place]:
    """Return up to two canaries of a path, at the path that they share with it if there is one."""
    main = place.node.owner
    key = ("canaries", place.upstream, class_of(main))
    found = inventory.once(key, None, lambda: list(islice(_alternatives(place, inventory), 2)))
    beside = all_places(inventory).canaries_by_key.get(place.key, ())
    return [
        next(
            (
                each
                for each in beside
                if each.node.owner is one.node.owner
                and each.upstream == one.upstream
                and own_main(each, inventory) is None
            ),
            one,
        )
        for one in found
    ]


def _alternatives(place: Place, inventory: Inventory) -> Iterator[Place]:
    """Yield the canaries of the upstream of a path, each upstream of theirs once."""
    main, places = place.node.owner, all_places(inventory)
    alike = [place, *of_one_class(places.alike.get(place.upstream, {}).values(), main)]
    seen: set[tuple[str, ...]] = set()
    lost: dict[KubeObject, set[tuple[str, ...]]] = {}
    for key in dict.fromkeys(each.key for each in alike):
        for each in of_one_class(places.canaries_by_key.get(key, ()), main):
            owner = each.node.owner
            if owner not in lost:
                lost[owner] = {one.upstream for one in stray_places(owner, inventory)}
            name = (owner.full_name, *each.upstream)
            is_lost = name in seen or each.upstream in lost[owner]
            if not is_lost and own_main(each, inventory) is None:
                seen.add(name)
                yield each


def _shared(place: Place, at: Place, inventory: Inventory) -> list[Finding]:
    """Find what shares an upstream with a canary, or with what it is the canary of."""
    main, canary = place.node.owner, at.node.owner
    findings = [
        Finding(
            FindingCode.CANARY_SHARED,
            f"Service {at.service.text()} of {canary} is also the main backend of "
            f"{each.node.owner} for {each}: they are one upstream, and if the other Ingress is "
            "older, the canary gets nothing",
            "give the canary a Service of its own",
            each.node.where,
        )
        for each in islice(
            of_one_class(all_places(inventory).by_upstream.get(at.upstream, ()), main),
            _MOST_COMPARED,
        )
    ]
    if at.key != place.key:
        findings.append(
            Finding(
                FindingCode.CANARY_SHARED,
                f"{canary} is a canary of {at}, and counts for {place} too: both have the Service "
                f"{place.service.text()}, which is one upstream",
                "give paths with different canaries Services of their own",
                at.node.where,
            )
        )
    return findings


def _unready(canary: KubeObject, weight: int, number: Node) -> Finding:
    return Finding(
        FindingCode.WEIGHT_WITHOUT_PODS,
        f"{canary} asks for the weight {weight}, but has no pods: everything goes to the main "
        "Ingress",
        "raise the replicas of the canary before its weight",
        number.where,
    )


def _place(main: KubeObject, question: Question) -> Place:
    places = places_of(main)
    if len(places) == 1 and question.path is None:
        return places[0]
    hosts = [place.host for place in places]
    if question.host is not None and not any(_is_host(host, question.host) for host in hosts):
        question = dataclasses.replace(question, host=None)  # `_host` says that it is another
    node = choose(main, _rules(main, places, question), question)
    return next(place for place in places if place.node.path == node.path)


def _by_path(main: KubeObject) -> dict[Path, Place]:
    return {place.node.path: place for place in places_of(main)}


def _is_host(pattern: str, host: str) -> bool:
    return not pattern or host_matches(pattern, host, is_one_label=True)


def _rules(main: KubeObject, places: Sequence[Place], question: Question) -> list[Rule]:
    return [
        # A server is chosen by the host first: its own name, a wildcard, any; an exact path
        # comes first, then the longest one.
        Rule(
            place.node,
            _match(main, place, question),
            (
                bool(place.host) and not place.host.startswith("*"),
                len(place.host),
                place.kind == "Exact" and not is_regex(main),
                len(place.path),
            ),
        )
        for place in places
    ]


def _match(main: KubeObject, place: Place, question: Question) -> Match:
    if not place.path:
        return MET
    why = f"the path {place.path} ({place.node.where})"
    if question.host is not None and not _is_host(place.host, question.host):
        return no(f"the host {place.host}")
    if is_regex(main):
        is_plain = len(place.path) < _MOST_PATH and _PLAIN_REGEX.fullmatch(place.path)
        if question.path is not None and not is_plain:
            return unevaluated(f"{why}, a regular expression")
        return path_is(question, lambda path: bool(re.match(place.path, path, re.IGNORECASE)), why)
    if place.kind == "Exact":
        return path_is(question, lambda path: path == place.path, why)
    if place.kind == "Prefix":
        return path_is(question, lambda path: under_prefix(place.path, path), why)
    if place.path.endswith("*") and not class_of(main).startswith("nginx"):
        return path_is(question, lambda path: path.startswith(place.path[:-1]), why)  # GKE, ALB
    # Of nginx itself: a plain prefix of the text.
    return path_is(question, lambda path: path.startswith(place.path), why)


def _overlaps(place: Place, inventory: Inventory, question: Question) -> list[Finding]:
    """Find main Ingresses with the same path, or with a more specific one for the request."""
    main, places = place.node.owner, all_places(inventory)
    same = {
        other.node.owner: other
        for other in islice(of_one_class(places.by_key.get(place.key, ()), main), _MOST_COMPARED)
    }
    same.pop(main, None)
    findings = overlap(
        main, same, f"the older one answers for {place}", lambda other: same[other].node.where
    )
    findings += [remark for other in same for remark in remarks(other)]
    if question.path is None or not question.route:
        return findings
    mine = _rules(main, [place], question)[0].rank
    for other in of_one_class(places.by_host.get(place.host, ()), main):
        owner = other.node.owner
        if owner is not main and other.key != place.key and _takes(owner, other, question, mine):
            findings.append(
                Finding(
                    FindingCode.ROUTE_TAKEN,
                    f"{owner} has a more specific rule for {question.path} on the same host than "
                    f"{main}: it answers instead",
                    f"check that one: --route Ingress/{owner.name}",
                    other.node.where,
                )
            )
    return findings


def _takes(owner: KubeObject, other: Place, question: Question, mine: tuple[object, ...]) -> bool:
    rule = _rules(owner, [other], question)[0]
    return rule.match is MET and bool(rule.rank > mine)


def _backend(
    place: Place, inventory: Inventory, question: Question, *, is_used: bool
) -> tuple[str, Mixture]:
    owner, node = place.node.owner, place.service
    if not node.exists:
        raise ExpectationError(
            f"{place.node.where}: {owner}: expected a Service as the backend",
            hint="resource backends are not supported: declare the split with --expect",
        )
    name = node.text()
    mixture = service_mixture(name, owner.namespace, node, inventory, question, is_used=is_used)
    if has_several(mixture):
        mixture = dataclasses.replace(mixture, findings=(*mixture.findings, *hashed(owner)))
    return f"Service {name}", mixture


def _main_of(canary: KubeObject, inventory: Inventory) -> KubeObject:
    mains = dict.fromkeys(
        main.node.owner
        for place in places_of(canary)
        for main in of_one_class(all_places(inventory).by_key.get(place.key, ()), canary)
    )
    if len(mains) != 1:
        places = ", ".join(f"{each} ({each.place})" for each in mains) or "none"
        raise ExpectationError(
            f"{canary.place}: expected one main Ingress with the host, path and pathType of "
            f"{canary}, found {places}",
            hint="a canary needs the same host, path, pathType and class as its main Ingress",
        )
    return next(iter(mains))


def _host(main: KubeObject, question: Question) -> list[Finding]:
    if question.host is None:
        return []
    hosts = [place.host for place in places_of(main)]
    if any(_is_host(host, question.host) for host in hosts):
        return []
    return [wrong_host(main, main["spec"]["rules"], hosts, question.host)]
