"""What every data plane looks like to a test: started with weights, it has a URL and counts.

A plane says what its documentation promises: whether it chooses a pod for each connection or
for each request, and whether by chance or by going round. The tests find out whether that is
so; nothing here is taken from them.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from tests.network.bed import lay
from tests.network.planes.waiting import wait_until_answered

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from tests.network.bed import Bed


class Unit(Enum):
    """What one choice of a pod holds for."""

    CONNECTION = "connection"
    REQUEST = "request"


class Regime(Enum):
    """How the shares of many choices spread around the weights."""

    BINOMIAL = "binomial"
    UNDER_DISPERSED = "under-dispersed"
    OVER_DISPERSED = "over-dispersed"


class Plane(Protocol):
    """One way to split traffic, done by the program that really does it."""

    @property
    def name(self) -> str:
        """For people, and for the test's id."""

    @property
    def program(self) -> str:
        """Which program has to be installed, as `tests.requirements` knows it."""

    @property
    def unit(self) -> Unit:
        """What one choice holds for."""

    @property
    def regime(self) -> Regime:
        """How its shares spread."""

    def steer(self, bed: Bed, weights: Mapping[str, int]) -> AbstractContextManager[str]:
        """Split the traffic of one address on the node by `weights`; yield its URL."""


@dataclass(frozen=True, slots=True)
class Running:
    """A plane at work.

    Parameters
    ----------
    url : str
        Exists in the client's namespace only.
    prefix : list of str
        Start of a command line that runs what follows it as a client.
    bed : Bed
        What it stands on.
    before : Counter
        Requests that the pods had answered when it was handed out.
    """

    url: str
    prefix: list[str]
    bed: Bed
    before: Counter[str]

    def counts(self) -> dict[str, int]:
        """Count the requests that the pods answered, by label; labels without any are left out."""
        served = self.bed.pods.requests()
        served.subtract(self.before)
        return {label: count for label, count in served.items() if count}


@contextmanager
def start(plane: Plane, weights: Mapping[str, int]) -> Iterator[Running]:
    """Start pods, and `plane` in front of them.

    Parameters
    ----------
    plane : Plane
        What splits.
    weights : mapping of str to int
        By label, each in [0, 10], the first one not 0; ready pods or declared weights,
        whichever the plane goes by.

    Yields
    ------
    Running
        It has answered; nothing of it is left when the block ends, however it ends.
    """
    with lay(list(weights)) as bed, plane.steer(bed, weights) as url:
        wait_until_answered(bed, url)
        yield Running(url, bed.prefix, bed, bed.pods.requests())
