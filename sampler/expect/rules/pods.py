"""What a pod's status says: whether it starts, leaves, fails, or crashes again and again.

References: Kubernetes, PodStatus and ContainerStatus of core/v1; kubelet, back-off of restarted
containers (it is forgotten after ten minutes without a crash).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sampler.expect.rules.objects import KubeObject, Node

PROVEN_S = 600.0
"""A container that ran so long since its last crash counts as sound again [s]."""

_IN_THE_MAKING = frozenset({"", "ContainerCreating", "PodInitializing"})
"""Reasons for which a container waits while all is well."""


@dataclass(frozen=True, slots=True)
class PodState:
    """What a pod's status says of its traffic.

    Parameters
    ----------
    is_ready : bool
        All of its containers take traffic.
    is_starting : bool
        It is not ready, and has not been since its containers started.
    restarts : int
        Of its containers, in all.
    trouble : str
        Why it is not ready, or may soon not be, in a clause for people; empty if all is well.
    started_at : datetime or None
        When the container that crashed last was started again.
    lived_s : float
        How long that container had run before its last crash [s]; 0 if none crashed.
    ready_since : datetime or None
        When it became ready, if it is and says so.
    """

    is_ready: bool = True
    is_starting: bool = False
    restarts: int = 0
    trouble: str = ""
    started_at: datetime | None = None
    lived_s: float = 0.0
    ready_since: datetime | None = None

    @property
    def proven_after_s(self) -> float:
        """How long it must run before a crash is taken to be over [s]: longer than last time."""
        return min(2 * self.lived_s, PROVEN_S) if self.restarts else 0.0


def is_over(pod: KubeObject) -> bool:
    """Whether a pod ends, or has ended: its owner makes another one."""
    return pod.once(_is_over)


def _is_over(pod: KubeObject) -> bool:
    phase = pod["status"]["phase"].text("")
    return pod["metadata"]["deletionTimestamp"].exists or phase in {"Failed", "Succeeded"}


def state_of(pod: KubeObject) -> PodState:
    """Read the status of a pod; one that says nothing is taken to be well."""
    return pod.once(_state_of)


def _state_of(pod: KubeObject) -> PodState:
    status = pod["status"]
    if not status.exists:
        return PodState()
    # An init container that is done says nothing any more of how the pod runs.
    inits = [each for each in status["initContainerStatuses"] if not _is_done(each)]
    containers = [*inits, *status["containerStatuses"]]
    ready = _condition(pod, "Ready")
    is_ready = ready is not None and ready["status"].text("") == "True"
    restarts = sum(each["restartCount"].count(0) for each in containers)
    troubles = [text for each in containers for text in _troubles(each)]
    if not is_ready:
        troubles += _unscheduled(pod)
    crashed = max(containers, key=_crashed_at, default=None)
    # A pod without conditions has just been made.
    is_starting = ready is None or not (is_ready or _was_ready(ready, containers))
    return PodState(
        is_ready=is_ready,
        is_starting=is_starting,
        restarts=restarts,
        trouble=", ".join(dict.fromkeys(troubles))
        or ("" if is_ready or is_starting else "not ready any more"),
        started_at=None
        if crashed is None or not restarts
        else moment(crashed["state"]["running"]["startedAt"].text("")),
        lived_s=0.0 if crashed is None else _lived_s(crashed["lastState"]["terminated"]),
        ready_since=moment(ready["lastTransitionTime"].text("")) if ready and is_ready else None,
    )


def _condition(pod: KubeObject, name: str) -> Node | None:
    conditions = pod["status"]["conditions"]
    return next((each for each in conditions if each["type"].text("") == name), None)


def _was_ready(ready: Node, containers: list[Node]) -> bool:
    """Whether a pod became unready after its containers had first started: it was ready before.

    Of a container that crashed, its last start before that counts, too: a pod that crashed while
    it started is still starting.
    """
    turned = moment(ready["lastTransitionTime"].text(""))
    first = [min(starts) for each in containers if (starts := list(_starts(each)))]
    latest = max(first, default=None)
    return turned is not None and latest is not None and turned > latest


def _starts(container: Node) -> Iterator[datetime]:
    """Yield the starts of a container that are known: of what runs, and of what ended last."""
    ended = (container["state"]["terminated"], container["lastState"]["terminated"])
    for each in (container["state"]["running"], *ended):
        found = moment(each["startedAt"].text(""))
        if found is not None:
            yield found


def _is_done(container: Node) -> bool:
    ended = container["state"]["terminated"]
    return ended.exists and not ended["exitCode"].integer(0)


def _troubles(container: Node) -> Iterator[str]:
    """Yield what is wrong with one container."""
    state, last = container["state"], container["lastState"]["terminated"]
    waiting = state["waiting"]["reason"].text("")
    if waiting not in _IN_THE_MAKING:
        yield waiting
    ended = state["terminated"] if state["terminated"].exists else last
    restarts = container["restartCount"].count(0)
    has_crashed = ended.exists and ended["exitCode"].integer(0) != 0
    if restarts:
        times = "once" if restarts == 1 else f"{restarts} times"
        yield f"restarted {times}"
    if (restarts or has_crashed) and ended.exists:
        reason = ended["reason"].text("") or "ended"
        yield f"last {reason} with exit code {ended['exitCode'].integer(0)}"


def _unscheduled(pod: KubeObject) -> Iterator[str]:
    scheduled = _condition(pod, "PodScheduled")
    if scheduled is not None and scheduled["status"].text("") == "False":
        yield scheduled["reason"].text("") or "not scheduled"


def _crashed_at(container: Node) -> datetime:
    last = container["lastState"]["terminated"]["finishedAt"].text("")
    return moment(last) or datetime.min.replace(tzinfo=UTC)


def _lived_s(ended: Node) -> float:
    began, finished = moment(ended["startedAt"].text("")), moment(ended["finishedAt"].text(""))
    if began is None or finished is None:
        return 0.0
    return max((finished - began).total_seconds(), 0.0)


def moment(text: str) -> datetime | None:
    """Read a time of the API; None if it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
