"""``weighbridge check``: sample until decided."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from sampler.cli.options import (
    Duration,
    Share,
    command_line,
    load_options,
    make_load,
    make_rules,
    make_target,
    run_options,
    target_options,
)
from sampler.errors import ExpectationError, UsageError

if TYPE_CHECKING:
    from analysis import Policy, Split


@click.command(
    name="check",
    short_help="Sample until it is decided whether the split holds.",
    epilog="Example: weighbridge check http://shop.example/ --expect v1=9,v2=1",
)
@click.argument("url")
@click.option(
    "--expect", required=True, metavar="v1=9,v2=1",
    help="Declared weights by label; zero means that the label must not answer.",
)  # fmt: skip
@click.option(
    "--tolerance", default="auto", show_default=True, metavar="auto|4pp|10%",
    help="Departure from a share that is accepted: half a pod, percentage points, "
    "or a part of the share.",
)  # fmt: skip
@click.option(
    "--alpha", type=float, default=0.01, show_default=True,
    help="Chance of failing a right split.",
)  # fmt: skip
@click.option(
    "--beta", type=float, default=0.01, show_default=True, help="Chance of passing a wrong split."
)
@click.option(
    "--max-samples", type=click.IntRange(min=1), default=None, metavar="N",
    help="End undecided after so many requests. Default: what 99 % of right splits need.",
)  # fmt: skip
@click.option(
    "--max-time", type=Duration(), default="60s", show_default=True, metavar="TIME",
    help="End undecided after so long.",
)  # fmt: skip
@click.option(
    "--max-unlabelled", type=Share(), default="5%", show_default=True, metavar="SHARE",
    help="How many requests may stay without a label.",
)  # fmt: skip
@load_options
@target_options
@click.option("--junit", default=None, metavar="FILE", help="Write a JUnit report; '-' is stdout.")
@run_options
@click.pass_context
def command(ctx: click.Context, /, url: str, **options: Any) -> None:
    """Sample URL until it is decided whether every version carries its share.

    Ends with PASS (exit code 0), FAIL (1) or INCONCLUSIVE (3); the error rates hold although
    the decision is looked at after every response. Each request has a fresh connection unless
    told otherwise, because a Service picks a pod for each connection.
    """
    from sampler.cli.execute import execute  # noqa: PLC0415 - heavy imports wait for a command
    from sampler.gate import RunPlan  # noqa: PLC0415
    from sampler.plan import Limits  # noqa: PLC0415

    split = _split(options["expect"])
    label, replica = make_rules(options)
    plan = RunPlan(
        target=make_target(url, options),
        load=make_load(options),
        limits=Limits(options["max_samples"], options["max_time"]),
        label=label,
        replica=replica,
        split=split,
        policy=_policy(split, options),
        out=options["out"],
        name=options["name"] or "check",
        command=command_line(sys.argv[1:]),
        **({} if options["seed"] is None else {"seed": options["seed"]}),
    )
    documents = {"json": options["json_file"], "junit": options["junit"]}
    ctx.exit(execute(plan, documents))


def _split(text: str) -> Split:
    from analysis import Split  # noqa: PLC0415 - as above

    try:
        return Split.parse(text)
    except ValueError as error:
        raise ExpectationError(f"--expect {text}: {error}", hint="write it as v1=9,v2=1") from error


def _policy(split: Split, options: dict[str, Any]) -> Policy:
    from analysis import Policy, Tolerance  # noqa: PLC0415 - as above

    try:
        tolerance = Tolerance.parse(options["tolerance"])
        tolerance.bands(split)
    except ValueError as error:
        raise UsageError(f"--tolerance {options['tolerance']}: {error}") from error
    try:
        return Policy(
            alpha=options["alpha"],
            beta=options["beta"],
            tolerance=tolerance,
            max_unlabelled=options["max_unlabelled"],
            max_samples=options["max_samples"],
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
