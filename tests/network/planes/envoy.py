"""Envoy in front of the pods: a route with weighted clusters, or least request in one cluster."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.network.bed import GATEWAY
from tests.network.planes.base import Regime, Unit
from tests.network.planes.proxy import PORT, serving
from tests.requirements import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.network.bed import Bed
    from tests.network.pods import Pod

_TYPES = "type.googleapis.com/envoy.extensions.filters"


@dataclass(frozen=True, slots=True)
class WeightedClusters:
    """A route that draws one of its clusters by weight, as a service mesh splits a canary."""

    name = "Envoy weighted_clusters"
    program = "envoy"
    unit = Unit.REQUEST
    regime = Regime.BINOMIAL

    @contextmanager
    def steer(self, bed: Bed, weights: Mapping[str, int]) -> Iterator[str]:
        """Make each label a cluster of ten pods, with the weight of the label."""
        shares = [{"name": label, "weight": weight} for label, weight in weights.items()]
        clusters = [_cluster(label, bed.of(label), "ROUND_ROBIN") for label in weights]
        with _envoy(bed, {"weighted_clusters": {"clusters": shares}}, clusters) as url:
            yield url


@dataclass(frozen=True, slots=True)
class LeastRequest:
    """Two hosts are drawn, and the one with fewer requests in flight is taken."""

    name = "Envoy least_request"
    program = "envoy"
    unit = Unit.REQUEST
    regime = Regime.BINOMIAL

    @contextmanager
    def steer(self, bed: Bed, weights: Mapping[str, int]) -> Iterator[str]:
        """Make `weights` pods of each label hosts of one cluster."""
        clusters = [_cluster("app", bed.ready(weights), "LEAST_REQUEST")]
        with _envoy(bed, {"cluster": "app"}, clusters) as url:
            yield url


def _cluster(name: str, pods: Sequence[Pod], policy: str) -> dict[str, Any]:
    hosts = [{"endpoint": {"address": _address(*pod.endpoint.split(":"))}} for pod in pods]
    return {
        "name": name,
        "type": "STATIC",
        "lb_policy": policy,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": hosts}]},
    }


def _address(address: str, port: str) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": int(port)}}


@contextmanager
def _envoy(bed: Bed, action: dict[str, Any], clusters: Sequence[dict[str, Any]]) -> Iterator[str]:
    configuration = bed.folder / "envoy.json"
    configuration.write_text(json.dumps(_bootstrap(action, clusters)), encoding="utf-8")
    command = [
        *(path_of("envoy") or "envoy", "-c", str(configuration)),
        # One worker, since two would draw hosts without knowing of each other's requests.
        *("--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"),
    ]
    with serving(bed, command) as url:
        yield url


def _bootstrap(action: dict[str, Any], clusters: Sequence[dict[str, Any]]) -> dict[str, Any]:
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": f"{_TYPES}.http.router.v3.Router"},
    }
    manager = {
        "@type": f"{_TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "app",
        "http_filters": [router],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "app",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": action}],
                }
            ]
        },
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    listener = {
        "name": "app",
        "address": _address(GATEWAY, str(PORT)),
        "filter_chains": [{"filters": filters}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": list(clusters)}}
