"""Names to addresses, and connections to addresses.

How it works. New connections are spread over all addresses of the name. The address of a
connection is a function of its number: addresses are laid out in blocks of `_BLOCK`, each
equally often and in an order drawn from the seed. Which address a sample went to need not be
recorded, therefore; it follows from the connection's number when a batch is sealed.

When the addresses are older than the time to live, the next new connection starts a look-up
beside the run and goes on with the old ones; a connection that opens after the answer has
come takes the new ones. Without new connections nothing is looked up.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress
from ipaddress import ip_address
from random import Random
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from sampler.base.clock import NS_PER_S
from sampler.base.errors import SamplingError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sampler.plan.load import Load
    from sampler.plan.target import Target

Address = tuple[socket.AddressFamily, tuple[Any, ...]]
"""Family, and the address as the socket module takes it."""

_BLOCK = 4_096  # a power of two: the place in a block is a mask away
_NEVER_NS = sys.maxsize
LOOKUP_TIMEOUT_S = 30.0
"""Time that a look-up may take [s]: resolvers ask several servers, some seconds each."""


class AddressBook:
    """Says where each new connection goes.

    Parameters
    ----------
    target : Target
        Whose host and port are looked up.
    load : Load
        Its ``pins`` replace the look-up, its ``dns_ttl_s`` says when to look up again.
    seed : int
        Of the order of the addresses.

    Attributes
    ----------
    names : tuple of str
        Every address used so far; `codes` point into it.
    failed_lookups : int
        Look-ups during the run that gave no address; the old ones stay in use.

    Raises
    ------
    UsageError
        If there are pins, and none of them is for the target.
    """

    def __init__(self, target: Target, load: Load, seed: int) -> None:
        self.names: tuple[str, ...] = ()
        self.failed_lookups = 0
        self._host, self._port = target.host, target.port
        self._timeout_s = load.connect_timeout_s
        self._random = Random(seed)
        self._pinned = [
            address
            for pin in load.pins
            if pin.matches(self._host, self._port)
            for address in pin.addresses
        ]
        if load.pins and not self._pinned:
            raise UsageError(
                f"--resolve gives no address for {self._host}:{self._port}, which the URL names",
                hint=f"give it as --resolve {self._host}:{self._port}:ADDRESS",
            )
        is_fixed = bool(self._pinned) or _is_address(self._host) or load.dns_ttl_s == 0
        self._ttl_ns = None if is_fixed else round(load.dns_ttl_s * NS_PER_S)
        self._expires_ns = _NEVER_NS
        self._current: tuple[Address, ...] = ()
        self._found: tuple[Address, ...] | None = None
        self._lookup: asyncio.Task[None] | None = None
        self._layout: list[Address] = []
        self._mask = 0
        # First connection and codes of each layout there was.
        self._history: list[tuple[int, NDArray[np.int32]]] = []

    async def open(self, now_ns: int) -> None:
        """Find the addresses to begin with.

        Raises
        ------
        SamplingError
            If the name has no address.
        """
        if self._pinned:
            try:
                hosts = await asyncio.gather(*(find(host, self._port) for host in self._pinned))
            except OSError as error:  # a zone of an IPv6 address that this machine has not
                raise _unresolved(", ".join(self._pinned), error) from error
            found = tuple(dict.fromkeys(address for each in hosts for address in each))
        else:
            found = await resolve(self._host, self._port, timeout_s=self._timeout_s)
        self._install(found, 0)
        if self._ttl_ns is not None:
            self._expires_ns = now_ns + self._ttl_ns

    def pick(self, number: int, now_ns: int) -> Address:
        """Return the address of connection `number`; the numbers ascend."""
        if now_ns >= self._expires_ns:
            self._renew(number, now_ns)
        return self._layout[number & self._mask]

    def codes(self, connections: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the address of each connection as a code into `names`."""
        firsts = np.array([first for first, _ in self._history])
        layout_of = np.searchsorted(firsts, connections, side="right") - 1
        codes = np.empty(len(connections), dtype=np.int32)
        # Subtle: np.unique imports a module when it is first called, for which there may be no
        # descriptor left.
        for number in np.flatnonzero(np.bincount(layout_of)).tolist():
            chosen = layout_of == number
            layout = self._history[number][1]
            codes[chosen] = layout[connections[chosen] & (len(layout) - 1)]
        return codes

    async def aclose(self) -> None:
        """Abandon a look-up that is under way."""
        if self._lookup is not None:
            self._lookup.cancel()
            await asyncio.gather(self._lookup, return_exceptions=True)

    def _install(self, addresses: tuple[Address, ...], first: int) -> None:
        """Use `addresses` from connection `first` on."""
        self._current = addresses
        if len(addresses) == 1:
            self._layout = list(addresses)
        else:
            self._layout = list(addresses) * -(-_BLOCK // len(addresses))
            self._random.shuffle(self._layout)
            del self._layout[_BLOCK:]
        self._mask = len(self._layout) - 1
        names = [str(address[0]) for _, address in self._layout]
        self.names = tuple(dict.fromkeys((*self.names, *(str(a[0]) for _, a in addresses))))
        code_of = {name: code for code, name in enumerate(self.names)}
        self._history.append((first, np.array([code_of[name] for name in names], dtype=np.int32)))

    def _renew(self, number: int, now_ns: int) -> None:
        """Take what a look-up has found, or start one."""
        if self._found is not None:
            if set(self._found) != set(self._current):
                self._install(self._found, number)
            self._found = None
            self._expires_ns = now_ns + (self._ttl_ns or 0)
        else:
            self._expires_ns = _NEVER_NS  # until the answer is there
            self._lookup = asyncio.get_running_loop().create_task(self._look_up())

    async def _look_up(self) -> None:
        try:
            found = await find(self._host, self._port)
        except OSError:
            self.failed_lookups += 1
            found = self._current
        # The family was settled when the run began; nothing is tried out in the middle of it.
        family = self._current[0][0]
        same = tuple(address for address in found if address[0] == family)
        self._found = same or found
        self._expires_ns = 0


async def find(host: str, port: int) -> tuple[Address, ...]:
    """Look a host up, without blocking the loop, or the end of the process.

    A name server that keeps silent holds the resolver for long. The loop's own executor
    would have its threads waited for at the end; this one is left behind.

    Raises
    ------
    OSError
        If it has no address, cannot be a name, or there was no answer in time.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[Address, ...]] = loop.create_future()

    def settle(found: tuple[Address, ...] | OSError) -> None:
        if answer.done():
            return
        if isinstance(found, OSError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def look_up() -> None:
        with suppress(RuntimeError):  # the loop is closed: nothing awaits it
            loop.call_soon_threadsafe(settle, _ask_resolver(host, port))

    Thread(target=look_up, name=f"look-up of {host}", daemon=True).start()
    async with asyncio.timeout(LOOKUP_TIMEOUT_S):
        return await answer


def _ask_resolver(host: str, port: int) -> tuple[Address, ...] | OSError:
    """Ask the resolver; it blocks."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return error
    except UnicodeError:  # a part of the name is empty or longer than 63 characters
        return socket.gaierror(socket.EAI_NONAME, "it is not a valid name")
    return tuple(dict.fromkeys((entry[0], entry[4]) for entry in found))


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
    try:
        addresses = await find(host, port)
    except OSError as error:
        raise _unresolved(host, error) from error
    families = tuple(dict.fromkeys(family for family, _ in addresses))
    for family in families if len(families) > 1 else ():
        candidate = next(address for kind, address in addresses if kind == family)
        if await _accepts(family, candidate, timeout_s):
            return _of_family(addresses, family)
    return _of_family(addresses, families[0])


def _unresolved(host: str, error: OSError) -> SamplingError:
    reason = error.strerror or f"no answer from a name server within {LOOKUP_TIMEOUT_S:g} s"
    if "%" in host:
        return SamplingError(
            f"the address {host} cannot be used: {reason}",
            hint="the part after % must be an interface of this machine: ip link lists them",
        )
    return SamplingError(
        f"the host {host} cannot be resolved: {reason}",
        hint="check the spelling, and that this machine uses the cluster's DNS"
        " if it is a Service name; --resolve gives an address by hand",
    )


def _of_family(addresses: Sequence[Address], family: socket.AddressFamily) -> tuple[Address, ...]:
    return tuple(pair for pair in addresses if pair[0] == family)


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


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
