"""What was declared, what is configured and what runs, side by side."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.data.report import View
from sampler.base.errors import ExpectationError
from sampler.expect.resolve import expect
from sampler.expect.routes.argo import refuse_service
from sampler.expect.rules.endpoints import endpoints_of, ready_by_label
from sampler.expect.rules.findings import Finding, FindingCode, FoundError
from sampler.expect.rules.model import NotYetError, Quantity
from sampler.expect.rules.owners import top_of
from sampler.expect.rules.pods import is_over
from sampler.expect.rules.services import affinity_of
from sampler.expect.rules.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sampler.expect.rules.model import Expectation, Question
    from sampler.expect.rules.objects import Inventory, KubeObject


class ContradictionError(FoundError):
    """Two views of one split do not agree; the finding has both places."""


@dataclass(frozen=True, slots=True)
class Views:
    """Up to three views of one split.

    Parameters
    ----------
    declared : Expectation or None
        From manifests, if some were given.
    configured : Expectation or None
        From the routes and workloads of the cluster; None where that cannot be said.
    observed : Expectation or None
        The same weights over the endpoints that get traffic.
    findings : tuple of Finding
        What the comparison brings to light.
    elsewhere : frozenset of str
        Labels with ready endpoints that the client's place leaves out.
    unseen : ExpectationError or None
        Why nothing is observed, if pods may still come.
    unread : ExpectationError or None
        Why nothing is configured, as far as that can be read.
    """

    declared: Expectation | None = None
    configured: Expectation | None = None
    observed: Expectation | None = None
    findings: tuple[Finding, ...] = ()
    elsewhere: frozenset[str] = frozenset()
    unseen: ExpectationError | None = None
    unread: ExpectationError | None = None

    def for_report(self, asked: Expectation) -> tuple[View, ...]:
        """Return what stands in a report beside the expectation.

        Parameters
        ----------
        asked : Expectation
            The one that is judged; the endpoints are listed where their split is another one.
        """
        named = [("declared", self.declared), ("configured", self.configured)]
        if self.observed is not None and _differ(asked, self.observed):
            named.append(("endpoints", self.observed))
        return tuple(
            View(name, each.source, _shares(each)) for name, each in named if each is not None
        )

    def contradiction(self) -> ContradictionError | None:
        """Return the first contradiction between two of them, with both places."""
        return self.undeclared() or self.missing()

    def undeclared(self) -> ContradictionError | None:
        """Return how what is configured is another split than the declared one."""
        if self.declared and self.configured and _differ(self.declared, self.configured):
            return _contradiction(
                FindingCode.DECLARED_DIFFERS,
                f"the declared split is {self.declared.split} ({self.declared.source.where}), "
                f"and the cluster is configured for {self.configured.split} "
                f"({self.configured.source.where})",
                "apply what was declared, or wait until it is applied: kubectl diff -f PATH; "
                "to check what the cluster has, leave out --manifests",
            )
        return None

    def missing(self) -> ContradictionError | None:
        """Find the version that should run and does not, or runs and should not."""
        if self.configured is None or self.observed is None:
            return None
        wanted, seen = _shares(self.configured), _shares(self.observed)
        for label in dict.fromkeys([*wanted, *seen]):
            if bool(wanted.get(label)) == bool(seen.get(label)) or label in self.elsewhere:
                continue
            where = _places(self.configured, label), _places(self.observed, label)
            said = (
                f"{label} is configured ({where[0]}), and none of its endpoints is ready "
                f"({where[1]})"
                if wanted.get(label)
                else f"{label} is not configured ({where[0]}), and its endpoints are ready "
                f"({where[1]})"
            )
            return _contradiction(
                FindingCode.RUNNING_DIFFERS,
                said,
                "wait until the rollout is over: kubectl rollout status; for pods that do not "
                "become ready: kubectl get pods, kubectl describe pod",
            )
        return None


def _contradiction(code: FindingCode, message: str, remedy: str) -> ContradictionError:
    return ContradictionError(Finding(code, message, remedy, ""))


def compare_views(
    declared: Expectation | None, configured: Inventory, running: Inventory, question: Question
) -> Views:
    """Put the three views of a split side by side.

    Parameters
    ----------
    declared : Expectation or None
        From manifests.
    configured, running : Inventory
        The live objects, without and with their endpoints.
    question : Question

    Raises
    ------
    ExpectationError
        If what runs cannot be told, and no roll-out will change that.
    """
    service = running.find("Service", question.service, question.namespace)
    if service is not None:
        refuse_service(service, running)
        if (affinity := affinity_of(service)) is not None:
            raise FoundError(affinity)
    observed: Expectation | None = None
    unseen: ExpectationError | None = None
    try:
        observed = expect(running, question)
    except NotYetError as error:
        unseen = error
    findings: list[Finding] = []
    known: Expectation | None = None
    unread: ExpectationError | None = None
    strangers = [] if observed is None else list(_strangers(running, observed, question))
    if strangers:
        findings += strangers
    else:
        try:
            known = expect(configured, question)
        except ExpectationError as error:
            unread = error
            findings.append(
                Finding(
                    FindingCode.UNREAD,
                    f"the configured split cannot be determined: {error}",
                    error.hint or "",
                    "",
                )
            )
    if observed is None:
        return Views(declared, known, None, tuple(findings), unseen=unseen, unread=unread)
    ready = _ready(running, observed, question)
    if known is not None:
        findings += _unready(known, observed, ready)
    left_out = frozenset(
        label for label, count in ready.items() if count > _endpoints(observed)[label]
    )
    return Views(declared, known, observed, tuple(findings), left_out, unread=unread)


def _strangers(running: Inventory, observed: Expectation, question: Question) -> Iterator[Finding]:
    """Find pods whose owner is of an unsupported kind: its number of replicas is unknown."""
    seen: set[str] = set()
    for service in observed.objects:
        if service.kind != "Service":
            continue
        for endpoint in endpoints_of(service, running, question):
            pod = running.find("Pod", endpoint.pod, service.namespace)
            if pod is None or is_over(pod) or not endpoint.is_ready:
                continue  # what leaves is not part of the split
            kind, name, owner = top_of(pod, running)
            is_known = kind in WORKLOADS and (owner is not None or kind == "Pod")
            if is_known or name in seen:
                continue
            seen.add(name)
            why = "was not found" if kind in WORKLOADS else "is not supported"
            remedy = "nothing to do, if that is as it should be"
            if kind in running.unread:
                why, remedy = "may not be read", "weighbridge rbac prints what the account needs"
            yield Finding(
                FindingCode.UNREAD,
                f"{pod} belongs to {kind} {name}, which {why}: the configured split is unknown, "
                "only the observed one is known",
                remedy,
                pod.place,
            )


def _ready(running: Inventory, observed: Expectation, question: Question) -> Counter[str]:
    """Count the ready endpoints of the Service that is asked, wherever the client stands."""
    service = running.find("Service", question.service, question.namespace)
    if service is None or service not in observed.objects:
        return Counter()
    return ready_by_label(service, running, question)


def _unready(
    configured: Expectation, observed: Expectation, ready: Counter[str]
) -> Iterator[Finding]:
    """Find where fewer, or more, endpoints are there than pods are configured."""
    wanted = _pods(configured)
    seen = _endpoints(observed) | ready
    for number in observed.numbers:
        if number.quantity is Quantity.TERMINATING_ENDPOINTS:
            yield Finding(
                FindingCode.NOT_READY,
                f"no endpoint is ready; {number.value} of {number.towards} still serve while "
                "they terminate, and get the traffic",
                "wait until pods are ready: kubectl rollout status",
                number.where,
            )
    for label, count in wanted.items():
        if count != seen[label]:
            yield Finding(
                FindingCode.NOT_READY,
                f"{label} has {count} configured {'pod' if count == 1 else 'pods'} and "
                f"{seen[label]} that get traffic",
                "wait until the rollout is over: kubectl rollout status; a check judges what is "
                "configured, or with --expected observed what is there",
                _places(configured, label),
            )


def _pods(each: Expectation) -> Counter[str]:
    pods = Counter[str]()
    for number in each.numbers:
        if number.quantity.is_of_pods:
            pods[number.towards] += number.value
    return pods


def _shares(each: Expectation) -> dict[str, float]:
    return {arm: each.split.share(arm) for arm in each.split.arms}


def _differ(one: Expectation, other: Expectation) -> bool:
    first, second = _shares(one), _shares(other)
    return any(
        abs(first.get(label, 0.0) - second.get(label, 0.0)) > 1e-9 for label in {*first, *second}
    )


def _places(each: Expectation, label: str) -> str:
    """Places of the numbers that speak of a label; of all, if none does."""
    places = [number.where for number in each.numbers if number.towards == label]
    return ", ".join(dict.fromkeys(places)) or each.source.where


def describe_change(before: Expectation, after: Expectation) -> tuple[bool, str]:
    """Return whether a change was one of endpoints, and a sentence about it."""
    split = f"the split is {after.split}"
    old, new = _endpoints(before), _endpoints(after)
    moved = [
        f"{label} {old[label]} → {new[label]}"
        for label in dict.fromkeys([*old, *new])
        if old[label] != new[label]
    ]
    if moved:
        return True, f"ready endpoints changed: {', '.join(moved)}; {split}"
    if _differ(before, after):
        return False, f"weights changed: {before.split} → {after.split}"
    return True, f"pods were replaced; the split stays {after.split}"


def _endpoints(each: Expectation) -> Counter[str]:
    found = Counter[str]()
    for number in each.numbers:
        if number.quantity.is_of_endpoints:
            found[number.towards] += number.value
    return found


def endpoint_identities(
    running: Inventory, objects: tuple[KubeObject, ...], question: Question
) -> frozenset[str]:
    """Return the endpoints that get traffic behind some objects' Services, and their addresses.

    A pod whose sandbox is made anew keeps its identity, and gets another address.
    """
    return frozenset(
        f"{endpoint.identity} {endpoint.node['addresses'].value} "
        f"{endpoint.node.owner['ports'].value}"
        for service in objects
        if service.kind == "Service"
        for endpoint in endpoints_of(service, running, question)
        if endpoint.is_ready or (endpoint.is_serving and endpoint.is_terminating)
    )
