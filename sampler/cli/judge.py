"""``weighbridge judge``: the same decision, from what was recorded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from sampler.base.errors import UsageError
from sampler.cli.documents import JSON, document_options, documents_of
from sampler.cli.logs import log_options, make_reading
from sampler.cli.options import command_line
from sampler.cli.policy import make_policy, make_split, missing_options, policy_options
from sampler.cli.sections import SectionedCommand
from sampler.cli.values import Count, Weights, once

if TYPE_CHECKING:
    from analysis import Policy, Split
    from analysis.data.report import Source
    from sampler.logs import Record
    from sampler.store.reader import RunFolder


@click.command(
    cls=SectionedCommand,
    name="judge",
    short_help="Make the same decision from a log or a recorded run.",
    epilog="Example: weighbridge judge access.csv --expect v1=9,v2=1 --label-column version",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--expect", type=Weights(), multiple=True, callback=once, metavar="v1=9,v2=1",
    help="Declared weights by label. Default, for the folder of a check: its own.",
)  # fmt: skip
@policy_options
@missing_options("connections")
@click.option(
    "--per-connection", type=Count(1, 1_000_000), default=1, metavar="N",
    help="Requests that each connection of a log was meant to carry; the mean of their responses "
    "is judged. Default: 1, the first response; for the folder of a check, as it was judged.",
)  # fmt: skip
@log_options
@JSON
@document_options
@click.pass_context
def command(ctx: click.Context, /, files: tuple[str, ...], **options: Any) -> None:
    """Judge FILE: a log, or a run's folder; '-' is a log on stdin.

    Several folders are runs of one check from several clients: their samples are merged in the
    order in which they were planned.

    A log is CSV, JSON lines or Parquet, output of a load generator or of a loop of curl, or an
    access log of a proxy, compressed or not, as kubectl or docker print it or not. Nothing is sent.
    Rows are judged in the order in which requests were sent, until the evidence is enough. For the
    folder of a check, options default to those of the check. Exit codes are those of check: 0 PASS,
    1 FAIL, 3 INCONCLUSIVE, 2 for an unreadable log, 4 for one without an expected version.
    """
    from sampler.cli.execute import exit_code, show  # noqa: PLC0415 - heavy imports wait for a command
    from sampler.logs import StoredSamples, open_record  # noqa: PLC0415
    from sampler.run.judging import Judging, judge  # noqa: PLC0415
    from sampler.run.vantages import merged_record  # noqa: PLC0415
    from sampler.store.reader import RunFolder  # noqa: PLC0415

    reading = make_reading(options)
    records: list[Record] = [open_record(file, reading) for file in files]
    runs = [RunFolder(each.folder) for each in records if isinstance(each, StoredSamples)]
    record = records[0] if len(files) == 1 else merged_record(files, records, runs)
    run = runs[0] if runs else None
    split, source = _expectation(options["expect"], run)
    is_own = options["expect"] is None
    plan = None if run is None else run.readable_plan
    policy = _policy(ctx, split, None if plan is None else plan.policy)
    history = run.history if is_own and run is not None else None
    if policy.calibrated and history is not None:
        raise UsageError(
            "--calibrated needs one expectation and one budget, and this run watched its changes",
            hint="leave --calibrated out, or declare one split: --expect v1=9,v2=1",
        )
    judging = Judging(
        split,
        policy,
        source,
        name=" + ".join("stdin" if file == "-" else Path(file).name for file in files),
        max_bad=options["max_bad_lines"],
        run=run,
        command=command_line(sys.argv[1:]),
        health=plan.health if is_own and plan is not None else None,
        history=history,
        others=tuple(runs[1:]),
    )

    documents = documents_of(options)
    report = judge(record, judging)
    show(report, documents)
    ctx.exit(exit_code(report))


def _policy(ctx: click.Context, split: Split, own: Policy | None) -> Policy:
    """Make the policy from the options; those not given are the run's own, if there is one."""
    left = [
        name
        for name in ctx.params
        if own is not None
        and hasattr(own, name)
        and ctx.get_parameter_source(name) is ParameterSource.DEFAULT
    ]
    options = ctx.params | {name: getattr(own, name) for name in left}
    return make_policy(
        split,
        options,
        tolerance=options["tolerance"] if "tolerance" in left else None,
        per_connection=options["per_connection"],
    )


def _expectation(text: str | None, run: RunFolder | None) -> tuple[Split, Source]:
    from analysis.data.report import Source  # noqa: PLC0415 - as above
    from sampler.run.judging import stored_expectation  # noqa: PLC0415

    if text is not None:
        return make_split(text), Source()
    stored = None if run is None else stored_expectation(run)
    if stored is None:
        raise UsageError("the expected split is not known", hint="declare it: --expect v1=9,v2=1")
    return stored
