"""The live objects of a cluster: read once, and kept up to date by watching.

`read` lists what a question may depend on. `ClusterState` is what is known; it makes the inventory
that the rules ask. Nothing here decides what a number means.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sampler.base.errors import ExpectationError
from sampler.expect.cluster.answers import AbsentError, ForbiddenError
from sampler.expect.cluster.resources import (
    CONTEXT,
    EXTENSIONS,
    PODS,
    WORKLOADS,
    Resource,
    served,
    versions_of,
)
from sampler.expect.resolve import ROUTES
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.objects import Inventory, KubeObject
from sampler.expect.rules.owners import controller_of
from sampler.expect.rules.pods import is_over, moment, state_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from sampler.expect.cluster.api import Cluster
    from sampler.expect.rules.model import Question
    from sampler.expect.rules.objects import Path

Key = tuple[Resource, str]
"""A resource in a namespace: what is listed and watched as one."""

_CHANGED_AT = "endpoints.kubernetes.io/last-change-trigger-time"
_NOISE = ("resourceVersion", "managedFields")
_PROGRESS_OF: dict[str, tuple[str, ...]] = {
    "Deployment": ("observedGeneration", "replicas", "updatedReplicas", "conditions"),
    "StatefulSet": (
        "observedGeneration", "replicas", "updatedReplicas", "currentRevision", "updateRevision",
    ),
    "ReplicaSet": ("observedGeneration", "replicas", "conditions"),
    "DaemonSet": ("observedGeneration", "desiredNumberScheduled", "updatedNumberScheduled"),
}  # fmt: skip
"""The part of a workload's status that says how far a roll-out is."""
_NEEDED = frozenset(each.kind for each in PODS)
_HELPERS = frozenset({"DestinationRule", "ReferenceGrant"})


def live_object(body: Mapping[str, Any]) -> KubeObject:
    """Make an object whose places are kind, name and generation."""
    metadata = body.get("metadata") or {}
    name = "/".join(str(metadata[key]) for key in ("namespace", "name") if metadata.get(key))
    generation = metadata.get("generation")
    age = (
        f"generation {generation}"
        if generation is not None
        else f"resourceVersion {metadata.get('resourceVersion', 'unknown')}"
    )
    place = f"{body.get('kind')} {name}, {age}"

    def locate(_: Path) -> str:
        return place

    return KubeObject(body, locate)


