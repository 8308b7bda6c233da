"""``weighbridge report``: render a recorded run again, or compare two of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sampler.base.errors import ExitCode, UsageError
from sampler.cli.documents import document_options, documents_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_TWO = ("json", "markdown", "html")
"""Documents that a comparison has; the others judge one run."""


@click.command(
    name="report",
    short_help="Render a recorded run again, also one that was cut off, or compare two.",
    epilog="Example: weighbridge report reports/20260102T030405.678901Z-check --json -",
)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("other", type=click.Path(path_type=Path), required=False)
@click.option(
    "--json", "json_file", default=None, metavar="FILE",
    help="Write the report, or the comparison, as JSON; '-' is stdout.",
)  # fmt: skip
@click.option("--junit", default=None, metavar="FILE", help="Write a JUnit report; '-' is stdout.")
@document_options
@click.pass_context
def command(ctx: click.Context, /, run: Path, other: Path | None, **options: Any) -> None:
    """Print the report of RUN, the folder of a run; nothing is sent.

    A run that was killed has no report: one is made of the samples that reached the disk, all
    but those of its last second, and says so. Its verdict is INCONCLUSIVE.

    With OTHER, the two runs are compared: how much the share of each label differs, with an
    interval that holds although each run chose its own end; outcomes, response times, and what
    of the plans differs. --json, --markdown and --html have the same.

    Rendering decides nothing, so the exit code is 0 whatever the verdicts; 2 if there is nothing
    to render or to compare.
    """
    if other is not None:
        _compare(run, other, documents_of(options))
        ctx.exit(ExitCode.PASS)
    from sampler.cli.execute import show  # noqa: PLC0415 - heavy imports wait for a command
    from sampler.run.recovery import report_of  # noqa: PLC0415
    from sampler.show.documents import located  # noqa: PLC0415
    from sampler.store.reader import RunFolder  # noqa: PLC0415

    show(located(report_of(RunFolder(run)), run), documents_of(options))
    ctx.exit(ExitCode.PASS)


def _compare(run: Path, other: Path, documents: Mapping[str, str]) -> None:
    from analysis.render.comparison import (  # noqa: PLC0415 - as above
        to_comparison_json,
        to_comparison_markdown,
        to_comparison_text,
    )
    from sampler.cli.execute import write_out  # noqa: PLC0415
    from sampler.show.comparing import compare_folders, comparison_page  # noqa: PLC0415

    for name in documents:
        if name not in _OF_TWO:
            raise UsageError(
                f"--{name} judges one run, and two are compared here",
                hint="leave it out, or name one run; a comparison has "
                + ", ".join(f"--{each}" for each in _OF_TWO),
            )
    pair = compare_folders(run, other)
    comparison = pair.comparison
    renderers = {
        "json": partial(to_comparison_json, comparison),
        "markdown": partial(to_comparison_markdown, comparison),
        "html": partial(comparison_page, pair),
    }
    write_out(partial(to_comparison_text, comparison), renderers, documents)
