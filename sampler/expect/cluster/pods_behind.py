"""The pods behind a Service: which start, crash, or wait for their endpoint. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sampler.base.clock import NS_PER_S
from sampler.base.errors import ExpectationError
from sampler.expect.rules.endpoints import listed
from sampler.expect.rules.objects import selects
from sampler.expect.rules.owners import top_of
from sampler.expect.rules.pods import PodState, is_over, state_of
from sampler.expect.rules.workloads import label_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sampler.expect.rules.model import Question
    from sampler.expect.rules.objects import Inventory, KubeObject

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class PodBehind:
    """A pod that a Service selects, and that is to stay.

    Parameters
    ----------
    label : str
        Its version.
    owner : KubeObject or None
        What declares it, if that was read.
    identity, name : str
    state : PodState
        What its status says.
    is_awaited : bool
        Whether it is ready and no EndpointSlice says so yet, so that it gets no traffic.
    """

    label: str
    owner: KubeObject | None
    identity: str
    name: str
    state: PodState
    is_awaited: bool


def pods_behind(
    services: Sequence[KubeObject], running: Inventory, question: Question
) -> Iterator[PodBehind]:
    """Yield the pods behind Services whose version can be told."""
    for service in services:
        selector = service["spec"]["selector"].texts()
        known = listed(service, running, question)
        for pod in running.of("Pod"):
            is_behind = pod.namespace == service.namespace and selects(selector, pod.labels)
            if not is_behind or is_over(pod):
                continue
            try:
                top = top_of(pod, running)
                label = label_of(pod.root, pod, question, also=service.name, owner_name=top.name)
                state = state_of(pod)
            except ExpectationError:
                continue
            uid = pod["metadata"]["uid"].text("")
            yield PodBehind(
                label,
                top.owner,
                uid or pod.name,
                pod.name,
                state,
                # A pod without a status says nothing.
                is_awaited=pod["status"].exists
                and state.is_ready
                and (pod.name not in known or bool(uid and known[pod.name] not in {"", uid})),
            )


def starting(pods: Sequence[PodBehind]) -> str:
    """Say which pods have not been ready since they started; empty if all have."""
    found = [pod for pod in pods if pod.state.is_starting]
    return f"{len(found)} of {len(pods)} pods are starting: {_name(found)}" if found else ""


def awaited(pods: Sequence[PodBehind]) -> str:
    """Say which pods are ready and get no traffic yet; empty if there are none."""
    found = [pod for pod in pods if pod.is_awaited]
    if not found:
        return ""
    return (
        f"{len(found)} of {len(pods)} pods are ready, and no EndpointSlice has them as ready yet: "
        f"{_name(found)}; --expected observed judges the split of the others"
    )


def trouble_of(pods: Sequence[PodBehind]) -> str:
    """Describe what the pods' status says, by version."""
    told = []
    for label in dict.fromkeys(pod.label for pod in pods):
        of = [pod for pod in pods if pod.label == label]
        bad = [pod for pod in of if pod.state.trouble]
        if bad:
            told.append(f"{label}: {len(bad)} of {len(of)} pods: {_name(bad)}")
    return "; ".join(told)


def _name(pods: Sequence[PodBehind]) -> str:
    """Name some pods, with what is wrong with them."""
    by_trouble: dict[str, list[str]] = {}
    for pod in pods:
        by_trouble.setdefault(pod.state.trouble, []).append(pod.name)
    told = []
    for trouble, names in by_trouble.items():
        shown = ", ".join(names[:_MOST_NAMED]) + (" …" if len(names) > _MOST_NAMED else "")
        told.append(f"{trouble} ({shown})" if trouble else shown)
    return ", ".join(told)


@dataclass
class Crashes:
    """Remembers which containers have crashed, and have to prove that they run.

    Parameters
    ----------
    began : datetime
        Wall time of the first look, for the age of containers that crashed before it.
    """

    began: datetime
    _restarted: dict[str, tuple[int, int]] = field(default_factory=dict, init=False)
    _is_first: bool = field(default=True, init=False)

    def look(self, pods: Sequence[PodBehind], now_ns: int) -> tuple[int | None, str]:
        """Say which version's pods have all crashed, and may just be between crashes.

        Returns
        -------
        again_ns : int or None
            When the first of them will have run for long enough [ns].
        text : str
            One sentence; empty if there is no such version.
        """
        due_ns: dict[str, int] = {}
        unproven: dict[str, list[PodBehind]] = {}
        for pod in pods:
            state = pod.state
            known = self._restarted.get(pod.identity)
            if known is None or known[0] != state.restarts:
                age_s = 0.0
                if self._is_first and state.started_at is not None:
                    age_s = max((self.began - state.started_at).total_seconds(), 0.0)
                known = self._restarted[pod.identity] = (
                    state.restarts,
                    now_ns - round(age_s * NS_PER_S),
                )
            until_ns = known[1] + round(state.proven_after_s * NS_PER_S)
            if state.restarts and until_ns > now_ns:
                unproven.setdefault(pod.label, []).append(pod)
                due_ns[pod.label] = min(due_ns.get(pod.label, until_ns), until_ns)
        self._is_first = False
        for label, crashing in unproven.items():
            if len(crashing) == sum(pod.label == label for pod in pods):
                return due_ns[label], (
                    f"{label} crashes and starts again: {_name(crashing)}; it counts as in service "
                    "when it has run twice as long as before its last crash"
                )
        return None, ""
