"""``weighbridge demo``: the story of one canary, or the Service alone to try things on."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sampler.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from sampler.demo.pods import Faults, Service

_FRACTIONS = ("drop", "hang", "reset", "error")


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
    "--seed", type=int, default=1, show_default=True, metavar="N",
    help="Of the Service's picks, so that the story repeats.",
)  # fmt: skip
@click.option(
    "--concurrency", "-c", type=click.IntRange(1, 10_000), default=16, show_default=True,
    metavar="N", help="Most requests in flight at once.",
)  # fmt: skip
@click.option("--serve", is_flag=True, help="Only serve, in the foreground, until interrupted.")
@click.option(
    "--pods", default="v1=9,v2=1", show_default=True, metavar="v1=9,v2=1",
    help="With --serve: pods by version.",
)  # fmt: skip
@click.option(
    "--fault", "faults", multiple=True, metavar="LABEL:KIND[=AMOUNT]",
    help="With --serve: what is wrong with a version: drop=50%, hang=10%, reset=10%, "
    "error=10%, delay=300ms or html; may be given several times.",
)  # fmt: skip
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="With --serve: where to listen."
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, metavar="PORT",
    help="With --serve: 0 takes a free one.",
)  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context,
    out: Path,
    seed: int,
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
    if serve:
        _serve(_service(pods, faults), host, port)
        return
    if faults:
        raise UsageError("faults are for --serve: the story has its own")
    ctx.exit(asyncio.run(_tell(out, seed, concurrency)))


async def _tell(out: Path, seed: int, concurrency: int) -> ExitCode:
    from analysis.render import to_text  # noqa: PLC0415 - heavy imports wait for a command
    from sampler.cli.execute import wants_colour  # noqa: PLC0415
    from sampler.demo.story import tell  # noqa: PLC0415

    surprises = 0
    async for stage, report in tell(out, seed=seed, concurrency=concurrency):
        click.secho(f"\n{stage.title}", bold=True)
        click.echo(f"  {report.run.command}")
        click.echo(to_text(report, colour=wants_colour(sys.stdout)))
        if report.verdict is not stage.verdict:
            surprises += 1
            click.echo(f"  this should have been {stage.verdict}", err=True)
    if surprises:
        click.echo(f"\n{surprises} of the verdicts are not as they should be", err=True)
        return ExitCode.FAIL
    click.echo(f"\nAll four verdicts are as they should be. The runs are under {out}/.")
    return ExitCode.PASS


def _service(pods: str, faults: tuple[str, ...]) -> Service:
    from sampler.cli.policy import make_split  # noqa: PLC0415 - as above
    from sampler.demo.pods import Service, pods_of  # noqa: PLC0415

    split = make_split(pods, "--pods")
    weights = dict(zip(split.arms, split.weights, strict=True))
    return Service(pods_of(weights, _faults(faults)))


def _faults(texts: tuple[str, ...]) -> dict[str, Faults]:
    from sampler.cli.options import Duration, Share  # noqa: PLC0415 - as above
    from sampler.demo.pods import Faults  # noqa: PLC0415

    settings: dict[str, dict[str, float | bool]] = {}
    for text in texts:
        label, _, rest = text.rpartition(":")
        kind, _, amount = rest.partition("=")
        of_label = settings.setdefault(label, {})
        if label and kind in _FRACTIONS and amount:
            of_label[kind] = Share().convert(amount, None, None)
        elif label and kind == "delay" and amount:
            of_label["delay_s"] = Duration().convert(amount, None, None)
        elif label and rest == "html":
            of_label["html"] = True
        else:
            raise UsageError(
                f"--fault {text}: expected LABEL:KIND, such as v2:drop=50%, v2:delay=300ms, v2:html"
            )
    return {label: Faults(**values) for label, values in settings.items()}  # type: ignore[arg-type]


def _serve(service: Service, host: str, port: int) -> None:
    from sampler.demo.service import serve  # noqa: PLC0415 - as above

    def announce(address: str, bound: int) -> None:
        url = f"http://{address}:{bound}/"
        click.echo(f"serving {len(service.pods)} pods at {url} until interrupted", err=True)
        click.echo(f"try: weighbridge check {url} --expect v1=9,v2=1", err=True)
        click.echo(url)

    counts = serve(service, host, port, announce)
    for (label, fate), n in sorted(counts.requests.items(), key=lambda item: str(item[0])):
        click.echo(f"{label} {fate.value} {n}", err=True)
