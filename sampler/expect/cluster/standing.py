"""Which split is judged now, or why none is: a fold over everything that moves.

Three sources are held against each other at each look: what is declared in manifests, what the
routes and workloads are configured for, and which endpoints get traffic. `docs/cluster.md` has the
states as a diagram. Pure: it reads no clock and no socket.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import TYPE_CHECKING

from analysis.data.report import ReasonCode
from sampler.base.errors import ExpectationError
from sampler.expect.cluster.in_service import InService, because
from sampler.expect.cluster.pods_behind import (
    Crashes,
    PodBehind,
    awaited,
    pods_behind,
    starting,
    trouble_of,
)
from sampler.expect.rules.endpoints import endpoints_of, ready_by_label
from sampler.expect.rules.findings import FindingCode
from sampler.expect.rules.model import NotYetError, Quantity
from sampler.expect.rules.owners import controller_of
from sampler.expect.rules.places import door_of, zone_of
from sampler.expect.rules.progress import progress_of
from sampler.expect.views import compare_views, endpoint_identities

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sampler.expect.cluster.state import ClusterState
    from sampler.expect.rules.model import Expectation, Place, Question
    from sampler.expect.rules.objects import Inventory, KubeObject
    from sampler.expect.views import Views


_CRASHES = (
    "Find out why it crashes (kubectl logs --previous, kubectl describe pod), or give it the time "
    "to prove itself with --wait and --max-time."
)


@unique
class Deciding(StrEnum):
    """Which of the three splits is judged."""

    DECLARED = "declared"
    CONFIGURED = "configured"
    OBSERVED = "observed"


@dataclass(frozen=True, slots=True)
class Held:
    """Why nothing is judged.

    Parameters
    ----------
    code : ReasonCode
        DECLARED_DIFFERS or EXPECTATION_MOVED.
    text : str
        One sentence, with the places.
    remedy : str
        What to do about it; empty if nothing else than the code says.
    """

    code: ReasonCode
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look at the cluster says.

    Parameters
    ----------
    asked : Expectation or None
        The split that is judged; None if it is not known.
    observed : Expectation or None
        That of the endpoints.
    held : Held or None
        Why nothing is judged, if so.
    outage, lost : str
        What is out of service under an unchanged configuration, in a sentence, and which
        version that is; empty if none is.
    trouble : str
        What the pods' status says, for people; empty if all are well.
    configurations : int
        How many configurations have been seen.
    pods : frozenset of str
        The endpoints that get traffic.
    made_of : tuple of KubeObject
        What people and their tools write of what the split is made of.
    again_ns : int or None
        When to look again even if nothing changes, on the clock of the run [ns].
    """

    asked: Expectation | None = None
    observed: Expectation | None = None
    held: Held | None = None
    outage: str = ""
    lost: str = ""
    trouble: str = ""
    configurations: int = 0
    pods: frozenset[str] = frozenset()
    made_of: tuple[KubeObject, ...] = ()
    again_ns: int | None = None


