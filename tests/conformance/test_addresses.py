"""Targets with several addresses, of another family, or with an address given by hand."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter

import pytest

from analysis import Outcome, Tally
from analysis.data.tally import addresses_of
from sampler.base.errors import SamplingError, UsageError
from sampler.exchange.transport import addresses as module
from sampler.plan.load import ConnectionLife, Load
from sampler.plan.pinned_hosts import PinnedHost
from sampler.plan.target import Target
from tests.conformance.driving import Driver

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"label": "v1"}'


@pytest.fixture
def several(monkeypatch):
    """Let every name have three addresses of loopback, the last of which refuses."""

    async def find(_host, port):
        return tuple(
            (socket.AF_INET, (address, port if address != "127.0.0.4" else 1))
            for address in ("127.0.0.2", "127.0.0.3", "127.0.0.4")
        )

    monkeypatch.setattr(module, "find", find)


@pytest.fixture
def ask(kind, loop_factory):
    """Ask a server on all of the given addresses; `url` and `pin` have a {port}."""

    def run(url, *, n, life="fresh", listen="0.0.0.0", pin=None):
        serving: list[asyncio.Future[None]] = []

        async def serve(reader, writer):
            served = asyncio.get_running_loop().create_future()
            serving.append(served)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while b"Connection: close" not in await reader.readuntil(b"\r\n\r\n"):
                    writer.write(ANSWER)
                writer.write(ANSWER)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            served.set_result(None)

        async def main():
            server = await asyncio.start_server(serve, listen, 0)
            async with server:
                port = server.sockets[0].getsockname()[1]
                load = Load(
                    concurrency=2,
                    connection=ConnectionLife.parse(life),
                    pins=() if pin is None else (PinnedHost.parse(pin.format(port=port)),),
                )
                batch, _ = await Driver(kind, Target(url.format(port=port)), load, n).run()
                await asyncio.gather(*serving)
                return batch

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(main())

    return run


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("life", ["fresh", "3:3"])
def test_samples_say_which_address_they_went_to(ask, life):
    batch = ask("http://shop:{port}/", n=60, life=life)

    went = [batch.remotes[code] for code in batch.remote]
    assert set(went) == {"127.0.0.2", "127.0.0.3", "127.0.0.4"}
    refused = [outcome == Outcome.CONNECT_FAILED for outcome in batch.outcome]
    assert refused == [address == "127.0.0.4" for address in went]
    of_connection: dict[int, set[str]] = {}
    for connection, address in zip(batch.connection.tolist(), went, strict=True):
        of_connection.setdefault(connection, set()).add(address)
    assert {len(addresses) for addresses in of_connection.values()} == {1}


@pytest.mark.parametrize("life", ["fresh", "3:3"])
def test_an_address_that_the_kernel_refuses_at_once_is_a_failure_each_time(ask, monkeypatch, life):
    """A broadcast address, to which no connection is tried."""

    async def find(_host, port):
        return tuple((socket.AF_INET, (host, port)) for host in ("127.0.0.2", "255.255.255.255"))

    monkeypatch.setattr(module, "find", find)

    batch = ask("http://shop:{port}/", n=40, life=life)

    refused = [batch.remotes[code] == "255.255.255.255" for code in batch.remote]
    assert 0 < sum(refused) < 40
    assert [outcome != Outcome.OK for outcome in batch.outcome] == refused
    assert len(set(batch.connection[refused].tolist())) == sum(refused)


@pytest.mark.usefixtures("several")
def test_a_tally_counts_by_address_and_label(ask):
    batch = ask("http://shop:{port}/", n=60)

    table = addresses_of(Tally.of(batch))

    went = Counter(batch.remotes[code] for code in batch.remote)
    assert {address: sum(counts.values()) for address, counts in table.items()} == went
    assert {address: set(counts) for address, counts in table.items()} == {
        "127.0.0.2": {"v1"},
        "127.0.0.3": {"v1"},
        "127.0.0.4": {""},
    }


def test_one_address_is_not_worth_a_table(ask):
    batch = ask("http://127.0.0.1:{port}/", n=4)

    assert batch.remotes == ("127.0.0.1",)
    assert batch.remote.tolist() == [0] * 4
    assert addresses_of(Tally.of(batch)) == {}


@pytest.mark.parametrize("life", ["fresh", "2:3"])
def test_an_address_of_ipv6_is_asked(ask, loopback_6, life):
    batch = ask("http://[::1]:{port}/", n=12, listen=loopback_6, life=life)

    assert batch.outcome.tolist() == [Outcome.OK] * 12
    assert batch.remotes == ("::1",)


def test_an_address_with_a_zone_is_asked_or_refused(ask, kind):
    if kind == "full":  # aiohttp forgets the zone
        with pytest.raises(UsageError, match="a zone"):
            ask("http://[fe80::1%25nowhere]:{port}/", n=1)
    else:
        with pytest.raises(SamplingError, match="fe80::1%nowhere cannot be used"):
            ask("http://[fe80::1%25nowhere]:{port}/", n=1)


def test_a_name_is_asked_at_the_address_that_is_given_for_it(ask):
    batch = ask("http://no-such.invalid:{port}/", n=2, pin="no-such.invalid:{port}:127.0.0.5")

    assert batch.outcome.tolist() == [Outcome.OK] * 2
    assert batch.remotes == ("127.0.0.5",)
