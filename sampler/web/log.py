"""The log of a door: JSON lines on stderr, without tokens, queries and headers."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import HttpProcessingError

TOKEN = "token"  # noqa: S105 - the name of a part of a path, not a secret
"""Name of the part of a route's path in which a token may stand."""

SHOWN_PATH = web.RequestKey("shown_path", str)
"""Where a request keeps what `shown_path` made of it; one that cannot be read has none."""

_LONGEST_PATH = 200
_ROOT = logging.getLogger("weighbridge.web")
_ACCESS = logging.getLogger("weighbridge.web.access")


class AccessLog(AbstractAccessLogger):
    """Writes a line for each request."""

    @property
    def enabled(self) -> bool:
        """Whether anybody reads it."""
        return _ACCESS.isEnabledFor(logging.INFO)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write who asked for what, what came, and how long it took."""
        fields = {
            "remote": request.remote,
            "method": request.method,
            "path": request.get(SHOWN_PATH, ""),
            "status": response.status,
            "bytes": response.body_length,
            "ms": round(time * 1000, 3),
        }
        _ACCESS.info("", extra={"fields": fields})


def shown_path(request: web.Request) -> str:
    """Return the path of a request as it may be logged: without a token.

    Of a path that no route knows only the beginning is left, as a token may be anywhere in it.
    """
    match = request.match_info
    resource = match.route.resource
    if resource is None:
        first, *rest = request.path.lstrip("/").split("/")
        return f"/{first[:_LONGEST_PATH]}" + ("/…" if rest else "")
    if TOKEN in match:
        return resource.url_for(**{**match, TOKEN: "-"}).path[:_LONGEST_PATH]
    return request.path[:_LONGEST_PATH]


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {"time": at, "level": record.levelname.lower()}
        if message := record.getMessage():
            line["message"] = message
        if record.exc_info and (error := record.exc_info[1]) is not None:
            line["error"] = type(error).__name__
            if not isinstance(error, HttpProcessingError):  # what strangers sent is not logged
                line["traceback"] = self.formatException(record.exc_info)
        line |= getattr(record, "fields", {})
        return json.dumps(line)


def begin_log(*, has_access: bool, stream: TextIO | None = None) -> None:
    """Let the doors of this process write their log.

    Parameters
    ----------
    has_access : bool
        Whether each request is logged, besides what goes wrong.
    stream : text stream or None
        Where to; None is stderr.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(_JsonLines())
    _ROOT.handlers = [handler]
    _ROOT.propagate = False
    _ROOT.setLevel(logging.INFO)
    _ACCESS.setLevel(logging.INFO if has_access else logging.WARNING)