@dataclass
class Standing:
    """Folds looks at a cluster into what is judged.

    Parameters
    ----------
    question : Question
    declared : Expectation or None
        From manifests.
    deciding : Deciding or None
        Which split is judged. None takes the declared one, else the configured one, else the
        observed one; the observed one, too, where the client's place leaves endpoints out.
    began : datetime
        Wall time of the first look, for the age of containers that crashed before it.
    """

    question: Question
    declared: Expectation | None
    deciding: Deciding | None
    began: datetime
    _configuration: object = field(default=None, init=False)
    _configurations: int = field(default=0, init=False)
    _is_addressed: bool = field(default=False, init=False)
    _in_service: InService = field(default_factory=InService, init=False)
    _crashes: Crashes = field(init=False)

    def __post_init__(self) -> None:
        self._crashes = Crashes(self.began)

    def look(self, state: ClusterState, now_ns: int) -> Sight:
        """Return what the objects known now say.

        Parameters
        ----------
        state : ClusterState
        now_ns : int
            On the clock of the run [ns].

        Raises
        ------
        ExpectationError
            If no split can be read, and no roll-out will change that.
        """
        running = state.running()
        views = compare_views(self.declared, state.configured(), running, self.question)
        self._take_configuration(views)
        services = self._services(views, running)
        pods = list(pods_behind(services, running, self.question))
        again_ns, unproven = self._crashes.look(pods, now_ns)
        ready, is_whole = self._ready(services, running)
        if any(each["spec"]["publishNotReadyAddresses"].value is True for each in services):
            # Their endpoints are ready whatever becomes of the pods.
            sound = {pod.label for pod in pods if pod.state.is_ready}
            ready = Counter({label: n for label, n in ready.items() if label in sound})
        # A pod whose object went before its endpoint says nothing of the others.
        is_routed = not self.question.service
        gone = self._in_service.gone(views, ready, pods, is_routed=is_routed) if is_whole else ""
        trouble = trouble_of(pods)
        held = (
            _undeclared(views)
            or self._unread(views)
            or self._readdressed(services, running)
            or _unobserved(views)
            or (self._missing(views, gone, trouble) if is_whole else None)
            or _moving(views, pods)
            or self._unready_here(views, services, running)
            or (_moved(unproven, _CRASHES) if unproven else None)
            or self._awaited(pods)
        )
        outage, lost = self._in_service.outage(gone, trouble, views, pods)
        if held is None:
            self._in_service.note(ready, views, pods)
        return Sight(
            asked=self._asked(views, is_near=bool(views.elsewhere)),
            observed=views.observed,
            held=held,
            outage=outage,
            lost=lost,
            trouble=trouble,
            configurations=self._configurations,
            pods=frozenset()
            if views.observed is None
            else endpoint_identities(running, views.observed.objects, self.question),
            made_of=tuple(_written(views)),
            again_ns=again_ns,
        )

    def _asked(self, views: Views, *, is_near: bool) -> Expectation | None:
        """Return the split that is judged."""
        by_name = {
            Deciding.DECLARED: views.declared,
            Deciding.CONFIGURED: views.configured,
            Deciding.OBSERVED: views.observed,
        }
        if self.deciding is not None:
            return by_name[self.deciding]
        if is_near or (views.declared is None and not self._configurations):
            return views.observed
        return views.declared or views.configured

    def _take_configuration(self, views: Views) -> None:
        """Remember what is configured, and count the configurations."""
        if views.configured is None:
            return
        now = _configuration(views.configured)
        if now != self._configuration:
            self._configuration = now
            self._configurations += 1

    def _unread(self, views: Views) -> Held | None:
        """Hold back while what was configured, and decides, cannot be read."""
        if views.configured is None and (
            isinstance(views.unread, NotYetError)
            or self._configurations
            or self.deciding is Deciding.CONFIGURED
        ):
            unread = (each for each in views.findings if each.code is FindingCode.UNREAD)
            said = next((each.message for each in unread), "the configured split is not known")
            known = views.declared
            return _moved(
                f"{known.split} is declared ({known.source.where}), and {said}" if known else said
            )
        return None

    def _readdressed(self, services: list[KubeObject], running: Inventory) -> Held | None:
        """Hold back once the Service has no more the address, or the node port, that is asked."""
        place = self.question.place
        if any(door_of(each, running, place) and _has_port(each, place) for each in services):
            self._is_addressed = True
        elif services and self._is_addressed:
            asked = ", ".join(sorted(place.addresses))
            port = "" if place.port is None else f", port {place.port}"
            return _moved(
                f"{services[0]} has no longer the address that is asked ({asked}{port})",
                "Check again: its address is looked up anew (kubectl get service).",
            )
        return None

    def _missing(self, views: Views, gone: str, trouble: str) -> Held | None:
        """Hold back while a version that should be in service is not, or one too many is."""
        if views.configured is None:
            if not gone:
                return None
            return _moved(
                f"{gone} had ready endpoints and has none{because(trouble)}; whether that is "
                "meant cannot be read, because its configured replicas are not known"
            )
        contradiction = views.missing()
        why = because("; ".join(filter(None, (trouble, _rolling(views)))))
        if contradiction is not None:
            return _moved(f"{contradiction}{why}")
        return _moved(f"{gone} has no ready endpoint{why}") if gone else None

    def _unready_here(
        self, views: Views, services: list[KubeObject], running: Inventory
    ) -> Held | None:
        """Hold back where a place's share is what is judged, and some of its pods do not serve.

        What the endpoints of one place give is declared nowhere: that it is what was meant can
        be taken only while all of them serve.
        """
        if self.deciding is not None or not views.elsewhere:
            return None
        node = self.question.node or self.question.place.node
        zone = self.question.zone or zone_of(node, running)
        here = [
            each
            for service in services
            for each in endpoints_of(service, running, self.question)
            if not each.is_terminating
            and ((node and each.host == node) or (zone and each.node["zone"].text("") == zone))
        ]
        bad = sum(not each.is_ready for each in here)
        if not bad:
            return None
        return _moved(
            f"{bad} of {len(here)} endpoints at this client's place are not ready; "
            "--expected observed judges the split of the others"
        )

    def _awaited(self, pods: list[PodBehind]) -> Held | None:
        """Hold back while the slices lag behind the pods, unless the slices are asked about."""
        text = "" if self.deciding is Deciding.OBSERVED else awaited(pods)
        return _moved(text) if text else None

    def _services(self, views: Views, running: Inventory) -> list[KubeObject]:
        objects = [
            each
            for view in (views.configured, views.observed)
            if view is not None
            for each in view.objects
            if each.kind == "Service"
        ]
        if not objects and self.question.service:
            found = running.find("Service", self.question.service, self.question.namespace)
            objects = [] if found is None else [found]
        return list({(each.namespace, each.name): each for each in objects}.values())

    def _ready(self, services: list[KubeObject], running: Inventory) -> tuple[Counter[str], bool]:
        """Count the ready endpoints of each version, and tell whether all could be told."""
        found, is_whole = Counter[str](), True
        for each in services:
            try:
                found += ready_by_label(each, running, self.question)
            except ExpectationError:
                is_whole = False
        return found, is_whole


