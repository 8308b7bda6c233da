"""The ground under every data plane: two network stacks, and pods that count.

    client  10.244.255.2 --veth-- 10.244.255.1  node: the data plane, and the pods 10.244.N.M

Neither namespace knows anything of the machine's own network. What balances the traffic, and
under which address, is not decided here.
"""

from __future__ import annotations

import secrets
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.network.pods import Pod, Pods
from tests.requirements import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PODS_PER_VERSION = 10
GATEWAY = "10.244.255.1"
_CLIENT = "10.244.255.2"
_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Bed:
    """Two namespaces and the pods in one of them; made by `lay`.

    Parameters
    ----------
    client, node : str
        Names of the network namespaces.
    pods : Pods
        All that run, ready or not.
    folder : Path
        Empty, short of path, and gone when the bed is.
    """

    client: str
    node: str
    pods: Pods
    folder: Path

    @property
    def prefix(self) -> list[str]:
        """Start of a command line that runs what follows it as a client."""
        return inside(self.client)

    def ready(self, weights: Mapping[str, int]) -> list[Pod]:
        """Choose this many pods of each label.

        Raises
        ------
        ValueError
            If a label has no such number of pods.
        """
        chosen: list[Pod] = []
        for label, ready in weights.items():
            running = self.of(label)
            if not 0 <= ready <= len(running):
                raise ValueError(f"expected 0 to {len(running)} pods of {label}, got {ready}")
            chosen += running[:ready]
        return chosen

    def of(self, label: str) -> list[Pod]:
        """All pods of one label."""
        return [pod for pod in self.pods.pods if pod.label == label]


@contextmanager
def lay(labels: Sequence[str], *, pod_cpu: int | None = None) -> Iterator[Bed]:
    """Make the namespaces and start ten pods of every label.

    Parameters
    ----------
    labels : sequence of str
        Versions that run.
    pod_cpu : int or None
        Processor that serves the pods' answers.

    Yields
    ------
    Bed
        Nothing of it is left when the block ends, however it ends.
    """
    with ExitStack() as stack:
        # The name is short because a Unix socket's path is limited to 107 bytes.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wb-")))
        client = stack.enter_context(_namespace("client"))
        node = stack.enter_context(_namespace("node"))
        planned = _plan(labels)
        _wire(client, node, [pod.address for pod in planned])
        pods = Pods(planned, folder, node, cpu=pod_cpu)
        stack.callback(pods.stop)
        _tune(client, node)
        (folder / "plane").mkdir()
        yield Bed(client, node, pods, folder / "plane")


def inside(namespace: str) -> list[str]:
    """Start of a command line that runs what follows it in `namespace`."""
    return [path_of("ip") or "ip", "netns", "exec", namespace]


def run(command: Sequence[str], text: str = "") -> str:
    """Run `command` with `text` on its standard input, and return what it printed.

    Raises
    ------
    RuntimeError
        If it ends with another code than 0.
    """
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


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
    for namespace, address in ((client, _CLIENT), (node, GATEWAY)):
        _ip("-n", namespace, "address", "add", f"{address}/30", "dev", "eth0")
        _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("-n", namespace, "link", "set", "eth0", "up")
    _ip("-n", client, "route", "add", "default", "via", GATEWAY)
    run(
        [path_of("ip") or "ip", "-n", node, "-batch", "-"],
        "".join(f"address add {address}/32 dev lo\n" for address in pods),
    )


def _tune(client: str, node: str) -> None:
    """Make room for tens of thousands of connections a second, from the client and on the node."""
    for namespace in (client, node):
        write_setting(namespace, "ipv4/ip_local_port_range", "1024 65535")


def write_setting(namespace: str, setting: str, value: str) -> None:
    """Write `value` below ``/proc/sys/net`` as `namespace` sees it."""
    run([*inside(namespace), "tee", f"/proc/sys/net/{setting}"], value)


def _ip(*arguments: str) -> None:
    run([path_of("ip") or "ip", *arguments])
