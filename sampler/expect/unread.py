"""Objects that are not read: which of them matter to a split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.expect.resolve import ROUTES
from sampler.expect.routes.consul import passes_on
from sampler.expect.rules.dividers import MAPPINGS, binding, divides_by_annotation, divides_traffic
from sampler.expect.rules.findings import Finding, FindingCode, first_few
from sampler.expect.rules.services import services_of
from sampler.expect.rules.workloads import WORKLOADS, pod_labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sampler.expect.rules.objects import Inventory

_NEUTRAL = frozenset(
    {
        "APIService", "Certificate", "ClusterIssuer", "ClusterRole", "ClusterRoleBinding",
        "ConfigMap", "CustomResourceDefinition", "DaemonSet", "DestinationRule",
        "EndpointSlice", "Endpoints", "Event", "Gateway", "GatewayClass", "HorizontalPodAutoscaler",
        "IngressClass", "Issuer", "Lease", "LimitRange", "MetricTemplate", "Middleware",
        "Namespace", "NetworkPolicy", "Node", "PersistentVolume", "PersistentVolumeClaim",
        "PodDisruptionBudget", "PodMonitor", "PriorityClass", "PrometheusRule", "ReferenceGrant",
        "ResourceQuota", "Role", "RoleBinding", "ScaledObject", "Secret", "Service",
        "ServiceAccount", "ServiceMonitor", "StorageClass",
    }
)  # fmt: skip
"""Kinds that are read elsewhere, or say nothing about a split."""

_JOBS = frozenset({"CronJob", "Job"})
"""Kinds that matter only if a Service selects their pods."""


def not_read(inventory: Inventory) -> Iterator[Finding]:
    """Report which objects were not read, and which of them run pods of some Service."""
    for each in inventory.objects:
        if divides_by_annotation(each):
            yield Finding(
                FindingCode.TRAFFIC_UNREAD,
                f"{each} holds Mappings with weights in the annotation {MAPPINGS}, which is not "
                "evaluated",
                "declare the split with --expect",
                each["metadata"]["annotations"][MAPPINGS].where,
            )
        if each.kind in {*_NEUTRAL, *WORKLOADS, *ROUTES}:
            continue
        labels = pod_labels(each)
        if services := first_few(services_of(labels, each.namespace, inventory)):
            yield Finding(
                FindingCode.UNKNOWN_WORKLOAD,
                f"the pods of {each} are selected by {services}, and are of a kind whose replicas "
                "are not supported: the split leaves them out",
                "declare the split with --expect",
                each.place,
            )
        if services or each.kind in _JOBS:
            continue
        if each.kind == "ServiceRouter" and passes_on(each):
            continue  # evaluated with its ServiceSplitter
        if divides_traffic(each, inventory):
            yield Finding(
                FindingCode.TRAFFIC_UNREAD,
                f"{each} divides or routes traffic, and is of a kind that is not evaluated: "
                "weights of its own may decide instead",
                "declare the split with --expect",
                each.place,
            )
        elif field := binding(each):
            yield Finding(
                FindingCode.STICKY,
                f"{each} is of a kind that is not evaluated, and its {field} may bind a client to "
                "one pod",
                "see whether it is for the Service or route that is checked, and if so, remove it "
                "while the split is checked",
                each.place,
            )
        else:
            yield Finding(
                FindingCode.UNKNOWN_KIND,
                f"{each} of {each.group or 'the core group'} is a kind that is not supported",
                "nothing to do, unless it splits traffic",
                each.place,
            )
