"""The rules that kube-proxy writes for a Service of type ClusterIP, in its iptables mode.

Names of chains and the text of the rules follow kube-proxy's own source
(``pkg/proxy/iptables/proxier.go``: ``servicePortChainName``, ``computeProbability``,
``writeServiceToEndpointRules``). Masquerading is left out: the client is a pod too, so its
address comes back by itself.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Service:
    """A Service with one TCP port: ``namespace/name`` at ``address:port``."""

    name: str
    address: str
    port: int


def portals() -> str:
    """Input for ``iptables-restore`` that sends traffic through the chain of all Services."""
    portal = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
    return _table([":KUBE-SERVICES - [0:0]", f"-A PREROUTING {portal}", f"-A OUTPUT {portal}"])


def rules(service: Service, endpoints: Sequence[str]) -> str:
    """Input for ``iptables-restore --noflush`` that gives `service` exactly these endpoints.

    Parameters
    ----------
    service : Service
        Its chain is emptied and filled again in one transaction: no connection can meet
        half of the rules.
    endpoints : sequence of str
        ``address:port`` of each ready pod, at least one.

    Raises
    ------
    ValueError
        If there is no endpoint: kube-proxy then rejects traffic, which is another rule.
    """
    if not endpoints:
        raise ValueError(f"expected at least one endpoint of {service.name}, got none")
    chain = f"KUBE-SVC-{_hash(service.name)}"
    steps = {endpoint: f"KUBE-SEP-{_hash(service.name, endpoint)}" for endpoint in endpoints}
    lines = [":KUBE-SERVICES - [0:0]", f":{chain} - [0:0]"]
    lines += [f":{step} - [0:0]" for step in steps.values()]
    lines.append(
        f'-A KUBE-SERVICES -m comment --comment "{service.name} cluster IP" -m tcp -p tcp '
        f"-d {service.address} --dport {service.port} -j {chain}"
    )
    for place, (endpoint, step) in enumerate(steps.items()):
        remaining = len(steps) - place
        # The last rule takes all that the earlier ones left.
        chance = (
            f"-m statistic --mode random --probability {1 / remaining:0.10f} "
            if remaining > 1
            else ""
        )
        about = f'-m comment --comment "{service.name}'
        lines += [
            f'-A {chain} {about} -> {endpoint}" {chance}-j {step}',
            f'-A {step} {about}" -m tcp -p tcp -j DNAT --to-destination {endpoint}',
        ]
    return _table(lines)


def _table(lines: Sequence[str]) -> str:
    return "\n".join(["*nat", *lines, "COMMIT", ""])


def _hash(name: str, endpoint: str = "") -> str:
    digest = hashlib.sha256(f"{name}tcp{endpoint}".encode()).digest()
    return base64.b32encode(digest).decode()[:16]
