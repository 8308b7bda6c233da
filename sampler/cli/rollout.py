"""``weighbridge rollout``: start, promote or roll back a canary by editing its manifests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sampler.base.errors import ExitCode, UsageError
from sampler.cli.documents import write_document
from sampler.cli.messages import say_line, say_warning
from sampler.cli.screen import show
from sampler.cli.sections import with_options
from sampler.cli.streams import deliver, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analysis.render.grid import Grid
    from sampler.rollout import Pair, Step, Worktree
    from sampler.rollout.evidence import Weighed

SCHEMA = "weighbridge.rollout/1"

_WHICH = with_options(
    click.option(
        "--manifests", default=".", show_default=True, metavar="PATH",
        help="Folder or file of Kubernetes YAML, in Git.",
    ),
    click.option(
        "--service", default="", metavar="NAME",
        help="The Service that selects both Deployments; required if there are several canaries.",
    ),
    click.option(
        "--stable", default="", metavar="NAME", help="The stable Deployment. Default: detected."
    ),
    click.option(
        "--canary", default="", metavar="NAME",
        help="The canary's Deployment. Default: NAME-canary, of NAME or NAME-stable.",
    ),
    click.option(
        "--namespace", "-n", default="", metavar="NAMESPACE",
        help="Namespace of the Deployments, and of objects without one.",
    ),
)  # fmt: skip

_WRITING = with_options(
    click.option(
        "--commit", is_flag=True, help="Commit the changed files, and nothing else; never pushes."
    ),
    click.option(
        "--message", default=None, metavar="TEXT",
        help="Subject of the commit. Default: describes the step.",
    ),
    click.option("--dry-run", is_flag=True, help="Show the diff and change nothing."),
)  # fmt: skip

_IF_CANARY = click.option(
    "--if-canary", is_flag=True,
    help="For pipelines: do nothing, and exit with 0, if no canary runs.",
)  # fmt: skip

_PROOF = with_options(
    click.option(
        "--report", "reports", multiple=True, type=click.Path(path_type=Path),
        metavar="PATH", help="Report, run, or folder of runs to search for the verdict; "
        "repeatable. Default: reports.",
    ),
    click.option(
        "--map", "renames", default=None, metavar="VERSION=LABEL,…",
        help="Label with which a version answers, if it differs: v1.2.3=v1.",
    ),
)  # fmt: skip


class _InOrder(click.Group):
    """Lists its commands in the order in which a rollout meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.commands)


@click.group(
    cls=_InOrder,
    name="rollout",
    short_help="Start, promote or roll back a canary by editing its manifests.",
    epilog="Exit codes: 0 done, 1 the verdict is FAIL (or status --is does not hold), 2 usage, "
    "3 no PASS for this commit.",
)
def command() -> None:
    """Move a canary by changing the replicas of two Deployments, in Git.

    Values are edited in place (comments, order and quotes are kept) and shown as a diff. Nothing
    is applied to a cluster, and nothing is pushed.
    """


@command.command(
    short_help="10 + 0 becomes 9 + 1; with --image, of another version.",
    epilog="Example: weighbridge rollout start --manifests i/k8s --replicas 1",
)
@click.option(
    "--replicas", type=int, required=True, metavar="N",
    help="Pods for the canary; the stable Deployment gives up as many.",
)  # fmt: skip
@click.option(
    "--image", default=None, metavar="IMAGE", help="Image of the canary. Default: as declared."
)
@click.option(
    "--set-version", default=None, metavar="VERSION",
    help="Version of its pods, wherever the old one is written. Default: the tag of --image.",
)  # fmt: skip
@_WHICH
@_WRITING
def start(replicas: int, image: str | None, set_version: str | None, **options: Any) -> None:
    """Move pods to the canary and take as many from the stable Deployment.

    A running canary is made larger or smaller.
    """
    from sampler.rollout import start as step_of  # noqa: PLC0415 - only who needs it pays

    tree = _read(options)
    step = step_of(tree.pair, replicas, image, set_version)
    service = options["service"] or "NAME"
    check = f"weighbridge check URL --manifests {tree.path} --service {service}"
    _carry_out(tree, step, options, None, f"apply it and weigh it: {check}")


