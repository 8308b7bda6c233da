"""kube-proxy's rules in the kernel: a pod for each connection, by chance."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.network import nftables
from tests.network.bed import inside, run
from tests.network.cluster import SERVICE, Cluster, forget_closed_connections
from tests.network.planes.base import Regime, Unit
from tests.requirements import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.network.bed import Bed


@dataclass(frozen=True, slots=True)
class Iptables:
    """Rules with chained probabilities, one for each endpoint."""

    name = "kube-proxy iptables"
    program = "iptables-restore"
    unit = Unit.CONNECTION
    regime = Regime.BINOMIAL

    @contextmanager
    def steer(self, bed: Bed, weights: Mapping[str, int]) -> Iterator[str]:
        """Make `weights` pods of each label endpoints."""
        cluster = Cluster(bed)
        cluster.apply(weights)
        forget_closed_connections(bed)
        yield cluster.url


@dataclass(frozen=True, slots=True)
class Nftables:
    """One rule that draws a number and looks the endpoint up."""

    name = "kube-proxy nftables"
    program = "nft"
    unit = Unit.CONNECTION
    regime = Regime.BINOMIAL

    @contextmanager
    def steer(self, bed: Bed, weights: Mapping[str, int]) -> Iterator[str]:
        """Make `weights` pods of each label endpoints."""
        endpoints = [pod.endpoint for pod in bed.ready(weights)]
        nft = path_of("nft") or "nft"
        run([*inside(bed.node), nft, "--file", "-"], nftables.rules(SERVICE, endpoints))
        forget_closed_connections(bed)
        yield f"http://{SERVICE.address}/"
