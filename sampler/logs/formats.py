"""The formats that are read: for each, a table of what its fields are called.

To add one: an entry in `FORMATS`, with the documentation that it was taken from, and a log that
the program wrote in ``tests/recordings``; `tests/unit/sampler/logs/test_recordings.py` says what
is in it. Names are tried in their order, and the first one that a log has is used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sampler.logs.shapes import Layout

if TYPE_CHECKING:
    from collections.abc import Mapping

_CLF = r"\[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]"
_ENVOY = (
    r'\[(?P<start_time>[^\]]{10,40})\] ".*?" (?P<response_code>\d{1,3}) \S+ '
    r'(?:(?:[^"]*"[^"]*" ){0,3}?\d+ \d+ (?P<duration>\d+|-) )?'
)
_ENVOY_END = r'"[^"]*" "[^"]*" "(?P<upstream_host>[^"]*)"'
_CLIENT = r"\S+ \S+ [^\[\"]*"
_VHOST = '%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"'
_STATUS_ONLY = (
    "{title} records neither bodies nor headers, so its log does not show the version; where "
    "the versions answer with different statuses: --label-column {status}; otherwise use "
    "weighbridge check, or judge the access log of the server"
)


@dataclass(frozen=True, slots=True)
class Format:
    """What a program calls the fields of its rows.

    Parameters
    ----------
    name : str
        As in ``--format``.
    title : str
        As people call the program.
    time, label, connection, status : tuple of str
        Fields; in JSON also pointers, and several of them with blanks between.
    took : mapping of str to str
        Fields with how long a request took, or the parts of that with blanks between, and the
        units.
    ends : bool or tuple of str
        Whether `time` says when requests ended; or those of `time` that do.
    serial : str
        A field that numbers the requests as they come.
    texts : tuple of Layout or str
        What its lines look like; a text is a template in nginx's or Apache's notation.
    keys : tuple of str
        Members of which each of its JSON objects has one; or several, with blanks between.
    header : tuple of str
        Columns that its CSV has.
    is_live : bool
        Whether it writes a row when a request has ended, for as long as it runs.
    needs_status : bool
        Whether the label of a row without a status is a default of the tool, and no version.
    by_request : bool
        Whether it draws a version for each request, and keeps the connections to its clients.
    hint : str
        What to do about a log that shows no version.
    """

    name: str
    title: str
    time: tuple[str, ...]
    label: tuple[str, ...] = ()
    connection: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    took: Mapping[str, str] | None = None
    ends: bool | tuple[str, ...] = False
    serial: str = ""
    texts: tuple[Layout | str, ...] = ()
    keys: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    is_live: bool = True
    needs_status: bool = False
    by_request: bool = True
    hint: str = "name the field that holds it with --label-column (docs/judge.md)"


COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent"'
)
RECOMMENDED = (
    '$msec $request_time $connection $connection_requests $status "$upstream_addr" '
    '"$sent_http_x_version"'
)
INGRESS = (
    COMBINED + " $request_length $request_time [$proxy_upstream_name] "
    "[$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length "
    "$upstream_response_time $upstream_status $req_id"
)


def grepped(name: str) -> Layout:
    """Return the layout of the lines that ``curl | grep NAME`` leaves of JSON, or of a header."""
    found = rf'\s*"?(?i:{re.escape(name)})"?\s*[:=]\s*"?(?P<label>[^",}}\s]*)"?[,}}\s]*$'
    return Layout.of(rf"{found}|curl: \(\d+\).*$")


FORMATS: tuple[Format, ...] = (
    # www.envoyproxy.io, "Access logging": the default format string, command operators; istio.io,
    # "Envoy access logs"; Envoy Gateway's and Istio's JSON.
    Format(
        "envoy", "Envoy",
        time=("start_time", "START_TIME", "timestamp", "@timestamp", "time"),
        label=("upstream_host", "UPSTREAM_HOST"),
        connection=("connection_id", "CONNECTION_ID", "downstream_remote_address"),
        status=("response_code", "RESPONSE_CODE"),
        took={"duration": "ms", "DURATION": "ms"},
        texts=(
            Layout.of(
                _ENVOY,
                _ENVOY_END + r" (?P<upstream_cluster>\S+) "
                r"(?P<upstream_local_address>\S+) (?P<downstream_local_address>\S+) "
                r"(?P<downstream_remote_address>\S+) (?P<requested_server_name>\S+) "
                r"(?P<route_name>\S+)",
            ),
            Layout.of(_ENVOY, _ENVOY_END),
        ),
        keys=("upstream_host", "UPSTREAM_HOST", "upstream_cluster", "response_flags"),
    ),
    # Traefik, pkg/middlewares/accesslog: logdata.go, logger_formatters.go. The number between the
    # agent and the router counts requests as they come.
    Format(
        "traefik", "Traefik",
        time=("StartUTC", "StartLocal"),
        label=("ServiceName", "ServiceURL"),
        connection=("ClientAddr",),
        status=("DownstreamStatus", "OriginStatus"),
        took={"Duration": "ns", "Duration_ms": "ms"},
        serial="RequestCount",
        texts=(
            Layout.of(
                _CLIENT + _CLF.replace("time", "StartUTC")
                + r' ".*?" (?P<DownstreamStatus>\d{3}|-) (?:\d+|-) ',
                r'(?P<RequestCount>\d+|-) "(?P<RouterName>[^"]*)" "(?P<ServiceURL>[^"]*)" '
                r"(?P<Duration_ms>\d+)ms",
            ),
        ),
        keys=("DownstreamStatus", "RequestMethod", "RouterName", "ServiceName", "StartUTC"),
    ),
    # nginx.org, ngx_http_log_module, ngx_http_upstream_module: a line is written when the request
    # has ended, and its times are those of that moment. kubernetes.github.io/ingress-nginx, "Log
    # format".
    Format(
        "nginx", "nginx",
        time=("msec", "time_iso8601", "time_local", "@timestamp", "timestamp", "time"),
        label=("sent_http_x_version", "upstream_http_x_version", "upstream_addr"),
        connection=("connection",),
        status=("status",),
        took={"request_time": "s"},
        ends=True,
        texts=(RECOMMENDED, INGRESS, COMBINED),
        keys=("msec", "time_iso8601", "time_local", "upstream_addr", "upstream_http_x_version",
              "sent_http_x_version"),
        hint="let nginx write which server or version answered: $upstream_addr or "
             "$upstream_http_x_version in its log_format (docs/judge.md)",
    ),
    # httpd.apache.org, mod_log_config: %t is when the request was received.
    Format(
        "apache", "Apache",
        time=("usec", "msec", "time", "begun", "seconds", "end_usec", "end_msec", "ended",
              "end_seconds"),
        label=("response_x_version", "env_balancer_worker_route", "env_balancer_worker_name"),
        status=("status",),
        took={"took_us": "us", "took_ms": "ms", "took_s": "s"},
        ends=("end_usec", "end_msec", "ended", "end_seconds"),
        texts=('%h %l %u %t "%r" %>s %b', _VHOST),
        hint="let Apache write which version answered: %{X-Version}o, or %{BALANCER_WORKER_NAME}e, "
             "in its LogFormat (docs/judge.md)",
        by_request=True,
    ),
    # docs.haproxy.org, "HTTP log format", "HTTPS log format", "TCP log format": the accept date,
    # and the timers, of which the last one is the whole [ms].
    Format(
        "haproxy", "HAProxy",
        time=("accept_date",),
        label=("server",),
        connection=("client",),
        status=("status",),
        took={"total": "ms"},
        texts=(
            Layout.of(
                r"(?P<client>\S+:\d+) \[(?P<accept_date>\d\d/[A-Z][a-z]{2}/\d{4}:[\d:.]+)\] "
                r"(?P<frontend>\S+) (?P<backend>[^/ ]+)/(?P<server>\S+) "
                r"[-+\d]+/[-+\d]+/[-+\d]+/[-+\d]+/\+?(?P<total>-?\d+) (?P<status>-?\d+) \S+ \S+ "
                r"\S+ \S{4} \d+/\d+/\d+/\d+/\+?\d+ \d+/\d+"
            ),
            Layout.of(
                r"(?P<client>\S+:\d+) \[(?P<accept_date>\d\d/[A-Z][a-z]{2}/\d{4}:[\d:.]+)\] "
                r"(?P<frontend>\S+) (?P<backend>[^/ ]+)/(?P<server>\S+) "
                r"[-\d]+/[-\d]+/\+?(?P<total>-?\d+) \+?\d+ \S\S \d+/\d+/\d+/\d+/\+?\d+ \d+/\d+"
            ),
        ),
    ),
    # caddyserver.com, "log": `ts` is when the entry was written, `duration` in seconds.
    Format(
        "caddy", "Caddy",
        time=("ts",),
        label=("/resp_headers/X-Version/0",),
        connection=("/request/remote_ip /request/remote_port", "/request/remote_addr"),
        status=("status",),
        took={"duration": "s"},
        ends=True,
        keys=("request size", "request resp_headers"),
        hint="let the versions send it as a header, which Caddy logs: --label-column "
             "/resp_headers/NAME/0",
    ),
    # docs.aws.amazon.com, "Access logs for your Application Load Balancer", syntax.
    Format(
        "alb", "AWS ALB",
        time=("request_creation_time", "time"),
        label=("target_group", "target"),
        connection=("client",),
        status=("elb_status_code",),
        took={"request_processing_time target_processing_time response_processing_time": "s"},
        ends=("time",),
        texts=(
            Layout.of(
                r"(?:http|https|h2|grpcs|ws|wss) (?P<time>\d{4}-\S+Z) (?P<elb>app/\S+) "
                r"(?P<client>\S+) (?P<target>\S+) (?P<request_processing_time>\S+) "
                r"(?P<target_processing_time>\S+) (?P<response_processing_time>\S+) "
                r'(?P<elb_status_code>\S+) (?P<target_status_code>\S+) \d+ \d+ "',
                r'" \S+ \S+ (?:\S+:targetgroup/(?P<target_group>[^/ ]+)/\S+|-) "[^"]*" "[^"]*" '
                r'"[^"]*" \S+ (?P<request_creation_time>\d{4}-\S+Z) .*',
            ),
        ),
    ),
    # linkerd.io, "Access logging"; linkerd2-proxy, linkerd/http/access-log: the time is that of
    # the request, and `version` is that of HTTP.
    Format(
        "linkerd", "Linkerd",
        time=("timestamp",),
        label=("pod",),
        connection=("client.addr", "client"),
        status=("status",),
        took={"total_ns": "ns"},
        texts=(
            Layout.of(
                r"(?P<client>\S+:\d+) \S+ - \[(?P<timestamp>\d{4}-[^\]]+)\] "
                r'"[^"]*" (?P<status>\d{3})(?: \S+)?\s*$'
            ),
        ),
        keys=("client.addr", "processing_ns"),
        by_request=False,
        hint="a proxy of Linkerd stands before one pod, which `kubectl logs --prefix -c "
             "linkerd-proxy -l app=…` names in front of each line: --map 'app-v1-*=v1,app-v2-*=v2'",
    ),
    # jmeter.apache.org, "Listeners", CSV log format; bin/jmeter.properties has
    # sampleresult.timestamp.start=true. `label` is the name of the sampler.
    Format(
        "jmeter", "JMeter",
        time=("timeStamp",),
        status=("responseCode",),
        took={"elapsed": "ms"},
        header=("timeStamp", "elapsed", "label"),
        is_live=False,
        needs_status=True,
        by_request=False,
        hint="`label` is the name of the sampler in JMeter; extract the version into a variable, "
             "log it with -Jsample_variables=version, and name its column: --label-column version",
    ),
    # rakyll/hey, requester/print.go.
    Format(
        "hey", "hey",
        time=("offset",),
        status=("status-code",),
        took={"response-time": "s"},
        header=("response-time", "offset", "status-code"),
        is_live=False,
        by_request=False,
        hint=_STATUS_ONLY.format(title="hey", status="status-code"),
    ),
    # hatoo/oha, src/printer.rs: --output-format csv.
    Format(
        "oha", "oha",
        time=("request-start",),
        status=("status",),
        took={"request-duration": "s"},
        header=("request-start", "request-duration", "status"),
        is_live=False,
        by_request=False,
        hint=_STATUS_ONLY.format(title="oha", status="status"),
    ),
    # fortio, periodic/periodic.go: -access-log-file, in JSON; `details` holds the status.
    Format(
        "fortio", "fortio",
        time=("timestamp",),
        connection=(),
        status=("details",),
        took={"latency": "s"},
        keys=("latency timestamp thread",),
        is_live=False,
        by_request=False,
        hint=_STATUS_ONLY.format(title="fortio", status="details"),
    ),
    # The README's loop: `while …; do curl -s URL | grep label; done`.
    Format(
        "loop", "a loop of curl",
        time=(),
        label=("label",),
        texts=(grepped("label"), Layout.of(r"(?P<label>[A-Za-z0-9][\w.+-]{0,60})\s*$")),
        is_live=False,
        by_request=False,
    ),
)  # fmt: skip
"""All but tables with columns of any name, and those that ``sampler.logs.generators`` reads."""

TABLES = {
    kind: Format(
        kind, title, time=("time",), label=("label",), connection=("connection",),
        is_live=False, by_request=False,
    )
    for kind, title in (("csv", "CSV"), ("jsonl", "JSON lines"), ("parquet", "Parquet"))
}  # fmt: skip
"""Tables with columns of any name."""