@command.command(
    short_help="9 + 1 becomes 10 of the new version; needs a PASS.",
    epilog="Example: weighbridge rollout promote --manifests i/k8s --commit",
)
@click.option("--force", is_flag=True, help="Promote without a PASS; the commit message says so.")
@_WHICH
@_PROOF
@_IF_CANARY
@_WRITING
def promote(*, force: bool, **options: Any) -> None:
    """Move all pods to the stable Deployment, with the canary's images and version.

    Requires a PASS of `weighbridge check` for the commit that is checked out and the split that
    it declares; the newest verdict counts. Exits with 1 if that is FAIL, and with 3 if there is
    none or it is INCONCLUSIVE.
    """
    from sampler.rollout import promote as step_of  # noqa: PLC0415 - as above

    tree = _read(options)
    if _is_in_vain(tree, options):
        return
    step = step_of(tree.pair)
    proof = None if force else _demand_pass(tree, options)
    for each in step.left:
        name = tree.pair.canary.name
        say_warning(f"{each} differs from what {name} ran when it was weighed; it is kept")
    _carry_out(tree, step, options, proof, "apply it and weigh it again", is_forced=force)


@command.command(
    short_help="9 + 1 becomes 10 + 0 again.",
    epilog="Example: weighbridge rollout rollback --manifests i/k8s --commit",
)
@_WHICH
@_PROOF
@_IF_CANARY
@_WRITING
def rollback(**options: Any) -> None:
    """Move all pods back to the stable Deployment.

    If there is a report for this commit, the commit message quotes its verdict.
    """
    from sampler.rollout import rollback as step_of  # noqa: PLC0415 - as above

    tree = _read(options)
    if _is_in_vain(tree, options):
        return
    step = step_of(tree.pair)
    _carry_out(tree, step, options, _known(tree, options), "apply it and weigh it again")


@command.command(
    short_help="Show the state of the rollout and the verdict for this commit.",
    epilog="Example: weighbridge rollout status --manifests i/k8s --is canary",
)
@click.option(
    "--is", "wanted", type=click.Choice(["stable", "canary"]), default=None,
    help="Exit with 0 if this is the state, and with 1 if not.",
)  # fmt: skip
@click.option(
    "--json", "json_file", default=None, metavar="FILE",
    help="Write the state as JSON; '-' is stdout.",
)  # fmt: skip
@_WHICH
@_PROOF
@click.pass_context
def status(
    ctx: click.Context, /, wanted: str | None, json_file: str | None, **options: Any
) -> None:
    """Show the state of the rollout and the verdict for this commit."""
    tree = _read(options)
    known = _known(tree, options)
    document = json.dumps(_document(tree, known), indent=2) + "\n"
    if json_file == "-":
        deliver(document)
    else:
        show(lambda **_: _told(tree, known), is_dense=True)
        if json_file is not None:
            write_document("json", Path(json_file), document)
    is_there = wanted is None or tree.pair.state == wanted
    ctx.exit(ExitCode.PASS if is_there else ExitCode.FAIL)


def _read(options: dict[str, Any]) -> Worktree:
    from sampler.expect.rules.findings import FindingCode  # noqa: PLC0415 - as above
    from sampler.rollout import Names, Worktree  # noqa: PLC0415

    names = Names(options["stable"], options["canary"], options["service"], options["namespace"])
    tree = Worktree.read(options["manifests"], names)
    for each in tree.findings:
        if each.code is FindingCode.NOT_RENDERED:
            say_warning(f"{each.where}: {each.message}", "change what it overrides there by hand")
    return tree


def _is_in_vain(tree: Worktree, options: dict[str, Any]) -> bool:
    """Return whether there is no canary, and --if-canary makes that a success."""
    if not options["if_canary"] or tree.pair.canary.replicas:
        return False
    say_line(f"no canary runs ({tree.pair.canary.where}): nothing to do")
    return True


def _weights(pair: Pair, options: dict[str, Any]) -> dict[str, int]:
    """Return the split that the manifests declare, by label."""
    from sampler.expect.rules.versions import parse_pairs  # noqa: PLC0415 - as above

    text = options["renames"]
    renames = {} if text is None else parse_pairs(text, "--map", "write v1.2.3=v1")
    weights: dict[str, int] = {}
    for version, n in pair.weights.items():
        label = renames.get(version, version)
        weights[label] = weights.get(label, 0) + n
    return weights


def _places(options: dict[str, Any]) -> list[Path]:
    return list(options["reports"]) or [Path("reports")]


def _known(tree: Worktree, options: dict[str, Any]) -> Weighed | None:
    """Return the newest verdict on what is checked out, if there is one that can be read.

    A rollback must not wait for a report: missing or broken ones are ignored.
    """
    from sampler.rollout import newest, read_reports  # noqa: PLC0415 - as above

    weights = _weights(tree.pair, options)
    if tree.repository is None or tree.changed:
        return None
    try:
        reports = read_reports([each for each in _places(options) if each.exists()])
    except UsageError as error:
        say_warning(str(error), error.hint)
        return None
    return newest(reports, tree.repository.head, weights)


