"""``--config``: options from the command's own table of a TOML file; the command line wins."""

from __future__ import annotations

import json
import re
import tomllib
from enum import Enum
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from sampler.base.errors import UsageError
from sampler.cli.messages import closest
from sampler.cli.values import Weights

if TYPE_CHECKING:
    from pathlib import Path

WITH_TARGETS = frozenset({"watch"})
"""Commands whose table may hold a table for each of several targets."""
TARGETS = "weighbridge.targets"
"""Key of the context's `meta` for the options of each target, by its name."""
_FILE = "weighbridge.config"
_CONFIG = "config"
_MOST_BYTES = 32 << 10
_MANY_PARTS = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){32}""")
"""Parts of a key that no option has: for 16 000 of them the parser of the standard library takes
seconds, and 1.5 GB."""


class Form(Enum):
    """How the value of an option stands in a file."""

    FLAG = "true or false"
    TEXT = "a string or a number"
    LIST = "several of these, or one"
    WEIGHTS = "a string, or a table of weights by label"


def settings(command: click.Command) -> dict[str, click.Parameter]:
    """Return the options that the command's table may set, by their names there."""
    return {
        max(param.opts, key=len).lstrip("-"): param
        for param in command.params
        if param.name and param.name != _CONFIG
    }


def form_of(param: click.Parameter) -> Form:
    """Return how the value of an option stands in a file."""
    if isinstance(param, click.Option) and param.is_flag:
        return Form.FLAG
    if isinstance(param.type, Weights):
        return Form.WEIGHTS
    return Form.LIST if param.multiple else Form.TEXT


def readers(ctx: click.Context) -> dict[str, click.Command]:
    """Return the commands that read a table of their own, by name."""
    root = ctx.find_root()
    if not isinstance(root.command, click.Group):
        return {ctx.info_name or "": ctx.command}
    found = {
        name: root.command.get_command(root, name) for name in root.command.list_commands(root)
    }
    return {
        name: command
        for name, command in found.items()
        if command is not None and any(param.name == _CONFIG for param in command.params)
    }


def load_config(ctx: click.Context, _param: click.Parameter, path: Path | None) -> None:
    """Take defaults from the table of the command's name, checked as if they had been typed.

    Raises
    ------
    UsageError
        If the file cannot be read, or holds a name or a value that the command does not take.
    """
    if path is not None:
        ctx.meta[_FILE] = path
        read_again(ctx)


def read_again(ctx: click.Context) -> None:
    """Take defaults from the file that the command was given; without one, none.

    Raises
    ------
    UsageError
        As `load_config`.
    """
    path = ctx.meta.get(_FILE)
    if path is None:
        return
    command = ctx.info_name or ""
    table = tables_of(path, ctx).get(command, {})
    targets = {
        key: table.pop(key)
        for key, value in list(table.items())
        if command in WITH_TARGETS and key not in settings(ctx.command) and isinstance(value, dict)
    }
    ctx.default_map = defaults_of(ctx, table, f"{path}: [{command}]")
    ctx.meta[TARGETS] = {
        key: defaults_of(ctx, value, f"{path}: [{command}.{key}]") for key, value in targets.items()
    }


def nested_options(ctx: click.Context, table: dict[str, Any]) -> dict[str, Any]:
    """Return the options of one target: what was typed wins over its table, that over the rest."""
    typed = {
        name: value
        for name, value in ctx.params.items()
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    defaults = {**(ctx.default_map or {}), **table}
    nested = ctx.command.make_context(ctx.info_name, [], parent=ctx.parent, default_map=defaults)
    return {**nested.params, **typed}


def defaults_of(ctx: click.Context, table: dict[str, Any], place: str) -> dict[str, Any]:
    """Return what a table says of the options of a command, checked as if it had been typed.

    Parameters
    ----------
    ctx : click.Context
        Of the command.
    table : dict
        Values by the names of options without dashes.
    place : str
        Where the table stands, for messages.

    Raises
    ------
    UsageError
        If it holds a name or a value that the command does not take.
    """
    command = ctx.command.name or ""
    params = settings(ctx.command)
    defaults: dict[str, Any] = {}
    for key, value in table.items():
        where = f"{place} {key}"
        if key not in params:
            raise UsageError(
                f"{where}: {command} has no option of this name",
                hint=closest(key, list(params))
                or f"use the names of weighbridge {command} --help, without the dashes",
            )
        param = params[key]
        try:
            defaults[param.name or ""] = typed = as_typed(param, value)
            param.type_cast_value(ctx, typed)
        except click.BadParameter as error:
            raise UsageError(f"{where} = {_in_toml(value)}: {error.message}") from error
    return defaults


GATES = "gate"
"""Table of the gates of ``serve``; all others are named after commands."""


def tables_of(path: Path, ctx: click.Context) -> dict[str, dict[str, Any]]:
    """Read the tables of a file, and refuse what no command would read.

    Raises
    ------
    UsageError
        If it cannot be read, is no TOML, or holds anything else.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise UsageError(f"--config {path} has more than {_MOST_BYTES >> 10} kB")
        told = text.decode("utf-8-sig").replace("\r\n", "\n")
        if (key := _MANY_PARTS.search(told)) is not None:
            where = f"line {told.count(chr(10), 0, key.start()) + 1}"
            raise UsageError(f"--config {path}: {where} has a name of more than 32 parts")
        document = tomllib.loads(told)
    except OSError as error:
        raise UsageError(f"--config {path}: {error.strerror}") from error
    except RecursionError as error:
        raise UsageError(f"--config {path} is nested too deeply") from error
    except ValueError as error:  # no UTF-8, no TOML, a number of thousands of digits
        raise UsageError(f"--config {path} is not TOML: {error}") from error
    for name, table in document.items():
        if not isinstance(table, dict):
            raise UsageError(
                f"{path}: {name!r} is outside of any table",
                hint="put it under the table of its command, such as [check]",
            )
        if name not in {ctx.info_name, GATES} and name not in readers(ctx):
            raise UsageError(
                f"{path}: no command reads a table [{name}]",
                hint=f"name tables after the commands that do: [{'], ['.join(readers(ctx))}]",
            )
    return document


def as_typed(param: click.Parameter, value: object) -> object:
    """Return a value as it would have been typed, so that the same rules apply.

    Raises
    ------
    click.BadParameter
        If it has not the form of the option (`form_of`).
    """
    match form_of(param):
        case Form.FLAG:
            if not isinstance(value, bool):
                raise click.BadParameter("expected true or false")
            return value
        case Form.WEIGHTS:
            return [json.dumps(value) if isinstance(value, dict) else _as_text(value)]
        case Form.LIST:
            return [_as_text(each) for each in (value if isinstance(value, list) else [value])]
        case Form.TEXT:
            return _as_text(value)


def _as_text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise click.BadParameter("expected a string or a number")
    return str(value)


def _in_toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
