"""``weighbridge judge``: the same decision, from what was recorded."""

from __future__ import annotations

import sys
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sampler.cli.documents import document_options, documents_of
from sampler.cli.options import Factor, Share, command_line
from sampler.cli.policy import make_policy, make_split, policy_options
from sampler.cli.sections import SectionedCommand
from sampler.errors import UsageError

if TYPE_CHECKING:
    from analysis import Report, Split
    from analysis.report import Source


@click.command(
    cls=SectionedCommand,
    name="judge",
    short_help="The same decision from a log, or from a run that was written.",
    epilog="Example: weighbridge judge access.csv --expect v1=9,v2=1 --label-column version",
)
@click.argument("file")
@click.option(
    "--expect", default=None, metavar="v1=9,v2=1",
    help="Declared weights by label; for the folder of a check, its own by default.",
)  # fmt: skip
@policy_options
@click.option(
    "--max-unlabelled", type=Share(), default="5%", show_default=True, metavar="SHARE",
    help="How many connections may stay without a label.",
)  # fmt: skip
@click.option(
    "--missing-ratio", type=Factor(), default=None, metavar="X",
    help="Assume that no version loses its labels more than X times as often as another; 1 "
    "leaves them out. Default: assume nothing, each counts as the worst.",
)  # fmt: skip
@click.option(
    "--format", "kind", type=click.Choice(["auto", "csv", "jsonl", "parquet"]), default="auto",
    show_default=True, help="Kind of a log; auto goes by the name of the file.",
)  # fmt: skip
@click.option(
    "--time-column", default="time", show_default=True, metavar="NAME",
    help="When a request was sent: seconds, or RFC 3339; none takes the rows as they stand.",
)  # fmt: skip
@click.option(
    "--label-column", default="label", show_default=True, metavar="NAME",
    help="The version that answered; empty where there was none.",
)  # fmt: skip
@click.option(
    "--connection-column", default="connection", show_default=True, metavar="NAME",
    help="What tells connections apart; none, or no such column: each row is one.",
)  # fmt: skip
@click.option(
    "--max-bad-lines", type=Share(), default="1%", show_default=True, metavar="SHARE",
    help="How many lines may be unreadable.",
)  # fmt: skip
@click.option(
    "--json", "json_file", default=None, metavar="FILE",
    help="Write the report as JSON; '-' is stdout.",
)  # fmt: skip
@click.option("--junit", default=None, metavar="FILE", help="Write a JUnit report; '-' is stdout.")
@document_options
@click.pass_context
def command(ctx: click.Context, /, file: str, **options: Any) -> None:
    """Judge FILE: a log (CSV, JSON lines, Parquet; '-' is a CSV on stdin) or a run's folder.

    Sends nothing. Rows have to stand in the order in which the requests were sent; the
    decision is looked at after every connection and stops at the first one that suffices.
    Exit codes are those of check: 0 PASS, 1 FAIL, 3 INCONCLUSIVE, 2 an unreadable log.
    """
    from sampler.cli.execute import publish  # noqa: PLC0415 - heavy imports wait for a command
    from sampler.judging import Judging, judge  # noqa: PLC0415
    from sampler.logs import NONE, Columns, StoredSamples, open_record  # noqa: PLC0415

    names = {
        part: None if options[f"{part}_column"] == NONE else options[f"{part}_column"]
        for part in ("time", "connection")
    }
    record = open_record(file, Columns(label=options["label_column"], **names), options["kind"])
    folder = record.folder if isinstance(record, StoredSamples) else None
    split, source = _expectation(options["expect"], folder)
    judging = Judging(
        split,
        make_policy(
            split,
            options,
            max_unlabelled=options["max_unlabelled"],
            missing_ratio=options["missing_ratio"] or inf,
        ),
        source,
        name="stdin" if file == "-" else Path(file).name,
        label="" if folder else f"column {options['label_column']}",
        max_bad=options["max_bad_lines"],
        run=folder,
        command=command_line(sys.argv[1:]),
    )

    def make() -> Report:
        return judge(record, judging)

    ctx.exit(publish(make, documents_of(options)))


def _expectation(text: str | None, folder: Path | None) -> tuple[Split, Source]:
    from analysis.report import Source  # noqa: PLC0415 - as above
    from sampler.judging import stored_expectation  # noqa: PLC0415

    if text is not None:
        return make_split(text), Source()
    stored = None if folder is None else stored_expectation(folder)
    if stored is None:
        raise UsageError(
            "nothing says which split is expected", hint="declare it: --expect v1=9,v2=1"
        )
    return stored
