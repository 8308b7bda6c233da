"""Carry a plan out: event loop, signals, progress line, documents, exit code."""

from __future__ import annotations

import asyncio
import gc
import select
import signal
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.data.report import ReasonCode
from analysis.render import text, to_dotenv, to_json, to_junit, to_markdown, to_metrics
from analysis.render.annotations import to_github_annotations
from sampler.base.errors import ExitCode, UsageError, WeighbridgeError
from sampler.cli import screen, termination_log
from sampler.cli.announcing import announce
from sampler.cli.documents import save_document, unwritable
from sampler.cli.interrupts import loop_handles_them
from sampler.cli.messages import say_error, say_warning
from sampler.cli.progress import ProgressLine
from sampler.cli.streams import command, deliver, failure
from sampler.engine.engine import one_process
from sampler.plan.load import TransportKind
from sampler.run.gate import Weighing
from sampler.run.pilot import PilotedRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from analysis import Report
    from analysis.render.grid import Grid
    from sampler.engine.effort import SamplingFactory
    from sampler.expect.cluster.watch import Watch
    from sampler.plan.run import RunPlan

_SIGNAL_EXITS = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}
if hasattr(signal, "SIGHUP"):  # the terminal or the connection of a CI runner is gone
    _SIGNAL_EXITS[signal.SIGHUP] = ExitCode.HUNG_UP


def _to_page(report: Report) -> str:
    from sampler.show.documents import page_of  # noqa: PLC0415 - matplotlib and jinja2, if asked for

    return page_of(report)


_APPENDED = frozenset({"github", "github-output"})
"""Documents of which several belong in one file."""

_RENDERERS: dict[str, Callable[[Report], str]] = {
    "json": to_json,
    "markdown": to_markdown,
    "metrics": to_metrics,
    "dotenv": to_dotenv,
    "html": _to_page,
}


def execute(
    plan: RunPlan,
    documents: Mapping[str, str],
    watch: Watch | None = None,
    sampling: SamplingFactory | None = None,
) -> ExitCode:
    """Run a plan, print its report, write its documents.

    Parameters
    ----------
    plan : RunPlan
        What to do.
    documents : mapping of str to str
        File of each document that was asked for, of `sampler.cli.documents`; "-" is stdout.
    watch : Watch or None
        Reports changes of the expectation during the run.
    sampling : SamplingFactory or None
        Makes what sends the run; None is this process.

    Returns
    -------
    ExitCode
        Of the verdict, or of the signal that ended the run.
    """
    announce(plan)
    received: list[signal.Signals] = []
    unwritten: list[WeighbridgeError] = []
    # The page is drawn from the run on disk; everything else for stdout is told at once.
    is_told_late = documents.get("html") == "-"
    told = {} if is_told_late else {name: file for name, file in documents.items() if file == "-"}

    def tell(report: Report) -> None:
        if not is_told_late:
            unwritten.extend(_print(report, told))

    with loop_handles_them():
        report = loop_runner(plan)(_weigh(plan, watch, received, tell, sampling or one_process))
    if is_told_late:
        unwritten += _print(report, documents)
    else:
        later = {name: file for name, file in documents.items() if name not in told}
        unwritten += write_files(_renderers(report, documents), later)
    return _ended(exit_code(report), received, unwritten)


def _ended(
    code: ExitCode, received: Sequence[signal.Signals], unwritten: Sequence[WeighbridgeError]
) -> ExitCode:
    """Return the exit code of a run: of a signal, or of a document that is missing, or `code`."""
    if not received:
        require_written(unwritten)
        return code
    for error in unwritten:
        say_error(str(error), error.hint)
    return _SIGNAL_EXITS[received[0]]


def require_written(unwritten: Sequence[WeighbridgeError]) -> None:
    """Raise the first of the errors that `write_files` returned, and print the others.

    Raises
    ------
    WeighbridgeError
        If there are any.
    """
    for error in unwritten[1:]:
        say_error(str(error), error.hint)
    if unwritten:
        raise unwritten[0]


def show(report: Report, documents: Mapping[str, str]) -> None:
    """Print a report that was made before, and write its documents, as `execute` does.

    Raises
    ------
    UsageError
        If the run was not judged and JUnit is asked for.
    StorageError
        If a document cannot be written; the others are.
    """
    if "junit" in documents and report.verdict is None:
        raise UsageError("--junit: this run measured without judging, so there are no cases")
    require_written(_print(report, documents))


def exit_code(report: Report) -> ExitCode:
    """Return the exit code that a report stands for."""
    if any(reason.code is ReasonCode.UNMEASURABLE for reason in report.reasons):
        return ExitCode.UNMEASURABLE
    if any(reason.code is ReasonCode.TARGET_OVERLOADED for reason in report.reasons):
        return ExitCode.INCONCLUSIVE
    return ExitCode.PASS if report.verdict is None else report.verdict.exit_code


