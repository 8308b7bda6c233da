"""Targets as people met them: the exit code, what the message names, and what the remedy says."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.answering import answering

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.in_process

EXPECT = ("--expect", "v1=9,v2=1")


def response(body: bytes, *fields: str, status: str = "200 OK") -> Callable[[int], bytes]:
    """Return the same answer each time; %s in it is v2 in every tenth."""

    def answer(number: int) -> bytes:
        label = b"v2" if number % 10 == 7 else b"v1"
        content = body.replace(b"%s", label).replace(b"%S", label.upper())
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", "Connection: close"]
        lines += [
            field.replace("%s", label.decode()).replace("%n", str(number)) for field in fields
        ]
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + content

    return answer


def said(done) -> str:
    """Return what was printed, without the line ends of a narrow screen."""
    return " ".join(f"{done.stdout} {done.stderr}".split())


CAUSES = {
    "429 from the start": (
        response(b"slow down", status="429 Too Many Requests"), (), ("--max-rate",),
    ),
    "a coding of its own": (
        response(b'\x0b\x07\x80{"label": "v1"}\x03', "Content-Encoding: dcb"), (),
        ("'Content-Encoding: dcb', which is not unpacked", "turn off the compression"),
    ),
    "a coding of its own, and a version in the head": (
        response(b"\x28\xb5\x2f\xfd\x04", "Content-Encoding: dcz", "X-Version: %s"), (),
        ("'Content-Encoding: dcz'", "--label header:X-Version"),
    ),
    "half of a zstd": (
        response(b"\x28\xb5\x2f\xfd\x04", "Content-Encoding: zstd"), (), ("not zstd, or cut off",),
    ),
    "label in the head of a large body": (
        response(b"x" * 2_000_000, "X-Version: %s"), ("--label", "header:X-Version"),
        ("--method HEAD",),
    ),
    "spelt otherwise": (response(b'{"label":"%S"}'), (), ("'V1'", "--expect 'V1=9,V2=1'")),
    "blanks around it": (response(b'{"label":" %s \\n"}'), (), (r"' v1 \n'", "by 'v1'")),
    "NaN": (response(b'{"label":"%s","load":NaN}'), (), ("NaN is not JSON", "--label 'regex:")),
    "lone surrogate": (response(rb'{"label":"%s\ud83d"}'), (), ("half of a surrogate pair",)),
    "several cookies": (
        response(b"ok", "Set-Cookie: sid=%n", "Set-Cookie: version=%s; Path=/"),
        ("--label", "header:Set-Cookie"), ("--label cookie:version",),
    ),
    "a header unasked": (
        response(b"ok", "X-App-Version: %s"), (), ("'v", "--label header:X-App-Version"),
    ),
    "another pointer": (response(b'{"label":"shop","v":"%s"}'), (), ("--label /v",)),
    "redirect": (
        response(b"", "Location: https://new.test/x", status="308 Permanent Redirect"), (),
        ("https://new.test/x",),
    ),
    "method": (response(b"", "Allow: HEAD", status="405 Method Not Allowed"), (), ("HEAD",)),
    "upgrade": (response(b"", "Upgrade: h2c", status="426 Upgrade Required"), (), ("h2c",)),
    "nginx without a client certificate": (
        response(b"<h1>No required SSL certificate was sent</h1>", status="400 Bad Request"), (),
        ("--cert FILE",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("cause", CAUSES)
def test_a_target_that_cannot_be_measured_is_4_with_its_cause_and_the_option(weighbridge, cause):
    answer, options, told = CAUSES[cause]

    with answering(answer) as url:
        done = weighbridge("check", url, *EXPECT, *options)

    assert done.returncode == 4, said(done)
    for each in told:
        assert each in said(done)


@pytest.mark.parametrize("transport", ["fast", "full"])
@pytest.mark.parametrize("rule", ["cookie:version", "header:Set-Cookie:^version=(v.)", "header:V"])
def test_what_the_remedies_say_is_enough(weighbridge, rule, transport):
    fields = ("Set-Cookie: sid=%n", "Set-Cookie: version=%s; Path=/", "V: proxy", "V: %s")

    with answering(response(b"ok", *fields)) as url:
        done = weighbridge(
            "check", url, *EXPECT, "--label", rule, "--transport", transport, "--tolerance", "9pp"
        )

    assert done.returncode == 0, said(done)


def test_one_foreign_label_beside_expected_ones_is_a_fail(weighbridge):
    def answer(number: int) -> bytes:
        return response(b'{"label":"v9"}' if number == 20 else b'{"label":"%s"}')(number)

    with answering(answer) as url:
        done = weighbridge("check", url, *EXPECT, "--tolerance", "2pp")

    assert done.returncode == 1, said(done)
    assert "'v9'" in said(done)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("http://127.0.0.1:9/a b", "percent-encode the path: /a%20b"),
        ("http://127.0.0.1:9/café", "percent-encode the path: /caf%C3%A9"),
        ("http://127.0.0.1:9/%41é", "percent-encode the path: /%41%C3%A9"),
        ("http://127.0.0.1:9/ ", "leave out the blank at its start or end"),
        (" http://127.0.0.1:9/", "leave out the blank at its start or end"),
        ("http://127.0.0.1:9/?q=é", "percent-encode the query"),
        ("http://bücher.test/", "write the host as xn--bcher-kva.test"),
    ],
)
def test_a_url_is_told_which_part_of_it_is_wrong(weighbridge, url, hint):
    done = weighbridge("check", url, *EXPECT)

    assert done.returncode == 2
    assert hint in said(done)
    assert ("host as" in said(done)) == ("host as" in hint)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def context(authority, tmp_path):
    """Settings of a server, whose authority is in ca.pem, and that of a client in me.pem."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    client = authority.issue_cert("me@client.test")
    client.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "me.pem"))
    client.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    for chain in client.cert_chain_pems:
        chain.write_to_path(str(tmp_path / "cert.pem"), append=True)
    return context


