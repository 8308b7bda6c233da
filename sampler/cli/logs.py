"""Options for how a foreign log is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sampler.base.errors import UsageError
from sampler.cli.sections import with_options
from sampler.cli.values import Count, Share

if TYPE_CHECKING:
    from sampler.logs import Reading

# As `sampler.logs.KINDS` and `UNITS`, which a help text does not wait for.
_KINDS = (
    "auto", "csv", "jsonl", "parquet", "k6", "vegeta", "envoy", "traefik", "nginx", "apache",
    "haproxy", "caddy", "alb", "linkerd", "jmeter", "hey", "oha", "fortio", "loop",
)  # fmt: skip
_UNITS = ("auto", "s", "ms", "us", "ns")

log_options = with_options(
    click.option(
        "--format", "kind", type=click.Choice(_KINDS), default="auto", show_default=True,
        help="What wrote the log; auto looks at its first lines.",
    ),
    click.option(
        "--time-column", default=None, metavar="NAME",
        help="When a request was sent: RFC 3339, the time format of access logs, or a number; none "
        "keeps the order of the rows. Default: time, or the tool's own name for it.",
    ),
    click.option(
        "--duration-column", default=None, metavar="NAME",
        help="How long a request took, where the time is that of its end: it is taken off. none: "
        "the time is that of sending. Default: the tool's own name for it.",
    ),
    click.option(
        "--duration-unit", "duration_unit", type=click.Choice(_UNITS), default="auto",
        show_default=True,
        help="Unit of durations that are numbers; auto goes by the name of the column (_ms), and "
        "takes seconds if it says nothing.",
    ),
    click.option(
        "--time-unit", "unit", type=click.Choice(_UNITS), default="auto", show_default=True,
        help="Unit of times that are whole numbers; auto goes by the size of the first one.",
    ),
    click.option(
        "--label-column", default=None, metavar="NAME",
        help="The version that answered, empty where there was none: a column, field, tag or "
        "variable; in JSON lines also a pointer (/a/b). Default: label, or the tool's own name "
        "for it.",
    ),
    click.option(
        "--label", "rule", default=None, metavar="RULE",
        help="Where a response that vegeta recorded has its version: JSON pointer, header:NAME, "
        "regex:EXPR or status. Default: /label.",
    ),
    click.option(
        "--map", "label_map", default=None, metavar="PATTERN=LABEL,…",
        help="Which label an address, or another name in the log, stands for: '10.0.1.*=v1'; the "
        "first pattern that matches wins. An empty label is none: '-='.",
    ),
    click.option(
        "--connection-column", default=None, metavar="NAME",
        help="What identifies a connection; none: each row is a draw of its own, as with a proxy "
        "that balances requests. Default: connection, or the tool's own name for it.",
    ),
    click.option(
        "--log-format", default=None, metavar="TEXT",
        help="The log_format of nginx, or the LogFormat of Apache, as in the configuration.",
    ),
    click.option(
        "--metric", default=None, metavar="NAME",
        help="k6: the metric whose points are the requests. Default: http_req_duration.",
    ),
    click.option(
        "--reorder", type=Count(0), default=None, metavar="N",
        help="Sort rows by time if none is more than N rows too late. Default: 65536.",
    ),
    click.option(
        "--max-bad-lines", type=Share(), default="1%", show_default=True, metavar="SHARE",
        help="Largest share of unreadable lines.",
    ),
)  # fmt: skip
"""How a log is read."""


def make_reading(options: dict[str, Any]) -> Reading:
    """Make the reading from `log_options`.

    Raises
    ------
    UsageError
        If they contradict each other.
    """
    from sampler.labels.rule import LabelRule  # noqa: PLC0415 - heavy imports wait for a command
    from sampler.logs import Reading  # noqa: PLC0415

    given = {
        name: options[name]
        for name in ("kind", "unit", "duration_unit", "metric", "log_format", "reorder")
        if options[name] is not None
    }
    return Reading(
        columns=_columns(options),
        rule=None if options["rule"] is None else LabelRule.parse(options["rule"]),
        renames=_renames(options["label_map"]),
        **given,
    )


def _columns(options: dict[str, Any]) -> Any:
    from sampler.logs import DEFAULT, NONE, Columns  # noqa: PLC0415 - as above

    names = {
        part: DEFAULT if (name := options[f"{part}_column"]) is None else name
        for part in ("time", "label", "connection", "duration")
    }
    if names["label"] == NONE:
        raise UsageError(
            "--label-column none: without a label there is nothing to judge",
            hint="name the column that says which version answered",
        )
    return Columns(
        time=None if names["time"] == NONE else names["time"],
        label=names["label"],
        connection=None if names["connection"] == NONE else names["connection"],
        duration=None if names["duration"] == NONE else names["duration"],
    )


def _renames(text: str | None) -> tuple[tuple[str, str], ...]:
    from sampler.expect.rules.versions import parse_pairs  # noqa: PLC0415 - as above

    if text is None:
        return ()
    found: dict[str, str] = {}
    for part in text.split(","):
        pattern = part.strip().removesuffix("=").strip()
        if part.strip().endswith("=") and pattern:
            found.setdefault(pattern, "")
        else:
            hint = "write '10.0.1.*=v1,10.0.2.*=v2', and '-=' for what is no label"
            found = parse_pairs(part, "--map", hint) | found
    return tuple(found.items())
