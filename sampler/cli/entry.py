"""Entry point: finds the command, turns every end into its exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING

import click

from sampler.base.errors import ExitCode, WeighbridgeError
from sampler.base.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMPLETE = "_WEIGHBRIDGE_COMPLETE"
_DISK_TROUBLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
_COMMANDS = {
    "check": "Sample until it is decided whether the split holds.",
    "sample": "Measure only, and write a run.",
    "judge": "The same decision from a log, or from a run that was written.",
    "plan": "What a check will cost, and what it would tell apart; sends nothing.",
    "expect": "The expected split and where it was read; sends nothing.",
    "rollout": "Start, promote or roll back a canary by editing its manifests in Git.",
    "report": "Render a recorded run again, also one that was cut off.",
    "demo": "The embedded canary Service, and the story of one canary on it.",
}


class _Commands(click.Group):
    """Imports a command when it is called, so that ``--help`` is quick."""

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
        """Find the command; of a name that is none, say which one may have been meant."""
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415 - for a slip alone

            near = get_close_matches(args[0], _COMMANDS, 1) or [", ".join(_COMMANDS)]
            ctx.fail(f"expected a command such as {near[0]}, got {args[0]!r}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=_Commands,
    name="weighbridge",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 PASS, 1 FAIL, 2 usage, 3 INCONCLUSIVE, 4 could not measure, "
    "70 a bug, 130/143 interrupted.\n\n"
    "\b\nShell completion, for bash (zsh_source and fish_source for others):\n"
    '  eval "$(_WEIGHBRIDGE_COMPLETE=bash_source weighbridge)"',
)
@click.version_option(__version__, prog_name="weighbridge")
def weighbridge() -> None:
    """Weigh traffic before the gate opens.

    weighbridge sends many concurrent requests to a Service, reads from each response which
    version answered, and decides, with error rates that hold, whether every version carries
    the share that it was given.
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Parameters
    ----------
    argv : sequence of str or None
        Arguments without the program's name; None takes those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        # Verdicts carry marks that not every locale can spell; better spelt out than lost.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        returned = weighbridge.main(
            args=None if argv is None else list(argv),
            prog_name="weighbridge",
            standalone_mode=False,
        )
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - every end has its exit code
        return _end(error)
    except SystemExit as ended:
        # click makes 1 of a pipe that nobody reads any more, and of nothing else that gets here
        # but shell completion; with us, 1 is a verdict.
        if ended.code != 1 or _COMPLETE in os.environ:
            raise
        return _end(BrokenPipeError())
    return returned if isinstance(returned, int) else ExitCode.PASS


def _end(error: BaseException) -> int:
    """Say on stderr why the command ended; give its exit code."""
    match error:
        case click.ClickException():
            error.show()
            return error.exit_code
        case KeyboardInterrupt() | click.exceptions.Abort():
            click.echo("weighbridge: interrupted", err=True)
            return ExitCode.INTERRUPTED
        case WeighbridgeError():
            _say(str(error), error.hint)
            return error.exit_code
        case BrokenPipeError():
            _forget_output()
            return 128 + signal.SIGPIPE
        case OSError() if error.errno in _DISK_TROUBLE:
            _forget_output()
            _say(f"the output cannot be written: {error.strerror}", "free some space")
            return ExitCode.UNMEASURABLE
    traceback.print_exception(error)
    _say(
        f"this is a bug in weighbridge {__version__}, not in your service",
        "please report it with the lines above and the command line",
    )
    return ExitCode.BUG


def _say(problem: str, hint: str | None) -> None:
    click.echo(f"weighbridge: {problem}", err=True)
    if hint:
        click.echo(f"  → {hint}", err=True)


def _forget_output() -> None:
    """Keep the interpreter from writing, at its exit, what nobody can take any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
