"""Options for sending a run from several clients."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from sampler.base.errors import UsageError
from sampler.cli.messages import say_warning
from sampler.cli.sections import with_options
from sampler.cli.values import Count

if TYPE_CHECKING:
    from sampler.engine.effort import SamplingFactory
    from sampler.fleet.messages import Vantage

MOST_WORKERS = 64
_VANTAGE = re.compile(r"(zone|node)(?::([1-9]\d*))?|all|[1-9]\d*")
fleet_options = with_options(
    click.option(
        "--workers", type=Count(1, MOST_WORKERS), default=None, metavar="N",
        help="Send from N processes, each with a core of its own. Rate and concurrency are "
        "totals. Default: from this process.",
    ),
    click.option(
        "--dask", default=None, metavar="ADDRESS",
        help="Send from the workers of a Dask cluster, given its scheduler (tls://HOST:PORT).",
    ),
    click.option(
        "--vantage", default=None, metavar="zone|node|zone:N|all|N",
        help="With --dask: which workers send. zone, node: one of each, and check judges each "
        "by itself; zone:N waits for a minute until there are N. all, N: one stream. Default: "
        "zone if the workers say theirs, else all.",
    ),
    click.option(
        "--lost", type=click.Choice(["worst", "ignore"]), default="worst", show_default=True,
        help="With --workers and --dask: what requests of a worker that was lost count as. "
        "worst: as missing labels. ignore: not at all, if its end had nothing to do with the "
        "target.",
    ),
)  # fmt: skip
"""Who sends."""


@dataclass(frozen=True, slots=True)
class Senders:
    """Who sends a run.

    Parameters
    ----------
    sampling : SamplingFactory
        Makes what sends it.
    place : str
        ``zone`` or ``node`` if each is to be judged by itself; empty for one stream.
    vantages : tuple of Vantage
        Where they are; empty for processes of this machine.
    """

    sampling: SamplingFactory
    place: str = ""
    vantages: tuple[Vantage, ...] = ()

    @property
    def zone_of(self) -> tuple[str, ...]:
        """Which place each vantage is judged with; empty for one stream."""
        return tuple(getattr(each, self.place) for each in self.vantages) if self.place else ()


def make_senders(options: dict[str, Any]) -> Senders | None:
    """Return who sends, from `fleet_options`; None for this process.

    Raises
    ------
    UsageError
        If the options contradict each other, or the cluster is not fit.
    """
    workers, dask, vantage = options["workers"], options["dask"], options["vantage"]
    if vantage is not None and dask is None:
        raise UsageError(f"--vantage {vantage} works with --dask only", hint="leave it out")
    if workers is not None and dask is not None:
        raise UsageError("expected one of --workers and --dask, got both")
    if workers is None and dask is None:
        return None
    from sampler.fleet.fleet import Fleet  # noqa: PLC0415 - heavy imports wait for a command

    counts_lost = options["lost"] == "worst"
    if dask is None:
        from sampler.fleet.processes import Processes  # noqa: PLC0415 - as above

        return Senders(partial(Fleet, crew=Processes(workers), counts_lost=counts_lost))
    import asyncio  # noqa: PLC0415 - as above

    from sampler.fleet.dask import DaskWorkers, gathered, is_exposed  # noqa: PLC0415

    asked = _VANTAGE.fullmatch(vantage or "zone")
    if asked is None:
        raise UsageError(
            f"--vantage must be zone, node, all or a number of at least 1, got {vantage!r}",
            hint="zone:3 waits for workers of three zones",
        )
    if is_exposed(dask):
        say_warning(
            f"whoever reaches {dask} can run any code on its workers, as nobody is identified",
            "use TLS: --dask tls://HOST:PORT (docs/fleet.md)",
        )
    place, least = asked.groups()
    choice = "" if vantage is None else place or vantage
    vantages = asyncio.run(gathered(dask, choice, int(least or 0)))
    if vantage is None and not all(each.zone for each in vantages):
        place = ""
    return Senders(
        partial(Fleet, crew=DaskWorkers(dask, vantages), counts_lost=counts_lost),
        place or "",
        tuple(vantages),
    )
