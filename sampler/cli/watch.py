"""``weighbridge watch``: weigh a split for as long as traffic flows."""

from __future__ import annotations

import asyncio
import signal
import sys
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sampler.base.errors import ExitCode, UsageError, WeighbridgeError
from sampler.cli.check import expectation_of
from sampler.cli.configuration import TARGETS, nested_options, read_again
from sampler.cli.documents import save_document
from sampler.cli.interrupts import loop_handles_them
from sampler.cli.listening import page_at, page_options
from sampler.cli.manifests import manifest_options
from sampler.cli.messages import say_error
from sampler.cli.options import (
    command_line,
    make_plan,
    paced_options,
    run_options,
    runs_folder,
    target_options,
)
from sampler.cli.policy import (
    expect_option,
    make_policy,
    missing_options,
    moving_options,
    watching_options,
)
from sampler.cli.sections import SectionedCommand
from sampler.cli.streams import deliver, say
from sampler.cli.values import Duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from sampler.watch.session import Session
    from sampler.watch.several import Setup, Watching
    from sampler.watch.telling import Teller

_OF_THE_PROCESS = frozenset(
    {"listen", "token_file", "no_token", "tls_cert", "tls_key", "access_log", "json_file"}
)
"""Options that no target has for itself."""


@click.command(
    cls=SectionedCommand,
    name="watch",
    short_help="Weigh a split for as long as traffic flows, and find when it departs.",
    epilog="Example: weighbridge watch http://shop.example/ --expect v1=9,v2=1 --rate 5/s",
)
@click.argument("url", required=False)
@expect_option()
@manifest_options
@moving_options
@click.option(
    "--false-alarm", type=Duration(1e9), default="30d", show_default=True, metavar="TIME",
    help="Mean time between false alarms, at least.",
)  # fmt: skip
@click.option(
    "--blind-after", type=Duration(86_400), default="60s", show_default=True, metavar="TIME",
    help="Say that nothing is known after this time without a label.",
)  # fmt: skip
@click.option(
    "--fail-fast", is_flag=True, help="End at the first alarm, with 1.",
)  # fmt: skip
@click.option(
    "--max-time", type=Duration(1e8), default=None, metavar="TIME",
    help="End after this time, with the verdict of the last stretch. Default: when told to.",
)  # fmt: skip
@page_options
@watching_options
@missing_options("requests")
@paced_options
@target_options
@run_options
@click.pass_context
def command(ctx: click.Context, /, **_options: Any) -> None:
    """Weigh URL without an end: show the split, and find within seconds when it departs.

    Sends few requests, each on a fresh connection. The state is STARTING, OK, DRIFT, RECOVERING,
    CHANGING or BLIND; after a drift, OK takes proof. SIGTERM or Ctrl-C ends it with a report and
    the exit code of the last stretch: PASS (0), FAIL (1) or INCONCLUSIVE (3). SIGHUP reads
    --config again.

    Several targets share one process: a table [watch.NAME] of the --config file for each, with
    url and options of its own.
    """
    if not hasattr(signal, "SIGHUP"):
        raise UsageError("watch needs signals that this system does not have", hint="use Linux")
    setups = setups_of(ctx)
    with loop_handles_them():
        code = asyncio.run(_watch(ctx, setups))
    ctx.exit(code)


async def _watch(ctx: click.Context, setups: list[Setup]) -> ExitCode:
    from sampler.cli.live import LiveView  # noqa: PLC0415 - heavy imports wait for a command
    from sampler.watch.session import ended_in_words  # noqa: PLC0415
    from sampler.watch.several import Watching  # noqa: PLC0415

    watching = Watching()
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()
    handled: dict[signal.Signals, Callable[[], None]] = {
        signal.SIGTERM: watching.stop,
        signal.SIGINT: watching.stop,
        signal.SIGHUP: partial(_begin_reload, ctx, watching, reloads),
    }
    for signum, act in handled.items():
        loop.add_signal_handler(signum, act)
    try:
        async with page_at(ctx.params, watching):
            with LiveView(watching):
                watching.update(setups)
                code = await watching.wait()
    finally:
        for signum in handled:
            loop.remove_signal_handler(signum)
    for name, error in watching.errors.items():
        say_error(f"{name}: {error}", error.hint)
    for session in watching.sessions.values():
        say(ended_in_words(session), err=True)
    if ctx.params["json_file"]:
        _write_states(ctx.params["json_file"], watching)
    return code


