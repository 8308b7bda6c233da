"""The plan of a run: how requests are sent, and when sending ends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, unique
from ipaddress import ip_address
from math import inf
from numbers import Integral, Real

from sampler.base.errors import UsageError, is_a
from sampler.plan.pinned_hosts import PinnedHost

DEFAULT_MAX_RATE = 2_000.0
"""Launches per second that a run does not exceed unless it is told to [1/s]."""


_WRITE_LIFE = "write ConnectionLife.parse('fresh'), 'reuse' or '10:30'"


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
    is_auto : bool
        Whether a pilot chooses (`sampler.run.pilot`); until then the connections are fresh.

    Raises
    ------
    UsageError
        If the range is empty or starts below 1.
    """

    shortest: int | None = 1
    longest: int | None = 1
    is_auto: bool = False

    def __post_init__(self) -> None:
        for end in (self.shortest, self.longest):
            if end is not None and not is_a(end, Integral):
                raise UsageError(f"expected a number of requests, got {end!r}", hint=_WRITE_LIFE)
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
        """Read ``fresh``, ``reuse``, ``auto`` or ``MIN:MAX``.

        Raises
        ------
        UsageError
            If the text has another form.
        """
        if text == "fresh":
            return cls(1, 1)
        if text == "auto":
            return cls(is_auto=True)
        if text == "reuse":
            return cls(None, None)
        match = re.fullmatch(r"(\d{1,9}):(\d{1,9})", text) if is_a(text, str) else None
        if match is None:
            raise UsageError(f"expected fresh, reuse, auto or MIN:MAX such as 10:30, got {text!r}")
        return cls(int(match[1]), int(match[2]))

    @property
    def is_fresh(self) -> bool:
        """Whether each request has a connection of its own."""
        return self.longest == 1

    def __str__(self) -> str:
        if self.is_auto:
            return "auto"
        if self.is_fresh:
            return "fresh"
        return "reuse" if self.longest is None else f"{self.shortest}:{self.longest}"


_KINDS: dict[str, tuple[type, str]] = {
    "connection": (ConnectionLife, "ConnectionLife.parse('10:30')"),
    "transport": (TransportKind, "TransportKind.FULL"),
}


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
        Stop sending when the target says that it is overloaded (`sampler.exchange.overload`).
    max_header_bytes, max_body_bytes : int
        Limits of one response.
    pins : tuple of PinnedHost
        Addresses that replace the look-up of the target's name.
    dns_ttl_s : float, default 10
        How old addresses may be for a new connection [s], in [0, 86400]; 0 looks up once.
    source : str
        IP address of this machine that connections come from; empty lets the system choose.

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
    pins: tuple[PinnedHost, ...] = ()
    dns_ttl_s: float = 10.0
    source: str = ""

    def __post_init__(self) -> None:
        for name, (kind, example) in _KINDS.items():
            if not isinstance(getattr(self, name), kind):
                raise UsageError(
                    f"{name} must be a {kind.__name__} such as {example}, "
                    f"got {getattr(self, name)!r}"
                )
        if not is_a(self.pins, tuple) or not all(is_a(pin, PinnedHost) for pin in self.pins):
            raise UsageError(
                f"pins must be a tuple of PinnedHost, got {self.pins!r}",
                hint='write pins=(PinnedHost.parse("shop.test:80:127.0.0.1"),)',
            )
        if self.source:
            try:
                ip_address(self.source)
            except ValueError as error:
                raise UsageError(
                    f"source must be an IP address of this machine, got {self.source!r}",
                    hint="list them: ip address",
                ) from error
            if self.transport is TransportKind.FULL:
                raise UsageError(
                    "the full transport cannot choose the address that connections come from",
                    hint="leave source out, or transport",
                )
        _require_whole("concurrency", self.concurrency, 10_000)
        _require_whole("max_header_bytes", self.max_header_bytes)
        _require_whole("max_body_bytes", self.max_body_bytes)
        _require_positive("timeout_s", self.timeout_s, 3600, "s")
        _require_positive("connect_timeout_s", self.connect_timeout_s, 3600, "s")
        for name in ("rate", "max_rate"):
            if getattr(self, name) is not None:
                _require_positive(name, getattr(self, name), 1e6, "requests per second")
        if self.dns_ttl_s != 0:
            _require_positive("dns_ttl_s", self.dns_ttl_s, 86_400, "s")
        if self.rate is not None and self.max_rate is not None and self.rate > self.max_rate:
            raise UsageError(
                f"a rate of {self.rate:g}/s is above the cap of {self.max_rate:g} requests "
                "per second",
                hint=f"if the target can take it, raise the cap: --max-rate {self.rate:g}, or none",
            )


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
        if self.max_samples is not None:
            _require_whole("max_samples", self.max_samples)
        if self.max_time_s is not None:
            _require_positive("max_time_s", self.max_time_s, 1e6, "s")


def _require_whole(name: str, value: object, most: float = inf) -> None:
    number = int(value) if isinstance(value, Integral) else 0
    if not 1 <= number <= most:
        at_most = "" if most == inf else f" and at most {most}"
        raise UsageError(f"{name} must be a whole number of at least 1{at_most}, got {value!r}")


def _require_positive(name: str, value: object, most: float, unit: str) -> None:
    number = float(value) if isinstance(value, Real) else 0.0
    if not 0 < number <= most:
        raise UsageError(f"{name} must be above 0 and at most {most:.0f} {unit}, got {value!r}")
