"""Names to addresses."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from sampler.errors import SamplingError

Address = tuple[socket.AddressFamily, tuple[Any, ...]]
"""Family, and the address as the socket module takes it."""


async def resolve(host: str, port: int, *, timeout_s: float) -> tuple[Address, ...]:
    """Resolve a host to the addresses that connections are spread over.

    A name with IPv6 and IPv4 addresses is often served on one family alone (``localhost``).
    Exchanges are never retried, so the family is chosen here: the first one, in the
    resolver's order (RFC 6724), that accepts a connection, on which nothing is sent.

    Raises
    ------
    SamplingError
        If the name has no address.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise SamplingError(
            f"the host {host} cannot be resolved: {error.strerror}",
            hint="check the spelling, and that this machine uses the cluster's DNS"
            " if it is a Service name",
        ) from error
    addresses: tuple[Address, ...] = tuple(dict.fromkeys((entry[0], entry[4]) for entry in found))
    families = tuple(dict.fromkeys(family for family, _ in addresses))
    for family in families if len(families) > 1 else ():
        candidate = next(address for kind, address in addresses if kind == family)
        if await _accepts(family, candidate, timeout_s):
            return tuple(pair for pair in addresses if pair[0] == family)
    return tuple(pair for pair in addresses if pair[0] == families[0])


async def _accepts(
    family: socket.AddressFamily, address: tuple[Any, ...], timeout_s: float
) -> bool:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().sock_connect(sock, address)
    except OSError:  # TimeoutError is one too
        return False
    else:
        return True
    finally:
        sock.close()
