"""What the embedded Service consists of, and what it counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import TYPE_CHECKING, Any

from sampler.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DELAY_S = 60.0
"""Longest delay of an answer, and longest life of a request that is never answered [s]."""

MAX_PODS = 10_000
"""Most pods of one Service."""


@unique
class Fate(Enum):
    """What a pod does with a request that it read completely."""

    ANSWERED = "answered"
    DROPPED = "dropped"
    HUNG = "hung"
    RESET = "reset"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with a pod.

    Parameters
    ----------
    drop : float
        Fraction of requests on which the connection is closed without an answer.
    hang : float
        Fraction never answered; the connection stays open until the client goes, for
        `MAX_DELAY_S` at most.
    reset : float
        Fraction answered up to the middle of the body, and reset there.
    error : float
        Fraction answered with 503 and a body without a label. The fractions lie in
        [0, 1], and so does their sum; one draw decides the fate of each request.
    delay_s : float
        Every request waits so long before its fate [s], in [0, `MAX_DELAY_S`].
    html : bool
        Answer with an HTML page, as a captive login page would.

    Raises
    ------
    UsageError
        If a value lies outside its range.
    """

    drop: float = 0.0
    hang: float = 0.0
    reset: float = 0.0
    error: float = 0.0
    delay_s: float = 0.0
    html: bool = False

    def __post_init__(self) -> None:
        for name in ("drop", "hang", "reset", "error"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise UsageError(f"{name} must be a fraction in [0, 1], got {value!r}")
        if self.drop + self.hang + self.reset + self.error > 1 + 1e-9:
            raise UsageError("drop, hang, reset and error must not sum to more than 1")
        if not 0 <= self.delay_s <= MAX_DELAY_S:
            raise UsageError(f"delay_s must lie in [0, {MAX_DELAY_S:g}] s, got {self.delay_s!r}")

    @property
    def is_harmless(self) -> bool:
        """Whether every request is answered at once."""
        return not (self.drop or self.hang or self.reset or self.error or self.delay_s)

    def fate(self, draw: float) -> Fate:
        """Return what happens to the request that drew `draw`, uniform in [0, 1)."""
        for share, fate in (
            (self.drop, Fate.DROPPED),
            (self.hang, Fate.HUNG),
            (self.reset, Fate.RESET),
            (self.error, Fate.ERROR),
        ):
            if draw < share:
                return fate
            draw -= share
        return Fate.ANSWERED


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod.

    Parameters
    ----------
    name : str
        Answered as ``host``.
    label : str
        Answered as ``label``: the version.
    faults : Faults
        What is wrong with it.
    """

    name: str
    label: str
    faults: Faults = Faults()


@dataclass(frozen=True, slots=True)
class Service:
    """Pods behind one address.

    Parameters
    ----------
    pods : tuple of Pod
        The ready ones. Without any, each connection is reset, as kube-proxy rejects the
        traffic of a Service without endpoints.
    seed : int or None
        Makes the picks and the fates repeat; None takes entropy from the system.

    Raises
    ------
    UsageError
        If there are too many pods, or two of one name.
    """

    pods: tuple[Pod, ...]
    seed: int | None = None

    def __post_init__(self) -> None:
        if len(self.pods) > MAX_PODS:
            raise UsageError(f"expected at most {MAX_PODS} pods, got {len(self.pods)}")
        for name, times in Counter(pod.name for pod in self.pods).items():
            if times > 1:
                raise UsageError(f"expected pods with names of their own, got {name!r} twice")


@dataclass(frozen=True, slots=True)
class Counts:
    """What a Service counted since it started, or since its counts were reset.

    A request counts when it was read completely, before its fate comes to pass: what a
    client saw is therefore already counted, and a client that left meanwhile is counted too.

    Parameters
    ----------
    connections : int
        Connections accepted.
    rejected : int
        Requests that were not HTTP, answered with 400 or 411; not part of `requests`.
    requests : Counter of (str, Fate)
        Requests by label and fate.
    hosts : Counter of str
        Requests by name of the pod.
    """

    connections: int = 0
    rejected: int = 0
    requests: Counter[tuple[str, Fate]] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All requests that were read completely."""
        return self.requests.total()

    def of(self, label: str) -> Counter[Fate]:
        """Return the requests of one label by fate."""
        return Counter({fate: n for (which, fate), n in self.requests.items() if which == label})

    def by_fate(self) -> Counter[Fate]:
        """Return the requests of all labels by fate."""
        totals: Counter[Fate] = Counter()
        for (_, fate), n in self.requests.items():
            totals[fate] += n
        return totals


def pods_of(
    weights: Mapping[str, int], faults: Mapping[str, Faults] | None = None
) -> tuple[Pod, ...]:
    """Return the pods of one Deployment for each label, named as in a canary release.

    Parameters
    ----------
    weights : mapping of str to int
        Pods by label, >= 0. The first label's are named ``app-1`` …, the second's
        ``app-canary-1`` …, the third's ``app-canary2-1`` ….
    faults : mapping of str to Faults
        By label; labels that are not named are healthy.

    Raises
    ------
    UsageError
        If a number of pods is negative or too large, or faults name an unknown label.
    """
    faults = faults or {}
    unknown = sorted(set(faults) - set(weights))
    if unknown:
        raise UsageError(
            f"faults name the label {unknown[0]!r}, which has no pods",
            hint=f"name one of {', '.join(weights)}",
        )
    for label, replicas in weights.items():
        if not 0 <= replicas <= MAX_PODS:
            raise UsageError(f"expected 0 to {MAX_PODS} pods of {label!r}, got {replicas}")
    return tuple(
        Pod(f"{_deployment(position)}-{number}", label, faults.get(label, Faults()))
        for position, (label, replicas) in enumerate(weights.items())
        for number in range(1, replicas + 1)
    )


def _deployment(position: int) -> str:
    if position == 0:
        return "app"
    return "app-canary" if position == 1 else f"app-canary{position}"


def counts_to_json(counts: Counts) -> dict[str, object]:
    """Return counts as the control channel carries them."""
    return {
        "connections": counts.connections,
        "rejected": counts.rejected,
        "requests": [[label, fate.value, n] for (label, fate), n in counts.requests.items()],
        "hosts": dict(counts.hosts),
    }


def counts_from_json(document: Mapping[str, Any]) -> Counts:
    """Return the counts that `counts_to_json` wrote."""
    return Counts(
        connections=document["connections"],
        rejected=document["rejected"],
        requests=Counter({(label, Fate(fate)): n for label, fate, n in document["requests"]}),
        hosts=Counter(document["hosts"]),
    )
