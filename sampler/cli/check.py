"""``weighbridge check``: sample until decided."""

from __future__ import annotations

import sys
from math import inf
from typing import TYPE_CHECKING, Any

import click

from sampler.cli.documents import document_options, documents_of
from sampler.cli.manifests import expectation_for_check, manifest_options
from sampler.cli.options import (
    Duration,
    Factor,
    Share,
    command_line,
    load_options,
    make_load,
    make_rules,
    make_target,
    run_options,
    target_options,
)
from sampler.cli.policy import judging_options, make_policy, make_split
from sampler.cli.sections import SectionedCommand
from sampler.errors import UsageError

if TYPE_CHECKING:
    from analysis import Split
    from analysis.health import HealthPolicy
    from analysis.report import Source


@click.command(
    cls=SectionedCommand,
    name="check",
    short_help="Sample until it is decided whether the split holds.",
    epilog="Example: weighbridge check http://shop.example/ --expect v1=9,v2=1",
)
@click.argument("url")
@click.option(
    "--expect", default=None, metavar="v1=9,v2=1",
    help="Declared weights by label; zero means that the label must not answer.",
)  # fmt: skip
@manifest_options
@judging_options
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
@click.option(
    "--missing-ratio", type=Factor(), default=None, metavar="X",
    help="Assume that no version loses its labels more than X times as often as another; 1 "
    "leaves them out. Default: assume nothing, each counts as the worst.",
)  # fmt: skip
@click.option(
    "--max-error-ratio", type=Factor(), default=None, metavar="X",
    help="Fail if the canary's error rate is proven to be above X times the stable version's.",
)  # fmt: skip
@click.option(
    "--max-slowdown", type=Factor(), default=None, metavar="X",
    help="Fail if the canary is proven to take more than X times as long as the stable version.",
)  # fmt: skip
@click.option(
    "--error-status", type=click.IntRange(100, 599), default=500, show_default=True, metavar="N",
    help="Statuses from N on are errors; they need a label to be counted.",
)  # fmt: skip
@click.option(
    "--canary", default=None, metavar="LABEL",
    help="The version that is compared. Default: the smallest share above zero.",
)  # fmt: skip
@click.option(
    "--stable", default=None, metavar="LABEL",
    help="The version that it is compared with. Default: the largest share.",
)  # fmt: skip
@click.option(
    "--replicas", default=None, metavar="v1=9,v2=1",
    help="Number of replicas by label, to warn of those that never answer.",
)  # fmt: skip
@click.option(
    "--previous", default=None, metavar="v1=10,v2=0",
    help="Weights before this step, to recognise them if they are still in force.",
)  # fmt: skip
@load_options
@target_options
@click.option("--junit", default=None, metavar="FILE", help="Write a JUnit report; '-' is stdout.")
@document_options
@run_options
@click.pass_context
def command(ctx: click.Context, /, url: str, **options: Any) -> None:
    """Sample URL until it is decided whether every version carries its share.

    Ends with PASS (exit code 0), FAIL (1) or INCONCLUSIVE (3); the error rates hold although
    the decision is looked at after every response. Each request has a fresh connection unless
    told otherwise, because a Service picks a pod for each connection.
    """
    from sampler.cli.execute import execute  # noqa: PLC0415 - heavy imports wait for a command
    from sampler.plan import Limits  # noqa: PLC0415
    from sampler.runplan import RunPlan  # noqa: PLC0415

    split, source = _expectation(url, options)
    label, replica = make_rules(options)
    plan = RunPlan(
        target=make_target(url, options),
        load=make_load(options),
        limits=Limits(options["max_samples"], options["max_time"]),
        label=label,
        replica=replica,
        split=split,
        policy=make_policy(
            split,
            options,
            max_unlabelled=options["max_unlabelled"],
            missing_ratio=options["missing_ratio"] or inf,
        ),
        source=source,
        health=_health(split, options),
        replica_counts=_replica_counts(split, options["replicas"]),
        previous=None
        if options["previous"] is None
        else make_split(options["previous"], "--previous", "v1=10,v2=0"),
        out=options["out"],
        name=options["name"] or "check",
        command=command_line(sys.argv[1:]),
        **({} if options["seed"] is None else {"seed": options["seed"]}),
    )
    ctx.exit(execute(plan, documents_of(options)))


def _expectation(url: str, options: dict[str, Any]) -> tuple[Split, Source]:
    """Give what should be, from the command line or from manifests, and where it was read."""
    from analysis.report import Source  # noqa: PLC0415 - as above

    if (options["expect"] is None) == (options["manifests"] is None):
        raise UsageError(
            "expected one of --expect and --manifests",
            hint="--expect v1=9,v2=1, or --manifests PATH --service NAME",
        )
    if options["expect"] is not None:
        if options["service"] or options["route"]:
            raise UsageError(
                "--service and --route name objects of --manifests, not of --expect",
                hint="give --manifests PATH instead of --expect",
            )
        return make_split(options["expect"]), Source()
    expected = expectation_for_check(options, url, options["headers"])
    return expected.split, expected.source


def _replica_counts(split: Split, text: str | None) -> dict[str, int]:
    if text is None:
        return {}
    counts = make_split(text, "--replicas")
    unknown = [label for label in counts.arms if label not in split.arms]
    if unknown:
        raise UsageError(f"--replicas {text}: {unknown[0]!r} is not among --expect {split}")
    return {label: n for label, n in zip(counts.arms, counts.weights, strict=True) if n}


def _health(split: Split, options: dict[str, Any]) -> HealthPolicy:
    from analysis.health import HealthPolicy, compared_arms  # noqa: PLC0415 - as above

    try:
        policy = HealthPolicy(
            max_error_ratio=options["max_error_ratio"],
            max_slowdown=options["max_slowdown"],
            error_status=options["error_status"],
            canary=options["canary"],
            stable=options["stable"],
        )
        compared_arms(split, policy)
    except ValueError as error:
        raise UsageError(
            str(error), hint="--max-error-ratio, --max-slowdown, --canary and --stable compare "
            "two versions that both have a weight above 0"
        ) from error  # fmt: skip
    return policy
