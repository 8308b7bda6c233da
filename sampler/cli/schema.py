"""``weighbridge schema``: the JSON Schemas of the documents that it writes and reads."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from sampler.cli.streams import deliver

if TYPE_CHECKING:
    from collections.abc import Callable


def _rendered(document: str, _ctx: click.Context) -> dict[str, Any]:
    from analysis.render.document import schema  # noqa: PLC0415 - heavy imports wait for a command

    return schema(document)


def _expect(_ctx: click.Context) -> dict[str, Any]:
    from sampler.cli.expectation import schema  # noqa: PLC0415 - as above

    return schema()


def _config(ctx: click.Context) -> dict[str, Any]:
    from sampler.cli.config_schema import config_schema  # noqa: PLC0415 - as above

    return config_schema(ctx)


SCHEMAS: dict[str, Callable[[click.Context], dict[str, Any]]] = {
    "report": partial(_rendered, "report"),
    "plan": partial(_rendered, "plan"),
    "expect": _expect,
    "config": _config,
}


@click.command(
    name="schema",
    short_help="Print the JSON Schema of a document, or of weighbridge.toml.",
    epilog="Example: weighbridge schema config > weighbridge.schema.json",
)
@click.argument("document", type=click.Choice(list(SCHEMAS)))
@click.pass_context
def command(ctx: click.Context, document: str) -> None:
    """Print the JSON Schema of a document of check, plan or expect --json, or of weighbridge.toml.

    The number at the end of its $id is raised when a field is removed or changes its meaning.
    """
    deliver(json.dumps(SCHEMAS[document](ctx), indent=2, ensure_ascii=False) + "\n")
