"""Access logs: Envoy, nginx and Traefik.

Sources: Envoy's documentation, "Access logging" (default format string, command operators), and
Istio's, "Getting Envoy's access logs"; nginx.org, ``ngx_http_log_module`` and
``ngx_http_upstream_module``; Traefik, ``pkg/middlewares/accesslog`` (``logdata.go``,
``logger_formatters.go``). All three are tested on files that they wrote themselves.

A proxy writes a line when its answer has ended. What it puts between quotes may come from a
stranger. nginx escapes it; the two others do not, so their lines are read from both ends, and
nothing in the middle can move a field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.data.batch import Outcome
from sampler.base.clock import NS_PER_S
from sampler.base.errors import UsageError
from sampler.labels.pointer import MISSING
from sampler.logs.instants import Instants
from sampler.logs.reading import DEFAULT, UNLABELLED
from sampler.logs.source import LONGEST_LINE
from sampler.logs.tables import finder, objects, status_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sampler.logs.reading import LogRows, Quality, Reading
    from sampler.logs.source import Source

    Fields = dict[str, Any]
    Lines = Iterator[tuple[int, Fields | str]]
    Find = Callable[[Fields], Any]

_CLOSED = int(Outcome.CLOSED)

_COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent"'
)
_RECOMMENDED = (
    '$msec $request_time $connection $connection_requests $status "$upstream_addr" '
    '"$sent_http_x_version"'
)
NGINX_FORMATS = (_COMBINED, _RECOMMENDED)
"""nginx's predefined ``combined``, and the one that docs/judge.md recommends."""

_SEVERAL = re.compile(r", | : ")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_ENVOY_START = re.compile(r'\[([^\]]{10,40})\] "')
_ENVOY_STATUS = re.compile(r'" (\d{1,3}) \S+ ')
_ISTIO = ("upstream_cluster", "upstream_local_address", "downstream_local_address",
          "downstream_remote_address", "requested_server_name", "route_name")  # fmt: skip
