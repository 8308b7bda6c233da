"""Limits of this machine, looked at before anything is sent.

Who closes a connection first keeps its port in TIME_WAIT for a minute. The fast transport
waits for the server to close, so that the minute is the server's; the full one cannot, and
with fresh connections runs out of ports on a long enough run.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sampler.exchange.transport.base import MOST_DRAINING, OWN_FILES

if TYPE_CHECKING:
    from sampler.plan.load import Limits, Load

TIME_WAIT_S = 60.0
"""Time for which Linux keeps the port of a connection that it closed first [s]."""

_IPV4 = Path("/proc/sys/net/ipv4")


@dataclass(frozen=True, slots=True)
class LocalLimits:
    """What this machine allows.

    Parameters
    ----------
    ports : int
        Local ports that connections to one address and port can use.
    reuses_ports : bool
        Whether a port in TIME_WAIT is used again for a new connection after a second
        (``net.ipv4.tcp_tw_reuse=1``).
    files : int
        Descriptors that this process may have open, after its soft limit was raised.
    """

    ports: int
    reuses_ports: bool
    files: int

    @classmethod
    def here(cls) -> LocalLimits:
        """Read the limits of this process and its network namespace."""
        low, high = _numbers(_IPV4 / "ip_local_port_range", (32_768, 60_999))
        (reuse,) = _numbers(_IPV4 / "tcp_tw_reuse", (2,))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = 2**31 if soft == resource.RLIM_INFINITY else soft
        return cls(max(high - low + 1, 1), reuse == 1, files)

    @property
    def sustainable_per_s(self) -> float:
        """Fresh connections per second to one address if TIME_WAIT stays here [1/s]."""
        return self.ports / TIME_WAIT_S


def raise_file_limit(concurrency: int) -> None:
    """Raise the soft limit of open files as far as a run with `concurrency` slots can use it.

    A server that does not close its connections makes as many wait for that as there may be;
    where the hard limit leaves less than that, the transport keeps fewer.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(files_needed(concurrency), concurrency + MOST_DRAINING + OWN_FILES)
    if resource.RLIM_INFINITY != soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(most, soft), hard))


def files_needed(concurrency: int) -> int:
    """File descriptors that a run with this many slots may use.

    Each slot has one connection, and as many again may be waiting for the server's FIN.
    """
    return 2 * concurrency + OWN_FILES


def warnings(limits: LocalLimits, load: Load, until: Limits, *, keeps_time_wait: bool) -> list[str]:
    """Return the limits that the plan exceeds, and the command that raises them.

    Parameters
    ----------
    limits : LocalLimits
        Of this machine.
    load, until
        The plan.
    keeps_time_wait : bool
        Whether the transport closes first, so that TIME_WAIT is on this side.

    Returns
    -------
    list of str
        One sentence for each; empty if the plan fits.
    """
    found = []
    if limits.files < files_needed(load.concurrency):
        found.append(
            f"{load.concurrency} requests in flight may need {files_needed(load.concurrency)} "
            f"open files, but this process may have only {limits.files}; raise the limit: "
            f"ulimit -n {files_needed(load.concurrency)}"
        )
    if not (keeps_time_wait and load.connection.is_fresh) or limits.reuses_ports:
        return found
    rate = load.rate or load.max_rate
    connections = min(
        until.max_samples or float("inf"),
        float("inf") if rate is None or until.max_time_s is None else rate * until.max_time_s,
    )
    if connections > limits.ports and (rate is None or rate > limits.sustainable_per_s):
        found.append(
            f"with a fresh connection each, {limits.ports} local ports sustain "
            f"{limits.sustainable_per_s:.0f} requests/s to one address, but this plan may send "
            f"{'more' if rate is None else f'{rate:g}/s'}; lower --max-rate, reuse connections "
            "(--connection 10:30), or raise the limit: sysctl -w net.ipv4.tcp_tw_reuse=1 "
            'net.ipv4.ip_local_port_range="1024 65535"'
        )
    return found


def _numbers(path: Path, otherwise: tuple[int, ...]) -> tuple[int, ...]:
    """Read the numbers of a kernel parameter; `otherwise` where the system has none."""
    try:
        return tuple(map(int, path.read_text(encoding="ascii").split()))
    except (OSError, ValueError):
        return otherwise
