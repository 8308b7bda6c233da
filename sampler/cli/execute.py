"""Carry a plan out: event loop, signals, progress line, documents, exit code."""

from __future__ import annotations

import asyncio
import gc
import select
import signal
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.data.report import ReasonCode, Verdict
from analysis.render import text, to_dotenv, to_json, to_junit, to_markdown, to_metrics
from sampler.base.errors import ExitCode, UsageError
from sampler.cli import screen
from sampler.cli.announcing import announce
from sampler.cli.interrupts import loop_handles_them
from sampler.cli.messages import say_warning
from sampler.cli.progress import ProgressLine
from sampler.plan.load import TransportKind
from sampler.run.gate import Weighing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from analysis import Report
    from analysis.render.grid import Grid
    from sampler.expect.cluster.watch import Watch
    from sampler.plan.run import RunPlan

_SIGNAL_EXITS = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
}


def _to_page(report: Report) -> str:
    from sampler.show.documents import page_of  # noqa: PLC0415 - matplotlib and jinja2, if asked for

    return page_of(report)


_APPENDED = frozenset({"github"})
"""Documents of which several belong in one file."""

_RENDERERS: dict[str, Callable[[Report], str]] = {
    "json": to_json,
    "markdown": to_markdown,
    "metrics": to_metrics,
    "dotenv": to_dotenv,
    "html": _to_page,
}


def execute(plan: RunPlan, documents: Mapping[str, str], watch: Watch | None = None) -> ExitCode:
    """Run a plan, print its report, write its documents.

    Parameters
    ----------
    plan : RunPlan
        What to do.
    documents : mapping of str to str
        File of each document that was asked for, of `sampler.cli.documents`; "-" is stdout.
    watch : Watch or None
        Reports changes of the expectation during the run.

    Returns
    -------
    ExitCode
        Of the verdict, or of the signal that ended the run.
    """
    announce(plan)
    received: list[signal.Signals] = []
    # The page is drawn from the run on disk; everything else for stdout is told at once.
    is_told_late = documents.get("html") == "-"
    told = {} if is_told_late else {name: file for name, file in documents.items() if file == "-"}

    def tell(report: Report) -> None:
        if not is_told_late:
            _print(report, told)

    with loop_handles_them():
        report = _loop_runner(plan)(_weigh(plan, watch, received, tell))
    if is_told_late:
        _print(report, documents)
    else:
        later = {name: file for name, file in documents.items() if name not in told}
        write_files(_renderers(report, documents), later)
    if received:
        return _SIGNAL_EXITS[received[0]]
    return exit_code(report)


def show(report: Report, documents: Mapping[str, str]) -> None:
    """Print a report that was made before, and write its documents, as `execute` does.

    Raises
    ------
    UsageError
        If a document cannot be written, or the run was not judged and JUnit is asked for.
    """
    if "junit" in documents and report.verdict is None:
        raise UsageError("--junit: this run measured without judging, so there are no cases")
    _print(report, documents)


def exit_code(report: Report) -> ExitCode:
    """Return the exit code that a report stands for."""
    if any(reason.code is ReasonCode.UNMEASURABLE for reason in report.reasons):
        return ExitCode.UNMEASURABLE
    if any(reason.code is ReasonCode.TARGET_OVERLOADED for reason in report.reasons):
        return ExitCode.INCONCLUSIVE
    match report.verdict:
        case Verdict.PASS | None:
            return ExitCode.PASS
        case Verdict.FAIL:
            return ExitCode.FAIL
        case Verdict.INCONCLUSIVE:
            return ExitCode.INCONCLUSIVE


async def _weigh(
    plan: RunPlan,
    watch: Watch | None,
    received: list[signal.Signals],
    tell: Callable[[Report], None],
) -> Report:

    def interrupt(signum: signal.Signals) -> None:
        received.append(signum)
        # Subtle: the loop calls this, so not before the first await, where `weighing` is there.
        weighing.interrupt()
        if len(received) == 1:
            click.echo(
                f"{signum.name}: stopping after requests in flight (a second one aborts them)",
                err=True,
            )

    # A signal is heard from here on: making a run ready takes a while on a busy machine.
    with _heard(interrupt), ProgressLine(plan) as line:
        weighing = Weighing(plan, line.show, watch)
        for warning in weighing.warnings:
            say_warning(warning)
        # What is imported by now stays: no collection during the run looks at it again.
        gc.freeze()
        return await weighing.run(partial(_tell_after, line, tell))


@contextmanager
def _heard(act: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Let the running loop call `act` for each signal that ends a run."""
    loop = asyncio.get_running_loop()
    for signum in _SIGNAL_EXITS:
        loop.add_signal_handler(signum, act, signum)
    try:
        yield
    finally:
        for signum in _SIGNAL_EXITS:
            loop.remove_signal_handler(signum)


def _tell_after(line: ProgressLine, tell: Callable[[Report], None], report: Report) -> None:
    line.close()
    tell(report)


def _loop_runner(plan: RunPlan) -> Callable[..., Report]:
    """Choose the event loop: uvloop where the loop has to watch each socket.

    With an epoll of its own, the fast transport gives the loop one descriptor to watch, and
    asyncio's own loop is as quick, and imported sooner (`tests.benchmarks.speed_steps`).
    """
    if plan.load.transport is not TransportKind.FULL and hasattr(select, "epoll"):
        return asyncio.run
    try:
        import uvloop  # noqa: PLC0415 - faster where it exists
    except ImportError:
        return asyncio.run
    runner: Callable[..., Report] = uvloop.run
    return runner


def _print(report: Report, documents: Mapping[str, str]) -> None:
    write_out(partial(text.parts, report), _renderers(report, documents), documents)


def _renderers(report: Report, documents: Mapping[str, str]) -> dict[str, Callable[[], str]]:
    from sampler.cli import forge  # noqa: PLC0415 - as the commands

    def annotated() -> str:
        """Annotate the step, which is a line of its log, and give the summary."""
        click.echo(forge.tell_github(report), nl=False, err="-" in documents.values())
        return forge.summary_within(report, documents["github"])

    own: dict[str, Callable[[], str]] = {
        "junit": partial(to_junit, report, forge.attachment(report, documents)),
        "annotations": partial(forge.gitlab_links, report, documents),
        "github": annotated,
    }
    return {
        name: own[name] if name in own else partial(_RENDERERS[name], report) for name in documents
    }


def write_out(
    parts: Callable[..., Iterable[str | Grid]],
    renderers: Mapping[str, Callable[[], str]],
    documents: Mapping[str, str],
) -> None:
    """Print a document for people and write the others.

    Parameters
    ----------
    parts : callable
        Yields what people read, as `screen.show` takes it.
    renderers : mapping of str to callable
        Return each document by its name.
    documents : mapping of str to str
        Their files; "-" is stdout, and then people read on stderr.
    """
    screen.show(parts, err="-" in documents.values())
    write_files(renderers, documents)


def write_files(renderers: Mapping[str, Callable[[], str]], documents: Mapping[str, str]) -> None:
    """Write documents; parameters are those of `write_out`.

    Raises
    ------
    UsageError
        If one cannot be written.
    """
    for name, file in documents.items():
        document = renderers[name]()
        if file == "-":
            click.echo(document, nl=False)
            continue
        try:
            with Path(file).open("a" if name in _APPENDED else "w", encoding="utf-8") as stream:
                stream.write(document)
        except OSError as error:
            raise UsageError(f"--{name} {file}: {error.strerror}") from error