# What they write about themselves: spdlog's and zerolog's formats.
_ENVOY_OWN = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\]\[\d+\]\[|\d{4}-\S+Z\t\w+\t")
_TRAEFIK_OWN = re.compile(r'\d{4}-\S+ [A-Z]{3} |\{"level":"\w+",')
_CLF_START = re.compile(r'\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "')
_CLF_STATUS = re.compile(r'" (\d{3}) (?:\d+|-) ')


@dataclass(frozen=True, slots=True)
class _Names:
    """What a proxy calls its fields; of several, the first one that is there."""

    time: tuple[str, ...]
    label: tuple[str, ...]
    connection: tuple[str, ...]
    status: tuple[str, ...]


_NGINX = _Names(
    time=("msec", "time_iso8601", "time_local"),
    label=("sent_http_x_version", "upstream_http_x_version", "upstream_addr"),
    connection=("connection",),
    status=("status",),
)
_ENVOY = _Names(
    time=("start_time", "START_TIME", "timestamp", "@timestamp", "time"),
    label=("upstream_host", "UPSTREAM_HOST"),
    connection=("connection_id", "CONNECTION_ID", "downstream_remote_address"),
    status=("response_code", "RESPONSE_CODE"),
)
_TRAEFIK = _Names(
    time=("StartUTC", "StartLocal"),
    label=("ServiceName", "ServiceURL"),
    connection=("ClientAddr",),
    status=("DownstreamStatus", "OriginStatus"),
)


def nginx_rows(source: Source, reading: Reading, quality: Quality) -> LogRows:
    """Read nginx: ``combined``, the format of docs/judge.md, any ``log_format``, or JSON.

    The time of a line is that of its end, so ``$request_time`` is taken off it if it is there.
    Of several upstream servers, tried one after the other, the first one was drawn.

    Raises
    ------
    UsageError
        If the lines are in another format, or do not say the label.
    """
    if reading.log_format is None and source.first.startswith("{"):
        names = _first_names(source)
        lines: Lines = objects(source)
    else:
        parse, names = compile_log_format(reading.log_format or _known_format(source))
        lines = _matched(source, parse, names)
    columns = reading.columns
    if columns.label == DEFAULT and not any(name in names for name in _NGINX.label):
        raise UsageError(
            f"{source.path}: its lines do not show which version answered",
            hint="log the version as docs/judge.md shows; or --label-column status, if the "
            "versions "
            "answer with different statuses",
        )
    usual = next((name for name in _NGINX.label if name in names), "")
    quality.label = f"${columns.label.lstrip('$') or usual} (nginx)"
    time = next((name for name in _NGINX.time if name in names), "")
    if columns.time != DEFAULT:
        time = (columns.time or "").lstrip("$")
    if "request_time" not in names:
        quality.notes.append(
            "the log says when requests ended, not when they were sent (it lacks $request_time): "
            "a slow version is under-counted while the log goes on"
        )

    def begun(sent: int, fields: Fields) -> int:
        took = fields.get("request_time")
        return sent if took in {None, "", "-"} else sent - round(float(str(took)) * NS_PER_S)

    # With times in whole seconds, the order of the lines says more than the durations.
    is_exact = time not in _NGINX.time[1:]
    return _rows(lines, reading, _NGINX, source.path, names, begun if is_exact else None)


def envoy_rows(source: Source, reading: Reading) -> LogRows:
    """Read Envoy: the default text, Istio's default text, or JSON with the usual keys.

    A line says when the request came (``START_TIME``). In JSON, the connection is
    ``connection_id``, or else ``downstream_remote_address``.
    """
    names = ("start_time", "response_code", "upstream_host", *_ISTIO)
    is_text = _ENVOY_START.match(source.first) is not None
    lines = _mixed(source, _ENVOY_OWN, _envoy_fields)
    return _rows(lines, reading, _ENVOY, source.path, names if is_text else None)


def traefik_rows(source: Source, reading: Reading) -> LogRows:
    """Read Traefik: JSON, or the common log format, which says whole seconds only.

    A line says when the request came (``StartUTC``). In JSON, the connection is ``ClientAddr``,
    the address and the port of the client.
    """
    names = ("StartUTC", "DownstreamStatus", "RouterName", "ServiceURL")
    is_text = _CLF_START.search(source.first) is not None
    lines = _mixed(source, _TRAEFIK_OWN, _traefik_fields)
    return _rows(lines, reading, _TRAEFIK, source.path, names if is_text else None)


def _rows(
    lines: Lines,
    reading: Reading,
    usual: _Names,
    where: str,
    names: Sequence[str] | None = None,
    begun: Callable[[int, Fields], int] | None = None,
) -> LogRows:
    """Make rows of fields; `names` are all that a line can have, None if any."""
    columns = reading.columns
    find_time = _find(columns.time, usual.time, names, "--time-column", where)
    find_label = _find(columns.label, usual.label, names, "--label-column", where)
    find_key = _find(columns.connection, usual.connection, names, "--connection-column", where)
    find_status = _find(DEFAULT, usual.status, names, "", where)
    instant = Instants(reading.unit).read
    for number, fields in lines:
        if isinstance(fields, str):
            yield number, fields
            continue
        try:
            sent = None
            if find_time is not None:
                time = find_time(fields)
                if time is None:
                    yield number, "it has no time"
                    continue
                sent = instant(time)
                if begun is not None:
                    sent = begun(sent, fields)
            status = 0 if find_status is None else status_of(find_status(fields))
            yield number, (
                sent,
                None if find_label is None else _name(find_label(fields)),
                None if find_key is None else _name(find_key(fields)),
                status,
                UNLABELLED if status else _CLOSED,
            )  # fmt: skip
        except (ValueError, OverflowError) as error:
            yield number, str(error)


def _find(
    asked: str | None, usual: tuple[str, ...], names: Sequence[str] | None, option: str, where: str
) -> Find | None:
    """Make a reader of the field that was asked for, or of the first usual one."""
    if asked is None:
        return None
    if asked != DEFAULT:
        asked = asked.lstrip("$")
        if names is not None and asked not in names:
            raise UsageError(
                f"{where}: its lines have no {asked!r}; they have {', '.join(names)}",
                hint=f"name the right one with {option}",
            )
        find = finder(asked)

        def read(fields: Fields) -> Any:
            value = find(fields)
            return None if value is MISSING else value

        return read
    there = [name for name in usual if names is None or name in names]
    if not there:
        return None
    if len(there) == 1 or names is not None:
        return lambda fields: fields.get(there[0])
    return lambda fields: next((fields[name] for name in there if name in fields), None)


def _name(value: object) -> str | None:
    """Read a field; proxies write "-" for what is not there, and several if they tried again."""
    text = text_of(value)
    if text is None or text == "-":
        return None
    if ", " in text or " : " in text:
        return _SEVERAL.split(text, maxsplit=1)[0]
    return text


def _first_names(source: Source) -> tuple[str, ...]:
    import msgspec  # noqa: PLC0415 - needed only where JSON is read

    try:
        return tuple(msgspec.json.decode(source.first, type=dict[str, Any]))
    except (msgspec.DecodeError, UnicodeError) as error:
        raise UsageError(f"{source.path}: its first line is not a JSON object: {error}") from error


def _matched(
    source: Source, parse: Callable[[str], re.Match[str] | None], names: Sequence[str]
) -> Lines:
    for number, line in source.lines():
        if not line:
            continue
        match = parse(line) if len(line) < LONGEST_LINE else None
        if match is None:
            yield number, "it is not in the log_format"
        else:
            yield number, dict(zip(names, match.groups(), strict=True))


def _mixed(source: Source, own: re.Pattern[str], parse: Callable[[str], Fields | str]) -> Lines:
    """Read JSON and text as they come, and leave out what the proxy says about itself."""
    import msgspec  # noqa: PLC0415 - needed only where JSON may be read

    decode = msgspec.json.Decoder(dict[str, Any]).decode
    for number, line in source.lines():
        if not line or own.match(line):
            continue
        if len(line) >= LONGEST_LINE:
            yield number, "the line is too long"
        elif line.startswith("{"):
            try:
                yield number, decode(line)
            except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                yield number, f"not a JSON object: {error}"
        else:
            yield number, parse(line)


def _envoy_fields(line: str) -> Fields | str:
    """Read a line of Envoy's default format, or of Istio's, from both of its ends."""
    start = _ENVOY_START.match(line)
    status = _ENVOY_STATUS.search(line, 10)
    front, _, rest = line.rpartition('"')
    host = front.rpartition('"')[2]
    if start is None or status is None or not front:
        return "it is not in Envoy's default format"
    fields = {"start_time": start[1], "response_code": status[1], "upstream_host": host}
    words = rest.split()
    if len(words) == len(_ISTIO):
        fields.update(zip(_ISTIO, words, strict=True))
    elif words:
        return "it is in neither Envoy's default format nor Istio's"
    return fields


def _traefik_fields(line: str) -> Fields | str:
    """Read a line of Traefik's common log format from both of its ends."""
    start = _CLF_START.search(line)
    status = None if start is None else _CLF_STATUS.search(line, start.end())
    ends = line.rsplit('"', 4)
    if start is None or status is None or len(ends) != 5 or not ends[4].endswith("ms"):
        return "it is not in Traefik's common log format"
    return {
        "StartUTC": start[1],
        "DownstreamStatus": status[1],
        "RouterName": ends[1],
        "ServiceURL": ends[3],
    }


def compile_log_format(text: str) -> tuple[Callable[[str], re.Match[str] | None], tuple[str, ...]]:
    """Make a reader of lines out of nginx's ``log_format``.

    Parameters
    ----------
    text : str
        As in the configuration, without the quotes around its parts.

    Returns
    -------
    tuple
        The reader, with a group for each variable, and the names of the variables.

    Raises
    ------
    UsageError
        If it has no variables, or two without anything between them.
    """
    text = text.strip()
    pattern, end, names = "", 0, []
    matches = list(_VARIABLE.finditer(text))
    for place, match in enumerate(matches):
        name = match[1] or match[2]
        follower = text[match.end() : match.end() + 1]
        if follower == "$" or (place and match.start() == end):
            raise UsageError(
                f"--log-format: nothing separates ${name} from the next variable",
                hint="put a space between them in the log_format",
            )
        pattern += re.escape(text[end : match.start()])
        # nginx writes quotes inside a value as \x22, so that a value ends at the next one.
        if not follower:
            value = ".*"
        elif name.startswith("upstream_") and follower == " ":
            value = r"[^ ,]+(?:(?:, | : )[^ ,]+)*"
        else:
            value = f"[^{re.escape(follower)}]*"
        pattern += f"({value})"
        names.append(name)
        end = match.end()
    if not names:
        raise UsageError(
            f"--log-format {text}: there is no $variable in it",
            hint="give the log_format from nginx's configuration",
        )
    return re.compile(pattern + re.escape(text[end:])).fullmatch, tuple(names)


def _known_format(source: Source) -> str:
    for text in reversed(NGINX_FORMATS):
        if compile_log_format(text)[0](source.first):
            return text
    raise UsageError(
        f"{source.path}: its first line is neither nginx's combined format nor JSON: "
        f"{source.first[:80]!r}",
        hint="give the log_format from nginx's configuration: --log-format '$msec ...'",
    )
