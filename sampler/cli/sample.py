"""``weighbridge sample``: measure only."""

from __future__ import annotations

import sys
from typing import Any

import click

from sampler.cli.documents import documents_of
from sampler.cli.fleet import fleet_options, make_senders
from sampler.cli.options import (
    command_line,
    load_options,
    make_plan,
    run_options,
    runs_folder,
    target_options,
)
from sampler.cli.sections import SectionedCommand
from sampler.cli.values import Count, Duration


@click.command(
    cls=SectionedCommand,
    name="sample",
    short_help="Measure only, and write a run.",
    epilog="Example: weighbridge sample http://shop.example/ --max-time 30s",
)
@click.argument("url")
@click.option(
    "--max-samples", type=Count(), default=None, metavar="N",
    help="Stop after N requests.",
)  # fmt: skip
@click.option(
    "--max-time", type=Duration(), default="10s", show_default=True, metavar="TIME",
    help="Stop after this time.",
)  # fmt: skip
@load_options
@fleet_options
@target_options
@run_options
@click.pass_context
def command(ctx: click.Context, /, url: str, **options: Any) -> None:
    """Sample URL for a while and write what was measured, without judging it."""
    from sampler.cli.execute import execute  # noqa: PLC0415 - heavy imports wait for a command
    from sampler.plan.load import Limits  # noqa: PLC0415

    senders = make_senders(options)
    plan = make_plan(
        url,
        options,
        "sample",
        limits=Limits(options["max_samples"], options["max_time"]),
        out=runs_folder(ctx),
        keep=options["keep"],
        command=command_line(sys.argv[1:]),
        zone_of=() if senders is None else senders.zone_of,
    )
    sampling = None if senders is None else senders.sampling
    ctx.exit(execute(plan, documents_of(options), sampling=sampling))
