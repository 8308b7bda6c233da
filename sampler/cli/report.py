"""``weighbridge report``: render a recorded run again, whole or cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sampler.cli.documents import document_options, documents_of
from sampler.errors import ExitCode


@click.command(
    name="report",
    short_help="Render a recorded run again, also one that was cut off.",
    epilog="Example: weighbridge report reports/20260102T030405.678901Z-check --json -",
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--json", "json_file", default=None, metavar="FILE",
    help="Write the report as JSON; '-' is stdout.",
)  # fmt: skip
@click.option("--junit", default=None, metavar="FILE", help="Write a JUnit report; '-' is stdout.")
@document_options
@click.pass_context
def command(ctx: click.Context, /, run: Path, **options: Any) -> None:
    """Print the report of RUN, the folder of a run; nothing is sent.

    A run that was killed has no report: one is made of the samples that reached the disk, all
    but those of its last second, and says so. Its verdict is INCONCLUSIVE. Rendering decides
    nothing, so the exit code is 0 whatever the verdict.
    """
    from sampler.cli.execute import show  # noqa: PLC0415 - heavy imports wait for a command
    from sampler.documents import located  # noqa: PLC0415
    from sampler.recovery import report_of  # noqa: PLC0415
    from sampler.store import read  # noqa: PLC0415

    show(located(report_of(read(run)), run), documents_of(options))
    ctx.exit(ExitCode.PASS)
