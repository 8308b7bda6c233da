"""A log that another program wrote, as batches: which kind it is, and who reads it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sampler.base.clock import NS_PER_S
from sampler.base.errors import UsageError
from sampler.logs.access import envoy_rows, nginx_rows, traefik_rows
from sampler.logs.generators import hey_rows, k6_rows, vegeta_rows
from sampler.logs.instants import check_unit
from sampler.logs.reading import Quality, Reading
from sampler.logs.rows import Builder
from sampler.logs.source import opened
from sampler.logs.stored import StoredSamples, holds_a_run, is_ours
from sampler.logs.tables import csv_rows, json_rows, parquet_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analysis.data.batch import Batch
    from sampler.logs.reading import LogRows
    from sampler.logs.source import Source

KINDS = ("csv", "jsonl", "parquet", "k6", "vegeta", "hey", "envoy", "nginx", "traefik")
"""Kinds of logs that can be read."""

_DAY_NS = 86_400 * NS_PER_S
LONGEST_GAP_NS = 365 * _DAY_NS
"""Time without a row from which the report asks whether the times are right [ns]."""

_SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".log": "csv", ".txt": "csv",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet",
}  # fmt: skip
# How the first line of each tool looks; what none of them fits goes by the name of the file.
_LOOKS = (
    ("k6", re.compile(r'metric_name,timestamp,metric_value,|\{"type":"Metric",|\{"metric":"')),
    ("hey", re.compile(r"response-time,DNS\+dialup,DNS,Request-write,")),
    ("vegeta", re.compile(r'\{"attack":.*"seq":.*"latency":')),
    ("traefik", re.compile(r'\{.*"DownstreamStatus":|.*\[\d\d/\w{3}/\d{4}:.*" \d+ms$')),
    (
        "envoy",
        re.compile(r'\[\d{4}-\d\d-\d\d(?:T[^\]]*\] "| [^\]]*\]\[\d+\]\[)|\{.*"upstream_host":'),
    ),
    ("nginx", re.compile(r'\S+ - .* \[\d\d/\w{3}/\d{4}:.*\] "|\{.*"msec":|\d+\.\d{3} \d+\.\d{3} ')),
)
# What vegeta writes besides JSON: its own gob, and a CSV without a header.
_OTHER_VEGETA = (
    ("gob", re.compile(r"[^{]{0,40}Result.{0,200}Timestamp.{0,20}Latency", re.DOTALL)),
    ("CSV", re.compile(r"\d{19},\d{1,3},\d+,\d+,\d+,")),
)
_GENERATORS = frozenset({"k6", "vegeta", "hey"})
# They draw for each request and keep the connections to their clients.
_BY_REQUEST = frozenset({"envoy", "nginx", "traefik"})


class ForeignLog:
    """A log that another program wrote.

    Parameters
    ----------
    path : str
        The file; ``-`` is stdin.
    reading : Reading
        How it is to be read.

    Raises
    ------
    UsageError
        If the reading contradicts itself.
    """

    def __init__(self, path: str, reading: Reading | None = None) -> None:
        self.path = path
        self.reading = reading or Reading()
        self.quality = Quality()
        check_unit(self.reading.unit)

    def batches(self) -> Iterator[Batch]:
        """Yield the rows, in the order in which the requests were sent.

        Raises
        ------
        UsageError
            If the file cannot be read or lacks a column, a row stands too late, there are more
            than `MOST_LABELS` labels, or a tool's log holds none at all.
        """
        with opened(self.path) as source:
            kind = self._kind(source)
            self._refuse_options(kind)
            builder = Builder(self.path, self.reading, self.quality)
            rows = self._rows(kind, source)
            if kind in _GENERATORS and self.reading.columns.time is None:
                rows = _as_they_stand(rows)
            labelled = 0
            for batch in builder.batches(rows):
                labelled += int((batch.label >= 0).sum())
                yield batch
        if not self.quality.rows:
            raise UsageError(f"{self.path} holds no rows", hint=_nothing(kind, self.reading))
        readable = self.quality.rows - self.quality.bad
        if not labelled and readable and kind not in {"csv", "jsonl", "parquet"}:
            raise UsageError(
                f"{self.path}: none of its {readable} requests shows which version answered",
                hint=_nothing(kind, self.reading),
            )
        self._note(kind, builder)
        self.quality.label = self.quality.label or f"{_label_of(kind, self.reading)} ({kind})"

    def _kind(self, source: Source) -> str:
        if self.reading.kind != "auto":
            return self.reading.kind
        if self.reading.log_format is not None:
            return "nginx"
        if source.is_parquet:
            return "parquet"
        for kind, look in _LOOKS:
            if look.match(source.first):
                return kind
        for encoding, look in _OTHER_VEGETA:
            if look.match(source.first):
                raise UsageError(
                    f"{self.path} is a log of vegeta in its {encoding}, which is not supported",
                    hint="vegeta encode --to json FILE",
                )
        if source.first.startswith("{"):
            return "jsonl"
        suffix = Path(self.path.removesuffix(".gz")).suffix.lower()
        if self.path == "-" or suffix in {"", ".csv", ".tsv", ".log", ".txt"}:
            return "csv"
        if suffix in _SUFFIXES:
            return _SUFFIXES[suffix]
        raise UsageError(
            f"cannot tell what kind of log {self.path!r} is",
            hint=f"name it with --format {', '.join(KINDS[:-1])} or {KINDS[-1]}",
        )

    def _refuse_options(self, kind: str) -> None:
        reading = self.reading
        for option, is_given, tool in (
            ("--label", reading.rule is not None, "vegeta"),
            ("--metric", bool(reading.metric), "k6"),
            ("--log-format", reading.log_format is not None, "nginx"),
        ):
            if is_given and kind != tool:
                raise UsageError(
                    f"{option} is for logs of {tool}, and {self.path} is read as {kind}",
                    hint=f"leave out {option}, or set --format {tool}",
                )
        columns = reading.columns
        for option, name, kinds in (
            ("--time-column", columns.time, _GENERATORS),
            ("--connection-column", columns.connection, {"hey"}),
        ):
            if name and kind in kinds:
                raise UsageError(
                    f"{option} {name}: a log of {kind} has its own field for that, or none",
                    hint=f"leave out {option}, or set it to none",
                )
        if kind == "vegeta" and reading.columns.label:
            raise UsageError(
                "--label-column: vegeta keeps the label in the responses that it recorded",
                hint="name where: --label /pointer, header:NAME, regex:EXPR or status",
            )

    def _rows(self, kind: str, source: Source) -> LogRows:
        reading, quality = self.reading, self.quality
        match kind:
            case "csv":
                return csv_rows(source, reading)
            case "jsonl":
                return json_rows(source, reading)
            case "parquet":
                return parquet_rows(self.path, reading)
            case "k6":
                return k6_rows(source, reading, quality)
            case "vegeta":
                return vegeta_rows(source, reading)
            case "hey":
                return hey_rows(source, reading, quality)
            case "envoy":
                return envoy_rows(source, reading)
            case "nginx":
                return nginx_rows(source, reading, quality)
            case "traefik":
                return traefik_rows(source, reading)
        raise UsageError(f"expected one of {', '.join(KINDS)} as the format of a log, got {kind!r}")

    def _note(self, kind: str, builder: Builder) -> None:
        """Note what was assumed about connections and order."""
        notes = self.quality.notes
        if not builder.has_keys:
            notes.append(
                "the log names no connections: each of its rows is judged as a connection of its "
                "own, which overstates the evidence if connections were reused"
                if self.reading.columns.connection is not None
                else "each row is judged as an independent draw, because of --connection-column "
                "none"
            )
        elif self.quality.repeated and kind in _BY_REQUEST:
            notes.append(
                "if the proxy chooses a version for each request, --connection-column none uses "
                "them all"
            )
        if builder.moved:
            notes.append(f"{builder.moved} row(s) came after later ones and were sorted by time")
        gap = builder.widest
        if gap.length_ns > LONGEST_GAP_NS:
            notes.append(
                f"{gap.length_ns / _DAY_NS:.0f} days lie between the rows of lines {gap.before} "
                f"and {gap.after}: is the time of one of them wrong?"
            )
        if builder.is_timed and builder.is_coarse and kind in {"k6", "nginx", "traefik"}:
            notes.append(
                "all times are whole seconds: within a second, rows keep the order of the file, "
                "in which the requests ended"
            )


def _as_they_stand(rows: LogRows) -> LogRows:
    """Forget the times of rows."""
    for number, row in rows:
        yield number, row if isinstance(row, str) else (None, *row[1:])


def open_record(path: str, reading: Reading | None = None) -> ForeignLog | StoredSamples:
    """Open a run's folder, its ``samples.parquet``, or a foreign log.

    Parameters
    ----------
    path : str
        What to open; ``-`` is a log on stdin.
    reading : Reading or None
        How a foreign log is to be read.

    Raises
    ------
    UsageError
        If there is no such file.
    """
    if path == "-":
        return ForeignLog(path, reading)
    place = Path(path)
    if place.is_dir():
        holds_a_run(place)
        return StoredSamples(place)
    if not place.exists():
        raise UsageError(f"{path} does not exist", hint="give a log, or the folder of a run")
    if place.suffix == ".parquet" and is_ours(place):
        return StoredSamples(place.parent)
    return ForeignLog(path, reading)


def _label_of(kind: str, reading: Reading) -> str:
    if kind == "vegeta":
        return str(reading.rule or "/label")
    usual = {"envoy": "UPSTREAM_HOST", "traefik": "the service"}
    return reading.columns.label or usual.get(kind, "label")


def _nothing(kind: str, reading: Reading) -> str:
    """Return what to do about a log in which nothing was found."""
    label = reading.columns.label or "label"
    match kind:
        case "k6":
            return (
                "k6 cannot tag a request by its response: let the script add a point for each, "
                f"answers.add(res.timings.duration, {{{label}: res.json('{label}')}}), and judge "
                "with --metric answers (docs/judge.md)"
            )
        case "vegeta":
            return "name where in the response it is: --label /pointer, header:NAME or status"
        case "nginx" | "envoy" | "traefik":
            return "name the field that holds it with --label-column (docs/judge.md)"
    return "is it the right file?"
