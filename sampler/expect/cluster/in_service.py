"""Which versions are in service, and which of them were lost though nobody meant it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from sampler.expect.cluster.pods_behind import PodBehind
    from sampler.expect.rules.objects import KubeObject
    from sampler.expect.views import Views


class InService:
    """Follows the versions of a check from one look at the cluster to the next."""

    def __init__(self) -> None:
        self._served: dict[str, object] = {}  # with what was configured for each of them then
        self._alive: dict[str, set[object]] = {}  # ready pods, and the times since when they are

    def gone(
        self, views: Views, ready: Counter[str], pods: Sequence[PodBehind], *, is_routed: bool
    ) -> str:
        """Return a version that should be in service and has no ready endpoint; or nothing.

        Parameters
        ----------
        views : Views
        ready : Counter of str
            Ready endpoints by version.
        pods : sequence of PodBehind
        is_routed : bool
            Whether a route is asked: the Services behind it may be of another namespace, or
            none at all, so that nothing is known of the versions without a pod here.
        """
        if views.configured is None:  # what had some, and has none
            return min((label for label in self._served if not ready[label]), default="")
        split = views.configured.split
        known = {*self._served, *(pod.label for pod in pods)} if is_routed else None
        gone = (
            arm
            for arm in split.arms
            if split.share(arm) and not ready[arm] and (known is None or arm in known)
        )
        return next(gone, "")

    def outage(
        self, gone: str, trouble: str, views: Views, pods: Sequence[PodBehind]
    ) -> tuple[str, str]:
        """Return what was out of service though nobody meant it, in a sentence, and its version.

        Both are empty if nothing was. What happened while the cluster could not be watched is
        told by what is there afterwards: a version none of whose pods has stayed ready is lost.
        """
        before, now = self._alive, dict[str, set[object]]()
        for pod in pods:
            if pod.state.is_ready:
                now.setdefault(pod.label, set()).add((pod.identity, pod.state.ready_since))
        self._alive = now
        others = (each for each in before if before[each].isdisjoint(now.get(each, before[each])))
        label = gone or next(others, "")
        if not label or self._served.get(label, "") != _configured_for(label, views, pods):
            return "", ""
        how = f"under an {'unchanged' if views.configured else 'unknown'} configuration"
        if gone:
            return f"{label} lost its last ready endpoint {how}{because(trouble)}", label
        return f"{label} lost all of its ready pods {how}, and has others now", label

    def note(self, ready: Counter[str], views: Views, pods: Sequence[PodBehind]) -> None:
        """Remember which versions are in service, while nothing holds the judging back."""
        self._served |= {
            label: _configured_for(label, views, pods) for label, n in ready.items() if n
        }


def because(trouble: str) -> str:
    """Put a reason in brackets, if there is one."""
    return f" ({trouble})" if trouble else ""


def _configured_for(label: str, views: Views, pods: Sequence[PodBehind]) -> object:
    """Return what is configured for one version: its weight, and all specs but those of others."""
    if views.configured is None:
        return None
    mine: set[KubeObject | None] = set()
    others: set[KubeObject | None] = set()
    for pod in pods:
        (mine if pod.label == label else others).add(pod.owner)
    specs = [
        (one.kind, one.full_name, one.body.get("spec"))
        for one in views.configured.objects
        if one in mine or one not in others
    ]
    return views.configured.split.weight_of.get(label), specs
