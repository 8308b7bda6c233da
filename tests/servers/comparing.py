"""The counts of a server, and ours."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sampler.plan.load import ConnectionLife, Limits, Load, TransportKind
from sampler.plan.pinned_hosts import PinnedHost
from sampler.run.door import sample
from tests.servers.running import COMBINATIONS, HOST, VERSIONS, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.running import Server

_CONCURRENCY = 16


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of the requests to one path.

    Parameters
    ----------
    path : str
        Framing, transport and life of the connections.
    requests : int
        How many were to be sent.
    ours, theirs : dict of str to int
        Answers by version.
    outcomes : dict of str to int
        How they ended.
    connections : int
        That were opened.
    """

    path: str
    requests: int
    ours: dict[str, int]
    theirs: dict[str, int]
    outcomes: dict[str, int]
    connections: int

    @property
    def is_equal(self) -> bool:
        """Whether each request was answered, and both have counted the same."""
        return self.ours == self.theirs and self.outcomes == {"ok": self.requests}

    def tell(self) -> str:
        """Return the difference."""
        return f"{self.path}: {self.ours}, the server {self.theirs}, {self.outcomes}"


def compared(server: Server, folder: Path, requests: int, origin: Server) -> list[Compared]:
    """Send requests to every path that a server has, and compare the counts.

    Raises
    ------
    TimeoutError
        If it does not start.
    """
    with running(server, folder, origin) as at:
        reports = {
            f"{framing}/{combination}": asyncio.run(
                _sampled(framing, combination, at.port, requests)
            )
            for framing in server.framings
            for combination in COMBINATIONS
        }
    return [
        Compared(
            path,
            requests,
            {label: report.observed.counts.get(label, 0) for label in VERSIONS},
            at.counts(path),
            report.samples.outcomes,
            report.samples.connections,
        )
        for path, report in reports.items()
    ]


async def _sampled(framing, combination, port, requests):
    transport, life = combination.split("-")
    load = Load(
        concurrency=_CONCURRENCY,
        connection=ConnectionLife.parse(life),
        transport=TransportKind(transport),
        max_rate=None,
        pins=(PinnedHost(HOST, port, tuple(VERSIONS.values())),),
    )
    return await sample(
        f"http://{HOST}:{port}/{framing}/{combination}",
        Limits(max_samples=requests, max_time_s=60),
        load=load,
        replica=None,
        seed=1,
    )
