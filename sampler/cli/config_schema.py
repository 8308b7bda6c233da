"""The JSON Schema of ``weighbridge.toml``, made from the options that ``--config`` sets."""

from __future__ import annotations

from math import isfinite
from typing import Any

import click

from sampler.cli.configuration import GATES, WITH_TARGETS, Form, form_of, readers, settings
from sampler.cli.gates import OF_THE_SERVER, SETTINGS
from sampler.cli.values import Count, Number

_ID = "urn:weighbridge:config:1"
_WHOLE = r"^\s*[+-]?[0-9_]+\s*$"


def config_schema(ctx: click.Context) -> dict[str, Any]:
    """Return the schema (draft 7, which editors of TOML know), a new one at each call.

    Every value that a command reads is valid. Not every valid value is read: the schema knows the
    form of a value, and the range of a whole number, but not what options mean together.
    """
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": _ID,
        "title": "weighbridge.toml",
        "description": "Options of weighbridge commands, read with --config.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **{name: _own_table(command) for name, command in readers(ctx).items()},
            GATES: _gates_schema(ctx),
        },
    }


def _own_table(command: click.Command) -> dict[str, Any]:
    """Return the schema of a command's table, which may hold one for each target."""
    table = table_schema(command)
    if command.name in WITH_TARGETS:
        table["additionalProperties"] = table_schema(command)
    return table


def table_schema(command: click.Command) -> dict[str, Any]:
    """Return the schema of a table that sets options of `command`."""
    return {
        "description": command.get_short_help_str(limit=200),
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _option(param) for name, param in settings(command).items()},
    }


def _gates_schema(ctx: click.Context) -> dict[str, Any]:
    """Return the schema of all gates."""
    one = table_schema(readers(ctx)["check"])
    own = {
        name: {**setting.schema, "description": setting.description}
        for name, setting in SETTINGS.items()
    }
    options = {name: each for name, each in one["properties"].items() if name not in OF_THE_SERVER}
    return {
        "description": "Gates of weighbridge serve: [gate.NAME], with the options of check.",
        "type": "object",
        "additionalProperties": {**one, "properties": options | own},
    }


def _option(param: click.Parameter) -> dict[str, Any]:
    name = param.human_readable_name
    described: dict[str, Any] = {"description": getattr(param, "help", None) or f"Argument {name}."}
    if isinstance(param.default, str | int | float) and param.default != "":
        described["default"] = param.default
    one = _value(param.type)
    match form_of(param):
        case Form.FLAG:
            return described | {"type": "boolean"}
        case Form.WEIGHTS:
            by_label = {"type": "object", "additionalProperties": {"type": ["number", "string"]}}
            return described | {"anyOf": [one, by_label]}
        case Form.LIST:
            return described | {"anyOf": [one, {"type": "array", "items": one}]}
        case Form.TEXT:
            return described | one


def _value(kind: click.ParamType) -> dict[str, Any]:  # type: ignore[type-arg]  # as in values
    """Return the schema of a single value of an option, as a number or as text."""
    if isinstance(kind, click.Choice):
        return {"enum": list(kind.choices)}
    if isinstance(kind, Count):
        most = {"maximum": kind.most} if isfinite(kind.most) else {}
        return {"type": ["integer", "string"], "minimum": kind.least, **most,
                "pattern": f"^{kind.form}$"}  # fmt: skip
    if isinstance(kind, Number):
        return {"type": ["number", "string"], "minimum": 0, "pattern": f"^(?:{kind.form})$"}
    if isinstance(kind, click.types.IntParamType):
        return {"type": ["integer", "string"], "pattern": _WHOLE}
    return {"type": ["string", "number"]}
