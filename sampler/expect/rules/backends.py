"""Weighted branches of a route, and the Services at their ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.findings import Finding, FindingCode, FoundError, first_few
from sampler.expect.rules.model import Mixture, Number, Quantity, mix, only
from sampler.expect.rules.objects import names_of
from sampler.expect.rules.services import behind_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sampler.expect.rules.model import Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of a route.

    Parameters
    ----------
    weight : int
        In force, >= 0.
    number : Node
        Where the weight was read, or should have been.
    what : str
        ``weight``, ``canary-weight`` …
    towards : str
        The backend, as people write it.
    mixture : Mixture
        What stands behind it.
    is_derived : bool
        Whether the weight follows from other numbers, and is not read or a default itself.
    """

    weight: int
    number: Node
    what: str
    towards: str
    mixture: Mixture
    is_derived: bool = False


def weighted(branches: Sequence[Branch]) -> Mixture:
    """Combine the branches of a route, and note where each weight was read.

    Where a single version stands behind one of several branches, its replicas do not matter
    for the split, and are not among its numbers. A single branch decides nothing: what
    stands behind it divides the traffic.
    """
    if len(branches) == 1 and branches[0].weight and branches[0].mixture.total:
        only = branches[0].mixture
        return replace(only, numbers=(_number(branches[0]), *only.numbers))
    parts = []
    for branch in branches:
        behind = branch.mixture
        numbers = behind.numbers if len(behind.weights) > 1 else ()
        findings = [*behind.findings, *_without_pods(branch)]
        parts.append(
            (
                Fraction(branch.weight),
                replace(behind, numbers=(_number(branch), *numbers), findings=tuple(findings)),
            )
        )
    whole = mix(parts)
    return replace(whole, findings=(*_all_default(branches), *whole.findings))


def _number(branch: Branch) -> Number:
    owner = branch.number.owner
    is_default = not (branch.number.exists or branch.is_derived)
    return Number(
        branch.weight,
        Quantity.WEIGHT,
        f"{branch.what}, by default" if is_default else branch.what,
        owner.kind,
        owner.full_name,
        branch.number.where,
        branch.towards,
    )


def _without_pods(branch: Branch) -> list[Finding]:
    if not branch.weight or branch.mixture.total or not branch.mixture.weights:
        return []
    pods = ", ".join(dict.fromkeys(each.where for each in branch.mixture.numbers))
    return [
        Finding(
            FindingCode.WEIGHT_WITHOUT_PODS,
            f"{branch.number.owner} gives {branch.towards} the weight {branch.weight}, "
            f"but it has no pods ({pods})",
            "raise its replicas before its weight: its share of the requests fails",
            branch.number.where,
        )
    ]


def _all_default(branches: Sequence[Branch]) -> list[Finding]:
    weights = [branch for branch in branches if not branch.is_derived]
    if len(weights) < 2 or any(branch.number.exists for branch in weights):
        return []
    first = weights[0]
    if first.weight == 0:
        return []
    return [
        Finding(
            FindingCode.DEFAULT_WEIGHTS,
            f"none of the {len(weights)} backends of {first.number.owner} has a weight: "
            "each counts as 1, so traffic is split evenly",
            "write the weights out; is the key spelt weight, and at the right depth?",
            first.number.where,
        )
    ]


def service_mixture(
    name: str,
    namespace: str,
    reference: Node,
    inventory: Inventory,
    question: Question,
    *,
    is_used: bool = True,
    called: str = "",
) -> Mixture:
    """Return what stands behind a Service that a route refers to.

    Parameters
    ----------
    name, namespace : str
        Of the Service.
    reference : Node
        Where the route names it.
    inventory, question
        What was read, and how.
    is_used : bool
        Whether its weight is above zero; without, it may be missing.
    called : str
        What its version can be given to, where that is not the name: a subset.

    Raises
    ------
    ExpectationError
        If the Service is missing although it gets traffic, or as `behind_service`.
    """
    service = inventory.find("Service", name, namespace)
    if service is not None:
        return behind_service(service, inventory, question)
    version = question.versions.of_name(name)
    if version is not None:
        return only(version, question)
    if is_used:
        away = _of_another_namespace(name, namespace, inventory)
        found = unread(name, namespace, reference, inventory)
        if found and not away and not question.is_asked:
            raise FoundError(found)
        raise ExpectationError(
            f"{reference.where}: {reference.owner} sends traffic to Service {name}"
            + (f" of {namespace}" if namespace else "")
            + f", which was not found{inventory.but_unread(['Service'])}",
            hint=away
            or "add its manifest, or name the version that answers there: --version-from "
            f"{called or name}=v1",
        )
    found = unread(name, namespace, reference, inventory) or missing_backend(name, reference)
    return Mixture({}, findings=(found,))


