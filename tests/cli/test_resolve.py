"""Names without DNS, as a user meets them."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class _Server(ThreadingHTTPServer):
    request_queue_size = 64  # a full queue costs a connection a second


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"label": "v1", "host": self.headers["Host"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def port():
    """Of a server on every address of loopback."""
    server = _Server(("0.0.0.0", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("transport", ["fast", "full"])
def test_a_name_may_be_given_addresses_and_the_report_counts_by_them(weighbridge, port, transport):
    host = f"shop.invalid:{port}"

    result = weighbridge(
        "sample", f"http://{host}/", "--resolve", f"{host}:127.0.0.2,127.0.0.3",
        "--max-samples", "40", "--transport", transport, "--json", "-",
    )  # fmt: skip

    assert result.returncode == 0, result.stderr
    observed = json.loads(result.stdout)["observed"]
    assert observed["replicas"] == {"v1": {host: 40}}
    assert set(observed["addresses"]) == {"127.0.0.2", "127.0.0.3"}
    assert sum(counts["v1"] for counts in observed["addresses"].values()) == 40


@pytest.mark.parametrize("pin", ["other.invalid:80:127.0.0.1", "shop.invalid:80", "1.2.3.4:80:::1"])
def test_a_pin_that_cannot_be_meant_is_a_usage_error(weighbridge, pin):
    result = weighbridge("sample", "http://shop.invalid/", "--resolve", pin, "--max-samples", "1")

    assert result.returncode == 2
    assert "\nhint: " in result.stderr


def test_a_name_that_nobody_knows_ends_the_run_with_the_remedy(weighbridge):
    result = weighbridge("sample", "http://shop.invalid/", "--max-samples", "1")

    assert result.returncode == 4
    assert "--resolve" in result.stderr
