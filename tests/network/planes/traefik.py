"""Traefik in front of the pods: a weighted service, which goes round by earliest deadline."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.network.planes.base import Regime, Unit
from tests.network.planes.proxy import LISTEN, serving
from tests.requirements import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.network.bed import Bed


@dataclass(frozen=True, slots=True)
class WeightedServices:
    """One service a version, each with ten pods, under a service with their weights."""

    name = "Traefik weighted services"
    program = "traefik"
    unit = Unit.REQUEST
    regime = Regime.UNDER_DISPERSED

    @contextmanager
    def steer(self, bed: Bed, weights: Mapping[str, int]) -> Iterator[str]:
        """Give each label its weight, over all of its pods."""
        routes = bed.folder / "routes.yaml"
        # JSON is YAML too, which is what the name must say for it to be read.
        routes.write_text(json.dumps(_routes(bed, weights)), encoding="utf-8")
        command = [
            path_of("traefik") or "traefik",
            f"--entryPoints.app.address={LISTEN}",
            f"--providers.file.filename={routes}",
            "--providers.file.watch=false",
            # Nothing leaves the namespace, not even in the attempt.
            "--global.checkNewVersion=false",
            "--global.sendAnonymousUsage=false",
        ]
        with serving(bed, command) as url:
            yield url


def _routes(bed: Bed, weights: Mapping[str, int]) -> dict[str, Any]:
    services: dict[str, Any] = {
        label: {
            "loadBalancer": {
                "servers": [{"url": f"http://{pod.endpoint}"} for pod in bed.of(label)]
            }
        }
        for label in weights
    }
    shares = [{"name": label, "weight": weight} for label, weight in weights.items()]
    services["app"] = {"weighted": {"services": shares}}
    routers = {"app": {"rule": "PathPrefix(`/`)", "entryPoints": ["app"], "service": "app"}}
    return {"http": {"routers": routers, "services": services}}
