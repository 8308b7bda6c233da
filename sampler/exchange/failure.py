"""How an exchange can fail: a code for decisions, and a text for people.

Both transports name what went wrong by the same codes, whatever their libraries call it.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import TYPE_CHECKING

from analysis import Outcome
from sampler.labels.missing import describe_missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sampler.labels.rule import LabelRule
    from sampler.plan.load import Load


@unique
class FailureCode(Enum):
    """What went wrong: finer than the outcome, which follows from it."""

    REFUSED = "refused", Outcome.CONNECT_FAILED
    """Nothing listens there."""
    UNREACHABLE = "unreachable", Outcome.CONNECT_FAILED
    """No route leads to the host or its network."""
    NOT_CONNECTED = "not_connected", Outcome.CONNECT_FAILED
    """The system had another reason not to connect."""
    CERTIFICATE = "certificate", Outcome.CONNECT_FAILED
    """The server's certificate was not believed."""
    NOT_TLS = "not_tls", Outcome.CONNECT_FAILED
    """The server answered the TLS handshake with something else."""
    HANDSHAKE = "handshake", Outcome.CONNECT_FAILED
    """The TLS handshake failed for another reason."""
    NO_CONNECTION_IN_TIME = "no_connection_in_time", Outcome.CONNECT_TIMEOUT
    NO_ANSWER_IN_TIME = "no_answer_in_time", Outcome.TIMEOUT
    NO_ADDRESS = "no_address", Outcome.CLIENT_LIMIT
    """No local port is free, or this machine has no address of that family."""
    NO_RESOURCES = "no_resources", Outcome.CLIENT_LIMIT
    """This machine has no descriptor or memory left."""
    STALE = "stale", Outcome.STALE
    """The server had closed the kept connection."""
    CLOSED = "closed", Outcome.CLOSED
    RESET = "reset", Outcome.RESET
    NOT_HTTP = "not_http", Outcome.PROTOCOL
    """What came back is no HTTP/1 response."""
    BROKEN_TLS = "broken_tls", Outcome.PROTOCOL
    """TLS failed after the handshake."""
    TOO_LARGE = "too_large", Outcome.TOO_LARGE
    HTTPS_EXPECTED = "https_expected", Outcome.UNLABELLED
    """The server says that this port wants TLS."""
    NO_LABEL = "no_label", Outcome.UNLABELLED
    UNASKED = "unasked", Outcome.SURPLUS
    """The connection sent what no request had asked for."""
    GIVEN_UP = "given_up", Outcome.ABORTED
    """The run ended first."""
    DEFECT = "defect", Outcome.ABORTED
    """A bug of the transport; it ends the run."""

    def __init__(self, key: str, outcome: Outcome) -> None:
        self.key = key
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Failure:
    """What an exchange came to that got no label.

    Parameters
    ----------
    code : FailureCode
        What went wrong.
    text : str
        One line for people.
    errno : int or None
        Of the system call that failed.
    status : int
        Of the answer; 0 without one.
    headers : sequence of (bytes, bytes)
        Of the answer, for a remedy.
    body : bytes
        Of the answer, for a remedy.
    reason : str
        OpenSSL's name for what failed in TLS, or its number for what is wrong with a certificate.
    """

    code: FailureCode
    text: str
    errno: int | None = None
    status: int = 0
    headers: Sequence[tuple[bytes, bytes]] = field(default=(), repr=False, compare=False)
    body: bytes = field(default=b"", repr=False, compare=False)
    reason: str = ""

    @property
    def outcome(self) -> Outcome:
        """Outcome of the exchange."""
        return self.code.outcome


GIVEN_UP = Failure(FailureCode.GIVEN_UP, "given up in flight")
"""What an abort makes of an exchange."""
UNASKED = Failure(
    FailureCode.UNASKED, "the connection sent more than was asked for: an answer may be another's"
)
"""What the answers of a connection come to that sent more than was asked for."""
RESETS = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})
"""What a connection that was there, and is not any more, says."""

_CODES_OF_CONNECT = {
    errno.ECONNREFUSED: FailureCode.REFUSED,
    errno.EHOSTUNREACH: FailureCode.UNREACHABLE,
    errno.ENETUNREACH: FailureCode.UNREACHABLE,
    errno.ETIMEDOUT: FailureCode.NO_CONNECTION_IN_TIME,
    errno.EADDRNOTAVAIL: FailureCode.NO_ADDRESS,
    errno.EMFILE: FailureCode.NO_RESOURCES,
    errno.ENFILE: FailureCode.NO_RESOURCES,
    errno.ENOBUFS: FailureCode.NO_RESOURCES,
    errno.ENOMEM: FailureCode.NO_RESOURCES,
}
TIMED_OUT = b"HTTP/1.1 408 "
"""How an answer begins that says no more than that an idle connection ends (RFC 9110 section
15.5.9): it answers no request."""
_MOST_OF_A_REFUSAL = 1_024  # bytes of an answer in which a server says that it wants TLS


def connect_failure(code: int | None, host_port: str) -> Failure:
    """Return the failure for an errno of connect() to `host_port`, which is ``HOST:PORT``."""
    if code in RESETS:  # a refusal has another name: this one had been accepted
        return broken(FailureCode.RESET, is_kept=False, is_answered=False)
    number = code or errno.EIO
    return Failure(
        _CODES_OF_CONNECT.get(number, FailureCode.NOT_CONNECTED),
        f"connect to {host_port}: {os.strerror(number)}",
        number,
    )


def too_late(load: Load, host_port: str, *, is_connected: bool) -> Failure:
    """Return the failure for the deadline that an exchange has met."""
    if not is_connected and load.connect_timeout_s <= load.timeout_s:
        return Failure(
            FailureCode.NO_CONNECTION_IN_TIME,
            f"connect to {host_port}: no answer within {load.connect_timeout_s:g} s",
        )
    return Failure(FailureCode.NO_ANSWER_IN_TIME, f"no complete answer within {load.timeout_s:g} s")


def broken(code: FailureCode, *, is_kept: bool, is_answered: bool) -> Failure:
    """Return the failure for the early end of a connection.

    Parameters
    ----------
    code : FailureCode
        ``CLOSED`` or ``RESET``: how it ended.
    is_kept : bool
        Whether it had carried an exchange before.
    is_answered : bool
        Whether a part of the answer had come.
    """
    if is_kept and not is_answered:
        return Failure(FailureCode.STALE, f"the kept connection was {code.key} by the server")
    where = "inside the answer" if is_answered else "without an answer"
    return Failure(code, f"{code.key} by the server {where}")


def no_label(
    rule: LabelRule, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes
) -> Failure:
    """Return the failure for an answer in which no label was found by a rule."""
    wants_tls = status == 400 and b"HTTPS" in body[:_MOST_OF_A_REFUSAL]
    return Failure(
        FailureCode.HTTPS_EXPECTED if wants_tls else FailureCode.NO_LABEL,
        describe_missing(rule, status, headers, body),
        status=status,
        headers=headers,
        body=body,
    )
