"""The plan of a run: how requests are sent, and when sending ends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, unique

from sampler.errors import UsageError
from sampler.names import Pin  # noqa: TC001 - a stored plan is read by its types

DEFAULT_MAX_RATE = 2_000.0
"""Launches per second that a run does not exceed unless it is told to [1/s]."""


@unique
class TransportKind(Enum):
    """Which transport carries the exchanges."""

    AUTO = "auto"
    FAST = "fast"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class ConnectionLife:
    """How many requests a connection carries before it is closed.

    Parameters
    ----------
    shortest, longest : int or None
        The number is drawn uniformly from ``[shortest, longest]`` for each connection,
        so that connections do not march in step; None means without end.

    Raises
    ------
    UsageError
        If the range is empty or starts below 1.
    """

    shortest: int | None = 1
    longest: int | None = 1

    def __post_init__(self) -> None:
        ends_known = self.shortest is not None and self.longest is not None
        if not ends_known and self.shortest is not self.longest:
            raise UsageError(f"expected both ends of MIN:MAX, got {self.shortest}:{self.longest}")
        if (
            self.shortest is not None
            and self.longest is not None
            and not 1 <= self.shortest <= self.longest
        ):
            raise UsageError(
                f"expected 1 <= MIN <= MAX requests on a connection, "
                f"got {self.shortest}:{self.longest}"
            )

    @classmethod
    def parse(cls, text: str) -> ConnectionLife:
        """Read ``fresh``, ``reuse`` or ``MIN:MAX``.

        Raises
        ------
        UsageError
            If the text has another form.
        """
        if text == "fresh":
            return cls(1, 1)
        if text == "reuse":
            return cls(None, None)
        match = re.fullmatch(r"(\d{1,9}):(\d{1,9})", text)
        if match is None:
            raise UsageError(f"expected fresh, reuse or MIN:MAX such as 10:30, got {text!r}")
        return cls(int(match[1]), int(match[2]))

    @property
    def is_fresh(self) -> bool:
        """Whether each request has a connection of its own."""
        return self.longest == 1

    def __str__(self) -> str:
        if self.is_fresh:
            return "fresh"
        return "reuse" if self.longest is None else f"{self.shortest}:{self.longest}"


@dataclass(frozen=True, slots=True)
class Load:
    """How requests are sent.

    Parameters
    ----------
    concurrency : int, default 16
        Most exchanges in flight at once, in [1, 10000].
    rate : float or None
        Open workload: Poisson arrivals at this rate [1/s], > 0; an arrival that finds
        `concurrency` exchanges in flight is shed. None: closed workload.
    connection : ConnectionLife, default fresh
        Requests on each connection.
    transport : TransportKind, default AUTO
        AUTO takes ``fast`` where it can.
    connect_timeout_s : float, default 2
        For the connection alone [s], > 0.
    timeout_s : float, default 5
        For the whole exchange, connection included [s], > 0.
    max_rate : float or None, default 2000
        Hard cap on launches per second [1/s], in both workloads, > 0; None lifts it.
    overload_stop : bool, default True
        Stop sending when the target says that it is overloaded (`sampler.overload`).
    max_header_bytes, max_body_bytes : int
        Limits of one response.
    pins : tuple of Pin
        Addresses that replace the look-up of the target's name.
    dns_ttl_s : float, default 10
        How old addresses may be for a new connection [s], in [0, 86400]; 0 looks up once.

    Raises
    ------
    UsageError
        If a value lies outside its range.
    """

    concurrency: int = 16
    rate: float | None = None
    connection: ConnectionLife = ConnectionLife()
    transport: TransportKind = TransportKind.AUTO
    connect_timeout_s: float = 2.0
    timeout_s: float = 5.0
    max_header_bytes: int = 65_536
    max_body_bytes: int = 1_048_576
    max_rate: float | None = DEFAULT_MAX_RATE
    overload_stop: bool = True
    pins: tuple[Pin, ...] = ()
    dns_ttl_s: float = 10.0

    def __post_init__(self) -> None:
        if not 1 <= self.concurrency <= 10_000:
            raise UsageError(f"concurrency must lie in [1, 10000], got {self.concurrency}")
        if self.rate is not None and not 0 < self.rate <= 1e6:
            raise UsageError(
                f"rate must be above 0 and at most 1000000 requests per second, got {self.rate}"
            )
        if self.max_rate is not None:
            if not 0 < self.max_rate <= 1e6:
                raise UsageError(
                    "max_rate must be above 0 and at most 1000000 requests per second, "
                    f"got {self.max_rate}"
                )
            if self.rate is not None and self.rate > self.max_rate:
                raise UsageError(
                    f"a rate of {self.rate:g}/s is above the cap of {self.max_rate:g} requests "
                    "per second",
                    hint="if the target can take it, raise the cap: --max-rate "
                    f"{self.rate:g}, or none",
                )
        if not 0 <= self.dns_ttl_s <= 86_400:
            raise UsageError(f"dns_ttl_s must lie in [0, 86400] s, got {self.dns_ttl_s}")
        for name in ("connect_timeout_s", "timeout_s"):
            value = getattr(self, name)
            if not 0 < value <= 3600:
                raise UsageError(f"{name} must be above 0 and at most 3600 s, got {value}")
        for name in ("max_header_bytes", "max_body_bytes"):
            if not getattr(self, name) >= 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Limits:
    """When sending ends, whatever the samples say.

    Parameters
    ----------
    max_samples : int or None
        Requests launched, >= 1.
    max_time_s : float or None
        Seconds of sending, > 0; what is in flight then is still drained.

    Raises
    ------
    UsageError
        If a value lies outside its range, or both are None: a run must end by itself.
    """

    max_samples: int | None = None
    max_time_s: float | None = None

    def __post_init__(self) -> None:
        if self.max_samples is None and self.max_time_s is None:
            raise UsageError(
                "a run must end by itself", hint="give --max-samples, --max-time or both"
            )
        if self.max_samples is not None and not self.max_samples >= 1:
            raise UsageError(f"max_samples must be at least 1, got {self.max_samples}")
        if self.max_time_s is not None and not 0 < self.max_time_s <= 1e6:
            raise UsageError(f"max_time_s must be above 0 seconds, got {self.max_time_s}")