def _demand_pass(tree: Worktree, options: dict[str, Any]) -> Weighed:
    from sampler.rollout import demand_pass, read_reports  # noqa: PLC0415 - as above
    from sampler.rollout.evidence import UnprovenError  # noqa: PLC0415

    if tree.repository is None:
        raise UnprovenError(
            tree.trouble
            or f"{tree.path} is not in a Git repository, so no verdict belongs to its commit",
            hint="--force promotes without a PASS",
        )
    if tree.changed:
        raise UnprovenError(
            f"{tree.changed[0]} has changed since commit {tree.repository.head[:12]}, and verdicts "
            "are about commits",
            hint="commit it, apply it, check it; --force promotes without a PASS",
        )
    for each in options["reports"]:
        if not each.exists():
            raise UsageError(
                f"--report {each}: no such file or folder",
                hint="give what weighbridge check --json FILE wrote, or its folder in reports/",
            )
    reports = read_reports(_places(options))
    return demand_pass(reports, tree.repository.head, _weights(tree.pair, options))


def _carry_out(
    tree: Worktree,
    step: Step,
    options: dict[str, Any],
    proof: Weighed | None,
    then: str,
    *,
    is_forced: bool = False,
) -> None:
    """Show a step, and write and commit it if that was asked for."""
    from analysis.render.printable import as_lines  # noqa: PLC0415 - as above
    from sampler.rollout.worktree import diff, write  # noqa: PLC0415

    if options["commit"] and (changed := _uncommitted(tree)):
        raise UsageError(
            f"{changed[0]} has uncommitted changes, which would be committed too",
            hint="commit or stash them (git stash), then run this again",
        )
    files = tree.apply(step)
    say_line(f"{step.subject}{' (dry run)' if options['dry_run'] else ''}")
    say(as_lines(diff(files)), nl=False)
    if not files:
        say_line("nothing to change")
    if options["dry_run"] or not files:
        return
    if not options["commit"]:
        write(files)
        say_line(f"→ commit it (git commit, or --commit here), {then}")
        return
    message = _message(options["message"] or step.subject, proof, is_forced=is_forced)
    commit = tree.commit(files, message)
    say_line(f"committed as {commit[:12]}")
    say_line(f"→ push it, {then}")


def _uncommitted(tree: Worktree) -> list[str]:
    tree.require_repository()
    return tree.changed


def _message(subject: str, proof: Weighed | None, *, is_forced: bool) -> str:
    """Return a commit's message: what was done, why, and trailers for programs."""
    lines = [subject]
    if is_forced:
        lines += ["", "Promoted with --force, without a verdict."]
    elif proof is not None:
        run = proof.report.run
        lines += [
            *("", f"{proof.report.verdict}: {' '.join(proof.why.split())}"),
            *("", f"Weighed-Commit: {run.commit}", f"Weighed-Run: {run.id}"),
        ]
    return "\n".join(lines)


def _told(tree: Worktree, known: Weighed | None) -> Iterator[str | Grid]:
    """Yield where the rollout stands, its two Deployments, and what was weighed."""
    from analysis.render.grid import Grid  # noqa: PLC0415 - as above
    from analysis.render.printable import visible  # noqa: PLC0415

    pair = tree.pair
    yield f"{pair.state}: {pair.stable.replicas} + {pair.canary.replicas} pods"
    rows = [
        (role, visible(side.name), visible(side.version), str(side.replicas), visible(side.where))
        for role, side in (("stable", pair.stable), ("canary", pair.canary))
    ]
    yield Grid(rows, right=frozenset({3}), indent=2)
    if tree.repository is None:
        yield visible(tree.trouble or "not in a Git repository")
        return
    commit = tree.repository.head[:12]
    if tree.changed:
        yield visible(f"changed since commit {commit}: {tree.changed[0]}")
    elif known is None:
        yield f"commit {commit}: not weighed"
    else:
        yield f"commit {commit}: {known}\n  {visible(known.why)}"


def _document(tree: Worktree, known: Weighed | None) -> dict[str, Any]:
    pair, repository = tree.pair, tree.repository
    sides = {"stable": pair.stable, "canary": pair.canary}
    return {
        "schema": SCHEMA,
        "state": pair.state.value,
        **{
            role: {name: getattr(side, name) for name in ("name", "version", "replicas", "where")}
            for role, side in sides.items()
        },
        "commit": None if repository is None else repository.head,
        "changed": tree.changed,
        "verdict": None if known is None else str(known.report.verdict),
        "report": None if known is None else str(known.file),
    }
