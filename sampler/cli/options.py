"""Options that several commands share, and what they mean for a plan."""

from __future__ import annotations

import os
import shlex
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sampler.base.errors import UsageError
from sampler.cli.configuration import load_config
from sampler.cli.documents import JSON
from sampler.cli.messages import say_warning
from sampler.cli.sections import with_options
from sampler.cli.values import Count, Duration, Life, Rate, RateCap, RunsFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sampler.labels.rule import LabelRule
    from sampler.plan.load import Load
    from sampler.plan.run import RunPlan
    from sampler.plan.target import Target

_SECRET_OPTIONS = frozenset({"--header", "--body"})
target_options = with_options(
    click.option("--method", default="GET", show_default=True, help="HTTP method."),
    click.option(
        "--header", "headers", multiple=True, metavar="'NAME: VALUE'",
        help="Header to send; repeatable.",
    ),
    click.option("--body", default=None, metavar="TEXT", help="Body to send; @FILE reads a file."),
    click.option(
        "--cacert", default=None, metavar="FILE",
        help="For https: PEM file of the CAs to trust instead of the system's.",
    ),
    click.option(
        "--cert", default=None, metavar="FILE",
        help="For https: PEM file of the client's certificate, for a server that wants one.",
    ),
    click.option(
        "--key", default=None, metavar="FILE",
        help="PEM file of its key, if that is not in the file of --cert.",
    ),
    click.option("--insecure", is_flag=True, help="For https: do not verify certificates."),
    click.option(
        "--allow-unsafe", is_flag=True,
        help="Allow a body, and methods other than GET, HEAD and OPTIONS.",
    ),
    click.option(
        "--label", default="/label", show_default=True, metavar="RULE",
        help="Where the response has its version: JSON pointer, header:NAME, cookie:NAME, "
        "regex:EXPR or status.",
    ),
    click.option(
        "--replica", default="/host", show_default=True, metavar="RULE",
        help="Where the response has the pod's name: as for --label, or none.",
    ),
)  # fmt: skip
"""What is asked."""

_RATE = click.option(
    "--rate", type=Rate(), default=None, metavar="R/s",
    help="Open workload: Poisson arrivals at this rate. Default: closed workload, as fast as "
    "responses come.",
)  # fmt: skip
_LOW_RATE = click.option(
    "--rate", type=Rate(), default="5/s", show_default=True, metavar="R/s",
    help="Poisson arrivals at this rate.",
)  # fmt: skip
_LOAD_OPTIONS = (
    click.option(
        "--concurrency", "-c", type=Count(1, 10_000), default=16, show_default=True,
        metavar="N", help="Maximum number of requests in flight.",
    ),
    click.option(
        "--max-rate", type=RateCap(), default="2000/s", show_default=True, metavar="R/s",
        help="Upper limit on requests per second, to protect the target; 0 or none removes it.",
    ),
    click.option(
        "--overload-stop/--no-overload-stop", default=True, show_default=True,
        help="Stop when most responses are 429 or 5xx, and pause when Retry-After asks for it.",
    ),
    click.option(
        "--connection", type=Life(), default="fresh", show_default=True, metavar="LIFE",
        help="Requests per connection: fresh (one), reuse (no limit; first responses are judged), "
        "MIN:MAX (means are judged), or auto (a pilot finds out which is cheaper).",
    ),
    click.option(
        "--transport", type=click.Choice(["auto", "fast", "full"]), default="auto",
        show_default=True, help="HTTP client; fast: our own HTTP/1.1, full: aiohttp.",
    ),
    click.option(
        "--timeout", type=Duration(3600), default="5s", show_default=True, metavar="TIME",
        help="Time limit of a whole request, connecting included.",
    ),
    click.option(
        "--connect-timeout", type=Duration(3600), default="2s", show_default=True,
        metavar="TIME",
        help="Time limit of connecting alone.",
    ),
    click.option(
        "--wait-for", type=Duration(86_400), default=None, metavar="TIME",
        help="Before the run, wait up to this time until the target answers: a deployment that is "
        "still starting. Nothing of it is judged.",
    ),
    click.option(
        "--resolve", "pins", multiple=True, metavar="HOST:PORT:ADDR",
        help="Use this address, or several separated by commas, instead of DNS (as in curl); "
        "repeatable.",
    ),
    click.option(
        "--dns-ttl", type=Duration(86_400, is_positive=False), default="10s",
        show_default=True, metavar="TIME",
        help="Resolve the name again after this time, for new connections; 0 resolves it once.",
    ),
)  # fmt: skip
load_options = with_options(_RATE, *_LOAD_OPTIONS)
"""How it is asked."""
paced_options = with_options(_LOW_RATE, *_LOAD_OPTIONS)
"""How it is asked where little is sent, without an end."""

