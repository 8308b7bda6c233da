"""Ports of loopback: for servers that have to be told theirs, and one where nobody gets in."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_RANGE = range(20_000, 30_000)
"""Below the ports that Linux gives to clients and for port 0, so that neither takes one away."""


def free_ports(count: int, *hosts: str) -> list[int]:
    """Find ports that nobody uses now, and that nobody else is told by this until we end.

    A port is reserved by a socket of UDP that stays open: the server that gets it may start late,
    end and start again. The seed that tests share does not choose ports: two runs at once would
    both ask for the same.

    Parameters
    ----------
    count : int
        How many.
    *hosts : str
        Addresses on which each has to be free, by default 127.0.0.1.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(_RANGE, len(_RANGE)):
        if len(found) == count:
            return found
        with ExitStack() as stack:
            try:
                reserving = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
                reserving.bind(("127.0.0.1", port))
                for host in hosts or ("127.0.0.1",):
                    stack.enter_context(socket.socket()).bind((host, port))
            except OSError:
                continue
            reserving.detach()
            found.append(port)
    raise RuntimeError(f"expected {count} free ports in {_RANGE}, found {len(found)}")


def free_port() -> int:
    """Find one port of 127.0.0.1, as `free_ports` does."""
    (port,) = free_ports(1)
    return port


@contextmanager
def full_backlog() -> Iterator[int]:
    """Give a port whose queue is full: the kernel drops further SYNs."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
