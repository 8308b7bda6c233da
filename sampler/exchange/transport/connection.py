"""A connection of the fast transport: one socket, its state, and the names of its failures."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from analysis import ABSENT
from sampler.exchange.failure import RESETS, Failure, FailureCode, broken

if TYPE_CHECKING:
    import socket

    from sampler.exchange.http1.response import ResponseReader

CHUNK = 4_096
"""Bytes of one read: a buffer of this size costs less than a larger one, though it is cut."""

# States: plain integers, because they are compared several times a request.
CONNECTING, SENDING, AWAITING, IDLE, DRAINING, HALF_CLOSED = range(6)


class Connection:
    """One socket and the exchange that it carries.

    Parameters
    ----------
    sock : socket
        Non-blocking.
    slot, number : int
        Whose it is; which one it is in the run.
    left : int
        Exchanges that may still start here; negative is without end.
    """

    __slots__ = (
        "deadline_ns",
        "fd",
        "first_byte_ns",
        "index",
        "left",
        "number",
        "ordinal",
        "outgoing",
        "reader",
        "scheduled_ns",
        "sent_ns",
        "slot",
        "sock",
        "state",
    )

    def __init__(self, sock: socket.SocketType, slot: int, number: int, left: int) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.slot = slot
        self.number = number
        self.left = left
        self.ordinal = -1
        self.state = CONNECTING
        self.reader: ResponseReader | None = None
        self.outgoing: bytes | memoryview = b""
        self.index = ABSENT
        self.scheduled_ns = self.sent_ns = self.first_byte_ns = ABSENT
        self.deadline_ns = 0


def send_failure(conn: Connection, error: OSError) -> Failure:
    """Return the failure for an error of send()."""
    if conn.ordinal > 0:
        return broken(FailureCode.CLOSED, is_kept=True, is_answered=False)
    return _failed_call("sending the request", error)


def read_failure(conn: Connection, error: OSError) -> Failure:
    """Return the failure for an error of recv()."""
    if error.errno in RESETS:
        return _broken(FailureCode.RESET, conn)
    return _failed_call("reading the answer", error)


def early_end(conn: Connection) -> Failure:
    """Return the failure for the end of a connection whose answer is not complete."""
    return _broken(FailureCode.CLOSED, conn)


def _failed_call(what: str, error: OSError) -> Failure:
    code = error.errno or errno.EIO
    return Failure(FailureCode.RESET, f"{what}: {os.strerror(code)}", code)


def _broken(code: FailureCode, conn: Connection) -> Failure:
    is_answered = conn.first_byte_ns != ABSENT
    return broken(code, is_kept=conn.ordinal > 0, is_answered=is_answered)
