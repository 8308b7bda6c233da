"""What k6 and vegeta write, in which a row is more than the fields of a line.

Sources: k6, ``output/json/wrapper.go``, ``output/csv/output.go`` and the documentation of its
real-time outputs; vegeta, ``lib/results.go`` and ``lib/results_easyjson.go``. k6 is tested on
files that it wrote itself.
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from analysis.data.batch import ABSENT, Outcome
from sampler.base.errors import UsageError
from sampler.labels.pointer import MISSING
from sampler.labels.reader import LabelReader
from sampler.labels.rule import LabelRule
from sampler.logs.fields import lines_of
from sampler.logs.instants import Instants
from sampler.logs.reading import DEFAULT, UNLABELLED
from sampler.logs.shapes import Cells, JsonLines, finder, status_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sampler.logs.reading import Clock, LogRow, LogRows, Quality, Reading
    from sampler.logs.source import Source

_NS_PER_MS = 1e6
_MISSING: LogRow = (None, None, None, 0, UNLABELLED, None)
_K6_HEADER = "metric_name,"
_REQUESTS = "http_reqs"
_OWN = "http_req"
_DURATION = "http_req_duration"
_K6_HINT = (
    "k6 cannot tag a request by its response: let the script add a point for each, "
    "answers.add(res.timings.duration, {%s: res.json('%s')}), and judge with --metric answers "
    "(docs/judge.md)"
)
_VEGETA_HINT = "name where in the response it is: --label /pointer, header:NAME or status"
# What the numbers of k6's errors mean: grafana.com/docs/k6, "Error codes".
_K6_ERRORS: Mapping[str, Outcome] = {
    "1050": Outcome.TIMEOUT, "1210": Outcome.CONNECT_FAILED, "1211": Outcome.CONNECT_TIMEOUT,
    "1212": Outcome.CONNECT_FAILED, "1220": Outcome.RESET,
}  # fmt: skip
# Go's own words for what failed below HTTP.
_GO_ERRORS = (
    (re.compile(r"Client\.Timeout|deadline exceeded|i/o timeout"), Outcome.TIMEOUT),
    (re.compile(r"connection refused|no route to host|unreachable|no such host"),
     Outcome.CONNECT_FAILED),
    (re.compile(r"connection reset|broken pipe"), Outcome.RESET),
    # Such text may quote the server, so a limit of the client's machine is no reason to leave a
    # row out: it is a connection whose version is not known.
    (re.compile(r"can't assign requested address|too many open files"), Outcome.CONNECT_FAILED),
    (re.compile(r"EOF"), Outcome.CLOSED),
    (re.compile(r"malformed HTTP"), Outcome.PROTOCOL),
)  # fmt: skip
_BODIES = 1024
_OTHERS = 20


def k6_rows(source: Source, reading: Reading, quality: Quality, clock: Clock) -> LogRows:
    """Read k6's ``--out json`` or ``--out csv``: the points of one metric, a request each.

    A point stands where its request ended, and its value is how long that took [ms]. Requests
    that have no point of the metric (the script gave up before it added one) count as
    requests without a label.
    """
    clock.ends = True
    is_csv = any(line.startswith(_K6_HEADER) for line in source.sample)
    read = _k6_csv if is_csv else _k6_json
    metric = reading.metric or _DURATION
    quality.label = reading.columns.label or "label"
    quality.hint = _K6_HINT % (quality.label, quality.label)
    counted = _Shortfall(metric)
    number = 0
    for number, row in read(source, reading, counted, quality):
        yield number, row
        for _ in range(counted.settle(slack=1000)):
            yield number, _MISSING
    for _ in range(counted.settle()):
        yield number, _MISSING
    if counted.others and not counted.seen:
        others = ", ".join(sorted(counted.others))
        raise UsageError(
            f"{source.path} has no point of the metric {metric!r}",
            hint=f"name the metric of the answers with --metric; this log has {others}",
        )
    if counted.missing:
        quality.notes.append(
            f"{counted.missing} requests ({_REQUESTS}) have no point of {metric}: they "
            "count as requests without a label"
        )


class _Shortfall:
    """Requests that the metric of the labels has no point for."""

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._is_own = metric.startswith(_OWN)
        self._open = 0
        self.missing = 0
        self.seen = False
        self.others: set[str] = set()

    def is_wanted(self, metric: str) -> bool:
        """Count a point of a metric, and say whether it is the one of the labels."""
        self._open += metric == _REQUESTS
        if metric == self._metric:
            self._open -= 1
            self.seen = True
            return True
        if len(self.others) < _OTHERS:
            self.others.add(metric)
        return False

    def settle(self, slack: int = 0) -> int:
        """Return how many of them are to be counted now; others may still be on their way."""
        if self._is_own or self._open <= slack:
            return 0
        due = self._open - slack
        self._open = slack
        self.missing += due
        return due


def _k6_json(source: Source, reading: Reading, counted: _Shortfall, quality: Quality) -> LogRows:
    wanted = reading.metric or _DURATION
    label_name, key_name = _k6_names(reading)
    instant = Instants(reading.unit).read
    is_duration = True
    for number, point in lines_of(source, JsonLines(), quality):
        if isinstance(point, str):
            yield number, point
            continue
        metric, data = point.get("metric"), point.get("data")
        if not isinstance(data, dict) or not isinstance(metric, str):
            yield number, "it is not a line of k6"
            continue
        if point.get("type") == "Metric":
            if metric == wanted:
                is_duration = data.get("contains") == "time"
            continue
        if not counted.is_wanted(metric):
            continue
        tags = data.get("tags") or {}
        try:
            took = round(float(data.get("value", 0)) * _NS_PER_MS) if is_duration else None
            key = tags.get(key_name, (data.get("metadata") or {}).get(key_name))
            yield number, (
                instant(data.get("time")), text_of(tags.get(label_name)), text_of(key),
                *_k6_end(tags.get("status"), tags.get("error_code")), took,
            )  # fmt: skip
        except (ValueError, TypeError, OverflowError) as error:
            yield number, str(error)


def _k6_csv(source: Source, reading: Reading, counted: _Shortfall, quality: Quality) -> LogRows:
    at = next(at for at, line in enumerate(source.sample) if line.startswith(_K6_HEADER))
    table = Cells(source.sample[at], at, source.path)
    place = {name: at for at, name in enumerate(table.names or ())}
    missing = {"metric_name", "timestamp", "metric_value"} - place.keys()
    if missing:
        raise UsageError(
            f"{source.path} has no column {min(missing)!r}",
            hint="is it what k6 wrote with --out csv?",
        )
    label_name, key_name = _k6_names(reading)
    extras = [place[name] for name in ("extra_tags", "metadata") if name in place]
    instant = Instants(reading.unit).read

    def tag(cells: list[str], name: str | None) -> str | None:
        if name is None:
            return None
        if name in place:
            return cells[place[name]] or None
        for at in extras:  # neither is escaped: k6 joins them with & and =
            for pair in cells[at].split("&"):
                if pair.startswith(f"{name}="):
                    return pair[len(name) + 1 :] or None
        return None

    for number, cells in lines_of(source, table, quality):
        if isinstance(cells, str):
            yield number, cells
            continue
        if not counted.is_wanted(cells[place["metric_name"]]):
            continue
        try:
            yield number, (
                instant(cells[place["timestamp"]]),
                text_of(tag(cells, label_name)), text_of(tag(cells, key_name)),
                *_k6_end(tag(cells, "status"), tag(cells, "error_code")),
                round(float(cells[place["metric_value"]]) * _NS_PER_MS),
            )  # fmt: skip
        except (ValueError, OverflowError) as error:
            yield number, str(error)


def _k6_names(reading: Reading) -> tuple[str, str | None]:
    columns = reading.columns
    key = "connection" if columns.connection == DEFAULT else columns.connection
    return columns.label or "label", key


def _k6_end(status: str | None, error_code: str | None) -> tuple[int, int]:
    code = status_of(status)
    if code or not error_code:
        return code, UNLABELLED
    return 0, int(_K6_ERRORS.get(error_code, Outcome.CLOSED))


def vegeta_rows(source: Source, reading: Reading, quality: Quality) -> LogRows:
    """Read ``vegeta encode --to json``: the label is read from the recorded response.

    ``timestamp`` is when the request was sent, lines stand in the order of the answers.
    """
    rule = reading.rule or LabelRule.parse("/label")
    quality.label, quality.hint = str(rule), _VEGETA_HINT
    label_of = _response_reader(rule)
    find_key = finder(reading.columns.connection) if reading.columns.connection else None
    instant = Instants(reading.unit).read
    for number, hit in lines_of(source, JsonLines(), quality):
        if isinstance(hit, str):
            yield number, hit
            continue
        try:
            sent = instant(hit.get("timestamp"))
            status = status_of(hit.get("code"))
            key = None if find_key is None else find_key(hit)
            took = hit.get("latency")
            yield number, (
                sent,
                label_of(hit, status) if status else None,
                None if key is MISSING else text_of(key),
                status,
                UNLABELLED if status else _go_outcome(str(hit.get("error") or "")),
                took if isinstance(took, int) else None,
            )  # fmt: skip
        except (ValueError, TypeError, OverflowError) as error:
            yield number, str(error)


def _response_reader(rule: LabelRule) -> Callable[[dict[str, Any], int], str | None]:
    """Make a reader of labels from hits; what a body says is remembered, within bounds."""
    reader = LabelReader(rule)
    known: dict[str, str | None] = {}

    def read(hit: dict[str, Any], status: int) -> str | None:
        body = hit.get("body") or ""
        if rule.reads_body and body in known:
            return known[body]
        headers = [
            (name.encode(), str(value).encode())
            for name, values in (hit.get("headers") or hit.get("header") or {}).items()
            for value in (values if isinstance(values, list) else [values])
        ]
        content = b64decode(body, validate=True) if rule.reads_body else b""
        code, _ = reader.codes(status, headers, content)
        label = None if code == ABSENT else reader.labels.names[code]
        if len(known) >= _BODIES:
            known.clear()
        known[body] = label
        return label

    return read


def _go_outcome(error: str) -> int:
    for pattern, outcome in _GO_ERRORS:
        if pattern.search(error):
            return int(outcome)
    return int(Outcome.CLOSED)
