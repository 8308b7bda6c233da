"""HTTPS: whom the client believes, and what becomes of those whom it does not."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import socket
import ssl
from itertools import count

import pytest
import trustme

from analysis import ABSENT, Outcome
from sampler.base.errors import UsageError
from sampler.exchange.failure import FailureCode
from sampler.plan.load import ConnectionLife, Load
from sampler.plan.target import Target
from tests.conformance.driving import CARRIERS, Driver

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"label": "v1"}'
LIVES = ["fresh", "reuse"]


@pytest.fixture(scope="module")
def authority():
    """An authority of the test's own."""
    return trustme.CA()


@pytest.fixture(scope="module")
def cacert(authority, tmp_path_factory):
    """The file that makes the authority trusted."""
    path = tmp_path_factory.mktemp("trust") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


class Raw(bytes):
    """What is written below TLS."""


@pytest.fixture(params=[each for each in CARRIERS if each[0] != "fast-python"], ids="-".join)
def carrier(request):
    """As for all, but for what is compiled: nothing of TLS is."""
    return request.param


@pytest.fixture
def ask(kind, loop_factory):
    """Ask a TLS server with the given certificate, or a plain one without.

    `parts` are what the server sends for each request, one write each, with some turns of the
    loop behind it; the server closes after `requests` of them, or when the client does.
    """

    def run(
        certificate,
        *,
        n=2,
        life="fresh",
        parts=(ANSWER,),
        requests=None,
        host="127.0.0.1",
        version=None,
        sni=None,
        turns=0,
        **trust,
    ):
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.sni_callback = None if sni is None else lambda _s, name, _c: sni.append(name)
            if version is not None:
                context.maximum_version = version
            certificate.configure_cert(context)

        async def main():
            async def serve(reader, writer):
                asked = count() if requests is None else range(requests)
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    for _ in asked:
                        # A hello has no end of lines.
                        end = reader.readuntil(b"\r\n\r\n") if context else reader.read(1)
                        head = await end
                        for part in parts:
                            if isinstance(part, Raw):
                                os.write(writer.get_extra_info("socket").fileno(), part)
                                continue
                            writer.write(part)
                            await writer.drain()
                            for _ in range(turns):
                                await asyncio.sleep(0)
                        if b"Connection: close" in head:
                            break
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
            async with server:
                port = server.sockets[0].getsockname()[1]
                target = Target(f"https://{host}:{port}/", **trust)
                load = Load(concurrency=1, connection=ConnectionLife.parse(life))
                return await Driver(kind, target, load, n).run()

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(main())

    return run


def only(failures):
    """Return the one failure that there is."""
    ((failure,),) = failures.values()
    return failure


@pytest.mark.parametrize("life", LIVES)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_labels_are_read_over_tls(ask, authority, cacert, life, version):
    batch, _ = ask(
        authority.issue_cert("127.0.0.1"), n=6, life=life, version=version, cacert=cacert
    )

    assert batch.outcome.tolist() == [Outcome.OK] * 6
    assert batch.labels == ("v1",)
    expected = [0] * 6 if life == "fresh" else [0, 1, 2, 3, 4, 5]
    assert batch.ordinal.tolist() == expected


