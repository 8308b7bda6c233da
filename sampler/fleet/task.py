"""What runs on a Dask worker: it has a child process sample, and only forwards.

The child is started as soon as a coordinator asks what the worker is, so that it has imported
everything when the task comes.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from sampler.base.version import __version__
from sampler.expect.cluster.position import NODE_NAMES
from sampler.fleet.messages import PATIENCE_S, Lease
from sampler.fleet.processes import spawn

if TYPE_CHECKING:
    from collections.abc import Callable

ZONE, SOURCE = "WEIGHBRIDGE_ZONE", "WEIGHBRIDGE_SOURCE"
"""Variables of a worker: its zone, and the address that its connections are to come from."""
ANSWER_S = 3.0
"""Time for the scheduler to answer [s]."""
ENDING_S = 10.0
"""Time for a child to end its run [s]."""
_LENGTH = struct.Struct("<I")
_spare: list[tuple[float, tuple[subprocess.Popen[bytes], socket.socket]]] = []
"""A child that was started beforehand, and when."""


def key_of(client: str, number: int) -> str:
    """Name the task of a vantage."""
    return f"weighbridge-{client}-{number}"


def describe() -> dict[str, str]:
    """Say what a worker is: runs there."""
    from importlib.metadata import version  # noqa: PLC0415 - slow

    environment = os.environ
    return {
        "weighbridge": __version__,
        "python": ".".join(map(str, sys.version_info[:2])),
        "distributed": version("distributed"),
        "zone": environment.get(ZONE, ""),
        "source": environment.get(SOURCE, ""),
        "node": next(filter(None, map(environment.get, NODE_NAMES)), ""),
    }


def meet() -> dict[str, str]:
    """Start a child for the task that will come, and say what a worker is: runs there."""
    if _spare and _spare[0][1][0].poll() is not None:
        _spare.clear()
    if not _spare:
        _spare.append((time.monotonic(), spawn(dies_with_parent=True)))
    return describe()


def _child() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Return a child that has heard nothing yet."""
    while _spare:
        began, (child, ours) = _spare.pop()
        if time.monotonic() - began < PATIENCE_S / 2:
            return child, ours
        ours.close()  # it ends, if it has not done so yet
        child.wait()
    return spawn(dies_with_parent=True)


def sample(client: str, number: int, poll_s: float) -> None:
    """Have a child process sample, and forward what it says: runs on a worker, in a thread."""
    from distributed import get_worker  # noqa: PLC0415 - as above
    from distributed.utils import sync  # noqa: PLC0415

    worker = get_worker()
    key = key_of(client, number)

    def ask(method: str, **named: Any) -> Any:
        return sync(worker.loop, getattr(worker.scheduler, method), callback_timeout=ANSWER_S,
                    **named)  # fmt: skip

    if ask("get_metadata", keys=[key, "started"], default=False):
        raise RuntimeError("its worker was started anew")  # nothing is sent twice
    ask("set_metadata", keys=[key, "started"], value=True)
    child, ours = _child()
    with ours:
        try:
            ours.settimeout(poll_s)
            _relay(ours, partial(ask, "get_metadata", keys=[key, "orders"], default={}),
                   lambda data: worker.log_event(client, [number, data]), poll_s)  # fmt: skip
        finally:
            with contextlib.suppress(OSError):
                ours.shutdown(socket.SHUT_WR)  # a child that still samples stops, and ends its run
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(ENDING_S)
            child.kill()
        if child.wait():
            raise RuntimeError(f"its process ended with {child.returncode}")


def _relay(
    ours: socket.socket,
    read_orders: Callable[[], dict[str, Any]],
    tell: Callable[[bytes], None],
    poll_s: float,
) -> None:
    """Carry messages between a child and the scheduler until the child has ended."""
    buffered, known, read_at = b"", dict[str, Any](), 0.0
    while True:
        with contextlib.suppress(TimeoutError):
            try:
                data = ours.recv(1 << 20)
            except ConnectionError:
                data = b""  # the child was killed
            if not data:
                return
            buffered += data
            while len(buffered) >= _LENGTH.size:
                end = _LENGTH.size + _LENGTH.unpack_from(buffered)[0]
                if len(buffered) < end:
                    break
                tell(buffered[:end])
                buffered = buffered[end:]
        if time.monotonic() - read_at >= poll_s:
            orders, read_at = read_orders(), time.monotonic()
            is_fresh = orders.get("beat") != known.get("beat")
            for kind, order in orders.items():
                # A lease that is the same again says that somebody is there.
                if kind != "beat" and (order != known.get(kind) or (is_fresh and kind == _LEASE)):
                    with contextlib.suppress(
                        ConnectionError
                    ):  # it has ended, and is read to its end
                        ours.sendall(order)
            known = orders


_LEASE = Lease.__name__