run_options = with_options(
    click.option(
        "--seed", type=int, default=None, metavar="N",
        help="Seed of every random choice, to repeat a run.",
    ),
    click.option(
        "--out", type=RunsFolder(), default="reports", show_default=True, metavar="DIR",
        help="Folder for runs; each gets its own folder. none keeps nothing.",
    ),
    click.option(
        "--name", default=None, metavar="NAME", help="Last part of the name of the run's folder."
    ),
    click.option(
        "--keep", type=click.IntRange(min=1), default=None, metavar="N",
        help="Keep the newest N runs in the folder, and remove older ones that have a report.",
    ),
    JSON,
    click.option(
        "--config", type=click.Path(path_type=Path, dir_okay=False), is_eager=True,
        expose_value=False, callback=load_config, metavar="FILE",
        help="Read options from a TOML file (weighbridge.toml), from the table named after the "
        "command.",
    ),
)  # fmt: skip
"""Where the run is written, and its report."""


def runs_folder(ctx: click.Context) -> Path | None:
    """Return the folder for the run; none if nobody named one and files cannot be written here."""
    folder: Path | None = ctx.params["out"]
    is_named = ctx.get_parameter_source("out") is not click.core.ParameterSource.DEFAULT
    if folder is None or is_named or not hasattr(os, "statvfs"):
        return folder
    place = folder if folder.is_dir() else folder.parent
    if not os.statvfs(place).f_flag & os.ST_RDONLY:
        return folder
    say_warning(
        f"the run is not kept: {folder} is on a read-only file system",
        "mount a volume and name it with --out DIR; --out none says that nothing is to be kept",
    )
    return None


def make_plan(url: str, options: dict[str, Any], name: str, **more: Any) -> RunPlan:
    """Make the plan of a run from the options of its target, its load and its name.

    Parameters
    ----------
    url : str
    options : dict
        By parameter.
    name : str
        Of the run, if none was given.
    **more
        Other fields of the plan.
    """
    from sampler.plan.run import RunPlan, draw_seed  # noqa: PLC0415 - heavy imports wait

    label, replica = _make_rules(options)
    return RunPlan(
        target=_make_target(url, options),
        load=_make_load(options),
        label=label,
        replica=replica,
        wait_for_s=options["wait_for"] or 0.0,
        name=options["name"] or name,
        seed=draw_seed() if options["seed"] is None else options["seed"],
        **more,
    )


def _make_target(url: str, options: dict[str, Any]) -> Target:
    """Make the target from `target_options`."""
    from sampler.plan.target import Target  # noqa: PLC0415 - as above

    headers = []
    for text in options["headers"]:
        name, colon, value = text.partition(":")
        if not colon:
            raise UsageError(
                f"expected --header 'NAME: VALUE', got {len(text)} characters without a colon"
            )
        headers.append((name.strip(), value.strip()))
    return Target(
        url,
        method=options["method"].upper(),
        headers=tuple(headers),
        body=_read_body(options["body"]),
        allow_unsafe=options["allow_unsafe"],
        cacert=options["cacert"],
        insecure=options["insecure"],
        cert=options["cert"],
        key=options["key"],
    )


def _make_rules(options: dict[str, Any]) -> tuple[LabelRule, LabelRule | None]:
    """Make the rules for label and replica."""
    from sampler.labels.rule import LabelRule  # noqa: PLC0415 - as above

    label, replica = options["label"], options["replica"]
    with naming("--label", label):
        label_rule = LabelRule.parse(label)
    if replica in {"", "none"}:
        return label_rule, None
    with naming("--replica", replica):
        return label_rule, LabelRule.parse(replica)


def _make_load(options: dict[str, Any]) -> Load:
    """Make the load from `load_options`."""
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
    """Name the option in the message of an error."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{option} {shlex.quote(text)}: {error}", hint=error.hint) from error


def command_line(arguments: Sequence[str]) -> str:
    """Return a command line that repeats the run, quoted for a shell.

    It goes into reports, so values of headers and bodies, and secrets in URLs, are left out.
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
    """Return an argument with only the name of a header, or of the file that has the body."""
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