def test_the_authorities_of_the_system_are_believed(ask, authority, cacert, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", cacert)

    batch, _ = ask(authority.issue_cert("127.0.0.1"))

    assert batch.outcome.tolist() == [Outcome.OK] * 2


def test_the_name_of_the_host_is_sent_and_an_address_is_not(ask, authority, cacert):
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    names: list[str | None] = []

    ask(certificate, n=1, host="localhost", sni=names, cacert=cacert)
    ask(certificate, n=1, host="127.0.0.1", sni=names, cacert=cacert)

    assert names == ["localhost", None]


class SelfSigned:
    """Lets a server show the certificate of an authority itself."""

    def __init__(self, authority):
        self.authority = authority

    def configure_cert(self, context):
        """Load it, as `trustme.LeafCert.configure_cert` does."""
        own = self.authority
        with own.private_key_pem.tempfile() as key, own.cert_pem.tempfile() as certificate:
            context.load_cert_chain(certificate, key)


YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
DOUBTFUL = {
    "local issuer": lambda _: trustme.CA().issue_cert("127.0.0.1"),
    "not valid for '127.0.0.1'": lambda authority: authority.issue_cert("elsewhere.example"),
    "certificate has expired": lambda authority: authority.issue_cert(
        "127.0.0.1", not_after=YESTERDAY
    ),
    # An authority that shows its own certificate: nobody else has signed it.
    "self-signed certificate": lambda _: SelfSigned(trustme.CA()),
}
"""Certificates by what is said of them."""


@pytest.mark.parametrize("life", LIVES)
@pytest.mark.parametrize("said", DOUBTFUL)
def test_a_certificate_that_is_not_believed_is_a_failed_connection(
    ask, authority, cacert, life, said
):
    batch, failures = ask(DOUBTFUL[said](authority), life=life, cacert=cacert)

    assert batch.outcome.tolist() == [Outcome.CONNECT_FAILED] * 2
    assert batch.first_byte_ns.tolist() == [ABSENT] * 2
    assert only(failures).code is FailureCode.CERTIFICATE
    assert "certificate: " in only(failures).text
    assert said in only(failures).text


@pytest.mark.parametrize("life", LIVES)
def test_insecure_accepts_any_certificate(ask, authority, life):
    worst = authority.issue_cert("elsewhere.example", not_after=YESTERDAY)

    batch, _ = ask(worst, life=life, insecure=True)

    assert batch.outcome.tolist() == [Outcome.OK] * 2


def test_an_answer_of_many_records_is_read_whole(ask, authority, cacert):
    body = b'{"label": "v1", "pad": "%s"}' % (b"x" * 200_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)

    batch, _ = ask(authority.issue_cert("127.0.0.1"), parts=(head, body), cacert=cacert)

    assert batch.outcome.tolist() == [Outcome.OK] * 2


def test_an_answer_may_end_with_its_connection(ask, authority, cacert):
    parts = (b"HTTP/1.1 200 OK\r\n\r\n", b'{"label": ', b'"v1"}')

    batch, _ = ask(
        authority.issue_cert("127.0.0.1"), parts=parts, requests=1, life="reuse", cacert=cacert
    )

    assert batch.outcome.tolist() == [Outcome.OK] * 2
    assert batch.ordinal.tolist() == [0, 0]


def test_a_connection_that_ends_inside_the_answer_is_closed(ask, authority, cacert):
    batch, _ = ask(
        authority.issue_cert("127.0.0.1"), parts=(ANSWER[:-3],), requests=1, cacert=cacert
    )

    assert batch.outcome.tolist() == [Outcome.CLOSED] * 2


def test_what_follows_an_answer_is_not_taken_for_the_next_one(ask, authority, cacert):
    forged = ANSWER.replace(b"v1", b"v9")

    batch, _ = ask(
        authority.issue_cert("127.0.0.1"), n=4, life="reuse", parts=(ANSWER + forged,),
        cacert=cacert,
    )  # fmt: skip

    assert "v9" not in batch.labels


def test_what_comes_late_is_not_taken_for_the_next_answer(ask, authority, cacert):
    forged = ANSWER.replace(b"v1", b"v9")

    batch, failures = ask(
        authority.issue_cert("127.0.0.1"), n=12, life="4:4", parts=(ANSWER, forged), turns=8,
        cacert=cacert,
    )  # fmt: skip

    # The last connection is not waited for.
    known = batch.connection < batch.connection.max()
    assert {batch.labels[code] for code in batch.label[known & (batch.label >= 0)]} == {"v1"}
    assert set(failures) == {Outcome.SURPLUS}


BROKEN_RECORD = b"\x17\x03\x03\x00\x30" + b"x" * 48


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("turns", [0, 8])
def test_tls_that_breaks_inside_the_answer_was_a_connection(ask, authority, cacert, version, turns):
    head, _, _ = ANSWER.partition(b"\r\n\r\n")

    batch, failures = ask(
        authority.issue_cert("127.0.0.1"), parts=(head + b"\r\n\r\n", Raw(BROKEN_RECORD)),
        turns=turns, cacert=cacert, version=version,
    )  # fmt: skip

    assert batch.outcome.tolist() == [Outcome.PROTOCOL] * 2
    assert only(failures).code is FailureCode.BROKEN_TLS


@pytest.mark.parametrize("life", LIVES)
def test_an_answer_before_a_large_body_was_read_is_found_before_the_reset(
    ask, authority, cacert, kind, life
):
    batch, _ = ask(
        authority.issue_cert("127.0.0.1"),
        n=2,
        life=life,
        requests=1,
        cacert=cacert,
        method="POST",
        body=b"x" * 8_000_000,
        allow_unsafe=True,
    )

    # aiohttp does not look at what came before a reset.
    possible = {Outcome.OK, Outcome.RESET} if kind == "full" else {Outcome.OK}
    assert set(batch.outcome.tolist()) <= possible
    assert batch.connection.tolist() == [0, 1]


def test_a_server_that_closes_kept_connections_makes_stale_or_new_ones(ask, authority, cacert):
    batch, _ = ask(authority.issue_cert("127.0.0.1"), n=8, life="reuse", requests=2, cacert=cacert)

    assert set(batch.outcome.tolist()) <= {Outcome.OK, Outcome.STALE}
    assert batch.ordinal.max() <= 2


def test_a_connection_that_the_server_ends_early_is_closed(ask, authority, cacert, kind):
    to_the_end = b'HTTP/1.1 200 OK\r\n\r\n{"label": "v1"}'

    batch, _ = ask(
        authority.issue_cert("127.0.0.1"), n=3, life="3:3", parts=(to_the_end,), requests=1,
        cacert=cacert,
    )  # fmt: skip

    assert batch.outcome.tolist() == [Outcome.OK] * 3
    assert batch.closed.tolist() == [kind != "full"] * 3  # aiohttp does not say


def test_a_server_without_tls_is_a_failed_connection(ask):
    batch, failures = ask(None, n=1)

    assert batch.outcome.tolist() == [Outcome.CONNECT_FAILED]
    assert only(failures).code is FailureCode.NOT_TLS
    assert "TLS" in only(failures).text


@pytest.mark.parametrize("is_abort", [True, False])
def test_a_server_that_hangs_up_in_the_handshake_is_a_failed_connection(
    kind, loop_factory, is_abort
):
    async def main():
        async def hang_up(reader, writer):
            if is_abort:
                writer.transport.abort()
            else:
                await reader.read(1)
                writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            target = Target(f"https://127.0.0.1:{port}/")
            return await Driver(kind, target, Load(concurrency=1), 1).run()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        batch, _ = runner.run(main())

    assert batch.outcome.tolist() == [Outcome.CONNECT_FAILED]


def test_a_port_that_nobody_listens_on_is_a_failed_connection(kind, loop_factory):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        target = Target(f"https://127.0.0.1:{unused.getsockname()[1]}/")
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            batch, failures = runner.run(Driver(kind, target, Load(concurrency=1), 2).run())

    assert batch.outcome.tolist() == [Outcome.CONNECT_FAILED] * 2
    assert only(failures).code is FailureCode.REFUSED
    assert "Connection refused" in only(failures).text


def test_a_handshake_that_never_ends_is_a_connect_timeout(kind, loop_factory):
    async def main():
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            load = Load(concurrency=1, connect_timeout_s=0.2)
            return await Driver(kind, Target(f"https://127.0.0.1:{port}/"), load, 1).run()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        batch, _ = runner.run(main())

    assert batch.outcome.tolist() == [Outcome.CONNECT_TIMEOUT]


@pytest.mark.parametrize("content", [None, "nonsense"])
def test_a_file_of_authorities_that_cannot_be_used_ends_the_run(kind, tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    target = Target("https://127.0.0.1:1/", cacert=str(path))

    with pytest.raises(UsageError, match=r"--cacert .*ca\.pem: \w+"):
        asyncio.run(Driver(kind, target, Load(concurrency=1), 1).run())


@pytest.mark.parametrize(
    ("url", "trust"),
    [
        ("http://h/", {"insecure": True}),
        ("http://h/", {"cacert": "ca.pem"}),
        ("https://h/", {"cacert": "ca.pem", "insecure": True}),
    ],
)
def test_trust_that_makes_no_sense_is_refused(url, trust):
    with pytest.raises(UsageError, match=r"--cacert|--insecure"):
        Target(url, **trust)
