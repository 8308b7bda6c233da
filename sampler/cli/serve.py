"""``weighbridge serve``: gates, through doors that controllers know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sampler.cli.configuration import load_config
from sampler.cli.interrupts import loop_handles_them
from sampler.cli.listening import listening_options, make_door
from sampler.cli.sections import SectionedCommand
from sampler.cli.values import Count


def _load(ctx: click.Context, param: click.Parameter, path: Path) -> Path:
    load_config(ctx, param, path)
    return path


@click.command(
    cls=SectionedCommand,
    name="serve",
    short_help="Answer controllers and scripts over HTTP: is the split right?",
    epilog="Example: weighbridge serve --config weighbridge.toml --listen 127.0.0.1:8080",
)
@listening_options
@click.option(
    "--sessions", type=Count(1, 64), default=2, show_default=True, metavar="N",
    help="Checks that run at the same time.",
)  # fmt: skip
@click.option(
    "--queue", type=Count(0, 10_000), default=64, show_default=True, metavar="N",
    help="Checks that wait, at most; more are refused.",
)  # fmt: skip
@click.option(
    "--allow-target", "targets", multiple=True, metavar="GLOB",
    help="Let requests to the generic door name a URL that matches, such as "
    "http://*.shop.svc:8080/*; repeatable. Default: a gate's own URL only.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("reports"),
    show_default=True, metavar="DIR", help="Folder for runs; each check gets its own folder.",
)  # fmt: skip
@click.option(
    "--keep", type=click.IntRange(min=1), default=1000, show_default=True, metavar="N",
    help="Keep the newest N runs in the folder, and remove older ones that have a report.",
)  # fmt: skip
@click.option(
    "--config", "config", type=click.Path(path_type=Path, dir_okay=False),
    default=Path("weighbridge.toml"), show_default=True, is_eager=True, callback=_load,
    metavar="FILE", help="TOML file with the gates, [gate.NAME], and options of this command, "
    "[serve].",
)  # fmt: skip
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Answer over HTTP whether the split of a gate is right.

    A gate is a table [gate.NAME] of the configuration, with the options of check. Callers name a
    gate, never a URL. There are doors for Argo Rollouts (/v1/argo/NAME), for Flagger
    (/v1/flagger/NAME/HOOK), and for scripts, Kargo and Spinnaker (/v1/gates/NAME/checks);
    / shows what was weighed.

    Runs until SIGTERM or Ctrl-C; checks that are going on end as INCONCLUSIVE, and are written.
    """
    from sampler.base.own_process import command_of  # noqa: PLC0415
    from sampler.cli.execute import fastest_loop  # noqa: PLC0415
    from sampler.cli.gates import gates_of  # noqa: PLC0415 - heavy imports wait for a command
    from sampler.engine.preflight import raise_file_limit  # noqa: PLC0415
    from sampler.serve.desk import Limits  # noqa: PLC0415
    from sampler.serve.server import Server  # noqa: PLC0415
    from sampler.web.door import MOST_CONNECTIONS  # noqa: PLC0415

    raise_file_limit(MOST_CONNECTIONS)
    gates = gates_of(options["config"], ctx)
    server = Server(
        make_door(options),
        gates,
        Limits(options["sessions"], options["queue"], options["keep"]),
        options["out"],
        command_of("sampler.cli.weigher"),
        options["targets"],
    )
    with loop_handles_them():
        ctx.exit(fastest_loop()(server.run(_announce)))


def _announce(url: str) -> None:
    from sampler.cli.streams import say  # noqa: PLC0415 - as above

    say(f"listening on {url} until SIGTERM or Ctrl-C", err=True)
    say(url)