def _moved(text: str, remedy: str = "") -> Held:
    return Held(ReasonCode.EXPECTATION_MOVED, text, remedy)


def _configuration(each: Expectation) -> object:
    """Return what tells one configuration from another: the split, and the specs behind it."""
    specs = [
        (one.kind, one.full_name, one.body.get("spec"))
        for one in each.objects
        if one.kind not in {"Pod", "EndpointSlice"}
    ]
    return each.split, specs


def _written(views: Views) -> Iterator[KubeObject]:
    """Return the live objects behind a split that no controller makes anew."""
    for view in (views.configured, views.observed):
        for each in () if view is None else view.objects:
            if each.kind not in {"Pod", "EndpointSlice"} and not each.once(controller_of):
                yield each


def _has_port(service: KubeObject, place: Place) -> bool:
    """Whether a Service has the port that is asked, as far as either is known."""
    ports = {port[key].value for port in service["spec"]["ports"] for key in ("port", "nodePort")}
    return not ports or place.port is None or place.port in ports


def _undeclared(views: Views) -> Held | None:
    differs = views.undeclared()
    return None if differs is None else Held(ReasonCode.DECLARED_DIFFERS, str(differs))


def _unobserved(views: Views) -> Held | None:
    """Hold back while no endpoint is ready."""
    if views.observed is None:
        return _moved(f"{views.unseen}{because(_rolling(views))}")
    leaving = [
        number
        for number in views.observed.numbers
        if number.quantity is Quantity.TERMINATING_ENDPOINTS
    ]
    if not leaving:
        return None
    count = sum(number.value for number in leaving)
    return _moved(
        f"no endpoint is ready; {count} that terminate still get the traffic ({leaving[0].where})"
    )


def _moving(views: Views, pods: list[PodBehind]) -> Held | None:
    """Hold back while a roll-out is under way: mixed templates, or pods that start."""
    text = _rolling(views) or starting(pods)
    return _moved(text) if text else None


def _rolling(views: Views) -> str:
    """Return which workload is being rolled out, and how far it is; empty if none is."""
    known = views.configured or views.observed
    told = (
        f"{each} is being rolled out: {progress}"
        for each in (() if known is None else known.objects)
        if (progress := progress_of(each))
    )
    return next(told, "")
