"""HAProxy in front of the pods: weighted round robin, or the better of two random draws."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tests.network.planes.base import Regime, Unit
from tests.network.planes.proxy import LISTEN, serving
from tests.requirements import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.network.bed import Bed

# One thread, so that there is one round. No retry, and no request at another pod.
_CONFIGURATION = """\
global
    nbthread 1
    maxconn 8192
defaults
    mode http
    retries 0
    timeout connect 5s
    timeout client 10s
    timeout server 10s
listen app
    bind {listen} backlog 4096
    balance {balance}
{servers}
"""


@dataclass(frozen=True, slots=True)
class RoundRobin:
    """``balance roundrobin`` over one server a version, with the weight of the version."""

    name = "HAProxy roundrobin"
    program = "haproxy"
    unit = Unit.REQUEST
    regime = Regime.UNDER_DISPERSED

    @contextmanager
    def steer(self, bed: Bed, weights: Mapping[str, int]) -> Iterator[str]:
        """Give the first pod of each label the whole weight of the label."""
        servers = {bed.of(label)[0].endpoint: weight for label, weight in weights.items()}
        with _haproxy(bed, "roundrobin", servers) as url:
            yield url


@dataclass(frozen=True, slots=True)
class Random:
    """``balance random`` over equal servers: two are drawn, the one with less to do is taken.

    A draw is a random place on the ring of consistent hashing, where a server has places in
    proportion to its weight. With the default weight of 1 these are so few that equal servers
    get clearly unequal shares, hence the greatest weight that HAProxy knows.

    Parameters
    ----------
    weight : int, default 256
        Of each server, in [1, 256].
    """

    weight: int = 256

    name: ClassVar = "HAProxy random"
    program: ClassVar = "haproxy"
    unit: ClassVar = Unit.REQUEST
    regime: ClassVar = Regime.BINOMIAL

    @contextmanager
    def steer(self, bed: Bed, weights: Mapping[str, int]) -> Iterator[str]:
        """Make `weights` pods of each label servers."""
        servers = {pod.endpoint: self.weight for pod in bed.ready(weights)}
        with _haproxy(bed, "random", servers) as url:
            yield url


@contextmanager
def _haproxy(bed: Bed, balance: str, servers: Mapping[str, int]) -> Iterator[str]:
    lines = "\n".join(
        f"    server app-{number} {place} weight {weight}"
        for number, (place, weight) in enumerate(servers.items())
    )
    configuration = bed.folder / "haproxy.cfg"
    text = _CONFIGURATION.format(listen=LISTEN, balance=balance, servers=lines)
    configuration.write_text(text, encoding="utf-8")
    # In the foreground (-db), so that the process we started is the one that serves.
    with serving(bed, [path_of("haproxy") or "haproxy", "-db", "-f", str(configuration)]) as url:
        yield url
