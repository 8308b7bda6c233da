"""Carry a plan out: event loop, signals, progress line, documents, exit code."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.render import to_json, to_junit, to_text
from analysis.report import ReasonCode, Verdict
from sampler.cli.progress import ProgressLine
from sampler.errors import ExitCode, UsageError
from sampler.gate import Weighing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from analysis import Report
    from sampler.gate import RunPlan

_SIGNAL_EXITS = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
}
_RENDERERS: dict[str, Callable[[Report], str]] = {"json": to_json, "junit": to_junit}


def execute(plan: RunPlan, documents: Mapping[str, str | None]) -> ExitCode:
    """Run a plan, print its report, write its documents.

    Parameters
    ----------
    plan : RunPlan
        What to do.
    documents : mapping of str to (str or None)
        File of each document ("json", "junit") that was asked for; "-" is stdout.

    Returns
    -------
    ExitCode
        Of the verdict, or of the signal that ended the run.
    """
    wanted = {name: file for name, file in documents.items() if file is not None}
    _check_writable(wanted)
    click.echo(_announce(plan), err=True)
    received: list[signal.Signals] = []
    report = _loop_runner()(_weigh(plan, received))
    _print(report, wanted)
    if received:
        return _SIGNAL_EXITS[received[0]]
    return exit_code(report)


def exit_code(report: Report) -> ExitCode:
    """Give the exit code that a report stands for."""
    if any(reason.code is ReasonCode.UNMEASURABLE for reason in report.reasons):
        return ExitCode.UNMEASURABLE
    match report.verdict:
        case Verdict.PASS | None:
            return ExitCode.PASS
        case Verdict.FAIL:
            return ExitCode.FAIL
        case Verdict.INCONCLUSIVE:
            return ExitCode.INCONCLUSIVE


async def _weigh(plan: RunPlan, received: list[signal.Signals]) -> Report:
    loop = asyncio.get_running_loop()
    with ProgressLine(plan) as line:
        weighing = Weighing(plan, line.show)

        def interrupt(signum: signal.Signals) -> None:
            received.append(signum)
            weighing.interrupt()
            if len(received) == 1:
                click.echo(
                    f"{signum.name}: stopping, waiting for what is in flight "
                    "(once more gives it up)",
                    err=True,
                )

        for signum in _SIGNAL_EXITS:
            loop.add_signal_handler(signum, interrupt, signum)
        try:
            return await weighing.run()
        finally:
            for signum in _SIGNAL_EXITS:
                loop.remove_signal_handler(signum)


def _loop_runner() -> Callable[..., Report]:
    try:
        import uvloop  # noqa: PLC0415 - faster where it exists
    except ImportError:
        return asyncio.run
    runner: Callable[..., Report] = uvloop.run
    return runner


def _announce(plan: RunPlan) -> str:
    """Say what will be sent before anything is sent."""
    load, limits = plan.load, plan.limits
    pace = "as answers come" if load.rate is None else f"{load.rate:g} arrivals/s"
    connection = {"fresh": "a fresh connection each", "reuse": "connections reused"}.get(
        str(load.connection), f"{load.connection} requests per connection"
    )
    ends = [] if plan.split is None else ["decided"]
    if limits.max_samples is not None:
        ends.append(f"{limits.max_samples} requests")
    if limits.max_time_s is not None:
        ends.append(f"{limits.max_time_s:g} s")
    return (
        f"{plan.target.method} {plan.target.url}: {pace}, at most {load.concurrency} in flight, "
        f"{connection}, until {' or '.join(ends)}"
    )


def _check_writable(documents: Mapping[str, str]) -> None:
    """Refuse a document that cannot be written before anything is measured for it."""
    if sum(file == "-" for file in documents.values()) > 1:
        raise UsageError("only one document can go to stdout", hint="give the others a file")
    for name, file in documents.items():
        parent = Path(file).parent
        if file != "-" and (not parent.is_dir() or Path(file).is_dir()):
            raise UsageError(
                f"--{name} {file}: expected a file in an existing folder",
                hint=f"make it first: mkdir -p {parent}",
            )


def _print(report: Report, documents: Mapping[str, str]) -> None:
    to_stdout = "-" in documents.values()
    stream = sys.stderr if to_stdout else sys.stdout
    click.echo(to_text(report, colour=_wants_colour(stream)), file=stream)
    for name, file in documents.items():
        text = _RENDERERS[name](report)
        if file == "-":
            click.echo(text, nl=False)
            continue
        try:
            Path(file).write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--{name} {file}: {error.strerror}") from error


def _wants_colour(stream: object) -> bool:
    import os  # noqa: PLC0415 - the one look at the environment

    is_terminal = bool(getattr(stream, "isatty", lambda: False)())
    return is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
