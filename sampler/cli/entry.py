"""Entry point: find the command, and turn every end into its exit code."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sampler.base.errors import ExitCode, UsageError, WeighbridgeError
from sampler.base.version import __version__
from sampler.cli.messages import closest, say_error, say_warning
from sampler.cli.streams import failure, guarded, say, stdout_is_data
from sampler.cli.termination_log import leave

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMPLETE = "_WEIGHBRIDGE_COMPLETE"
_DISK_TROUBLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
_NO_ROOM_TO_LOAD = ("cannot allocate memory", "failed to map segment")
_OUT_OF_MEMORY = """\
error: out of memory: this process may not have as much as the command needs
hint: raise the memory limit of the job, or lower --max-samples and --concurrency; what a run \
wrote can be read: weighbridge report RUN"""
_ROOM = 128 << 20
"""Bytes of address space that the numerical libraries take when they are loaded."""

_SPEAK_BY_CODE = frozenset({"check", "sample", "watch", "judge", "demo", "rollout"})
"""Commands whose exit code tells what they came to, even if nobody can read their text."""
_COMMANDS = {
    "check": "Sample until it is decided whether the split holds.",
    "sample": "Measure only, and write a run.",
    "watch": "Weigh a split for as long as traffic flows, and find when it departs.",
    "judge": "Make the same decision from a log or a recorded run.",
    "plan": "Show what a check will cost and what it can detect; sends nothing.",
    "expect": "Show the expected split and where it was read; sends nothing.",
    "rbac": "Print the manifest of the rights that --cluster takes; asks nothing.",
    "rollout": "Start, promote or roll back a canary by editing its manifests in Git.",
    "report": "Render a recorded run again, even an unfinished one, or compare two.",
    "serve": "Answer controllers and scripts over HTTP: is the split right?",
    "demo": "Play the story of one canary on an embedded Service, or serve it.",
    "schema": "Print the JSON Schema of a document, or of weighbridge.toml.",
    "completion": "Print the script with which bash, zsh or fish completes commands.",
}


class Abrupt(int):
    """Exit code of a process that must not tidy up: libraries without memory crash then."""


class _Commands(click.Group):
    """Import a command when it is called, so that ``--help`` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"sampler.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; refuse a name that is none, and suggest the one that was meant."""
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            raise UsageError(
                f"there is no command {args[0]!r}",
                hint=closest(args[0], list(_COMMANDS)) or f"one of {', '.join(_COMMANDS)}",
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


def _say_version(context: click.Context, _option: click.Parameter, is_asked: bool) -> None:  # noqa: FBT001 - click calls it
    if is_asked and not context.resilient_parsing:
        from sampler.exchange.transport.choice import is_compiled  # noqa: PLC0415 - for this alone

        found = "yes" if is_compiled() else "no"
        click.echo(f"weighbridge, version {__version__} (compiled: {found})")
        context.exit()


@click.group(
    cls=_Commands,
    name="weighbridge",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 PASS, 1 FAIL, 2 usage, 3 INCONCLUSIVE, 4 could not measure, "
    "70 a bug, 129/130/143 interrupted.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_say_version,
    help="Show the version and exit.",
)  # fmt: skip
def weighbridge() -> None:
    """Weigh traffic before the gate opens.

    weighbridge sends many concurrent requests to a Service, reads from each response which
    version answered, and decides, with guaranteed error rates, whether every version receives
    its declared share.
    """
    _require_memory()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Parameters
    ----------
    argv : sequence of str or None
        Arguments without the program's name; None takes those of the process.
    """
    with guarded():
        code = _run(argv)
        failed = failure()
        if failed is None or code != ExitCode.PASS:
            return code
        return _without_output(next(iter(sys.argv[1:] if argv is None else argv), ""), failed)


def _run(argv: Sequence[str] | None) -> int:
    """Run the command, and return the exit code of its verdict or its error."""
    try:
        returned = weighbridge.main(
            args=None if argv is None else list(argv),
            prog_name="weighbridge",
            standalone_mode=False,
        )
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - every end has its exit code
        return _end(error)
    except SystemExit as ended:
        # click exits with 1 when a pipe is closed, and otherwise only for shell completion;
        # here, 1 is a verdict.
        if ended.code != 1 or _COMPLETE in os.environ:
            raise
        return 128 + signal.SIGPIPE
    return returned if isinstance(returned, int) else ExitCode.PASS


def _end(error: BaseException) -> int:
    """Print why the command ended, and return its exit code."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            error.show()
            return ExitCode.USAGE
        case click.ClickException():
            _say_last(*_in_our_words(error))
            return ExitCode.USAGE
        case KeyboardInterrupt() | click.exceptions.Abort():
            say("interrupted", err=True)
            return ExitCode.INTERRUPTED
        case WeighbridgeError():
            _say_last(str(error), error.hint)
            return error.exit_code
        case OSError() if error.errno in _DISK_TROUBLE:
            _say_last(f"a file cannot be written: {error.strerror}", "free some space")
            return ExitCode.UNMEASURABLE
    if _is_out_of_memory(error):
        return _end_out_of_memory(error)
    _say_traceback(error)
    _say_last(
        f"this is a bug in weighbridge {__version__}, not in your service",
        "please report it with the lines above and the command line",
    )
    return ExitCode.BUG


def _say_last(problem: str, hint: str | None) -> None:
    """Print why the command ended, and leave it where a pod keeps it."""
    say_error(problem, hint)
    leave(f"error: {problem}" + (f"; hint: {hint}" if hint else ""))


def _say_traceback(error: BaseException) -> None:
    from analysis.render.printable import visible  # noqa: PLC0415 - not for --help

    for line in "".join(traceback.format_exception(error)).splitlines():
        say(visible(line), err=True)


def _in_our_words(error: click.ClickException) -> tuple[str, str | None]:
    """Return the problem that click found, and what to do about it."""
    ctx = getattr(error, "ctx", None)
    hint = None if ctx is None else f"{ctx.command_path} --help lists what there is"
    if isinstance(error, click.NoSuchOption) and ctx is not None:
        near = closest(error.option_name, _options_of(ctx.command))
        return f"there is no option {error.option_name}", near or hint
    if ctx is not None and (name := getattr(error, "command_name", None)):
        near = closest(name, ctx.command.list_commands(ctx))
        return f"{ctx.command_path} has no command {name!r}", near or hint
    if isinstance(error, click.BadParameter) and isinstance(error.param, click.Option):
        if isinstance(error, click.MissingParameter):
            return f"{_longest(error.param)} is missing", hint
        return f"{_longest(error.param)}: {error.message.rstrip('.')}", None
    problem = error.format_message()
    return problem[:1].lower() + problem[1:].rstrip("."), hint


def _longest(option: click.Option) -> str:
    return max(option.opts, key=len)


def _options_of(command: click.Command) -> list[str]:
    options = [param for param in command.params if isinstance(param, click.Option)]
    return [name for each in options for name in (*each.opts, *each.secondary_opts)]


def _without_output(command: str, failed: OSError) -> int:
    """Return the exit code of a command that did its work, but whose stdout was lost."""
    is_data = stdout_is_data() or command not in _SPEAK_BY_CODE
    if isinstance(failed, BrokenPipeError):
        return 128 + signal.SIGPIPE if is_data else ExitCode.PASS
    problem = f"the output cannot be written: {failed.strerror}"
    if not is_data:
        say_warning(problem, "the exit code is that of the verdict")
        return ExitCode.PASS
    say_error(problem, "free some space, or write to another place")
    return ExitCode.UNMEASURABLE


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        # What the loader of libraries and the starter of threads say of it.
        or (isinstance(error, ImportError) and any(sign in text for sign in _NO_ROOM_TO_LOAD))
        or (isinstance(error, RuntimeError) and "can't start new thread" in text)
    )


def _require_memory() -> None:
    """Refuse to begin where OpenBLAS would find no memory: it ends the process with 1, a FAIL."""
    with suppress(ImportError, OSError):  # there are limits and /proc on Linux alone
        from resource import RLIM_INFINITY, RLIMIT_AS, getrlimit  # noqa: PLC0415 - as the comment

        limit = getrlimit(RLIMIT_AS)[0]
        if limit == RLIM_INFINITY:
            return
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        if limit - pages * os.sysconf("SC_PAGE_SIZE") < _ROOM:
            raise MemoryError


def _end_out_of_memory(error: BaseException) -> int:
    """Print the end of a process that has no room to say much."""
    error.__traceback__ = error.__context__ = error.__cause__ = None  # frames hold the samples
    gc.collect()
    print(_OUT_OF_MEMORY, file=sys.stderr, flush=True)  # noqa: T201 - nothing to import for it
    return Abrupt(ExitCode.UNMEASURABLE)
