"""``weighbridge report``: render a recorded run again, or compare two of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sampler.base.errors import ExitCode, UsageError
from sampler.cli.documents import document_options, documents_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_OF_TWO = ("json", "markdown", "html")
"""Documents that a comparison has; the others are for one run."""


@click.command(
    name="report",
    short_help="Render a recorded run again, even an unfinished one, or compare two.",
    epilog="Example: weighbridge report reports/20260102T030405.678901Z-check --json -",
)
@click.argument("run", type=click.Path(path_type=Path), required=False)
@click.argument("other", type=click.Path(path_type=Path), required=False)
@click.option(
    "--json", "json_file", default=None, metavar="FILE",
    help="Write the report, or the comparison, as JSON; '-' is stdout.",
)  # fmt: skip
@document_options
@click.option("--list", "is_list", is_flag=True, help="List the newest runs instead.")
@click.option(
    "--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("reports"),
    show_default=True, metavar="DIR", help="Folder of runs, for 'latest' and --list.",
)  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context,
    /,
    run: Path | None,
    other: Path | None,
    *,
    is_list: bool,
    runs: Path,
    **options: Any,
) -> None:
    """Print the report of RUN, the folder of a run or 'latest'; nothing is sent.

    A run that was killed has no report: one is made from the samples on disk, which lack at most
    its last second, and says so. Its verdict is INCONCLUSIVE.

    A run that was watched has --html, the page that was served, and --json, the last state of each
    target on a line of its own.

    With OTHER, two runs are compared: the difference in each label's share, with an interval
    that is valid even though each run chose when to stop; outcomes, response times, and the
    settings that differ. --json, --markdown and --html contain the same.

    The exit code is 0 whatever the verdicts, and 2 if there is nothing to render or compare.
    """
    from sampler.show.watched import is_watched  # noqa: PLC0415 - imports wait for a command
    from sampler.store.runs import LATEST, find_run  # noqa: PLC0415

    if is_list:
        _list(runs, run, documents_of(options))
        ctx.exit(ExitCode.PASS)
    if run is None:
        raise UsageError(
            "expected the folder of a run, got none",
            hint=f"name one, or the newest: weighbridge report {LATEST}; --list shows them",
        )
    run = find_run(run, runs)
    if other is None and is_watched(run):
        _show_watched(run, documents_of(options))
        ctx.exit(ExitCode.PASS)
    if other is not None:
        _compare(run, find_run(other, runs), documents_of(options))
        ctx.exit(ExitCode.PASS)
    from sampler.cli.execute import show  # noqa: PLC0415 - as above
    from sampler.run.recovery import report_of  # noqa: PLC0415
    from sampler.show.documents import located  # noqa: PLC0415
    from sampler.store.reader import RunFolder  # noqa: PLC0415

    show(located(report_of(RunFolder(run)), run), documents_of(options))
    ctx.exit(ExitCode.PASS)


def _list(runs: Path, run: Path | None, documents: Mapping[str, str]) -> None:
    from sampler.cli import screen  # noqa: PLC0415 - as above
    from sampler.show.listing import table_of  # noqa: PLC0415

    given = next((f"--{name}" for name in documents), None if run is None else str(run))
    if given is not None:
        raise UsageError(
            f"--list shows all runs, and {given} is for one",
            hint="leave one of them out; in Python, weighbridge.runs() is a data frame",
        )
    table = table_of(runs)
    screen.show(lambda **_: [table])


def _show_watched(run: Path, documents: Mapping[str, str]) -> None:
    from sampler.cli.execute import require_written, write_out  # noqa: PLC0415 - as above
    from sampler.show.watched import chronicle_of, parts, renderers_of  # noqa: PLC0415

    chronicle = chronicle_of(run)
    renderers = renderers_of(chronicle)
    _require_known(documents, renderers, "is for one verdict, and this run was watched")
    require_written(write_out(partial(parts, chronicle), renderers, documents))


def _require_known(documents: Mapping[str, str], known: Iterable[str], why: str) -> None:
    for name in documents:
        if name not in known:
            raise UsageError(
                f"--{name} {why}",
                hint="leave it out; there is " + ", ".join(f"--{each}" for each in known),
            )


def _compare(run: Path, other: Path, documents: Mapping[str, str]) -> None:
    from analysis.render.comparison import (  # noqa: PLC0415 - as above
        comparison_parts,
        to_comparison_json,
        to_comparison_markdown,
    )
    from sampler.cli.execute import require_written, write_out  # noqa: PLC0415
    from sampler.show.comparing import compare_folders, comparison_page  # noqa: PLC0415

    _require_known(documents, _OF_TWO, "is for one run, and two are compared here")
    pair = compare_folders(run, other)
    comparison = pair.comparison
    renderers = {
        "json": partial(to_comparison_json, comparison),
        "markdown": partial(to_comparison_markdown, comparison),
        "html": partial(comparison_page, pair),
    }
    require_written(write_out(partial(comparison_parts, comparison), renderers, documents))
