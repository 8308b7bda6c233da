"""Options that several commands share, and what they mean for a plan."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sampler.base.errors import UsageError
from sampler.cli.configuration import load_config
from sampler.cli.values import Count, Duration, Rate, RateCap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sampler.labels.rule import LabelRule
    from sampler.plan.load import Load
    from sampler.plan.target import Target

_SECRET_OPTIONS = frozenset({"--header", "--body"})
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
        "--concurrency", "-c", type=Count(1, 10_000), default=16, show_default=True,
        metavar="N", help="Most requests in flight at once.",
    ),
    click.option(
        "--rate", type=Rate(), default=None, metavar="R/s",
        help="Open workload: Poisson arrivals at this rate. Default: closed workload.",
    ),
    click.option(
        "--max-rate", type=RateCap(), default="2000/s", show_default=True, metavar="R/s",
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
        "--timeout", type=Duration(3600), default="5s", show_default=True, metavar="TIME",
        help="For a whole exchange, its connection included.",
    ),
    click.option(
        "--connect-timeout", type=Duration(3600), default="2s", show_default=True,
        metavar="TIME",
        help="For the connection alone.",
    ),
    click.option(
        "--resolve", "pins", multiple=True, metavar="HOST:PORT:ADDR",
        help="Use this address, or several after commas, and look nothing up (as curl); "
        "may be given several times.",
    ),
    click.option(
        "--dns-ttl", type=Duration(86_400, is_positive=False), default="10s",
        show_default=True, metavar="TIME",
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
        expose_value=False, callback=load_config, metavar="FILE",
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
    from sampler.plan.target import Target  # noqa: PLC0415 - heavy imports wait until a command runs

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
    from sampler.labels.rule import LabelRule  # noqa: PLC0415 - as above

    label, replica = options["label"], options["replica"]
    with naming("--label", label):
        label_rule = LabelRule.parse(label)
    if replica in {"", "none"}:
        return label_rule, None
    with naming("--replica", replica):
        return label_rule, LabelRule.parse(replica)


def make_load(options: dict[str, Any]) -> Load:
    """Make the load from the options that `load_options` added."""
    from sampler.plan.load import ConnectionLife, Load, TransportKind  # noqa: PLC0415
    from sampler.plan.pinned_hosts import PinnedHost  # noqa: PLC0415 - as above

    with naming("--connection", options["connection"]):
        life = ConnectionLife.parse(options["connection"])
    return Load(
        concurrency=options["concurrency"],
        rate=options["rate"],
        connection=life,
        transport=TransportKind(options["transport"]),
        connect_timeout_s=options["connect_timeout"],
        timeout_s=options["timeout"],
        max_rate=None if options["max_rate"] == inf else options["max_rate"],
        overload_stop=options["overload_stop"],
        pins=tuple(PinnedHost.parse(text) for text in options["pins"]),
        dns_ttl_s=options["dns_ttl"],
    )


@contextmanager
def naming(option: str, text: str) -> Iterator[None]:
    """Say of an error which option it is about."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{option} {shlex.quote(text)}: {error}", hint=error.hint) from error


def command_line(arguments: Sequence[str]) -> str:
    """Give a command line that repeats the run, quoted for a shell.

    Values of headers and bodies, and secrets in URLs, are left out: the line goes into reports.
    """
    from sampler.base.redaction import without_secrets  # noqa: PLC0415 - as the commands

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
