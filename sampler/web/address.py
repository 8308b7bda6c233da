"""Where a door listens, and whether it may do so without a token."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from sampler.base.errors import UsageError

_EXAMPLE = "write HOST:PORT, such as 127.0.0.1:8080, [::1]:8080 or :8080 for every address"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a door listens.

    Parameters
    ----------
    host : str
        An IP address, ``localhost``, or a name; empty listens on every address.
    port : int
        In [0, 65535]; 0 takes a free one.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``HOST:PORT``; the host of IPv6 stands in brackets.

        Raises
        ------
        UsageError
            If it is none.
        """
        host, colon, port = text.rpartition(":")
        if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65_535:
            raise UsageError(f"--listen {text}: expected HOST:PORT", hint=_EXAMPLE)
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise UsageError(f"--listen {text}: IPv6 stands in brackets", hint=_EXAMPLE)
        return cls("" if host == "*" else host, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def at(self, port: int) -> str:
        """Return ``HOST:PORT`` as it stands in a URL, with the port that was taken."""
        host = self.host or "0.0.0.0"  # noqa: S104 - what an empty host means
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether a host, without its port, is this machine for certain: no name but localhost is."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def require_guarded(address: Address, *, has_tokens: bool, is_open: bool) -> None:
    """Refuse to let strangers in unless that was said.

    Parameters
    ----------
    address : Address
    has_tokens : bool
        Whether callers have to name a token.
    is_open : bool
        Whether the user said that anybody may call.

    Raises
    ------
    UsageError
        If the address can be reached from elsewhere, without a token.
    """
    if not (address.is_loopback or has_tokens or is_open):
        raise UsageError(
            f"--listen {address.at(address.port)} can be reached from other machines, and nothing "
            "says who may call",
            hint="give --token-file FILE, listen on 127.0.0.1, or say --no-token",
        )
