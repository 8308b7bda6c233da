"""``weighbridge demo``: the story of one canary, or the Service alone to try things on."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from shlex import quote
from textwrap import fill
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from sampler.base.errors import ExitCode, UsageError
from sampler.cli.values import Count, Duration, Share

if TYPE_CHECKING:
    from sampler.demo.pods import Faults, Service

_FRACTIONS = ("drop", "hang", "reset", "error")
_KINDS = "drop=50%, hang=10%, reset=10%, error=10%, delay=300ms or html"
_INTRODUCTION = (
    "The story of one canary, on a Service of our own: pods behind a balancer that picks one for "
    "each connection, as kube-proxy does. What was declared is weighed against what answers."
)
_OF_THE_STORY = frozenset({"out", "concurrency"})
_OF_THE_SERVICE = frozenset({"pods", "faults", "host", "port"})


@click.command(
    name="demo",
    short_help="The embedded canary Service, and the story of one canary on it.",
    epilog="Example: weighbridge demo --serve --pods v1=9,v2=1 --fault v2:drop=50% --port 8080",
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("reports"),
    show_default=True, metavar="DIR", help="Folder in which the runs are written.",
)  # fmt: skip
@click.option(
    "--seed", type=int, default=None, metavar="N",
    help="Of the Service's picks, so that they repeat. Default: 1; with --serve, none.",
)  # fmt: skip
@click.option(
    "--concurrency", "-c", type=Count(1, 10_000), default=16, show_default=True,
    metavar="N", help="Most requests in flight at once.",
)  # fmt: skip
@click.option("--serve", is_flag=True, help="Only serve, in the foreground, until interrupted.")
@click.option(
    "--pods", default="v1=9,v2=1", show_default=True, metavar="v1=9,v2=1",
    help="With --serve: pods by version.",
)  # fmt: skip
@click.option(
    "--fault", "faults", multiple=True, metavar="LABEL:KIND[=AMOUNT]",
    help=f"With --serve: what is wrong with a version: {_KINDS}; may be given several times.",
)  # fmt: skip
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDR",
    help="With --serve: where to listen.",
)  # fmt: skip
@click.option(
    "--port", type=Count(0, 65_535), default=0, metavar="PORT",
    help="With --serve: 0 takes a free one.",
)  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context,
    out: Path,
    seed: int | None,
    concurrency: int,
    serve: bool,  # noqa: FBT001 - click passes flags by name
    pods: str,
    faults: tuple[str, ...],
    host: str,
    port: int,
) -> None:
    """Play the story of one canary on an embedded Service, with real requests and verdicts.

    Ten pods of v1 (PASS); nine and one of v2 (PASS); a broken canary whose weight never took
    effect (FAIL); the promotion (PASS). Ends with 0 if the four verdicts are as they should be.
    With --serve, the Service alone stays up to try `weighbridge check` on.
    """
    _refuse_misplaced(ctx, _OF_THE_STORY if serve else _OF_THE_SERVICE, is_served=serve)
    if serve:
        _serve(_service(pods, faults, seed), pods, host, port)
        return
    import asyncio  # noqa: PLC0415 - heavy imports wait until there is something to run

    ctx.exit(asyncio.run(_tell(out, 1 if seed is None else seed, concurrency)))


def _refuse_misplaced(ctx: click.Context, names: frozenset[str], *, is_served: bool) -> None:
    """Refuse an option that would have no effect."""
    for param in ctx.command.params:
        if param.name in names and (
            ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
        ):
            option = param.opts[0]
            raise UsageError(
                f"{option} is for the story: with --serve nothing is weighed or written"
                if is_served
                else f"{option} is for --serve: the story has its own pods and faults",
                hint=f"leave out {option}, or --serve" if is_served else "add --serve",
            )


async def _tell(out: Path, seed: int, concurrency: int) -> ExitCode:
    from analysis.render import to_text  # noqa: PLC0415 - heavy imports wait for a command
    from sampler.cli.execute import wants_colour, width_of  # noqa: PLC0415
    from sampler.demo.story import tell  # noqa: PLC0415

    surprises = 0
    paint, width = wants_colour(sys.stdout), width_of(sys.stdout)
    click.echo(fill(_INTRODUCTION, width) + "\n")
    async for stage, report in tell(out, seed=seed, concurrency=concurrency):
        click.secho(stage.title, bold=True)
        click.echo(f"  {report.run.command}")
        click.echo(to_text(report, colour=paint, width=width))
        if report.verdict is not stage.verdict:
            surprises += 1
            click.echo(f"  this should have been {stage.verdict}", err=True)
    if surprises:
        click.echo(f"{surprises} of the verdicts are not as they should be", err=True)
        return ExitCode.FAIL
    click.echo(f"All four verdicts are as they should be. The runs are under {out}/.")
    click.echo("To weigh such a Service yourself: weighbridge demo --serve --port 8080")
    return ExitCode.PASS


def _service(pods: str, faults: tuple[str, ...], seed: int | None) -> Service:
    from sampler.cli.policy import make_split  # noqa: PLC0415 - as above
    from sampler.demo.pods import Service, pods_of  # noqa: PLC0415

    split = make_split(pods, "--pods")
    weights = dict(zip(split.arms, split.weights, strict=True))
    return Service(pods_of(weights, _faults(faults)), seed)


def _faults(texts: tuple[str, ...]) -> dict[str, Faults]:
    from sampler.demo.pods import Faults  # noqa: PLC0415 - as above

    faults: dict[str, Faults] = {}
    for text in texts:
        try:
            label, name, value = _fault(text)
            faults[label] = replace(faults.get(label, Faults()), **{name: value})  # type: ignore[arg-type]
        except (click.BadParameter, UsageError) as error:
            raise UsageError(
                f"--fault {text}: {error}", hint=f"write it as LABEL:KIND, where KIND is {_KINDS}"
            ) from error
    return faults


def _fault(text: str) -> tuple[str, str, float | bool]:
    """Read ``v2:drop=50%`` and the like: the label, the field of `Faults`, its value."""
    label, _, fault = text.rpartition(":")
    kind, _, amount = fault.partition("=")
    if not label:
        raise UsageError("it names no label")
    if kind in _FRACTIONS:
        return label, kind, Share().convert(amount, None, None)
    if kind == "delay":
        return label, "delay_s", Duration(60, is_positive=False).convert(amount, None, None)
    if fault == "html":
        return label, "html", True
    raise UsageError(f"{fault!r} is no kind of fault")


def _serve(service: Service, pods: str, host: str, port: int) -> None:
    from sampler.demo.service import serve  # noqa: PLC0415 - as above

    def announce(address: str, bound: int) -> None:
        url = f"http://{f'[{address}]' if ':' in address else address}:{bound}/"
        click.echo(f"serving {len(service.pods)} pods at {url} until interrupted", err=True)
        click.echo(f"try: weighbridge check {url} --expect {quote(pods)}", err=True)
        click.echo(url)

    counts = serve(service, host, port, announce)
    click.echo(f"requests served: {counts.total}", err=True)
    for (label, fate), n in sorted(counts.requests.items(), key=lambda item: str(item[0])):
        click.echo(f"  {label} {fate.value} {n}", err=True)
