"""Options for sending a run from several clients."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from sampler.cli.values import Count

if TYPE_CHECKING:
    from collections.abc import Callable

    from sampler.engine.effort import SamplingFactory

MOST_WORKERS = 64


def fleet_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for who sends."""
    for option in (
        click.option(
            "--lost", type=click.Choice(["worst", "ignore"]), default="worst", show_default=True,
            help="With --workers: what requests of a worker that was lost count as. worst: "
            "as missing labels. ignore: not at all, if its end had nothing to do with the target.",
        ),
        click.option(
            "--workers", type=Count(1, MOST_WORKERS), default=None, metavar="N",
            help="Send from N processes, each with a core of its own. Rate and concurrency are "
            "totals. Default: from this process.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def make_sampling(options: dict[str, Any]) -> SamplingFactory | None:
    """Return who sends, from the options that `fleet_options` added; None for this process."""
    if options["workers"] is None:
        return None
    from sampler.fleet.fleet import Fleet  # noqa: PLC0415 - heavy imports wait for a command
    from sampler.fleet.processes import Processes  # noqa: PLC0415

    crew = Processes(options["workers"])
    return partial(Fleet, crew=crew, counts_lost=options["lost"] == "worst")
