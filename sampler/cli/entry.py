"""Entry point: finds the command, turns every end into its exit code."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING

import click

from sampler._version import __version__
from sampler.errors import ExitCode, WeighbridgeError

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=_Commands,
    name="weighbridge",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 PASS, 1 FAIL, 2 usage, 3 INCONCLUSIVE, 4 could not measure, "
    "70 a bug, 130/143 interrupted. Shell completion: "
    'eval "$(_WEIGHBRIDGE_COMPLETE=bash_source weighbridge)" (zsh_source, fish_source).',
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
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Abort:
        return ExitCode.INTERRUPTED
    except WeighbridgeError as error:
        click.echo(f"weighbridge: {error}", err=True)
        if error.hint:
            click.echo(f"  → {error.hint}", err=True)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Nobody reads any more; keep the interpreter from complaining about it at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    except Exception:  # noqa: BLE001 - the one place where a bug becomes an exit code
        traceback.print_exc()
        click.echo(
            f"weighbridge: this is a bug in weighbridge {__version__}, not in your service\n"
            "  → please report it with the lines above and the command line",
            err=True,
        )
        return ExitCode.BUG
    return returned if isinstance(returned, int) else ExitCode.PASS
