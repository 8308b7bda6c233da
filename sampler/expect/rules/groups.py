"""Which kinds are read, of which groups: a Service of Knative is another kind than a Service."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORKLOADS = ("apps", "extensions")
_TRAEFIK = ("traefik.io", "traefik.containo.us")
GROUPS: Mapping[str, tuple[str, ...]] = {
    "Service": ("",),
    "Pod": ("",),
    "EndpointSlice": ("discovery.k8s.io",),
    "Deployment": _WORKLOADS,
    "ReplicaSet": _WORKLOADS,
    "DaemonSet": _WORKLOADS,
    "StatefulSet": ("apps",),
    "Job": ("batch",),
    "CronJob": ("batch",),
    "HorizontalPodAutoscaler": ("autoscaling",),
    "Ingress": ("networking.k8s.io", "extensions"),
    "HTTPRoute": ("gateway.networking.k8s.io",),
    "GRPCRoute": ("gateway.networking.k8s.io",),
    "ReferenceGrant": ("gateway.networking.k8s.io",),
    "Gateway": ("gateway.networking.k8s.io", "networking.istio.io"),
    "VirtualService": ("networking.istio.io",),
    "DestinationRule": ("networking.istio.io",),
    "TraefikService": _TRAEFIK,
    "IngressRoute": _TRAEFIK,
    "Rollout": ("argoproj.io",),
    "Canary": ("flagger.app",),
    "Route": ("route.openshift.io",),
    "TrafficSplit": ("split.smi-spec.io",),
    "HTTPProxy": ("projectcontour.io",),
    "ServiceSplitter": ("consul.hashicorp.com",),
    "VirtualServer": ("k8s.nginx.org",),
    "VirtualServerRoute": ("k8s.nginx.org",),
}
"""Groups that a bare kind means here; a kind of another group is called ``KIND.GROUP``."""

OTHERS = frozenset({"HTTPRoute.policy.linkerd.io", "Service.serving.knative.dev"})
"""Kinds of other groups that are read."""

DIVIDERS = frozenset(
    {
        "AIGatewayRoute", "ApisixRoute", "ApisixUpstream", "CiliumEnvoyConfig", "GatewayRoute",
        "HTTPScaledObject",
        "IngressRouteTCP", "IngressRouteUDP", "KongIngress", "Mapping", "MeshHTTPRoute",
        "MeshTCPRoute", "Rollout.rollouts.kruise.io", "Route.serving.knative.dev", "RouteGroup",
        "RouteTable", "ServiceProfile",
        "ServiceRouter", "TCPMapping", "TCPRoute",
        "TLSRoute", "TrafficRoute", "TrafficRouting", "TransportServer", "UDPRoute",
        "UpstreamGroup", "VirtualNode", "VirtualRouter",
        "VirtualService.gateway.solo.io", "VirtualService.appmesh.k8s.aws",
    }
)  # fmt: skip
"""Kinds that are known to divide traffic: Emissary, Skipper, HAProxy, APISIX, Kong, Consul,
Kuma, App Mesh, Gloo, Linkerd's ServiceProfile, OpenKruise, and routes of connections."""

SETTINGS = frozenset(
    {
        "ApisixUpstream", "HTTPScaledObject", "KongIngress", "ServiceProfile", "VirtualNode",
    }
)  # fmt: skip
"""Those of them that route nothing by themselves: they may divide what a route sends."""

WEIGHERS = frozenset(
    {
        "ApisixGlobalRule", "ApisixPluginConfig", "EnvoyFilter", "InferenceModel",
        "InferenceService", "KongClusterPlugin", "KongPlugin", "PluginConfig", "SeldonDeployment",
        "ServiceEntry",
    }
)  # fmt: skip
"""Kinds that divide traffic where they have weights, whatever they name: of Istio, plugins of Kong
and APISIX, and models that are served by several predictors."""
