"""Write the manual page of each command: ``python -m tests.man_pages FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from click_man.core import write_man_pages

from sampler.base.version import __version__
from sampler.cli.entry import weighbridge as program


def write(folder: Path) -> None:
    """Write all pages into a folder; SOURCE_DATE_EPOCH sets their date."""
    folder.mkdir(parents=True, exist_ok=True)
    write_man_pages("weighbridge", _whole(program), version=__version__, target_dir=str(folder))


def _whole(command: click.Command) -> click.Command:
    """Put into place what click-man does not look for: lazy commands, and the text at the end."""
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        found = {name: command.get_command(ctx, name) for name in command.list_commands(ctx)}
        command.commands = {name: _whole(each) for name, each in found.items() if each is not None}
    command.help = "\n\n".join(filter(None, (command.help, command.epilog)))
    return command


if __name__ == "__main__":
    write(Path(sys.argv[1]))
