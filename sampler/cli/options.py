"""Options that several commands share, and what they mean for a plan."""

from __future__ import annotations

import re
import shlex
import tomllib
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sampler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sampler.labels import LabelRule
    from sampler.plan import Load
    from sampler.target import Target

_SECRET_OPTIONS = frozenset({"--header", "--body"})
_UNITS_S = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases
    """Seconds, or a number with a unit: ``500ms``, ``30s``, ``5m``."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Give the seconds."""
        if isinstance(value, int | float):
            return float(value)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", str(value))
        if match is None:
            self.fail(f"expected a duration such as 500ms, 30s or 5m, got {value!r}", param, ctx)
        return float(match[1]) * _UNITS_S[match[2]]


class Settle(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases
    """A duration, or None for ``auto``."""

    name = "settle"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """Give the seconds, or None."""
        return None if value == "auto" else Duration().convert(value, param, ctx)


class Share(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases
    """A share: ``5%`` or ``0.05``."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Give the share in [0, 1]."""
        if isinstance(value, int | float):
            return float(value)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", str(value))
        if match is None:
            self.fail(f"expected a share such as 5% or 0.05, got {value!r}", param, ctx)
        return float(match[1]) / (100 if match[2] else 1)


class Factor(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases
    """A factor of at least 1: ``1.5`` or ``1.5x``."""

    name = "factor"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Give the factor."""
        if isinstance(value, int | float):
            return float(value)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)x?", str(value))
        if match is None or float(match[1]) < 1:
            self.fail(f"expected a factor of at least 1 such as 1.5, got {value!r}", param, ctx)
        return float(match[1])


class Rate(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases
    """Requests per second: ``200`` or ``200/s``."""

    name = "rate"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Give the rate [1/s]."""
        if isinstance(value, int | float):
            return float(value)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:/s)?", str(value))
        if match is None:
            self.fail(f"expected requests per second such as 200/s, got {value!r}", param, ctx)
        return float(match[1])


class RateCapParam(Rate):
    """A rate that may be lifted: ``2000/s``, ``0`` or ``none``."""

    name = "max-rate"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Give the cap [1/s]; infinity if it is lifted."""
        if str(value).strip() == "none":
            return inf
        return super().convert(value, param, ctx) or inf


def _load_config(ctx: click.Context, _param: click.Parameter, path: Path | None) -> None:
    """Take defaults from the command's table of a TOML file; the command line wins."""
    if path is None:
        return
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a configuration: {error}") from error
    command = ctx.info_name or ""
    table = document.get(command, {})
    if not isinstance(table, dict):
        raise UsageError(f"{path}: expected a table [{command}], got {table!r}")
    names = {
        option.lstrip("-"): parameter.name
        for parameter in ctx.command.params
        for option in parameter.opts
        if parameter.name and parameter.name != "config"
    }
    unknown = sorted(set(table) - set(names))
    if unknown:
        raise UsageError(
            f"{path}: [{command}] has no option {unknown[0]!r}",
            hint=f"the names are those of the command line: {', '.join(sorted(names))}",
        )
    ctx.default_map = {names[key]: value for key, value in table.items()}


_TARGET_OPTIONS = (
    click.option("--method", default="GET", show_default=True, help="HTTP method."),
    click.option(
        "--header", "headers", multiple=True, metavar="'NAME: VALUE'",
        help="Header to send; may be given several times.",
    ),
    click.option("--body", default=None, metavar="TEXT", help="Body to send; @FILE reads a file."),
    click.option(
        "--cacert", default=None, metavar="FILE",
        help="For https: PEM file of the authorities to trust instead of the system's.",
    ),
    click.option(
        "--insecure", is_flag=True,
        help="For https: accept any certificate, whoever answers.",
    ),
    click.option(
        "--allow-unsafe", is_flag=True,
        help="Permit a body, and methods other than GET, HEAD and OPTIONS.",
    ),
    click.option(
        "--label", default="/label", show_default=True, metavar="RULE",
        help="Where the version is: JSON pointer, header:NAME, regex:EXPR, or status.",
    ),
    click.option(
        "--replica", default="/host", show_default=True, metavar="RULE",
        help="Where the pod's name is; the same grammar, or none.",
    ),
)  # fmt: skip

_LOAD_OPTIONS = (
    click.option(
        "--concurrency", "-c", type=int, default=16, show_default=True, metavar="N",
        help="Most requests in flight at once.",
    ),
    click.option(
        "--rate", type=Rate(), default=None, metavar="R/s",
        help="Open workload: Poisson arrivals at this rate. Default: closed workload.",
    ),
    click.option(
        "--max-rate", type=RateCapParam(), default="2000/s", show_default=True, metavar="R/s",
        help="Hard cap on requests per second, for the target's sake; 0 or none lifts it.",
    ),
    click.option(
        "--overload-stop/--no-overload-stop", default=True, show_default=True,
        help="Stop when most answers are 429 or 5xx, and pause when Retry-After says so.",
    ),
    click.option(
        "--connection", default="fresh", show_default=True, metavar="LIFE",
        help="Requests per connection: fresh (one), reuse (no limit; first answers are judged), "
        "or MIN:MAX (means are).",
    ),
    click.option(
        "--transport", type=click.Choice(["auto", "fast", "full"]), default="auto",
        show_default=True, help="fast: our own HTTP/1.1; full: aiohttp.",
    ),
    click.option(
        "--timeout", type=Duration(), default="5s", show_default=True, metavar="TIME",
        help="For a whole exchange, its connection included.",
    ),
    click.option(
        "--connect-timeout", type=Duration(), default="2s", show_default=True, metavar="TIME",
        help="For the connection alone.",
    ),
    click.option(
        "--resolve", "pins", multiple=True, metavar="HOST:PORT:ADDR",
        help="Use this address, or several after commas, and look nothing up (as curl); "
        "may be given several times.",
    ),
    click.option(
        "--dns-ttl", type=Duration(), default="10s", show_default=True, metavar="TIME",
        help="Look the name up again for a new connection after this time; 0 looks up once.",
    ),
)  # fmt: skip

_RUN_OPTIONS = (
    click.option("--seed", type=int, default=None, metavar="N", help="Of every random choice."),
    click.option(
        "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("reports"),
        show_default=True, metavar="DIR", help="Folder in which the run's own folder is made.",
    ),
    click.option("--name", default=None, metavar="NAME", help="Last part of the run's folder."),
    click.option(
        "--json", "json_file", default=None, metavar="FILE",
        help="Write the report as JSON; '-' is stdout.",
    ),
    click.option(
        "--config", type=click.Path(path_type=Path, dir_okay=False), is_eager=True,
        expose_value=False, callback=_load_config, metavar="FILE",
        help="Take options from a table of the command's name in a TOML file (weighbridge.toml).",
    ),
)  # fmt: skip


def target_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what is asked."""
    decorated: Callable[..., Any] = _apply(_TARGET_OPTIONS, function)
    return decorated


def load_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how it is asked."""
    decorated: Callable[..., Any] = _apply(_LOAD_OPTIONS, function)
    return decorated


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where the run is written."""
    decorated: Callable[..., Any] = _apply(_RUN_OPTIONS, function)
    return decorated


def _apply(options: tuple[Callable[..., Any], ...], function: Callable[..., Any]) -> Any:
    decorated = function
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def make_target(url: str, options: dict[str, Any]) -> Target:
    """Make the target from the options that `target_options` added."""
    from sampler.target import Target  # noqa: PLC0415 - heavy imports wait until a command runs

    headers = []
    for text in options["headers"]:
        name, colon, value = text.partition(":")
        if not colon:
            raise UsageError(f"expected --header 'NAME: VALUE', got {text!r}")
        headers.append((name.strip(), value.strip()))
    return Target(
        url,
        method=options["method"].upper(),
        headers=tuple(headers),
        body=_read_body(options["body"]),
        allow_unsafe=options["allow_unsafe"],
        cacert=options["cacert"],
        insecure=options["insecure"],
    )


def make_rules(options: dict[str, Any]) -> tuple[LabelRule, LabelRule | None]:
    """Make the rules for label and replica."""
    from sampler.labels import LabelRule  # noqa: PLC0415 - as above

    replica = options["replica"]
    return (
        LabelRule.parse(options["label"]),
        None if replica in {"", "none"} else LabelRule.parse(replica),
    )


def make_load(options: dict[str, Any]) -> Load:
    """Make the load from the options that `load_options` added."""
    from sampler.names import Pin  # noqa: PLC0415 - as above
    from sampler.plan import ConnectionLife, Load, TransportKind  # noqa: PLC0415

    return Load(
        concurrency=options["concurrency"],
        rate=options["rate"],
        connection=ConnectionLife.parse(options["connection"]),
        transport=TransportKind(options["transport"]),
        connect_timeout_s=options["connect_timeout"],
        timeout_s=options["timeout"],
        max_rate=None if options["max_rate"] == inf else options["max_rate"],
        overload_stop=options["overload_stop"],
        pins=tuple(Pin.parse(text) for text in options["pins"]),
        dns_ttl_s=options["dns_ttl"],
    )


def command_line(arguments: Sequence[str]) -> str:
    """Give a command line that repeats the run, quoted for a shell.

    Values of headers and bodies, and secrets in URLs, are left out: the line goes into reports.
    """
    from sampler.redaction import without_secrets  # noqa: PLC0415 - as the commands

    shown: list[str] = []
    is_secret = False
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if is_secret:
            shown.append(_without_value(argument))
        elif option in _SECRET_OPTIONS and equals:
            shown.append(f"{option}={_without_value(value)}")
        else:
            shown.append(without_secrets(argument))
        is_secret = argument in _SECRET_OPTIONS
    return shlex.join(["weighbridge", *shown])


def _without_value(text: str) -> str:
    """Keep the name of a header, and of a file that holds a body."""
    name, colon, _ = text.partition(":")
    if text.startswith("@"):
        return text
    return f"{name}: …" if colon else "…"


def _read_body(text: str | None) -> bytes:
    if text is None:
        return b""
    if not text.startswith("@"):
        return text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise UsageError(f"the body {text[1:]} cannot be read: {error.strerror}") from error