def _sni(context, _authority):
    def choose(_socket, name, _context):
        return None if name == "shop.test" else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    context.sni_callback = choose


def _client_certificate(context, authority):
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED


def _client_certificate_of_tls_1_2(context, authority):
    _client_certificate(context, authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2


def _old(context, _authority):
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


def _refuses(alert):
    def configure(context, _authority):
        context.sni_callback = lambda *_: alert

    return configure


TLS = {
    "SNI": (_sni, ("UNRECOGNIZED_NAME", "https://NAME:", "--resolve NAME:")),
    "client certificate": (_client_certificate, ("CERTIFICATE_REQUIRED", "--cert FILE")),
    "client certificate of TLS 1.2": (_client_certificate_of_tls_1_2, ("--cert",)),
    "protocol version": (_old, ("TLS: ", "TLS 1.2")),  # what OpenSSL finds first differs by release
    "handshake failure": (_refuses(ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE), ("s_client",)),
    "access denied": (_refuses(ssl.ALERT_DESCRIPTION_ACCESS_DENIED), ("--cert FILE",)),
    "no HTTP/1.1": (_refuses(120), ("HTTP/1.1 on this port (ALPN)",)),
}


@pytest.mark.parametrize("transport", ["fast", "full"])
@pytest.mark.parametrize("cause", TLS)
def test_an_alert_names_its_cause_and_the_option(
    weighbridge, context, authority, cause, transport, tmp_path
):
    configure, told = TLS[cause]
    configure(context, authority)

    with answering(response(b'{"label":"%s"}'), context) as url:
        done = weighbridge(
            "check", url, *EXPECT, "--cacert", str(tmp_path / "ca.pem"), "--transport", transport
        )

    assert done.returncode == 4, said(done)
    for each in told:
        assert each in said(done)


@pytest.mark.parametrize("transport", ["fast", "full"])
@pytest.mark.parametrize(
    "shown", [("--cert", "me.pem"), ("--cert", "cert.pem", "--key", "key.pem")]
)
def test_a_client_certificate_is_shown_to_a_server_that_wants_it(
    weighbridge, context, authority, shown, transport
):
    _client_certificate(context, authority)

    with answering(response(b'{"label":"%s"}'), context) as url:
        done = weighbridge(
            "sample", url, "--cacert", "ca.pem", *shown, "--transport", transport,
            "--max-samples", "20",
        )  # fmt: skip

    assert done.returncode == 0, said(done)


def test_a_name_for_sni_is_given_by_resolve(weighbridge, context, authority):
    authority.issue_cert("shop.test").configure_cert(context)
    _sni(context, authority)

    with answering(response(b'{"label":"%s"}'), context) as url:
        port = url.rpartition(":")[2].strip("/")
        done = weighbridge(
            "sample", f"https://shop.test:{port}/", "--resolve", f"shop.test:{port}:127.0.0.1",
            "--cacert", "ca.pem", "--max-samples", "20",
        )  # fmt: skip

    assert done.returncode == 0, said(done)


@pytest.mark.parametrize(
    ("url", "options", "told"),
    [
        ("https://127.0.0.1:9/", ("--cert", "none.pem"), "none.pem: No such file"),
        ("https://127.0.0.1:9/", ("--cert", "ca.pem"), "no certificate and key in PEM form"),
        (
            "https://127.0.0.1:9/",
            ("--cert", "cert.pem", "--key", "other.pem"),
            "the key is not that of the certificate",
        ),
        ("https://127.0.0.1:9/", ("--cert", "cert.pem", "--key", "locked.pem"), "is encrypted"),
        ("https://127.0.0.1:9/", ("--key", "key.pem"), "give the certificate with --cert"),
        ("http://127.0.0.1:9/", ("--cert", "me.pem"), "--cert is about certificates"),
    ],
)
def test_a_client_certificate_that_cannot_be_used_is_a_usage_error(
    weighbridge, context, authority, tmp_path, url, options, told
):
    from cryptography.hazmat.primitives import serialization as pem  # noqa: PLC0415 - with trustme

    other = authority.issue_cert("other@client.test").private_key_pem
    other.write_to_path(str(tmp_path / "other.pem"))
    locked = pem.load_pem_private_key(other.bytes(), None).private_bytes(
        pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"x")
    )
    (tmp_path / "locked.pem").write_bytes(locked)

    done = weighbridge("sample", url, *options, "--max-samples", "1")

    assert done.returncode == 2, said(done)
    assert told in said(done)


def test_a_deployment_that_is_still_starting_is_waited_for(weighbridge):
    late: list[int] = []

    def answer(number: int) -> bytes:
        late.append(number)
        return (
            response(b"", status="503 Service Unavailable")(number)
            if len(late) < 3
            else (response(b'{"label":"%s"}')(number))
        )

    with answering(answer) as url:
        done = weighbridge("check", url, *EXPECT, "--tolerance", "9pp", "--wait-for", "30s")

    assert done.returncode == 0, said(done)
    assert "wait up to 30 s for an answer" in said(done)
    assert "(3 requests, not judged)" in said(done)
