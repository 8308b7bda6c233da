"""What load generators write: k6, vegeta and hey.

Sources: k6, ``output/json/wrapper.go``, ``output/csv/output.go`` and the documentation of its
real-time outputs; vegeta, ``lib/results.go`` and ``lib/results_easyjson.go``; hey,
``requester/print.go``. k6 and hey are tested on files that they wrote themselves.
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
from sampler.logs.instants import Instants
from sampler.logs.reading import UNLABELLED
from sampler.logs.tables import CsvTable, column_name, finder, objects, status_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sampler.logs.reading import LogRows, Quality, Reading
    from sampler.logs.source import Source

_NS_PER_MS = 1e6
_REQUESTS = "http_reqs"
_OWN = "http_req"
_DURATION = "http_req_duration"
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
_SECONDS_DIGITS = 11


def k6_rows(source: Source, reading: Reading, quality: Quality) -> LogRows:
    """Read k6's ``--out json`` or ``--out csv``: the points of one metric, a request each.

    A point stands where its request ended, and its value is how long that took [ms]. Requests
    that have no point of the metric (the script gave up before it added one) count as
    requests without a label.
    """
    read = _k6_csv if source.first.startswith("metric_name,") else _k6_json
    metric = reading.metric or _DURATION
    counted = _Shortfall(metric)
    number = 0
    for number, row in read(source, reading, counted):
        yield number, row
        for _ in range(counted.settle(slack=1000)):
            yield number, (None, None, None, 0, UNLABELLED)
    for _ in range(counted.settle()):
        yield number, (None, None, None, 0, UNLABELLED)
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


def _k6_json(source: Source, reading: Reading, counted: _Shortfall) -> LogRows:
    wanted = reading.metric or _DURATION
    label_name, key_name = _k6_names(reading)
    instant = Instants(reading.unit).read
    is_duration = True
    for number, point in objects(source):
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
            sent = instant(data.get("time"))
            if is_duration:
                sent -= round(float(data.get("value", 0)) * _NS_PER_MS)
            key = tags.get(key_name, (data.get("metadata") or {}).get(key_name))
            yield number, (
                sent, text_of(tags.get(label_name)), text_of(key),
                *_k6_end(tags.get("status"), tags.get("error_code")),
            )  # fmt: skip
        except (ValueError, TypeError, OverflowError) as error:
            yield number, str(error)


def _k6_csv(source: Source, reading: Reading, counted: _Shortfall) -> LogRows:
    table = CsvTable(source)
    place = {name: at for at, name in enumerate(table.header)}
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

    for number, cells in table.rows():
        if isinstance(cells, str):
            yield number, cells
            continue
        if not counted.is_wanted(cells[place["metric_name"]]):
            continue
        try:
            time = cells[place["timestamp"]]
            sent = instant(time)
            if not _is_coarse(time):
                sent -= round(float(cells[place["metric_value"]]) * _NS_PER_MS)
            yield number, (
                sent, text_of(tag(cells, label_name)), text_of(tag(cells, key_name)),
                *_k6_end(tag(cells, "status"), tag(cells, "error_code")),
            )  # fmt: skip
        except (ValueError, OverflowError) as error:
            yield number, str(error)


def _is_coarse(time: str) -> bool:
    """Whether a time is in whole seconds: then the order of the lines says more than durations."""
    return len(time) <= _SECONDS_DIGITS if time.isdecimal() else "." not in time


def _k6_names(reading: Reading) -> tuple[str, str | None]:
    columns = reading.columns
    return column_name(columns.label, "label") or "label", column_name(
        columns.connection, "connection"
    )


def _k6_end(status: str | None, error_code: str | None) -> tuple[int, int]:
    code = status_of(status)
    if code or not error_code:
        return code, UNLABELLED
    return 0, int(_K6_ERRORS.get(error_code, Outcome.CLOSED))


def vegeta_rows(source: Source, reading: Reading) -> LogRows:
    """Read ``vegeta encode --to json``: the label is read from the recorded response.

    ``timestamp`` is when the request was sent, lines stand in the order of the answers.
    """
    rule = reading.rule or LabelRule.parse("/label")
    label_of = _response_reader(rule)
    find_key = finder(reading.columns.connection) if reading.columns.connection else None
    instant = Instants(reading.unit).read
    for number, hit in objects(source):
        if isinstance(hit, str):
            yield number, hit
            continue
        try:
            sent = instant(hit.get("timestamp"))
            status = status_of(hit.get("code"))
            key = None if find_key is None else find_key(hit)
            yield number, (
                sent,
                label_of(hit, status) if status else None,
                None if key is MISSING else text_of(key),
                status,
                UNLABELLED if status else _go_outcome(str(hit.get("error") or "")),
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


def hey_rows(source: Source, reading: Reading, quality: Quality) -> LogRows:
    """Read ``hey -o csv``: times and statuses, which may be the label if nothing else is.

    ``offset`` is when the request was sent [s since the start], lines stand in the order of the
    answers. Failed requests are not among them, nor is any after the first million.

    Raises
    ------
    UsageError
        If no column was named as the label.
    """
    label_name = reading.columns.label
    table = CsvTable(source)
    if not label_name or label_name not in table.header:
        raise UsageError(
            f"{source.path}: hey records neither bodies nor headers, so its CSV does not show "
            "the version",
            hint="where the versions answer with different statuses: --label-column status-code; "
            "otherwise use weighbridge check, or judge the access log of the server",
        )
    if "offset" not in table.header or "status-code" not in table.header:
        raise UsageError(
            f"{source.path} has no columns offset and status-code",
            hint="is it what hey -o csv wrote? they came with hey 0.1.3",
        )
    quality.notes.append(
        "hey leaves failed requests out of its CSV, and all after the first million: a version "
        "that does not answer goes unseen"
    )
    label_at, sent_at = table.header.index(label_name), table.header.index("offset")
    status_at = table.header.index("status-code")
    instant = Instants("s").read
    for number, cells in table.rows():
        if isinstance(cells, str):
            yield number, cells
            continue
        try:
            sent, status = instant(cells[sent_at]), status_of(cells[status_at])
            yield number, (sent, text_of(cells[label_at]), None, status, UNLABELLED)
        except (ValueError, OverflowError) as error:
            yield number, str(error)