@dataclass
class ClusterState:
    """The objects of a cluster, as last read.

    Parameters
    ----------
    objects : dict
        By resource and namespace, then by name.
    versions : dict
        Where the watch of each goes on from.
    findings : list of Finding
        What could not be read.
    refused : list of ForbiddenError
        The refusals without which no split can be read.
    unread : set of str
        Kinds that the account may not list.
    ahead_s : float
        By how much the clock of this machine is ahead of the API server's [s].
    """

    objects: dict[Key, dict[str, KubeObject]] = field(default_factory=dict)
    versions: dict[Key, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    refused: list[ForbiddenError] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    ahead_s: float = 0.0

    def running(self) -> Inventory:
        """Return the objects with the endpoints that are there."""
        return Inventory([*self._all()], has_endpoints=True, unread=self.unread)

    def configured(self) -> Inventory:
        """Return the objects that people and controllers configure: without pods and slices.

        What a controller owns is left out: its owner says how many there should be. So are pods
        that end or have ended: nobody makes them again.
        """
        configured: list[KubeObject] = []
        pods: list[KubeObject] = []
        for each in self._all():
            is_owned = each.kind == "Pod" and bool(each.once(controller_of))
            if is_owned or each.kind != "Pod" or not is_over(each):
                (pods if is_owned else configured).append(each)
        return Inventory(
            [each for each in configured if each.kind != "EndpointSlice"],
            unread=self.unread,
            pods=pods,
            live=[namespace for resource, namespace in self.objects if resource.kind == "Service"],
        )

    def _all(self) -> Iterator[KubeObject]:
        for objects in self.objects.values():
            yield from objects.values()

    def has(self, wanted: KubeObject) -> bool:
        """Whether an object is still there, or another one in its place."""
        return any(
            wanted.name in objects
            for (resource, namespace), objects in self.objects.items()
            if (resource.kind, namespace) == (wanted.kind, wanted.namespace)
        )

    def take(self, key: Key, items: Iterable[Mapping[str, Any]], version: str) -> bool:
        """Replace what is known of a resource; return whether anything that matters changed."""
        is_news = self.differs(key, items := list(items))
        self.objects[key] = {each.name: each for each in map(live_object, items)}
        self.versions[key] = version
        return is_news

    def differs(self, key: Key, items: Iterable[Mapping[str, Any]]) -> bool:
        """Whether what is known of a resource is anything else that matters."""
        fresh = {each.name: each for each in map(live_object, items)}
        before = self.objects.get(key, {})
        return fresh.keys() != before.keys() or any(
            _essence(each) != _essence(before[name]) for name, each in fresh.items()
        )

    def apply(self, key: Key, kind: str, body: Mapping[str, Any]) -> bool:
        """Apply a watch event; return whether anything that matters changed."""
        each = live_object(body)
        version = (body.get("metadata") or {}).get("resourceVersion")
        if version:
            self.versions[key] = str(version)
        known = self.objects.setdefault(key, {})
        if kind == "BOOKMARK":
            return False
        if kind == "DELETED":
            return known.pop(each.name, None) is not None
        before = known.get(each.name)
        known[each.name] = each
        return before is None or _essence(before) != _essence(each)


def _essence(each: KubeObject) -> dict[str, Any]:
    """Return the part of an object that can move a split; pods and workloads report much more."""
    body = {key: value for key, value in each.body.items() if key != "status"}
    if each.kind == "Pod":
        body["status"] = _health(each)
    else:
        status = body["status"] = each.body.get("status") or {}
        if each.kind in _PROGRESS_OF and isinstance(status, dict):
            body["status"] = {key: status.get(key) for key in _PROGRESS_OF[each.kind]}
    metadata = each.body.get("metadata") or {}
    body["metadata"] = {key: value for key, value in metadata.items() if key not in _NOISE}
    return body


def _health(pod: KubeObject) -> object:
    """Return what a pod's status says; a status that cannot be read is one of its own."""
    try:
        return state_of(pod)
    except ExpectationError:
        return pod.body.get("status")


async def read(cluster: Cluster, question: Question) -> ClusterState:
    """List what a question may depend on.

    Parameters
    ----------
    cluster : Cluster
        Connected.
    question : Question
        With its namespace.

    Returns
    -------
    ClusterState
        Where the account may not read what a split is made of, `refused` says so; the rest of
        what it may not read, or what the server does not have, is a finding or nothing.

    Raises
    ------
    ClusterError
        If the server cannot be reached or does not answer.
    """
    state = ClusterState()
    resources = [*PODS, *WORKLOADS, *CONTEXT]
    try:
        resources += await _extensions(cluster)
    except ForbiddenError as error:
        for kind in {kind for kinds in EXTENSIONS.values() for kind in kinds.values()}:
            _note(state, error, kind, "all namespaces", question)
    await _list_all(cluster, state, [(each, question.namespace) for each in resources], question)
    if question.route:
        helpers = [each for each in resources if each.kind in _HELPERS]
        more = [
            (each, namespace)
            for namespace in sorted(_mentioned(state) - {question.namespace})
            for each in (*PODS, *WORKLOADS, *helpers)
        ]
        await _list_all(cluster, state, more, question)
    state.ahead_s = cluster.ahead_s
    return state


async def _extensions(cluster: Cluster) -> list[Resource]:
    """Find out which of the known extensions the server has, and in which version."""
    versions = versions_of(await cluster.get("/apis"))
    pairs = [(group, version) for group, every in versions.items() for version in every]
    answers = await asyncio.gather(
        *(_answer(cluster, f"/apis/{group}/{version}") for group, version in pairs)
    )
    return [
        resource
        for group in versions
        for resource in served(
            group,
            [
                (version, answer)
                for (of, version), answer in zip(pairs, answers, strict=True)
                if of == group
            ],
        )
    ]


async def _answer(cluster: Cluster, path: str) -> dict[str, Any]:
    try:
        return await cluster.get(path)
    except (AbsentError, ForbiddenError):
        return {}


async def _list_all(
    cluster: Cluster, state: ClusterState, keys: list[Key], question: Question
) -> None:
    async def one(key: Key) -> None:
        resource, namespace = key
        try:
            listing = await cluster.list(resource, namespace)
        except AbsentError:
            return
        except ForbiddenError as error:
            _note(state, error, resource.kind, namespace, question)
            return
        state.take(key, listing.items, listing.version)

    await asyncio.gather(*map(one, keys))
    # In the order of the question, whatever came first.
    state.objects = dict(sorted(state.objects.items(), key=lambda item: _rank(keys, item[0])))


def _rank(keys: list[Key], key: Key) -> int:
    return keys.index(key) if key in keys else -1


def _note(
    state: ClusterState,
    error: ForbiddenError,
    kind: str,
    namespace: str,
    question: Question,
) -> None:
    wanted = question.route.rpartition("/")[0].lower()
    is_needed = kind in _NEEDED or kind.lower() == wanted
    state.unread.add(kind)
    if is_needed:
        state.refused.append(error)
    state.findings.append(
        Finding(
            FindingCode.FORBIDDEN if is_needed else FindingCode.UNREAD,
            str(error),
            error.hint or "",
            f"namespace {namespace}",
        )
    )


def _mentioned(state: ClusterState) -> set[str]:
    """Namespaces that routes refer to."""
    found: set[str] = set()
    for (resource, _), objects in state.objects.items():
        if resource.kind not in ROUTES and resource.kind not in _HELPERS:
            continue
        pending: list[Any] = [each.body.get("spec") for each in objects.values()]
        while pending:
            here = pending.pop()
            if isinstance(here, dict):
                found |= set(_namespaces(here))
                pending += here.values()
            elif isinstance(here, list):
                pending += here
    return found


def _namespaces(node: Mapping[str, Any]) -> Iterator[str]:
    """Return the namespaces that one mapping of a route's spec names, as field or in a host."""
    namespace, host = node.get("namespace"), node.get("host")
    if isinstance(namespace, str) and isinstance(node.get("name"), str):
        yield namespace
    if isinstance(host, str):
        parts = host.split(".")
        if len(parts) == 2 or (len(parts) > 2 and parts[2] == "svc"):
            yield parts[1]


def watched(state: ClusterState, question: Question, kinds: Iterable[str]) -> list[Key]:
    """Return what has to be watched during a run.

    Parameters
    ----------
    state : ClusterState
        What was read.
    question : Question
    kinds : iterable of str
        Kinds of the objects that the split was made of.
    """
    workloads = {resource.kind for resource in WORKLOADS}
    wanted = {"Service", "EndpointSlice", "Pod", *workloads, *kinds}
    if question.route:
        wanted |= {
            resource.kind
            for (resource, _), objects in state.objects.items()
            if objects and resource.kind in {*ROUTES, *_HELPERS}
        }
    return [key for key in state.objects if key[0].kind in wanted]


def changed_at(objects: Iterable[KubeObject]) -> datetime | None:
    """Return when something that moves a split was last changed, as far as objects tell.

    Slices say when the change that they follow was made; pods, when they became ready; all
    objects, when somebody last wrote to them (status left out).
    """
    times = [
        time for each in objects for text in _times(each) if (time := moment(text)) is not None
    ]
    return max(times, default=None)


def _times(each: KubeObject) -> Iterator[str]:
    metadata = each["metadata"]
    yield metadata["creationTimestamp"].text("")
    yield metadata["deletionTimestamp"].text("")
    yield metadata["annotations"][_CHANGED_AT].text("")
    for condition in each["status"]["conditions"] if each.kind == "Pod" else ():
        if condition["type"].text("") == "Ready":
            yield condition["lastTransitionTime"].text("")
    for entry in metadata["managedFields"] if each.kind != "Pod" else ():
        if entry["subresource"].text("") != "status":
            yield entry["time"].text("")


def refuse_unreadable(state: ClusterState) -> None:
    """Refuse to go on without what a split is made of.

    Raises
    ------
    ExpectationError
        The first refusal of the API server.
    """
    if state.refused:
        said = dict.fromkeys(map(str, state.refused))
        raise ExpectationError("; ".join(said), hint=state.refused[0].hint)


def in_namespace(question: Question, namespace: str) -> Question:
    """Return the question with the namespace of the context, where none was asked for."""
    return question if question.namespace else replace(question, namespace=namespace)
