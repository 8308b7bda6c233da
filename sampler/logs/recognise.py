"""Which kind of log it is, from a sample of its lines: not every line of a log is a row."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sampler.base.errors import UsageError
from sampler.logs.envelopes import envelopes
from sampler.logs.formats import FORMATS, TABLES, Format, grepped
from sampler.logs.own import is_own
from sampler.logs.reading import DEFAULT
from sampler.logs.shapes import HEADER, OWN, Cells, JsonLines, Layout, TextLines
from sampler.logs.templates import compile_template, is_apache

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sampler.logs.envelopes import Envelope
    from sampler.logs.reading import Reading
    from sampler.logs.shapes import Shape
    from sampler.logs.source import Source

_BY_NAME = {form.name: form for form in FORMATS} | TABLES
OTHERS = ("k6", "vegeta")
KINDS = (*TABLES, *OTHERS, *(form.name for form in FORMATS))
"""Kinds of logs that can be read."""

_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet"}
_PLAIN = {"", ".csv", ".tsv", ".log", ".txt", ".out"}
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zstd")
_GENERATORS = (
    ("k6", re.compile(r'metric_name,timestamp,metric_value,|\{"type":"Metric",|\{"metric":"')),
    ("vegeta", re.compile(r'\{"attack":.*"seq":.*"latency":')),
)
# What looks like a log and is none, or is one in a form that is not read: and what to do.
_NOT_READ = (
    (re.compile(r"[^{]{0,40}Result.{0,200}Timestamp.{0,20}Latency", re.DOTALL),
     "is a log of vegeta in its gob, which is not supported", "vegeta encode --to json FILE"),
    (re.compile(r"\d{19},\d{1,3},\d+,\d+,\d+,"),
     "is a log of vegeta in its CSV, which is not supported", "vegeta encode --to json FILE"),
    (re.compile(r"\s*<\?xml.*<testResults", re.DOTALL),
     "is JMeter's XML, which is not read",
     "let JMeter write CSV: -Jjmeter.save.saveservice.output_format=csv"),
    (re.compile(r"\s*<(?:\?xml|!DOCTYPE|html)", re.IGNORECASE),
     "is XML or HTML, not a log", "is it the right file?"),
    (re.compile(r'"?Type"?,"?Name"?,"?Request Count"?,'),
     "is a summary of Locust, which has no single requests",
     "use weighbridge check, or judge the access log of the server"),
    (re.compile(r"latency,thread=\d+,ok="),
     "is an access log of fortio for InfluxDB", "let fortio write -access-log-format json"),
    (re.compile(r"(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d+|\d+\.\d+)\t[A-Z]+\t\S+\t[^\t]+\t\{"),
     "is a log of Caddy for a console, which is not read", "let Caddy write JSON: format json"),
    (re.compile(r"HTTP/\d(?:\.\d)? \d{3}"),
     "is what curl -i prints, heads and bodies one after the other",
     "keep one line of each response, as in: curl -s URL | jq -r .label"),
    (re.compile(r"\s*\d+ \S+\n(?:\s*\d+ \S+(?:\n|$)){0,4}$"),
     "holds counts (uniq -c?), from which the order of the answers is lost",
     "judge the lines themselves, neither sorted nor counted"),
    (re.compile(r"#(?:Version|Software|Fields|Date): .*", re.DOTALL),
     "is in W3C's extended format (IIS, CloudFront), which is not read",
     "make it CSV: sed -n 's/^#Fields: //p;/^#/!p' FILE | tr -s '[:blank:]' ,"),
)  # fmt: skip
_SUMMARIES = (
    ("weighbridge (its report; give the folder of the run)", {"schema", "observed"}),
    ("fortio", {"DurationHistogram", "RunType"}),
    ("oha", {"summary", "latencyPercentiles"}),
    ("k6", {"metrics", "root_group"}),
    ("bombardier", {"spec", "result"}),
    ("vegeta", {"latencies", "bytes_in"}),
    ("autocannon", {"latency", "throughput", "requests"}),
    ("artillery", {"aggregate", "intermediate"}),
    ("a load generator", {"latencies", "requests"}),
)
_LIKE_ACCESS_LOG = re.compile(r'.*\[\d\d/[A-Z][a-z]{2}/\d{4}:[^\]]+\].*"')
_SEVERAL = re.compile(r'\{[^{}]{0,1000}\}\s*\{"')
_ARRAY = re.compile(r"\[\s*(?:$|[{\[\"])")
_MOST_WORDS, _FEWEST_WORDS = 20, 10
_HEADER_WITHIN = 500


class Recognised(NamedTuple):
    """The kind of a log, what its fields are called, how its rows are written, and their layers."""

    kind: str
    form: Format | None
    shape: Shape | None
    envelope: Envelope | None


class _Seen(NamedTuple):
    """The lines of a sample, out of an envelope."""

    envelope: Envelope
    lines: list[str]

    def score(self, shape: Shape) -> int:
        """Return how many lines are rows of a shape; 0 if more are broken rows of it."""
        rows = broken = 0
        for line in self.lines[shape.front :]:
            if not line:
                continue
            row = shape.parse(line)
            if type(row) is not str:
                rows += 1
            elif row is not OWN and row is not HEADER and shape.has_trace(line):
                broken += not is_own(line)
        return rows if rows >= broken else 0


def recognise(source: Source, reading: Reading) -> Recognised:
    """Find out how a log is to be read, as far as it was not said.

    Raises
    ------
    UsageError
        If nothing that is read looks like it.
    """
    kind = _kind(source, reading)
    if kind == "parquet":
        return Recognised(kind, TABLES[kind], None, None)
    views = [_Seen(each, _taken_out(each, source.sample)) for each in envelopes(source.sample)]
    if kind in {"auto", *OTHERS}:
        _refuse_summaries(source, views[0].lines)
    if kind in OTHERS:
        return Recognised(kind, None, None, None)
    for find in (_generator, _best) if kind == "auto" else (_best,):
        for view in views:
            found = find(view, _wanted(kind), reading, source.path)
            if found is not None:
                return found
    if kind in {"auto", "csv", "jsonl"}:
        return _table(source, kind, views, reading)
    return _as_said(source, _BY_NAME[kind], views, reading)


def _kind(source: Source, reading: Reading) -> str:
    """Return the kind that was asked for, or that the first bytes tell; auto otherwise."""
    kind = reading.kind
    if kind not in {"auto", *KINDS}:
        raise UsageError(f"expected one of {', '.join(KINDS)} as the format of a log, got {kind!r}")
    if kind != "auto":
        return kind
    if reading.log_format is not None:
        return "apache" if is_apache(reading.log_format) else "nginx"
    if source.is_parquet:
        return "parquet"
    start = "\n".join(source.sample[:7])
    for look, what, hint in _NOT_READ:
        if look.match(start):
            raise UsageError(f"{source.path} {what}", hint=hint.replace("FILE", source.path))
    return kind


def _wanted(kind: str) -> tuple[Format, ...]:
    if kind == "auto":
        return FORMATS[:-1]
    return () if kind in TABLES else (_BY_NAME[kind],)


def _taken_out(envelope: Envelope, sample: Sequence[str]) -> list[str]:
    # The last line of a long sample may be cut off.
    lines = sample[:-1] if len(sample) > 1 else sample
    if not envelope.layers:
        return list(lines)
    return [line for _, line in envelope.opened(enumerate(lines))]


def _generator(view: _Seen, *_: object) -> Recognised | None:
    first = [line for line in view.lines if line][:20]
    for kind, look in _GENERATORS:
        if any(look.match(line) for line in first):
            return Recognised(kind, None, None, view.envelope)
    return None


def _best(view: _Seen, forms: Sequence[Format], reading: Reading, where: str) -> Recognised | None:
    """Return the format that most lines of a sample are rows of."""
    best, most = None, 0
    for form in forms:
        for shape in _shapes(form, view.lines, reading, where):
            score = view.score(shape)
            if score > most:
                best, most = Recognised(form.name, form, shape, view.envelope), score
    return best


def _shapes(form: Format, lines: Sequence[str], reading: Reading, where: str) -> Iterator[Shape]:
    """Yield the ways in which a format is written."""
    if form.header:
        wanted = set(form.header)
        at = next((at for at, line in enumerate(lines) if all(name in line for name in wanted)), -1)
        if at >= 0 and wanted <= set(Cells(lines[at], at, where).names or ()):
            yield Cells(lines[at], at, where)
        return
    if form.name in {"nginx", "apache"} and reading.log_format is not None:
        yield TextLines.of_template("the log_format", compile_template(reading.log_format))
        return
    texts = form.texts
    if form.name == "loop" and reading.columns.label != DEFAULT:
        texts = (grepped(reading.columns.label), *texts[1:])
    for text in texts:
        if isinstance(text, Layout):
            yield TextLines(f"the format of {form.title}", text.read, text.names)
        else:
            yield TextLines.of_template(f"the format of {form.title}", compile_template(text))
    if form.keys:
        yield JsonLines(form.keys)


def _table(source: Source, kind: str, views: Sequence[_Seen], reading: Reading) -> Recognised:
    """Return the table that a log is, or the loop that wrote it."""
    columns = reading.columns
    label = columns.label or "label"
    wanted = [label, *(() if columns.time is None else (columns.time or "time",))]
    tables = [found for view in views for found in _tables(view, kind, wanted, source.path)]
    # Of those with the label, the first one that has most of what is wanted.
    found, score = max(tables, key=lambda table: table[1], default=(None, 0))
    if found is not None and score:
        _refuse_other_label(found, reading, source.path)
        return found
    if kind == "auto":
        loop = next((each for view in views if (each := _loop(view, reading, source.path))), None)
        if loop is not None:
            return loop
        _refuse_unknown(source, views[0].lines)
    if tables and not any(line.startswith("{") for line in views[0].lines[:1]):
        return tables[0][0]
    form = TABLES["jsonl" if kind == "jsonl" else "csv"]
    first = next((line for line in views[0].lines if line.strip()), "")
    if kind != "csv" and (first.startswith("{") or kind == "jsonl"):
        return Recognised("jsonl", TABLES["jsonl"], JsonLines(), None)
    if not first:
        raise UsageError(f"{source.path} is empty", hint="is it the right file?")
    at = views[0].lines.index(first)
    if kind == "csv" or Path(source.path).suffix.lower() in {".csv", ".tsv"}:
        return Recognised("csv", form, Cells(first, at, source.path), None)
    cells = None
    with suppress(UsageError):
        cells = Cells(first, at, source.path)
    if cells is None or len(cells.names or ()) == 1:
        raise UsageError(
            f"{source.path} is in no format that is known here; its first line is {first[:80]!r}",
            hint="a table begins with the names of its columns, as in time,label; docs/judge.md "
            "tells what is read",
        )
    return Recognised("csv", form, cells, None)


def _refuse_other_label(found: Recognised, reading: Reading, where: str) -> None:
    """Refuse a column `label` that is known not to be that of the version."""
    names = set((found.shape and found.shape.names) or ())
    form = next((form for form in FORMATS if form.header and set(form.header) <= names), None)
    if form is not None and reading.columns.label == DEFAULT:
        raise UsageError(
            f"{where}: its rows do not show which version answered ({form.title})", hint=form.hint
        )


def _tables(
    view: _Seen, kind: str, wanted: Sequence[str], where: str
) -> Iterator[tuple[Recognised, int]]:
    """Yield the tables that a log may be, and how many of the wanted columns they have.

    0 if they lack the first one, which is that of the label.
    """
    label = wanted[0]
    if kind != "csv":
        shape = JsonLines()
        if view.score(shape):
            rows = [row for line in view.lines if type(row := shape.parse(line)) is not str]
            there = [name.startswith("/") or any(name in row for row in rows) for name in wanted]
            score = sum(there) if there[0] else 0
            yield Recognised("jsonl", TABLES["jsonl"], shape, view.envelope), score
    if kind != "jsonl":
        for at, line in enumerate(view.lines[:_HEADER_WITHIN]):
            if label in line and not line.startswith("{"):
                try:
                    cells = Cells(line, at, where)
                except UsageError:
                    continue
                names = cells.names or ()
                if label in names:
                    score = sum(name in names for name in wanted)
                    yield Recognised("csv", TABLES["csv"], cells, view.envelope), score
                    return


def _loop(view: _Seen, reading: Reading, where: str) -> Recognised | None:
    (form,) = (each for each in FORMATS if each.name == "loop")
    named, words = _shapes(form, view.lines, reading, where)
    if view.score(named):
        return Recognised("loop", form, named, view.envelope)
    lines = [line.strip() for line in view.lines if line]
    is_list = len(lines) >= _FEWEST_WORDS and len(set(lines)) <= _MOST_WORDS
    if is_list and view.score(words) == len(lines):
        return Recognised("loop", form, words, view.envelope)
    return None


def _refuse_unknown(source: Source, lines: Sequence[str]) -> None:
    """Refuse a log that looks like an access log in a format of its own, or like nothing."""
    there = [line for line in lines if line.strip()]
    alike = [line for line in there if _LIKE_ACCESS_LOG.match(line)]
    if alike and 2 * len(alike) >= len(there):
        raise UsageError(
            f"{source.path} looks like an access log in a format of its own: {alike[0][:80]!r}",
            hint="give its format as in the configuration of nginx or Apache: --log-format "
            "'$msec …' or --log-format '%h %l …' (docs/judge.md)",
        )
    name = source.path
    for packed in _PACKED:
        name = name.removesuffix(packed)
    suffix = Path(name).suffix.lower()
    starts_as_json = bool(there) and there[0].startswith("{")
    if source.path == "stdin" or starts_as_json or suffix in _PLAIN or suffix in _SUFFIXES:
        return
    raise UsageError(
        f"cannot tell what kind of log {source.path!r} is",
        hint=f"name it with --format {', '.join(KINDS[:-1])} or {KINDS[-1]}",
    )


def _as_said(source: Source, form: Format, views: Sequence[_Seen], reading: Reading) -> Recognised:
    """Return the format that was named, although no line of the sample is in it."""
    shapes = list(_shapes(form, views[0].lines, reading, source.path))
    if form.name in {"nginx", "apache"} and reading.log_format is None:
        first = next((line for line in views[0].lines if line.strip()), "")
        raise UsageError(
            f"{source.path}: its lines are in none of the formats of {form.title} that are known "
            f"here: {first[:80]!r}",
            hint="give its format as in the configuration: --log-format '$msec …' of nginx, "
            "--log-format '%h %l …' of Apache",
        )
    if not shapes:
        raise UsageError(
            f"{source.path} has no columns {', '.join(form.header)}: it is no log of {form.title}",
            hint=form.hint,
        )
    return Recognised(form.name, form, shapes[-1] if form.keys else shapes[0], None)


def _refuse_summaries(source: Source, lines: Sequence[str]) -> None:
    """Refuse one JSON document: a summary of a load test, or rows over several lines."""
    there = [line for line in lines if line.strip()]
    first = there[0].strip() if there else ""
    if not first.startswith("{") and not _ARRAY.match(first):
        return
    keys = _top_keys(there)
    for title, wanted in _SUMMARIES:
        if wanted <= keys:
            raise UsageError(
                f"{source.path} is a summary of {title}, which has no single requests: nothing in "
                "it says in which order the versions answered",
                hint="use weighbridge check, or judge the access log of the server, or a log of "
                "single requests (docs/judge.md)",
            )
    if _SEVERAL.match(first):
        raise UsageError(
            f"{source.path} has several JSON objects in a line; expected one object per line",
            hint="jq -c . FILE | weighbridge judge - …".replace("FILE", source.path),
        )
    if _ARRAY.match(first) or first == "{":
        raise UsageError(
            f"{source.path} is one JSON document over several lines; expected one object per line",
            hint=f"jq -c '{'.[]' if first[0] == '[' else '.'}' FILE | weighbridge judge - ...",
        )


def _top_keys(lines: Sequence[str]) -> set[str]:
    """Return the members of an object in one line, or of one with a line for each member."""
    import msgspec  # noqa: PLC0415 - needed only where JSON is read

    if lines[0].strip() != "{":
        try:
            found: Any = msgspec.json.decode(lines[0])
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return set()
        return set(found) if isinstance(found, dict) and len(lines) <= 2 else set()
    indents = [len(line) - len(line.lstrip()) for line in lines[1:2]]
    look = re.compile(rf'\s{{{indents[0] if indents else 0}}}"([^"]+)"\s*:')
    return {match[1] for line in lines if (match := look.match(line))}