def unread(name: str, namespace: str, reference: Node, inventory: Inventory) -> Finding | None:
    """Return the finding that nothing can be said of a Service, if none beside it was read.

    Routes may live in a repository of their own. Where another Service is, or may be, of the
    namespace, or the namespace was read from a cluster, the one that is missing is a mistake.
    """
    if inventory.has_beside(namespace, "Service"):
        return None
    of = f"of {namespace} " if namespace else ""
    return Finding(
        FindingCode.REFERENCE_UNREAD,
        f"{reference.owner} refers to Service {name}, and no Service {of}was read: whether it is "
        "there, and which versions it has, was not checked",
        "add the manifests of the Services to --manifests, or look into the cluster: --cluster",
        reference.where,
    )


def _of_another_namespace(name: str, namespace: str, inventory: Inventory) -> str:
    """Return what to do where only one of a route and its Service names a namespace."""
    for service in inventory.by(names_of, name, "Service"):
        if bool(service.namespace) != bool(namespace):
            known = namespace or service.namespace
            silent = "it" if namespace else "the route"
            return (
                f"{service} ({service.place}) is of another namespace; if {silent} is applied to "
                f"{known}, say so: -n {known}"
            )
    return ""


def missing_backend(name: str, reference: Node) -> Finding:
    """Return the finding that a backend without traffic was not found."""
    return Finding(
        FindingCode.BACKEND_MISSING,
        f"{reference.owner} names {name}, which was not found; it has weight 0",
        "add its manifest: otherwise its versions are not expected to get no traffic",
        reference.where,
    )


def require_positive(route: KubeObject, branches: Sequence[Branch], consequence: str) -> None:
    """Refuse branches whose weights are all zero.

    Raises
    ------
    ExpectationError
        With all places.
    """
    if any(branch.weight for branch in branches):
        return
    places = ", ".join(branch.number.where for branch in branches) or route.place
    raise ExpectationError(
        f"{route}: all weights are 0 ({places}), and {consequence}",
        hint="give at least one backend a weight above 0",
    )


def sticky(owner: KubeObject, node: Node) -> list[Finding]:
    """Return the finding that cookies bind a client to a backend, if there is what says so."""
    finding = Finding(
        FindingCode.STICKY,
        f"{owner} is sticky: a client that keeps its cookie stays with one backend",
        "check without cookies, as weighbridge does; real users are assigned once each",
        node.where,
    )
    return [finding] if node.exists else []


def bound_to_pods(owner: KubeObject, node: Node, by: str, *, is_any: bool) -> Finding:
    """Return the finding that pods of one Service are picked by a hash: it may always be the same.

    Parameters
    ----------
    owner, node
        What says so, and where.
    by : str
        What is hashed.
    is_any : bool
        Whether every client has it: then a check meets one pod only.
    """
    return Finding(
        FindingCode.SESSION_AFFINITY if is_any else FindingCode.STICKY,
        f"{owner} picks the pods of a Service by the hash of {by}: requests with the same one stay "
        "with one pod",
        "remove it while the split is checked, or give each version a Service of its own",
        node.where,
    )


def has_several(mixture: Mixture) -> bool:
    """Whether the pods themselves divide traffic among versions."""
    return sum(map(bool, mixture.weights.values())) > 1


def others(route: KubeObject, found: Iterable[KubeObject]) -> Iterator[KubeObject]:
    """Yield each object once, but for the route itself."""
    seen = {route}
    for each in found:
        if each not in seen:
            seen.add(each)
            yield each


def overlap(
    route: KubeObject, found: Iterable[KubeObject], which: str, where: Callable[[KubeObject], str]
) -> list[Finding]:
    """Return the finding that routes are for the same host, and `which` one answers.

    Parameters
    ----------
    route : KubeObject
    found : iterable of KubeObject
        Others, of which the first few are named, and no more are asked for.
    which : str
    where : callable
        Gives the place at which another one says its host or paths.
    """
    rest = others(route, found)
    first = next(rest, None)
    if first is None:
        return []
    return [
        Finding(
            FindingCode.ROUTE_OVERLAPS,
            f"{route} and {first_few(chain([first], rest))} are routes of the same host: {which}",
            f"put their rules into one {route.kind}, or check the other one, too: "
            f"--route {first.kind}/{first.name}",
            where(first),
        )
    ]
