"""The rules that kube-proxy writes for a Service of type ClusterIP, in its nftables mode.

Names of the table, maps and chains follow kube-proxy's own source
(``pkg/proxy/nftables/proxier.go``: ``servicePortChainName``, ``servicePortEndpointChainName``,
``writeServiceToEndpointRules``): the Service is found in a map of verdicts, and a random number
below the number of endpoints picks the endpoint's chain from another. Masquerading is left
out, as in `tests.network.kubeproxy`.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.network.kubeproxy import Service


def rules(service: Service, endpoints: Sequence[str]) -> str:
    """Input for ``nft --file`` that makes `service` answer with exactly these endpoints.

    Parameters
    ----------
    service : Service
        The only one of the table, which is made anew in one transaction.
    endpoints : sequence of str
        ``address:port`` of each ready pod, at least one.

    Raises
    ------
    ValueError
        If there is no endpoint: kube-proxy then rejects traffic, which is another rule.
    """
    if not endpoints:
        raise ValueError(f"expected at least one endpoint of {service.name}, got none")
    chain = f"service-{_hash(service.name)}-{service.name}/tcp/"
    steps = {
        endpoint: f"endpoint-{_hash(service.name, endpoint)}-{service.name}/tcp/"
        f"__{endpoint.replace(':', '/')}"
        for endpoint in endpoints
    }
    portal = f"{service.address} . tcp . {service.port}"
    choices = ", ".join(f"{number} : goto {step}" for number, step in enumerate(steps.values()))
    lines = [
        "add table ip kube-proxy",
        "delete table ip kube-proxy",
        "table ip kube-proxy {",
        "map service-ips {",
        "type ipv4_addr . inet_proto . inet_service : verdict",
        "}",
        *_chain("services", "ip daddr . meta l4proto . th dport vmap @service-ips"),
        *_chain(
            "nat-prerouting", "type nat hook prerouting priority dstnat; policy accept;", _JUMP
        ),
        *_chain("nat-output", "type nat hook output priority -100; policy accept;", _JUMP),
    ]
    for endpoint, step in steps.items():
        lines += _chain(step, f"meta l4proto tcp dnat to {endpoint}")
    lines += [
        *_chain(chain, f"numgen random mod {len(steps)} vmap {{ {choices} }}"),
        "}",
        f"add element ip kube-proxy service-ips {{ {portal} : goto {chain} }}",
        "",
    ]
    return "\n".join(lines)


_JUMP = "jump services"


def _chain(name: str, *statements: str) -> list[str]:
    return [f"chain {name} {{", *statements, "}"]


def _hash(name: str, endpoint: str = "") -> str:
    digest = hashlib.sha256(f"{name}tcp{endpoint}".encode()).digest()
    return base64.b32encode(digest).decode()[:8]
