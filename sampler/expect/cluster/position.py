"""Find out where the client stands: outside of the cluster, on one of its nodes, or in a pod.

Nothing is sent: the kernel is asked which of the addresses are its own, and a pod knows its name,
and perhaps its node from the downward API.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sampler.expect.cluster.credentials import API_SERVER
from sampler.expect.rules.model import Client, Place
from sampler.expect.rules.places import nodes_by_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sampler.expect.rules.objects import Inventory, KubeObject

NODE_NAMES = ("NODE_NAME", "MY_NODE_NAME", "K8S_NODE_NAME")
"""Variables that pods are commonly given the name of their node in."""
_LOOK_UP_S = 2.0


async def locate(
    place: Place,
    inventory: Inventory,
    namespace: str,
    server: str,
    environment: Mapping[str, str] = os.environ,
) -> Place:
    """Complete a place by what this machine and the pods of the cluster tell.

    Parameters
    ----------
    place : Place
        What is addressed.
    inventory : Inventory
        Live objects.
    namespace : str
        Of this pod, if this is one.
    server : str
        URL of the API server that told of the objects: a runner in a pod may look at another
        cluster than its own.
    environment : mapping of str to str
        Of this process.
    """
    addresses = place.addresses.union(*[await _resolved(each) for each in place.addresses])
    client, node = _stand(inventory, namespace, environment, server)
    return replace(place, client=client, node=node, addresses=addresses)


def _stand(
    inventory: Inventory, namespace: str, environment: Mapping[str, str], server: str
) -> tuple[Client, str]:
    is_in_pod = bool(environment.get(API_SERVER))
    host = urlsplit(server).hostname or ""
    is_of_cluster = host == environment.get(API_SERVER) or host.startswith("kubernetes.default")
    named = next(filter(None, map(environment.get, NODE_NAMES)), "") if is_in_pod else ""
    own = _own_pod(inventory, namespace) if is_in_pod else None
    if own is not None and own["spec"]["hostNetwork"].value is not True:
        return Client.POD, own["spec"]["nodeName"].text("") or named
    for address, node in nodes_by_address(inventory).items():
        if is_own(address):
            return Client.NODE, node
    for pod in inventory.of("Pod"):
        if is_own(pod["status"]["podIP"].text("")):
            return Client.POD, pod["spec"]["nodeName"].text("")
    if not is_in_pod:
        return Client.OUTSIDE, ""
    return (Client.POD, named) if is_of_cluster else (Client.UNKNOWN, "")


def _own_pod(inventory: Inventory, namespace: str) -> KubeObject | None:
    """Find the pod that this is, by its host name: the first 63 characters of its own."""
    name = socket.gethostname()
    for pod in inventory.of("Pod"):
        given = pod["spec"]["hostname"].text("") or pod.name[:63].rstrip("-.")
        if given == name and pod.namespace == namespace:
            return pod
    return None


def is_own(address: str) -> bool:
    """Whether an address is one of this machine's; nothing is sent."""
    if not address:
        return False
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # The kernel talks to its own addresses from the very same one.
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))
        return str(probe.getsockname()[0]) == address
    return False


async def _resolved(host: str) -> set[str]:
    """Look a name up, within limits; an address stands for itself."""
    with suppress(ValueError):
        ip_address(host)
        return set()
    loop = asyncio.get_running_loop()
    done: asyncio.Future[set[str]] = loop.create_future()

    def tell(found: set[str]) -> None:
        if not done.done():
            done.set_result(found)

    def look_up() -> None:
        found: set[str] = set()
        with suppress(OSError, UnicodeError):
            found = {str(each[4][0]) for each in socket.getaddrinfo(host, None)}
        with suppress(RuntimeError):  # nobody waits any more
            loop.call_soon_threadsafe(tell, found)

    # Not the loop's executor: the end of the process would wait for a silent name server.
    threading.Thread(target=look_up, daemon=True).start()
    await asyncio.wait([done], timeout=_LOOK_UP_S)
    return done.result() if done.done() else set()
