"""Names that the user gives addresses for, in place of DNS."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from sampler.base.errors import UsageError

_HINT = "write it as curl does: --resolve HOST:PORT:ADDRESS[,ADDRESS], * for any host"
_PIN = re.compile(r"(?P<host>[^:\[\]+]+):(?P<port>\d{1,5}):(?P<addresses>.+)")


@dataclass(frozen=True, slots=True)
class PinnedHost:
    """What a host and port resolve to, without a look-up.

    Parameters
    ----------
    host : str
        A name in lower case, or ``*`` for any.
    port : int
        In [1, 65535].
    addresses : tuple of str
        IPv4 and IPv6 addresses, at least one.
    """

    host: str
    port: int
    addresses: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> PinnedHost:
        """Read ``HOST:PORT:ADDRESS[,ADDRESS]…``; IPv6 addresses with or without brackets.

        Raises
        ------
        UsageError
            If the text has another form.
        """
        match = _PIN.fullmatch(text)
        if match is None or not 1 <= int(match["port"]) <= 65_535:
            raise UsageError(f"expected HOST:PORT:ADDRESS, got {text!r}", hint=_HINT)
        host = match["host"].lower()
        if _is_address(host):
            raise UsageError(
                f"--resolve gives a name an address, and {host} is an address already",
                hint="ask the other address itself; its name goes into --header 'Host: …'",
            )
        addresses = tuple(part.strip("[]") for part in match["addresses"].split(","))
        wrong = [part for part in addresses if not _is_address(part)]
        if wrong:
            raise UsageError(f"expected an IP address, got {wrong[0]!r} in {text!r}", hint=_HINT)
        return cls(host, int(match["port"]), addresses)

    def matches(self, host: str, port: int) -> bool:
        """Whether it is this host and port that have these addresses."""
        return self.host in {"*", host.lower()} and self.port == port


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