async def _weigh(
    plan: RunPlan,
    watch: Watch | None,
    received: list[signal.Signals],
    tell: Callable[[Report], None],
    sampling: SamplingFactory,
) -> Report:

    def interrupt(signum: signal.Signals) -> None:
        received.append(signum)
        # Subtle: the loop calls this, so not before the first await, where `run` is there.
        run.interrupt()
        if len(received) == 1:
            line.tell(
                f"{signum.name}: stopping after requests in flight (a second one aborts them)"
            )

    def make(plan: RunPlan) -> Weighing:
        weighing = Weighing(plan, line.show, watch, sampling=sampling)
        for warning in weighing.warnings:
            say_warning(warning)
        return weighing

    # A signal is heard from here on: making a run ready takes a while on a busy machine.
    with _heard(interrupt), ProgressLine(plan) as line:
        run = PilotedRun(plan, make, line.tell)
        weighing = await run.begin()
        # What is imported by now stays: no collection during the run looks at it again.
        gc.freeze()
        return await weighing.run(partial(_tell_after, line, tell))


@contextmanager
def _heard(act: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Let the running loop call `act` for each signal that ends a run."""
    loop = asyncio.get_running_loop()
    # What is ignored stays ignored: `nohup` asks for it.
    heard = [each for each in _SIGNAL_EXITS if signal.getsignal(each) is not signal.SIG_IGN]
    for signum in heard:
        loop.add_signal_handler(signum, act, signum)
    try:
        yield
    finally:
        for signum in heard:
            loop.remove_signal_handler(signum)


def _tell_after(line: ProgressLine, tell: Callable[[Report], None], report: Report) -> None:
    line.close()
    tell(report)


def loop_runner(plan: RunPlan) -> Callable[..., Report]:
    """Choose the event loop: uvloop where the loop has to watch each socket.

    With an epoll of its own, the fast transport gives the loop one descriptor to watch, and
    asyncio's own loop is as quick, and imported sooner (`tests.benchmarks.speed_steps`).
    """
    if plan.load.transport is not TransportKind.FULL and hasattr(select, "epoll"):
        return asyncio.run
    return fastest_loop()


def fastest_loop() -> Callable[..., Any]:
    """Return what runs a coroutine: uvloop where it is installed."""
    try:
        import uvloop  # noqa: PLC0415 - faster where it exists
    except ImportError:
        return asyncio.run
    runner: Callable[..., Any] = uvloop.run
    return runner


def _print(report: Report, documents: Mapping[str, str]) -> list[WeighbridgeError]:
    termination_log.leave(str(report))
    return write_out(partial(text.parts, report), _renderers(report, documents), documents)


def _renderers(report: Report, documents: Mapping[str, str]) -> dict[str, Callable[[], str]]:
    from sampler.cli import forge  # noqa: PLC0415 - as the commands

    def annotated() -> str:
        """Annotate the step, which is a line of its log, and return the summary."""
        command(to_github_annotations(report), err="-" in documents.values())
        return forge.summary_within(report, documents["github"])

    own: dict[str, Callable[[], str]] = {
        "junit": partial(to_junit, report, forge.attachment(report, documents)),
        "annotations": partial(forge.gitlab_links, report, documents),
        "github": annotated,
        "github-output": partial(forge.outputs, report),
    }
    return {
        name: own[name] if name in own else partial(_RENDERERS[name], report) for name in documents
    }


def write_out(
    parts: Callable[..., Iterable[str | Grid]],
    renderers: Mapping[str, Callable[[], str]],
    documents: Mapping[str, str],
) -> list[WeighbridgeError]:
    """Print a document for people and write the others; return what `write_files` does.

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
    return write_files(renderers, documents)


def write_files(
    renderers: Mapping[str, Callable[[], str]], documents: Mapping[str, str]
) -> list[WeighbridgeError]:
    """Write every document that can be written; parameters are those of `write_out`.

    Returns
    -------
    list of WeighbridgeError
        One for each document that could not be made or written.
    """
    unwritten: list[WeighbridgeError] = []
    for name, file in documents.items():
        try:
            _write(name, file, renderers[name]())
        except WeighbridgeError as error:
            unwritten.append(error)
        except MemoryError:
            unwritten.append(unwritable(_option(name), file, "out of memory"))
    return unwritten


def _write(name: str, file: str, document: str) -> None:
    if file == "-":
        deliver(document)
        if (failed := failure()) is not None and not isinstance(failed, BrokenPipeError):
            raise unwritable(_option(name), "-", failed.strerror)
        return
    if name not in _APPENDED:
        save_document(name, Path(file), document)
        return
    try:
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(document)
    except OSError as error:
        raise unwritable(_option(name), file, error.strerror) from error


def _option(name: str) -> str:
    return "github" if name == "github-output" else name
