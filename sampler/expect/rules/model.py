"""An expectation: a split, the numbers that it was made of, and their places."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto, unique
from fractions import Fraction
from ipaddress import ip_address
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.versions import VersionRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from analysis.data.report import Source
    from analysis.data.split import Split
    from sampler.expect.rules.findings import Finding
    from sampler.expect.rules.objects import KubeObject


OWN_HEADERS = frozenset(
    {"host", "user-agent", "accept", "accept-encoding", "connection", "content-length"}
)
"""Headers that a request has although nobody gave them, by name in lower case."""


class NotYetError(ExpectationError):
    """There is no split yet: a roll-out may still bring what is missing."""


@unique
class Client(StrEnum):
    """Where a client stands."""

    UNKNOWN = "at a place that is not known"
    OUTSIDE = "outside the cluster"
    NODE = "on a node"
    """On its network: also a pod with ``hostNetwork``."""
    POD = "in a pod"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a client stands, and what it addresses.

    Parameters
    ----------
    client : Client
    node : str
        The node of the client; empty if it has none, or that is not known.
    addresses : frozenset of str
        The host of the URL and what it stands for; empty without a URL.
    port : int or None
        Of the URL.
    """

    client: Client = Client.UNKNOWN
    node: str = ""
    addresses: frozenset[str] = frozenset()
    port: int | None = None

    @property
    def families(self) -> tuple[str, ...]:
        """The address family that is asked, if all addresses have the same."""
        found = {f"IPv{version}" for each in self.addresses if (version := _version(each))}
        return tuple(found) if len(found) == 1 else ()


def _version(address: str) -> int:
    """Return the version of an IP address; 0 for a name."""
    try:
        return ip_address(address).version
    except ValueError:
        return 0


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the objects.

    Parameters
    ----------
    service, route : str
        One of them: the Service, or the weighted route as ``NAME`` or ``KIND/NAME``.
    namespace : str
        Empty looks everywhere.
    versions : VersionRule
        How the version of a pod is found.
    renames : mapping of str to str
        Label by version, where the application says another word.
    step : int or None
        Of a progressive delivery: which step is meant.
    host, path : str or None
        Of the requests, where they decide between rules.
    query : str
        Of the URL, without the question mark.
    method : str, default GET
    headers : mapping of str to str
        Sent with each request, by name in lower case; others than `OWN_HEADERS` are not sent.
    node, zone : str
        Where requests enter the cluster, for traffic policies and hints; empty if not given.
    place : Place
        Where the client stands, and what it addresses.
    """

    service: str = ""
    route: str = ""
    namespace: str = ""
    versions: VersionRule = field(default_factory=VersionRule)
    renames: Mapping[str, str] = field(default_factory=dict)
    step: int | None = None
    host: str | None = None
    path: str | None = None
    query: str = ""
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    node: str = ""
    zone: str = ""
    place: Place = field(default_factory=Place)

    @property
    def is_asked(self) -> bool:
        """Whether it is about one object, and not about all that can go wrong."""
        return bool(self.service or self.route)


@unique
class Quantity(Enum):
    """What a number of an expectation counts."""

    WEIGHT = auto()
    """Of a branch of a route, or of a step of a progressive delivery."""
    REPLICAS = auto()
    """Pods that a workload declares."""
    BARE_POD = auto()
    """A pod that no workload owns."""
    AUTOSCALED = auto()
    """Pods of which only an autoscaler knows the number: none is declared."""
    READY_ENDPOINTS = auto()
    TERMINATING_ENDPOINTS = auto()
    """Endpoints that serve while they terminate, because none is ready."""

    @property
    def is_of_pods(self) -> bool:
        """Whether it counts pods that should run."""
        return self in {Quantity.REPLICAS, Quantity.BARE_POD}

    @property
    def is_of_endpoints(self) -> bool:
        """Whether it counts endpoints that get traffic."""
        return self in {Quantity.READY_ENDPOINTS, Quantity.TERMINATING_ENDPOINTS}


@dataclass(frozen=True, slots=True)
class Number:
    """One number that a split was made of.

    Parameters
    ----------
    value : int
        As it was read, or its default.
    quantity : Quantity
        What it counts.
    what : str
        The same for people: ``replicas``, ``weight``, ``setWeight`` …, and whether it is a
        default.
    kind, name, where : str
        The object and the place.
    towards : str
        The label, or the backend, that it gives traffic to.
    """

    value: int
    quantity: Quantity
    what: str
    kind: str
    name: str
    where: str
    towards: str


@dataclass(frozen=True, slots=True)
class Mixture:
    """How traffic is divided among labels behind something.

    Parameters
    ----------
    weights : mapping of str to Fraction
        By label, >= 0; zero stays, because it means "must not answer".
    numbers : tuple of Number
    findings : tuple of Finding
    objects : tuple of KubeObject
        What was looked at.
    """

    weights: Mapping[str, Fraction]
    numbers: tuple[Number, ...] = ()
    findings: tuple[Finding, ...] = ()
    objects: tuple[KubeObject, ...] = ()

    @property
    def total(self) -> Fraction:
        """Sum of the weights."""
        return sum(self.weights.values(), Fraction(0))

    def shares(self) -> dict[str, Fraction]:
        """Return the weights divided by their sum.

        Without a single pod the backend still takes its share, and answers with errors in
        the name of its version. It must have only one: a number cannot be divided among several.
        """
        if self.total:
            return {label: weight / self.total for label, weight in self.weights.items()}
        if len(self.weights) == 1:
            return dict.fromkeys(self.weights, Fraction(1))
        return {}


def only(version: str, question: Question) -> Mixture:
    """Return the pods of one version, of which no more is known."""
    return Mixture({question.renames.get(version, version): Fraction(1)})


def mix(parts: Iterable[tuple[Fraction, Mixture]]) -> Mixture:
    """Multiply weights with what stands behind them, and add up by label.

    A backend of weight zero gives its labels weight zero: they must not answer.

    Raises
    ------
    NotYetError
        If a weight goes to several versions without a single pod between them.
    """
    weights: dict[str, Fraction] = {}
    numbers: list[Number] = []
    findings: list[Finding] = []
    objects: list[KubeObject] = []
    for weight, mixture in parts:
        shares = mixture.shares()
        if not shares and weight:
            raise NotYetError(
                f"a weight of {weight} goes to {', '.join(mixture.weights) or 'nothing'}, "
                f"none of which has a pod: {', '.join(each.where for each in mixture.numbers)}",
                hint="give one of them replicas, or the backend weight 0",
            )
        for label in mixture.weights:
            share = shares.get(label, Fraction(0))
            weights[label] = weights.get(label, Fraction(0)) + weight * share
        numbers += mixture.numbers
        findings += mixture.findings
        objects += mixture.objects
    return Mixture(weights, tuple(numbers), tuple(findings), tuple(objects))


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected split, and where it was read.

    Parameters
    ----------
    split : Split
    source : Source
        The object that decides, and the places of all numbers.
    numbers : tuple of Number
        What the split was made of, in the order in which it was read.
    findings : tuple of Finding
        What reading them brought to light.
    objects : tuple of KubeObject
        What was looked at.
    """

    split: Split
    source: Source
    numbers: tuple[Number, ...] = ()
    findings: tuple[Finding, ...] = ()
    objects: tuple[KubeObject, ...] = ()