def _write_states(file: str, watching: Watching) -> None:
    """Write the last live state of each target, one line each."""
    from analysis.data.live import to_lines  # noqa: PLC0415 - heavy imports wait

    text = to_lines(session.latest for session in watching.sessions.values())
    if file == "-":
        deliver(text)
    else:
        save_document("json", Path(file), text)


def _begin_reload(ctx: click.Context, watching: Watching, tasks: set[asyncio.Task[None]]) -> None:
    task = asyncio.get_running_loop().create_task(_reload(ctx, watching))
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def _reload(ctx: click.Context, watching: Watching) -> None:
    """Read the configuration again, and go on with what it says; if it is wrong, as before."""
    try:
        await asyncio.to_thread(read_again, ctx)
        watching.update(await asyncio.to_thread(setups_of, ctx))
    except WeighbridgeError as error:
        say_error(f"SIGHUP: {error}", error.hint or "what was weighed before goes on")


def setups_of(ctx: click.Context) -> list[Setup]:
    """Return how each target is weighed: that of the command line, or those of the file.

    Raises
    ------
    WeighbridgeError
        If there is none, or one of them cannot be weighed as it is asked for.
    """
    own = nested_options(ctx, {})
    targets = ctx.meta.get(TARGETS, {})
    if own["url"] or own["is_live"] or own["in_pod"] or not targets:
        name = own["name"] or _host(own["url"]) or own["service"] or "watch"
        return [_setup(ctx, name, own)]
    setups = []
    for name, table in targets.items():
        try:
            if misplaced := _OF_THE_PROCESS.intersection(table):
                param = next(each for each in ctx.command.params if each.name in misplaced)
                raise UsageError(
                    f"{param.opts[0].lstrip('-')} holds for the whole process",
                    hint="put it under [watch]",
                )
            setups.append(_setup(ctx, name, nested_options(ctx, table)))
        except WeighbridgeError as error:
            error.args = (f"[watch.{name}]: {error}",)
            raise
    return setups


def _host(url: str | None) -> str:
    from urllib.parse import urlsplit  # noqa: PLC0415 - only where a target has no name

    try:
        return urlsplit(url or "").hostname or ""
    except ValueError:
        return ""  # `make_plan` says what is wrong with it


def _setup(ctx: click.Context, name: str, options: dict[str, Any]) -> Setup:
    """Return how one target is weighed."""
    from analysis.watching.asked import WatchPolicy  # noqa: PLC0415 - heavy imports wait
    from sampler.plan.load import Limits  # noqa: PLC0415
    from sampler.watch.session import Rotation, Session  # noqa: PLC0415
    from sampler.watch.several import Setup  # noqa: PLC0415

    if options["connection"] == "auto":
        raise UsageError(
            "--connection auto makes a pilot, which a session without an end has no time for",
            hint="give fresh, reuse or MIN:MAX",
        )
    endless = {"wait": inf, "max_time": options["max_time"] or inf}
    given = expectation_of(options["url"], {**options, **endless})
    of_a_run = {"alpha": 0.01, "calibrated": False, "max_samples": None}
    plan = make_plan(
        given.url,
        {**options, "name": f"watch-{name}"},
        "watch",
        limits=Limits(max_time_s=1.0),  # each run of the session has its own
        split=given.split,
        policy=make_policy(given.split, {**options, **of_a_run}),
        source=given.source,
        views=given.views,
        replica_counts=given.replicas,
        out=runs_folder(ctx) if options["out"] == ctx.params["out"] else options["out"],
        command=command_line(sys.argv[1:]),
    )
    load = plan.load
    rate = load.rate or 1.0
    asked = WatchPolicy(
        plan.deciding_policy,
        options["false_alarm"],
        rate / (load.connection.shortest or 1),
        options["blind_after"],
        load.timeout_s + 1.0,
    )
    rotation = Rotation() if options["keep"] is None else Rotation(keep=options["keep"])

    def make(stream: Teller) -> Session:
        return Session(
            name,
            plan,
            asked,
            stream,
            given.watch,
            rotation=rotation,
            max_time_s=options["max_time"] or inf,
            is_fail_fast=options["fail_fast"],
        )

    return Setup(name, options, make)
