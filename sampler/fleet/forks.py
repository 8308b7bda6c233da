"""Children that sample: forked from a process that has imported everything, in no time.

A process forks safely only while no thread of it is in the midst of something, which a coordinator
and a Dask worker always are. So each has a server of its own that does nothing else.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SERVER = "from sampler.fleet.worker import main; main()"
# Threads cannot be forked, and Python warns of them: neither NumPy nor Arrow's jemalloc has any.
_ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
_NUMBER = struct.Struct("<i")
_FORK = 0


@dataclass(frozen=True, slots=True)
class Child:
    """A process that samples, and the socket that leads to it, which it closes at its end."""

    pid: int
    sock: socket.socket


class ForkServer:
    """Starts children, the first one as soon as everything is imported.

    Parameters
    ----------
    dies_with_parent : bool
        Whether the server and its children are killed with this process; else they find their
        sockets closed: the server ends, and a child ends its run first.
    """

    def __init__(self, *, dies_with_parent: bool = False) -> None:
        self._orders, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-c", _SERVER, str(theirs.fileno())]
            if dies_with_parent:
                command.append(str(os.getpid()))
            # Signals of the terminal are for the coordinator.
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                command, pass_fds=[theirs.fileno()], start_new_session=True,
                env={**os.environ, **_ONE_THREAD},
            )  # fmt: skip

    @property
    def is_live(self) -> bool:
        """Whether children can be started."""
        return self._process.poll() is None

    def fork(self) -> Child:
        """Start a child; waits for the imports.

        Raises
        ------
        OSError
            If the server has ended, as it does without memory for a child.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._orders, [_NUMBER.pack(_FORK)], [theirs.fileno()])
        told = self._orders.recv(_NUMBER.size, socket.MSG_WAITALL)
        if len(told) < _NUMBER.size:
            ours.close()
            raise OSError("the process that samples could not be started")
        return Child(_NUMBER.unpack(told)[0], ours)

    def kill(self, child: Child) -> None:
        """Kill a child that does not end."""
        if self.is_live:
            self._orders.send(_NUMBER.pack(child.pid))

    def close(self) -> None:
        """End the server; children that are left go on."""
        self._orders.close()
        self._process.kill()
        self._process.wait()


def serve_forks(orders: socket.socket, sample: Callable[[socket.socket, int], None]) -> None:
    """Fork a child for each order, until nobody gives orders any more: runs in the server.

    Parameters
    ----------
    orders : socket
        As `ForkServer` writes to it.
    sample : callable
        What a child does with its socket; it is told the process that it came from.
    """
    parent, children = os.getpid(), set[int]()
    while True:
        told, fds, _, _ = socket.recv_fds(orders, _NUMBER.size, 1)
        if not told:
            return
        # The number of a child is nobody else's until it is waited for: only then is it forgotten.
        children -= {each for each in children if os.waitpid(each, os.WNOHANG)[0]}
        number = _NUMBER.unpack(told)[0]
        if number != _FORK:
            if number in children:
                os.kill(number, signal.SIGKILL)
            continue
        pid = os.fork()
        if not pid:
            orders.close()
            with socket.socket(fileno=fds[0]) as sock:
                sample(sock, parent)
            return
        os.close(fds[0])
        children.add(pid)
        orders.send(_NUMBER.pack(pid))
