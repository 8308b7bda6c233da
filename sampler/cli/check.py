"""``weighbridge check``: sample until decided."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sampler.base.errors import UsageError
from sampler.cli.configuration import defaults_of
from sampler.cli.documents import document_options, documents_of
from sampler.cli.fleet import fleet_options, make_senders
from sampler.cli.manifests import (
    Expected,
    complete_cluster_options,
    expectation_for_check,
    manifest_options,
)
from sampler.cli.options import (
    command_line,
    load_options,
    make_plan,
    run_options,
    runs_folder,
    target_options,
)
from sampler.cli.policy import (
    expect_option,
    judging_options,
    make_policy,
    make_split,
    missing_options,
    moving_options,
)
from sampler.cli.sections import SectionedCommand
from sampler.cli.values import Count, Duration, Factor, Weights, once

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis import Split
    from analysis.versions.health import HealthPolicy
    from sampler.cli.fleet import Senders
    from sampler.expect.cluster.watch import Watch
    from sampler.plan.run import RunPlan


@click.command(
    cls=SectionedCommand,
    name="check",
    short_help="Sample until it is decided whether the split holds.",
    epilog="Example: weighbridge check http://shop.example/ --expect v1=9,v2=1",
)
@click.argument("url", required=False)
@expect_option()
@click.option(
    "--via", default=None, metavar="URL",
    help="Let a server weigh (weighbridge serve) and tell its verdict; needs --gate.",
)  # fmt: skip
@click.option(
    "--gate", default=None, metavar="NAME", help="With --via: which gate of the server."
)  # fmt: skip
@click.option(
    "--token-file", type=click.Path(path_type=Path, dir_okay=False), default=None, metavar="FILE",
    help="With --via: file whose first line is the token that the server asks for.",
)  # fmt: skip
@manifest_options
@moving_options
@click.option(
    "--wait", type=Duration(is_positive=False), default="2m", show_default=True, metavar="TIME",
    help="With --cluster: how long to wait, within --max-time, for a roll-out, for pods that are "
    "not ready, and for what is declared to be applied. 0s ends undecided at once.",
)  # fmt: skip
@judging_options
@click.option(
    "--max-samples", type=Count(), default=None, metavar="N",
    help="End undecided after N requests. Default: enough for 99 % of correct splits to pass.",
)  # fmt: skip
@click.option(
    "--max-time", type=Duration(), default="60s", show_default=True, metavar="TIME",
    help="End undecided after this time.",
)  # fmt: skip
@missing_options("requests")
@click.option(
    "--max-error-ratio", type=Factor(), default=None, metavar="X",
    help="FAIL if the canary's error rate is proven to exceed X times the stable version's.",
)  # fmt: skip
@click.option(
    "--max-slowdown", type=Factor(), default=None, metavar="X",
    help="FAIL if the canary is proven to take more than X times as long as the stable version.",
)  # fmt: skip
@click.option(
    "--error-status", type=Count(100, 599), default=500, show_default=True, metavar="N",
    help="Statuses of N and above are errors; only responses with a label count.",
)  # fmt: skip
@click.option(
    "--canary", default=None, metavar="LABEL",
    help="The version under test. Default: the smallest share above zero.",
)  # fmt: skip
@click.option(
    "--stable", default=None, metavar="LABEL",
    help="The version to compare it with. Default: the largest share.",
)  # fmt: skip
@click.option(
    "--replicas", type=Weights(), multiple=True, callback=once, metavar="v1=9,v2=1",
    help="Replicas by label, to warn about those that never answer. Default: from --manifests.",
)  # fmt: skip
@click.option(
    "--previous", type=Weights(), multiple=True, callback=once, metavar="v1=10,v2=0",
    help="Weights of the previous step, to recognise them if they are still in force.",
)  # fmt: skip
@load_options
@fleet_options
@target_options
@document_options
@run_options
@click.pass_context
def command(ctx: click.Context, /, url: str | None, **options: Any) -> None:
    """Sample URL until it is decided whether every version carries its share.

    With --via, a server weighs in its place, inside the cluster for example, and URL is left out.
    With --cluster and --service, URL is optional: the default is the Service's own address.

    Ends with PASS (exit code 0), FAIL (1) or INCONCLUSIVE (3). The error rates are valid even
    though the decision is re-evaluated after every response. Each request opens a fresh
    connection by default, because a Service picks a pod per connection.
    """
    if options["via"] is not None:
        from sampler.cli import via  # noqa: PLC0415 - heavy imports wait for a command

        ctx.exit(via.ask(ctx, options, documents_of(options)))
    for name in ("gate", "token_file"):
        if options[name] is not None:
            option = "--" + name.replace("_", "-")
            raise UsageError(
                f"{option} is of a server", hint=f"give --via URL, or leave {option} out"
            )
    from sampler.cli.execute import execute  # noqa: PLC0415 - as above

    senders = make_senders(options)
    out, line = runs_folder(ctx), command_line(sys.argv[1:])
    plan, watch = planned(url, options, out, line, senders)
    ctx.exit(execute(plan, documents_of(options), watch, senders.sampling if senders else None))


def options_of_table(table: dict[str, Any], place: str) -> dict[str, Any]:
    """Return the options of a check by parameter, from a table that has them by their names.

    Parameters
    ----------
    table : dict
        As under ``[check]`` or ``[gate.NAME]``.
    place : str
        Where it stands, for messages.

    Raises
    ------
    UsageError
        If it holds a name or a value that a check does not take.
    """
    with command.make_context("check", [], resilient_parsing=True) as empty:
        defaults = defaults_of(empty, table, place)
    with command.make_context("check", [], default_map=defaults) as ctx:
        return dict(ctx.params)


def planned(
    url: str | None,
    options: dict[str, Any],
    out: Path | None,
    command: str,
    senders: Senders | None = None,
) -> tuple[RunPlan, Watch | None]:
    """Make the plan of a check from its options, and look at the cluster if that was asked for.

    Parameters
    ----------
    url : str or None
        As given.
    options : dict
        By parameter, as click gives them.
    out : Path or None
        Folder of all runs.
    command : str
        The command line that repeats the run.
    senders : Senders or None
        Who sends; None is one process.

    Raises
    ------
    UsageError, ExpectationError
        If the options do not fit together, or nothing can be expected.
    ClusterError
        If the cluster cannot be asked.
    """
    from sampler.plan.load import Limits  # noqa: PLC0415 - as above

    _stand_at_first(options, senders)
    expectation = expectation_of(url, options)
    url, split, watch = expectation.url, expectation.split, expectation.watch
    splits = {} if senders is None else _zone_splits(url, options, senders)
    is_by_zone = senders is not None and bool(senders.place)
    is_alike = len(set(map(str, splits.values()))) <= 1
    if options["calibrated"] and expectation.watch is not None:
        raise UsageError(
            "--calibrated needs one expectation and one budget, and --cluster follows its changes",
            hint="leave --calibrated out, or give --expect or --manifests",
        )
    plan = make_plan(
        url,
        options,
        "check",
        limits=Limits(options["max_samples"], options["max_time"]),
        split=split,
        policy=make_policy(split, options),
        source=expectation.source,
        views=expectation.views if is_alike else (),  # they are those of the first zone
        health=_health(split, options, splits),
        replica_counts=_replica_counts([split, *splits.values()], options["replicas"])
        or expectation.replicas,
        zone_of=senders.zone_of if senders else (),
        zone_splits=splits if is_by_zone else {},
        previous=None
        if options["previous"] is None
        else make_split(options["previous"], "--previous", "v1=10,v2=0"),
        out=out,
        keep=options["keep"],
        command=command,
        commit=_commit(options["manifests"]),
    )
    return plan, None if is_by_zone else watch


def expectation_of(url: str | None, options: dict[str, Any]) -> Expected:
    """Return what is expected: from the command line, from manifests or from a cluster."""
    from analysis.data.report import Source  # noqa: PLC0415 - as above

    complete_cluster_options(options)
    is_read = options["is_live"] or options["manifests"] is not None
    if (options["expect"] is not None) == is_read:
        raise UsageError(
            "expected one of --expect, --manifests and --cluster",
            hint="--expect v1=9,v2=1, or --manifests PATH --service NAME, or --cluster "
            "--service NAME",
        )
    if not options["is_live"] and options["settle"] is not None:
        raise UsageError(
            "--settle works with --cluster only: changes are not seen otherwise",
            hint="give --cluster, or leave --settle out",
        )
    if options["expected"] is not None and not options["is_live"]:
        raise UsageError(
            f"--expected {options['expected']} works with --cluster only",
            hint="give --cluster, or leave --expected out",
        )
    if options["expected"] == "declared" and options["manifests"] is None:
        raise UsageError(
            "--expected declared needs to know what is declared", hint="give --manifests PATH"
        )
    if url is None and not (options["is_live"] and options["service"]):
        raise UsageError("expected a URL", hint="only --cluster --service NAME provides an address")
    if options["expect"] is None:
        return expectation_for_check(options, url)
    if options["service"] or options["route"]:
        raise UsageError(
            "--service and --route name objects of --manifests or --cluster, not of --expect",
            hint="give --manifests PATH or --cluster instead of --expect",
        )
    return Expected(str(url), make_split(options["expect"]), Source())


def _stand_at_first(options: dict[str, Any], senders: Senders | None) -> None:
    """Ask the cluster for the place of the first vantage, not for that of this process.

    Raises
    ------
    UsageError
        If another place was asked for.
    """
    if senders is None or not senders.vantages or not (options["is_live"] or options["in_pod"]):
        return
    for name in ("zone", "node"):
        if options[name]:
            raise UsageError(
                f"--{name} {options[name]}: with --dask, each worker stands in a place of its own",
                hint=f"leave --{name} out",
            )
        options[name] = getattr(senders.vantages[0], name)


def _zone_splits(url: str, options: dict[str, Any], senders: Senders) -> dict[str, Split]:
    """Return what the cluster is to give to clients in each zone, or on each node.

    It is what holds at the start: changes during the run are not followed.

    Raises
    ------
    UsageError
        If it is not the same everywhere, and all are to be judged as one stream.
    """
    if not options["is_live"]:
        return {}
    splits = {}
    for each in senders.vantages:
        place = getattr(each, senders.place) if senders.place else each.node or each.zone
        if place not in splits:
            at = {**options, "zone": each.zone, "node": each.node}
            splits[place] = expectation_for_check(at, url).split
    if not senders.place and len(set(map(str, splits.values()))) > 1:
        told = "; ".join(f"{place}: {split}" for place, split in splits.items())
        raise UsageError(
            f"the workers are to see different splits ({told}), which are not those of one stream",
            hint="give --vantage zone, which judges each by its own",
        )
    return splits


def _commit(manifests: str | None) -> str:
    """Return the commit that declares what is expected, or that the check runs on."""
    from sampler.base.repository import commit_of  # noqa: PLC0415 - as above

    return commit_of(Path() if manifests in {None, "-"} else Path(str(manifests)))


def _replica_counts(splits: Sequence[Split], text: str | None) -> dict[str, int]:
    if text is None:
        return {}
    counts = make_split(text, "--replicas")
    known = {label for split in splits for label in split.arms}
    unknown = [label for label in counts.arms if label not in known]
    if unknown:
        raise UsageError(
            f"--replicas {text}: {unknown[0]!r} is not in --expect {splits[0]}",
            hint="use labels of --expect",
        )
    return {label: n for label, n in counts.weight_of.items() if n}


def _health(split: Split, options: dict[str, Any], zones: Mapping[str, Split]) -> HealthPolicy:
    from analysis.versions.health import HealthPolicy, compared_arms  # noqa: PLC0415 - as above

    try:
        policy = HealthPolicy(
            max_error_ratio=options["max_error_ratio"],
            max_slowdown=options["max_slowdown"],
            error_status=options["error_status"],
            canary=options["canary"],
            stable=options["stable"],
        )
        compared_arms(split, policy, zones.values())
    except ValueError as error:
        raise UsageError(
            str(error), hint="--max-error-ratio, --max-slowdown, --canary and --stable compare "
            "two versions that both have a weight above 0"
        ) from error  # fmt: skip
    return policy
