"""All data planes that the tests and the report run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.network.planes import envoy, haproxy, kernel, nginx, traefik

if TYPE_CHECKING:
    from tests.network.planes.base import Plane

PLANES: tuple[Plane, ...] = (
    kernel.Iptables(),
    kernel.Nftables(),
    nginx.SplitClients(),
    nginx.WeightedUpstream(),
    haproxy.RoundRobin(),
    haproxy.Random(),
    envoy.WeightedClusters(),
    envoy.LeastRequest(),
    traefik.WeightedServices(),
)
