"""HTTPS, which the full transport carries."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

import pytest
import trustme

from analysis import ABSENT, Outcome
from sampler.plan import Load
from sampler.target import Target
from tests.conformance.driving import Driver

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"label": "v1"}'


@pytest.fixture(scope="module")
def authority():
    """An authority of the test's own."""
    return trustme.CA()


@pytest.fixture
def trusted(authority, tmp_path, monkeypatch):
    """Let this process trust the authority, as a user would."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))


@pytest.fixture
def ask(loop_factory):
    """Ask a TLS server with the given certificate, or a plain one without."""

    def run(certificate, *, n=2):
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)

        async def main():
            async def serve(reader, writer):
                with contextlib.suppress(OSError):
                    await reader.read(1)
                    writer.write(ANSWER)
                    await writer.drain()
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
            async with server:
                port = server.sockets[0].getsockname()[1]
                target = Target(f"https://127.0.0.1:{port}/")
                return await Driver("full", target, Load(concurrency=1), n).run()

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(main())

    return run


@pytest.mark.usefixtures("trusted")
def test_a_label_is_read_over_tls(ask, authority):
    batch, _ = ask(authority.issue_cert("127.0.0.1"))

    assert batch.outcome.tolist() == [Outcome.OK] * 2
    assert batch.labels == ("v1",)


def test_a_certificate_that_nobody_vouches_for_is_a_failed_connection(ask, authority):
    batch, details = ask(authority.issue_cert("127.0.0.1"))

    assert batch.outcome.tolist() == [Outcome.CONNECT_FAILED] * 2
    assert batch.first_byte_ns.tolist() == [ABSENT] * 2
    ((detail,),) = details.values()
    assert "certificate: " in detail
    assert "local issuer" in detail


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_name_is_a_failed_connection(ask, authority):
    batch, details = ask(authority.issue_cert("elsewhere.example"))

    assert batch.outcome.tolist() == [Outcome.CONNECT_FAILED] * 2
    ((detail,),) = details.values()
    assert "not valid for '127.0.0.1'" in detail


@pytest.mark.usefixtures("trusted")
def test_a_server_that_wants_our_certificate_is_a_failed_connection(authority, loop_factory):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.issue_cert("127.0.0.1").configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse():
        # A blocking handshake sends the alert with the reason; asyncio's server does not.
        client, _ = listener.accept()
        client.settimeout(5)
        wrapped = context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        with wrapped, contextlib.suppress(OSError):
            with contextlib.suppress(ssl.SSLError):
                wrapped.do_handshake()
            # Closing with the request unread would send a reset that overtakes the alert.
            wrapped.shutdown(socket.SHUT_WR)
            while socket.socket.recv(wrapped, 4_096):
                pass

    async def main():
        refusing = asyncio.get_running_loop().run_in_executor(None, refuse)
        target = Target(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        result = await Driver("full", target, Load(concurrency=1), 1).run()
        await refusing
        return result

    with listener, asyncio.Runner(loop_factory=loop_factory) as runner:
        batch, details = runner.run(main())

    assert batch.outcome.tolist() == [Outcome.CONNECT_FAILED]
    ((detail,),) = details.values()
    assert "CERTIFICATE_REQUIRED" in detail


def test_a_server_without_tls_is_a_failed_connection(ask):
    batch, details = ask(None, n=1)

    assert batch.outcome.tolist() == [Outcome.CONNECT_FAILED]
    ((detail,),) = details.values()
    assert "TLS" in detail


def test_a_server_that_hangs_up_in_the_handshake_is_a_failed_connection(loop_factory):
    async def main():
        async def hang_up(_reader, writer):
            writer.transport.abort()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            target = Target(f"https://127.0.0.1:{port}/")
            return await Driver("full", target, Load(concurrency=1), 1).run()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        batch, _ = runner.run(main())

    assert batch.outcome.tolist() == [Outcome.CONNECT_FAILED]


def test_a_handshake_that_never_ends_is_a_connect_timeout(loop_factory):
    async def main():
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            load = Load(concurrency=1, connect_timeout_s=0.2)
            return await Driver("full", Target(f"https://127.0.0.1:{port}/"), load, 1).run()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        batch, _ = runner.run(main())

    assert batch.outcome.tolist() == [Outcome.CONNECT_TIMEOUT]
