"""A Service of a real kind on one machine: kube-proxy's rules in front of nginx pods.

Two network namespaces, as two network stacks that know nothing of the machine's own:

    client  10.244.255.2 --veth-- 10.244.255.1  node: iptables, and the pods 10.244.N.M

The client asks the Service's address, 10.96.7.11. The node's rules pick a pod at random for
each new connection, and the connection tracker keeps the connection there until it ends.
"""

from __future__ import annotations

import secrets
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.network import kubeproxy
from tests.network.pods import Pod, Pods
from tests.requirements import path_of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping, Sequence

SERVICE = kubeproxy.Service(name="default/app", address="10.96.7.11", port=80)
PODS_PER_VERSION = 10
_CLIENT, _GATEWAY = "10.244.255.2", "10.244.255.1"
_TIMEOUT_S = 60


class Cluster:
    """The Service, its pods, and a place to ask it from; made by `Cluster.start`.

    Parameters
    ----------
    client, node : str
        Names of the network namespaces.
    pods : Pods
        All that run, ready or not.
    """

    def __init__(self, client: str, node: str, pods: Pods) -> None:
        self.client = client
        self.node = node
        self._pods = pods

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
        with ExitStack() as stack:
            # The name is short because a Unix socket's path is limited to 107 bytes.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wb-")))
            client = stack.enter_context(_namespace("client"))
            node = stack.enter_context(_namespace("node"))
            planned = _plan(list(weights))
            _wire(client, node, [pod.address for pod in planned])
            pods = Pods(planned, folder, node, cpu=pod_cpu)
            stack.callback(pods.stop)
            _restore(node, kubeproxy.portals())
            cluster = cls(client, node, pods)
            cluster.apply(weights)
            _tune(client, node)
            yield cluster

    @property
    def url(self) -> str:
        """The Service's own URL, which exists in the client's namespace only."""
        return f"http://{SERVICE.address}/"

    @property
    def gateway(self) -> str:
        """The node's own address, where nothing listens."""
        return _GATEWAY

    @property
    def prefix(self) -> list[str]:
        """Start of a command line that runs what follows it as a client."""
        return [path_of("ip") or "ip", "netns", "exec", self.client]

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
        endpoints: list[str] = []
        for label, ready in weights.items():
            running = [pod.endpoint for pod in self._pods.pods if pod.label == label]
            if not 0 <= ready <= len(running):
                raise ValueError(f"expected 0 to {len(running)} pods of {label}, got {ready}")
            endpoints += running[:ready]
        _restore(self.node, kubeproxy.rules(SERVICE, endpoints))

    def counts(self) -> Counter[str]:
        """Count the requests that the pods have answered since the start, by label."""
        return self._pods.requests()

    def connections(self) -> Counter[str]:
        """Count the connections that carried these requests, by label."""
        return self._pods.connections()


@contextmanager
def _namespace(role: str) -> Iterator[str]:
    name = f"weighbridge-{secrets.token_hex(4)}-{role}"
    _ip("netns", "add", name)
    try:
        yield name
    finally:
        _ip("netns", "delete", name)


def _plan(labels: Sequence[str]) -> list[Pod]:
    return [
        Pod(label, f"app-{PODS_PER_VERSION * version + replica}", f"10.244.{version}.{replica + 1}")
        for version, label in enumerate(labels)
        for replica in range(PODS_PER_VERSION)
    ]


def _wire(client: str, node: str, pods: Sequence[str]) -> None:
    _ip("-n", client, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", node)
    for namespace, address in ((client, _CLIENT), (node, _GATEWAY)):
        _ip("-n", namespace, "address", "add", f"{address}/30", "dev", "eth0")
        _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("-n", namespace, "link", "set", "eth0", "up")
    _ip("-n", client, "route", "add", "default", "via", _GATEWAY)
    _run(
        [path_of("ip") or "ip", "-n", node, "-batch", "-"],
        "".join(f"address add {address}/32 dev lo\n" for address in pods),
    )


def _tune(client: str, node: str) -> None:
    """Make room for tens of thousands of connections a second.

    A closed connection otherwise stays in the tracker's table for two minutes, and the table
    is shared by the whole machine.
    """
    _write(node, "netfilter/nf_conntrack_tcp_timeout_time_wait", "1")
    _write(client, "ipv4/ip_local_port_range", "1024 65535")


def _write(namespace: str, setting: str, value: str) -> None:
    program = path_of("ip") or "ip"
    _run([program, "netns", "exec", namespace, "tee", f"/proc/sys/net/{setting}"], value)


def _restore(node: str, rules: str) -> None:
    program = path_of("ip") or "ip"
    restore = path_of("iptables-restore") or "iptables-restore"
    _run([program, "netns", "exec", node, restore, "--wait", "5", "--noflush"], rules)


def _ip(*arguments: str) -> None:
    _run([path_of("ip") or "ip", *arguments])


def _run(command: Sequence[str], text: str = "") -> None:
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
