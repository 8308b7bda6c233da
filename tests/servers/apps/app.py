"""One answer in three framings, for servers of WSGI and ASGI, which count what they answered.

A path is ``/FRAMING/COMBINATION``; each request leaves a line with its path in ``COUNTS``.
Standard library only: it runs with what is installed apart.
"""

from __future__ import annotations

import json
import os

BODY = json.dumps({"label": os.environ["LABEL"]}).encode()
HALVES = (BODY[:7], BODY[7:])
_TYPE = "application/json"
_counts = os.open(os.environ["COUNTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def answer(path):
    """Count a request, and return the header and the pieces of its answer."""
    os.write(_counts, f"{path}\n".encode())
    framing = path.split("/")[1]
    headers = [("Content-Type", _TYPE)]
    if framing == "chunked":
        return headers, HALVES
    headers.append(("Content-Length", str(len(BODY))))
    if framing == "close":
        headers.append(("Connection", "close"))
    return headers, (BODY,)


def wsgi(environ, start_response):
    headers, pieces = answer(environ["PATH_INFO"])
    start_response("200 OK", headers)
    return iter(pieces)


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError(f"no {scope['type']} here")
    headers, pieces = answer(scope["path"])
    fields = [(name.lower().encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
