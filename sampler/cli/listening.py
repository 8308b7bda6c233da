"""Options of a command that listens: where, who may call, and what is logged."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sampler.base.errors import UsageError
from sampler.cli.sections import with_options
from sampler.cli.streams import say

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from sampler.cli.sections import Decorator
    from sampler.watch.several import Watching
    from sampler.web.door import Door

_FILE = click.Path(path_type=Path, dir_okay=False)
_OPTIONS = (
    click.option(
        "--token-file", type=_FILE, default=None, metavar="FILE",
        help="Tokens that callers must send (Authorization: Bearer), one a line; read again when "
        "it changes.",
    ),
    click.option(
        "--no-token", is_flag=True,
        help="Let anybody call who can reach the address, even from other machines.",
    ),
    click.option(
        "--tls-cert", type=_FILE, default=None, metavar="FILE",
        help="PEM file of the certificate, for https; read again when it changes.",
    ),
    click.option(
        "--tls-key", type=_FILE, default=None, metavar="FILE", help="PEM file of its key.",
    ),
)  # fmt: skip


def _listening(default: str | None, told: str, *, has_log: bool) -> Decorator:
    return with_options(
        click.option(
            "--listen", default=default, show_default=default is not None, metavar="HOST:PORT",
            help=f"{told} Beyond loopback a token is needed.",
        ),
        *_OPTIONS,
        click.option(
            "--access-log/--no-access-log", default=has_log, show_default=True,
            help="Log each request on stderr, as a line of JSON.",
        ),
    )  # fmt: skip


listening_options = _listening(
    "127.0.0.1:8080", "Where to listen; port 0 takes a free one.", has_log=True
)
"""Of a command that listens."""
page_options = _listening(
    None, "Serve the page and the metrics at this address, such as 127.0.0.1:9431.", has_log=False
)
"""Of a command that listens only if it is told to; the same names."""


def page_at(options: Mapping[str, Any], watching: Watching) -> AbstractAsyncContextManager[None]:
    """Serve the page of a watch where the options say, if anywhere, for as long as it weighs.

    Raises
    ------
    UsageError
        As `make_door` and `Door.open` do.
    """
    if options["listen"] is None:
        return nullcontext()
    from sampler.watch.on_air import on_air  # noqa: PLC0415 - heavy imports wait

    door = make_door(options)
    return on_air(watching, door, lambda: say(f"listening on {door.url}/", err=True))


def make_door(options: Mapping[str, Any]) -> Door:
    """Make the door from `listening_options`, and begin the log.

    A command that adds nothing but ``listen`` has a door of loopback, without tokens.

    Raises
    ------
    UsageError
        If strangers could call, or a file cannot be used.
    """
    from sampler.web.address import Address, require_guarded  # noqa: PLC0415 - heavy imports wait
    from sampler.web.door import Door  # noqa: PLC0415
    from sampler.web.log import begin_log  # noqa: PLC0415
    from sampler.web.tls import Tls  # noqa: PLC0415
    from sampler.web.tokens import Tokens  # noqa: PLC0415

    token_file = options.get("token_file")
    cert, key = options.get("tls_cert"), options.get("tls_key")
    is_open = options.get("no_token", False)
    if (cert is None) != (key is None):
        given, missing = (
            ("--tls-key", "--tls-cert") if cert is None else ("--tls-cert", "--tls-key")
        )
        raise UsageError(f"{given} needs {missing}", hint="give both, or neither")
    if is_open and token_file is not None:
        raise UsageError("--no-token contradicts --token-file", hint="leave one of both out")
    address = Address.parse(options["listen"])
    require_guarded(address, has_tokens=token_file is not None, is_open=is_open)
    door = Door(
        address,
        None if token_file is None else Tokens(token_file),
        None if cert is None or key is None else Tls(cert, key),
    )
    begin_log(has_access=options.get("access_log", False))
    return door
