"""A Service of a real kind on one machine: kube-proxy's rules in front of nginx pods.

The client asks the Service's address, 10.96.7.11. The node's rules pick a pod at random for
each new connection, and the connection tracker keeps the connection there until it ends. What
it stands on is described in `tests.network.bed`.
"""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.network import kubeproxy
from tests.network.bed import GATEWAY, Bed, inside, lay, run, write_setting
from tests.requirements import path_of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

SERVICE = kubeproxy.Service(name="default/app", address="10.96.7.11", port=80)
_TIMEOUT_S = 60


class Cluster:
    """The Service, its pods, and a place to ask it from; made by `Cluster.start`.

    Parameters
    ----------
    bed : Bed
        Where it stands.
    """

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self.client = bed.client
        self.node = bed.node
        _restore(bed.node, kubeproxy.portals())

    @classmethod
    @contextmanager
    def start(cls, weights: Mapping[str, int], *, pod_cpu: int | None = None) -> Iterator[Cluster]:
        """Start pods of every label, and make `weights` of them endpoints of the Service.

        Parameters
        ----------
        weights : mapping of str to int
            Ready pods by label, each in [0, 10] and not all 0; ten pods of each label run,
            ready or not.
        pod_cpu : int or None
            Processor that serves the pods' answers.

        Yields
        ------
        Cluster
            Nothing of it is left when the block ends, however it ends.
        """
        with lay(list(weights), pod_cpu=pod_cpu) as bed:
            cluster = cls(bed)
            cluster.apply(weights)
            forget_closed_connections(bed)
            yield cluster

    @property
    def url(self) -> str:
        """The Service's own URL, which exists in the client's namespace only."""
        return f"http://{SERVICE.address}/"

    @property
    def gateway(self) -> str:
        """The node's own address, where nothing listens."""
        return GATEWAY

    @property
    def prefix(self) -> list[str]:
        """Start of a command line that runs what follows it as a client."""
        return self._bed.prefix

    def run_in_client(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` as a client, to its end, and return what it printed."""
        return subprocess.run(
            [*self.prefix, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            timeout=timeout_s,
        )

    def apply(self, weights: Mapping[str, int]) -> None:
        """Make this many pods of each label endpoints, in one transaction.

        Connections that are open stay where they are, as they do on a real node.

        Raises
        ------
        ValueError
            If a label has no such number of pods, or no pod at all would be ready.
        """
        endpoints = [pod.endpoint for pod in self._bed.ready(weights)]
        _restore(self.node, kubeproxy.rules(SERVICE, endpoints))

    def counts(self) -> Counter[str]:
        """Count the requests that the pods have answered since the start, by label."""
        return self._bed.pods.requests()

    def connections(self) -> Counter[str]:
        """Count the connections that carried these requests, by label."""
        return self._bed.pods.connections()


def forget_closed_connections(bed: Bed) -> None:
    """Let the node's connection tracker forget a connection a second after its end.

    It otherwise stays in the tracker's table for two minutes, and the table is shared by the
    whole machine. The setting exists once there are rules that track.
    """
    write_setting(bed.node, "netfilter/nf_conntrack_tcp_timeout_time_wait", "1")


def _restore(node: str, rules: str) -> None:
    restore = path_of("iptables-restore") or "iptables-restore"
    run([*inside(node), restore, "--wait", "5", "--noflush"], rules)
