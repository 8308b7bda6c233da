"""The application of the story: says which version it is, and which pod.

LABEL=v1 HOST=app-7d4f PORT=8080 python3 app.py
$ curl http://127.0.0.1:8080/
{"label": "v1", "host": "app-7d4f"}
"""

from __future__ import annotations

import json
import os
import signal
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = json.dumps(
    {"label": os.environ["LABEL"], "host": os.environ.get("HOST") or socket.gethostname()}
).encode()


class Application(BaseHTTPRequestHandler):
    """Answers every GET alike, whatever the path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer, and keep the connection for as long as the client wants it."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        """Write nothing: a canary is weighed with thousands of requests."""


class Server(ThreadingHTTPServer):
    """Takes bursts of connections."""

    request_queue_size = 1024


def stop(*_: object) -> None:
    """End at once when Kubernetes says so; as process 1, nobody else would."""
    raise SystemExit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    Server(("", int(os.environ.get("PORT", "8080"))), Application).serve_forever()
