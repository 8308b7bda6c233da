"""Options in groups, and help in sections: readers look for what an option is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "What is expected": (
        "expect", "manifests", "is_live", "in_pod", "context", "service", "route", "namespace",
        "node", "zone", "version_from", "renames", "step", "previous", "expected",
    ),
    "Asking a server": ("via", "gate", "token_file"),
    "What counts as correct": (
        "tolerance", "alpha", "beta", "inner", "max_unlabelled", "missing_ratio", "calibrated",
    ),
    "When to stop": ("max_samples", "max_time", "fail_fast", "settle", "wait"),
    "When to raise an alarm": ("false_alarm", "blind_after"),
    "Canary compared with stable": (
        "max_error_ratio", "max_slowdown", "error_status", "canary", "stable", "replicas",
    ),
    "How requests are sent": (
        "workers", "dask", "vantage", "lost", "concurrency", "rate", "max_rate", "overload_stop",
        "connection", "transport", "timeout", "connect_timeout", "wait_for", "pins", "dns_ttl",
        "cacert", "cert", "key", "insecure",
    ),
    "What is requested, and how responses are read": (
        "method", "headers", "body", "allow_unsafe", "label", "replica",
    ),
    "Output": (
        "out", "name", "keep", "json_file", "junit", "markdown", "html", "metrics", "dotenv",
        "annotations", "github",
    ),
    "How a log is read": (
        "kind", "time_column", "duration_column", "duration_unit", "unit",
        "label_column", "rule", "label_map", "connection_column",
        "per_connection", "log_format", "metric", "reorder", "max_bad_lines",
    ),
}  # fmt: skip
"""Names of parameters by section, in the order in which they are shown."""

OTHERS = "Other options"
"""Section of the options that are in none of them."""


def with_options(*options: Decorator) -> Decorator:
    """Return the decorator that gives a command these options, in this order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


class SectionedCommand(click.Command):
    """A command whose help groups its options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section; those without a section come last."""
        section_of = {name: title for title, names in SECTIONS.items() for name in names}
        records: dict[str, list[tuple[str, str]]] = {title: [] for title in (*SECTIONS, OTHERS)}
        for param in self.get_params(ctx):
            # The usage line names the arguments, and the text above explains them.
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                records[section_of.get(param.name or "", OTHERS)].append(record)
        for title, rows in records.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
