"""HTTPS as a user meets it: refused with a remedy, trusted by file, or by saying so."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"label": "v1", "host": "app-1"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 64  # a full queue costs a connection a second

    def handle_error(self, request, client_address):
        """Say nothing: a client that does not believe us hangs up."""


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def url(authority):
    """A server whose certificate the system does not know."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_certificate_that_is_not_trusted_ends_the_run_with_the_remedy(weighbridge, url):
    result = weighbridge("sample", url, "--max-samples", "4", "-c", "2")

    assert result.returncode == 4
    said = " ".join(result.stdout.split())
    assert "certificate: " in said
    assert "--cacert FILE" in said
    assert "WARNING" not in result.stderr


@pytest.mark.parametrize("transport", ["auto", "full"])
def test_a_file_of_authorities_makes_it_trusted(weighbridge, url, authority, tmp_path, transport):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    result = weighbridge(
        "sample", url, "--max-samples", "4", "--cacert", "ca.pem", "--transport", transport,
        "--json", "-",
    )  # fmt: skip

    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["samples"]["outcomes"] == {"ok": 4}
    assert report["performance"]["transport"] == {"auto": "fast"}.get(transport, transport)


def test_insecure_is_said_loudly_before_and_in_the_report(weighbridge, url):
    result = weighbridge("sample", url, "--max-samples", "4", "--insecure")

    assert result.returncode == 0
    assert "warning: --insecure: certificates are not verified" in result.stderr
    assert "--insecure: no certificate was verified" in " ".join(result.stdout.split())


def test_a_missing_file_of_authorities_is_a_usage_error(weighbridge, url):
    result = weighbridge("sample", url, "--max-samples", "4", "--cacert", "none.pem")

    assert result.returncode == 2
    assert "--cacert none.pem: No such file" in result.stderr
