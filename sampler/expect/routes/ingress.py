"""ingress-nginx: a main Ingress and its canary, told apart by annotations.

The weight is compared with a random draw from the total, for each request that no header or
cookie rule decides. Only one canary counts for a host and path, and without a pod it gets
nothing. Of a total that is not above 100, nothing is heard: it is 100.

References: ingress-nginx, annotations canary*, and its balancer (rootfs/etc/nginx/lua).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.backends import Branch, service_mixture, weighted
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.matching import host_matches, no_rule, only_rule, under_prefix, wrong_host

if TYPE_CHECKING:
    from sampler.expect.rules.model import Mixture, Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

_SWITCH = "/canary"
_DEFAULT_TOTAL = 100


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """One path of one host in an Ingress."""

    host: str
    path: Node

    @property
    def key(self) -> tuple[str, str]:
        """What a main Ingress and its canary must share."""
        return self.host, self.path["path"].text("/")


def is_canary(ingress: KubeObject) -> bool:
    """Whether an Ingress is a canary; the prefix of the annotations can be configured."""
    return _prefix(ingress) is not None


def behind_ingress(ingress: KubeObject, inventory: Inventory, question: Question) -> Mixture:
    """Return what stands behind a main Ingress, or behind the one that a canary belongs to.

    Raises
    ------
    ExpectationError
        If no path, or more than one, can be meant; if two canaries claim it; if an
        annotation is no number; or as `service_mixture`.
    """
    main = _main_of(ingress, inventory) if is_canary(ingress) else ingress
    place = _place(main, question)
    findings = list(_host(main, question))
    canaries = [
        (each, other)
        for each in inventory.of("Ingress")
        if each.namespace == main.namespace and is_canary(each)
        for other in _places(each)
        if other.key == place.key
    ]
    if len(canaries) > 1:
        first, second = canaries[0][0], canaries[1][0]
        raise ExpectationError(
            f"{first} ({first.place}) and {second} ({second.place}) are both canaries of {main}: "
            "ingress-nginx uses only one of them",
            hint="keep one canary per host and path",
        )
    stable_name, stable = _backend(place, inventory, question, is_used=True)
    if not canaries:
        findings += _strays(main, inventory)
        everything = Branch(
            1, place.path, "all, without a canary", stable_name, stable, is_derived=True
        )
        mixture = weighted([everything])
        return dataclasses.replace(mixture, findings=(*findings, *mixture.findings))
    canary, at = canaries[0]
    weight, total, number, more = _weight(canary)
    findings += more
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


def _prefix(ingress: KubeObject) -> str | None:
    for key, value in ingress["metadata"]["annotations"].texts().items():
        if key.endswith(_SWITCH) and value == "true":
            return key.removesuffix(_SWITCH)
    return None


def _weight(canary: KubeObject) -> tuple[int, int, Node, list[Finding]]:
    """Return weight and total in force, where the weight stands, and what is odd about them."""
    prefix = _prefix(canary)
    annotations = canary["metadata"]["annotations"]
    findings = []
    total_node = annotations[f"{prefix}/canary-weight-total"]
    total = _number(total_node, _DEFAULT_TOTAL)
    if total_node.exists and total <= _DEFAULT_TOTAL:
        if total < _DEFAULT_TOTAL:
            findings.append(
                Finding(
                    FindingCode.WEIGHT_TOTAL_IGNORED,
                    f"{canary}: canary-weight-total {total} is not above 100 and is ignored",
                    "write the weight out of 100, or set a total above 100",
                    total_node.where,
                )
            )
        total = _DEFAULT_TOTAL
    number = annotations[f"{prefix}/canary-weight"]
    weight = _number(number, 0)
    if weight > total:
        findings.append(
            Finding(
                FindingCode.WEIGHT_CLAMPED,
                f"{canary}: canary-weight {weight} exceeds its total {total}: "
                "the canary gets everything",
                "raise canary-weight-total, or lower the weight",
                number.where,
            )
        )
    return min(weight, total), total, number, findings


def _number(node: Node, default: int) -> int:
    text = node.text("")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()):
        raise ExpectationError(
            f"{node.where}: {node.owner}: expected a whole number >= 0 in quotes, got {text!r}",
            hint="annotations are strings: canary-weight: '10'",
        )
    return int(text)


def _unready(canary: KubeObject, weight: int, number: Node) -> Finding:
    return Finding(
        FindingCode.WEIGHT_WITHOUT_PODS,
        f"{canary} asks for the weight {weight}, but has no pods: everything goes to the main "
        "Ingress",
        "raise the replicas of the canary before its weight",
        number.where,
    )


def _places(ingress: KubeObject) -> list[_Place]:
    return [
        _Place(rule["host"].text(""), path)
        for rule in ingress["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]


def _place(main: KubeObject, question: Question) -> _Place:
    places = _places(main)
    if question.path is None or len(places) < 2:
        only_rule(main, [place.path for place in places])
        return places[0]
    fitting = [
        place
        for place in places
        if (
            question.host is None
            or not place.host
            or host_matches(place.host, question.host, is_one_label=True)
        )
        and _path_fits(place, question.path)
    ]
    if not fitting:
        raise no_rule(main, question.path)
    # An exact path comes first, then the longest one.
    return max(
        fitting,
        key=lambda place: (place.path["pathType"].text("") == "Exact", len(place.key[1])),
    )


def _path_fits(place: _Place, path: str) -> bool:
    wanted = place.key[1]
    if place.path["pathType"].text("") == "Exact":
        return path == wanted
    return under_prefix(wanted, path)


def _backend(
    place: _Place, inventory: Inventory, question: Question, *, is_used: bool
) -> tuple[str, Mixture]:
    owner = place.path.owner
    node = place.path["backend"]["service"]["name"]
    if not node.exists:
        raise ExpectationError(
            f"{place.path.where}: {owner}: expected a Service as the backend",
            hint="resource backends are not supported: declare the split with --expect",
        )
    name = node.text()
    mixture = service_mixture(name, owner.namespace, node, inventory, question, is_used=is_used)
    return f"Service {name}", mixture


def _main_of(canary: KubeObject, inventory: Inventory) -> KubeObject:
    keys = {place.key for place in _places(canary)}
    mains = [
        each
        for each in inventory.of("Ingress")
        if each.namespace == canary.namespace
        and not is_canary(each)
        and keys & {place.key for place in _places(each)}
    ]
    if len(mains) != 1:
        places = ", ".join(f"{each} ({each.place})" for each in mains) or "none"
        raise ExpectationError(
            f"{canary.place}: expected one main Ingress with the host and path of {canary}, "
            f"found {places}",
            hint="a canary needs the same host and the same path as its main Ingress",
        )
    return mains[0]


def _strays(main: KubeObject, inventory: Inventory) -> list[Finding]:
    """Find canaries that share a host or a path with `main`, but not both."""
    hosts = {place.key[0] for place in _places(main)}
    paths = {place.key[1] for place in _places(main)}
    return [
        stray(canary)
        for canary in inventory.of("Ingress")
        if canary.namespace == main.namespace
        and is_canary(canary)
        and not has_main(canary, inventory)
        and any(place.key[0] in hosts or place.key[1] in paths for place in _places(canary))
    ]


def stray(canary: KubeObject) -> Finding:
    """Return the finding that a canary Ingress belongs to no main one, and has no effect."""
    return Finding(
        FindingCode.HOST_MISMATCH,
        f"{canary} has no main Ingress with the same host and path: it has no effect",
        "give it exactly the host and the path of the main Ingress",
        canary["spec"]["rules"].where,
    )


def has_main(canary: KubeObject, inventory: Inventory) -> bool:
    """Whether some main Ingress shares a host and path with a canary."""
    keys = {place.key for place in _places(canary)}
    return any(
        keys & {place.key for place in _places(each)}
        for each in inventory.of("Ingress")
        if each.namespace == canary.namespace and not is_canary(each)
    )


def _host(main: KubeObject, question: Question) -> list[Finding]:
    hosts = [each["host"].text("") for each in main["spec"]["rules"]]
    if question.host is None or any(
        not host or host_matches(host, question.host, is_one_label=True) for host in hosts
    ):
        return []
    return [wrong_host(main, main["spec"]["rules"], hosts, question.host)]
