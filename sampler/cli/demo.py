"""``weighbridge demo``: the story of one canary, or the Service alone to try things on."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from shlex import quote
from textwrap import fill
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from sampler.base.errors import ExitCode, UsageError
from sampler.cli.interrupts import loop_handles_them
from sampler.cli.messages import say_error
from sampler.cli.streams import say
from sampler.cli.values import Count, Duration, Share

if TYPE_CHECKING:
    from sampler.demo.pods import Faults, Service

_FRACTIONS = ("drop", "hang", "reset", "error")
_KINDS = "drop=50%, hang=10%, reset=10%, error=10%, delay=300ms or html"
_INTRODUCTION = (
    "The story of one canary, on an embedded Service: pods behind a load balancer that picks one "
    "per connection, as kube-proxy does. The declared split is checked against what answers."
)
_OF_THE_STORY = frozenset({"out", "concurrency", "is_watched", "listen"})
_OF_THE_SERVICE = frozenset({"pods", "faults", "host", "port"})


@click.command(
    name="demo",
    short_help="Play the story of one canary on an embedded Service, or serve it.",
    epilog="Example: weighbridge demo --serve --pods v1=9,v2=1 --fault v2:drop=50% --port 8080",
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("reports"),
    show_default=True, metavar="DIR", help="Folder for runs.",
)  # fmt: skip
@click.option(
    "--seed", type=int, default=None, metavar="N",
    help="Seed of the Service's picks. Default: 1; with --serve, none.",
)  # fmt: skip
@click.option(
    "--concurrency", "-c", type=Count(1, 10_000), default=16, show_default=True,
    metavar="N", help="Maximum number of requests in flight.",
)  # fmt: skip
@click.option(
    "--watch", "is_watched", is_flag=True,
    help="Weigh one Service without an end: its weights fall to 1:1 in mid-run, and return.",
)  # fmt: skip
@click.option(
    "--listen", default=None, metavar="HOST:PORT",
    help="With --watch: serve its page there, such as 127.0.0.1:9431, until interrupted.",
)  # fmt: skip
@click.option("--serve", is_flag=True, help="Only serve, in the foreground, until interrupted.")
@click.option(
    "--pods", default="v1=9,v2=1", show_default=True, metavar="v1=9,v2=1",
    help="With --serve: pods by version.",
)  # fmt: skip
@click.option(
    "--fault", "faults", multiple=True, metavar="LABEL:KIND[=AMOUNT]",
    help=f"With --serve: inject a fault into a version: {_KINDS}; repeatable.",
)  # fmt: skip
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDR",
    help="With --serve: address to listen on.",
)  # fmt: skip
@click.option(
    "--port", type=Count(0, 65_535), default=0, metavar="PORT",
    help="With --serve: port to listen on; 0 takes a free one.",
)  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context,
    out: Path,
    seed: int | None,
    concurrency: int,
    is_watched: bool,  # noqa: FBT001 - click passes flags by name
    listen: str | None,
    serve: bool,  # noqa: FBT001 - as above
    pods: str,
    faults: tuple[str, ...],
    host: str,
    port: int,
) -> None:
    """Play the story of one canary on an embedded Service, with real requests and verdicts.

    Ten pods of v1 (PASS); nine and one of v2 (PASS); a broken canary whose weight never took
    effect (FAIL); the promotion (PASS). Exits with 0 if the four verdicts are as expected.
    With --watch, a drift is found in mid-run, and its end is proven. With --serve, only the
    Service runs, to try `weighbridge check` on.
    """
    _refuse_misplaced(ctx, _OF_THE_STORY if serve else _OF_THE_SERVICE, is_served=serve)
    if serve:
        _serve(_service(pods, faults, seed), pods, host, port)
        return
    import asyncio  # noqa: PLC0415 - heavy imports wait until there is something to run

    if listen is not None and not is_watched:
        raise UsageError("--listen is for the story of a drift", hint="add --watch")
    story = partial(_tell_of_a_drift, listen) if is_watched else _tell
    with loop_handles_them():
        ctx.exit(asyncio.run(story(out, 1 if seed is None else seed, concurrency)))


def _refuse_misplaced(ctx: click.Context, names: frozenset[str], *, is_served: bool) -> None:
    """Refuse options that would have no effect."""
    for param in ctx.command.params:
        if param.name in names and (
            ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
        ):
            option = param.opts[0]
            raise UsageError(
                f"{option} is for the story: with --serve nothing is checked or written"
                if is_served
                else f"{option} is for --serve: the story has its own pods and faults",
                hint=f"leave out {option}, or --serve" if is_served else "add --serve",
            )


async def _tell(out: Path, seed: int, concurrency: int) -> ExitCode:
    from analysis.render import text  # noqa: PLC0415 - heavy imports wait for a command
    from analysis.text.rounding import counted  # noqa: PLC0415
    from sampler.cli import screen  # noqa: PLC0415
    from sampler.demo.story import tell  # noqa: PLC0415

    surprises = 0
    say(fill(_INTRODUCTION, screen.width_of(sys.stdout)) + "\n")
    async for stage, report in tell(out, seed=seed, concurrency=concurrency):
        say(click.style(stage.title, bold=True) if screen.wants_colour(sys.stdout) else stage.title)
        say(f"  {report.run.command}")
        screen.show(partial(text.parts, report))
        if report.verdict is not stage.verdict:
            surprises += 1
            say(f"  expected {stage.verdict}", err=True)
    if surprises:
        say_error(f"{counted(surprises, 'verdict')} not as expected", "see the story above")
        return ExitCode.FAIL
    say(f"All four verdicts are as expected. The runs are in {out}/.")
    say("To check such a Service yourself: weighbridge demo --serve --port 8080")
    return ExitCode.PASS


async def _tell_of_a_drift(listen: str | None, out: Path, seed: int, concurrency: int) -> ExitCode:
    import asyncio  # noqa: PLC0415 - heavy imports wait for a command

    from sampler.cli.listening import page_at  # noqa: PLC0415
    from sampler.cli.live import LiveView  # noqa: PLC0415
    from sampler.demo.watching import LONGEST_S, tell  # noqa: PLC0415
    from sampler.watch.several import Watching  # noqa: PLC0415

    watching = Watching()
    on_told, longest_s = watching.stop, LONGEST_S
    if listen is not None:
        on_told, longest_s = _invite, inf
        for signum in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signum, watching.stop)
    async with page_at({"listen": listen}, watching):
        with LiveView(watching):
            alarm = await tell(
                out,
                seed=seed,
                concurrency=concurrency,
                watching=watching,
                on_told=on_told,
                longest_s=longest_s,
            )
    if alarm is None or not alarm.cause:
        say_error("the drift was not found, named and seen to end", "see what was told above")
        return ExitCode.FAIL
    say(
        f"The weights fell to 1:1: found {alarm.delay_s or 0.0:.2f} s after it began. {alarm.cause}"
    )
    say(f"Its end is proven, by connections sent after it. The run is in {out}/.")
    say(f"Its page: weighbridge report latest --runs {out} --html page.html")
    return ExitCode.PASS


def _invite() -> None:
    say("the story is told; its page stays until you interrupt it", err=True)


def _service(pods: str, faults: tuple[str, ...], seed: int | None) -> Service:
    from sampler.cli.policy import make_split  # noqa: PLC0415 - as above
    from sampler.demo.pods import Service, pods_of  # noqa: PLC0415

    weights = make_split(pods, "--pods").weight_of
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
                f"--fault {text}: {error}", hint=f"write LABEL:KIND, where KIND is {_KINDS}"
            ) from error
    return faults


def _fault(text: str) -> tuple[str, str, float | bool]:
    """Read ``v2:drop=50%`` and the like: the label, the field of `Faults`, its value."""
    label, _, fault = text.rpartition(":")
    kind, _, amount = fault.partition("=")
    if not label:
        raise UsageError("the label is missing")
    if kind in _FRACTIONS:
        return label, kind, Share().convert(amount, None, None)
    if kind == "delay":
        return label, "delay_s", Duration(60, is_positive=False).convert(amount, None, None)
    if fault == "html":
        return label, "html", True
    raise UsageError(f"unknown fault {fault!r}")


def _serve(service: Service, pods: str, host: str, port: int) -> None:
    from sampler.demo.service import serve  # noqa: PLC0415 - as above

    def announce(address: str, bound: int) -> None:
        url = f"http://{f'[{address}]' if ':' in address else address}:{bound}/"
        say(f"serving {len(service.pods)} pods at {url} until interrupted", err=True)
        say(f"try: weighbridge check {url} --expect {quote(pods)}", err=True)
        say(url)

    counts = serve(service, host, port, announce)
    say(f"requests served: {counts.total}", err=True)
    for (label, fate), n in sorted(counts.requests.items(), key=lambda item: str(item[0])):
        say(f"  {label} {fate.value} {n}", err=True)
