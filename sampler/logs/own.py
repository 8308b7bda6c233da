"""What programs write beside their rows: about themselves, and in front of a log.

A line that no row can be made of is one of three things. It is *foreign* if it is in one of the
forms in which programs report on themselves, or goes on with such a message, or stands in front
of the first row; in neither of the last two cases may it show any trace of a request. All others
are rows that are broken, behind each of which some version answered.
"""

from __future__ import annotations

import re

_FORMS = (
    # klog: the header of a line, k8s.io/klog/v2.
    r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ [^\s\]]+:\d+\] ",
    # Envoy (spdlog); Istio's pilot-agent (zap, tabs); Linkerd (tracing, since its start).
    r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\]\[\d+\]\[\w+\]",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z?(?:[+-]\d{4})?\t(?:\w+)\t",
    r"\[ *\d+\.\d+s\] +[A-Z]{4,5} ",
    # Traefik 3 (zerolog's console) and 2 (logrus); other logrus and slog.
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S* (?:TRC|DBG|INF|WRN|ERR|FTL|PNC) ",
    r"time=\"?[^\s\"]+\"? level=\w+ msg=",
    # nginx's error log, Apache's, and HAProxy's messages.
    r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\] \d+#\d+: ",
    r"\[[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d(?:\.\d+)? \d{4}\] \[\S*:?\w+\] ",
    r"\[(?:NOTICE|WARNING|ALERT|DEBUG)\] +(?:\d+/\d+ )?\(\d+\) : ",
    r"(?:Proxy|Server) \S+ (?:started|stopped|is (?:UP|DOWN|going DOWN))\b",
)
_OWN = re.compile("|".join(_FORMS))
TRACE = re.compile(
    r'HTTP/\d|\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) [/*h]|"https?://|'
    r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d|"
    r"^\d{10}\.\d{3}\b"  # $msec of nginx, with which its rows begin here
)
"""What a line of a request shows, even if the rest of it is lost."""


_LEVELS = {"level", "severity", "lvl", "levelname", "log.level", "log_level", "loglevel"}
_MESSAGES = {"msg", "message", "event"}


def is_own(line: str) -> bool:
    """Whether a program reports on itself in it."""
    return _OWN.match(line) is not None


def is_own_object(row: dict[str, object]) -> bool:
    """Whether a program reports in this object: it has a level and a message."""
    return bool(_LEVELS & row.keys() and _MESSAGES & row.keys())
