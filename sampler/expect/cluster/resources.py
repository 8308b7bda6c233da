"""What is read of a cluster, and under which path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the API.

    Parameters
    ----------
    group, version, plural, kind : str
        As in ``apps/v1``, ``deployments``, ``Deployment``; the core group is empty.
    """

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """Group and version as objects name them."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str) -> str:
        """Return the path of the list in a namespace."""
        root = f"/apis/{self.group}" if self.group else "/api"
        return f"{root}/{self.version}/namespaces/{quote(namespace, safe='')}/{self.plural}"

    def complete(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Name kind and version, which the items of a list leave out."""
        return {"apiVersion": self.api_version, "kind": self.kind, **item}


PODS = (
    Resource("", "v1", "services", "Service"),
    Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    Resource("", "v1", "pods", "Pod"),
)
"""Without these no split can be read."""

WORKLOADS = (
    Resource("apps", "v1", "deployments", "Deployment"),
    Resource("apps", "v1", "replicasets", "ReplicaSet"),
    Resource("apps", "v1", "statefulsets", "StatefulSet"),
    Resource("apps", "v1", "daemonsets", "DaemonSet"),
)
"""What is configured; also in namespaces that a route refers to."""

CONTEXT = (
    Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    Resource("networking.k8s.io", "v1", "ingresses", "Ingress"),
)

EXTENSIONS: Mapping[str, Mapping[str, str]] = {
    "gateway.networking.k8s.io": {
        "httproutes": "HTTPRoute",
        "grpcroutes": "GRPCRoute",
        "referencegrants": "ReferenceGrant",
    },
    "networking.istio.io": {
        "virtualservices": "VirtualService",
        "destinationrules": "DestinationRule",
    },
    "traefik.io": {"traefikservices": "TraefikService", "ingressroutes": "IngressRoute"},
    "traefik.containo.us": {"traefikservices": "TraefikService", "ingressroutes": "IngressRoute"},
    "argoproj.io": {"rollouts": "Rollout"},
    "flagger.app": {"canaries": "Canary"},
    "keda.sh": {"scaledobjects": "ScaledObject"},
}
"""Kinds by plural name of groups that a cluster may have, or not."""


def versions_of(groups: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the versions of each known group that a server has, the preferred one first.

    Parameters
    ----------
    groups : mapping
        The server's answer to ``/apis``.
    """
    found: dict[str, list[str]] = {}
    for group in groups.get("groups") or ():
        name = group.get("name")
        if name in EXTENSIONS:
            preferred = (group.get("preferredVersion") or {}).get("version")
            every = [each.get("version") for each in group.get("versions") or ()]
            found[name] = [each for each in dict.fromkeys([preferred, *every]) if each]
    return found


def served(group: str, versions: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Resource]:
    """Choose a version for each resource of a group: the first one that has it.

    Parameters
    ----------
    group : str
    versions : sequence of (version, mapping)
        With the server's answer to ``/apis/GROUP/VERSION``.
    """
    found: dict[str, Resource] = {}
    for version, answer in versions:
        for each in answer.get("resources") or ():
            plural = each.get("name")
            if plural in EXTENSIONS[group] and plural not in found:
                found[plural] = Resource(group, version, plural, EXTENSIONS[group][plural])
    return list(found.values())
