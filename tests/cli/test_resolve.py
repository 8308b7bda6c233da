"""Names without DNS, as a user meets them."""

from __future__ import annotations

import json

import pytest

from tests.answering import each_connection


def named(_number, request):
    """Answer with the host that was asked for."""
    host = request.partition(b"\r\nHost: ")[2].partition(b"\r\n")[0]
    body = b'{"label": "v1", "host": "%s"}' % host
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@pytest.fixture(scope="module")
def port():
    """Of a server on every address of loopback."""
    with each_connection(named, "0.0.0.0") as address:
        yield address.partition(":")[2]


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


def test_a_name_that_nobody_knows_ends_the_run_with_the_remedy(weighbridge):
    result = weighbridge("sample", "http://shop.invalid/", "--max-samples", "1")

    assert result.returncode == 4
    assert "--resolve" in result.stderr
