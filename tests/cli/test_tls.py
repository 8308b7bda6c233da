"""HTTPS as a user meets it: refused with a remedy, trusted by file, or by saying so."""

from __future__ import annotations

import json
import ssl

import pytest
import trustme

from tests.answering import answering, response


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def url(authority):
    """A server whose certificate the system does not know."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with answering(lambda _: response("200 OK", "v1"), context) as url:
        yield url


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
