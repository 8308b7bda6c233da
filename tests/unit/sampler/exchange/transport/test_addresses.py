"""Where connections go, as time passes and names change."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from analysis import Tally
from sampler.base.errors import SamplingError, UsageError
from sampler.engine.engine import Engine
from sampler.exchange.transport import addresses as module
from sampler.exchange.transport.addresses import AddressBook
from sampler.plan.load import Limits, Load
from sampler.plan.pinned_hosts import PinnedHost
from sampler.plan.run import RunPlan
from sampler.plan.target import Target
from sampler.run.gate import Weighing

S = 1_000_000_000


class Names:
    """A resolver that answers as the test says, and counts."""

    def __init__(self, *answer):
        self.answer = answer
        self.asked = 0

    async def __call__(self, host, port):
        self.asked += 1
        if not self.answer:
            raise socket.gaierror(socket.EAI_NONAME, "unknown name")
        return tuple((socket.AF_INET, (address, port)) for address in self.answer)


@pytest.fixture
def names(monkeypatch):
    names = Names("10.0.0.1")
    monkeypatch.setattr(module, "find", names)
    return names


def make_book(url="http://shop/", seed=3, **load):
    return AddressBook(Target(url), Load(**load), seed)


def hosts(book, numbers, now_ns=0):
    return [book.pick(number, now_ns)[1][0] for number in numbers]


def test_connections_are_spread_evenly_and_without_a_pattern(names):
    names.answer = ("10.0.0.1", "10.0.0.2", "10.0.0.3")

    async def main():
        book = make_book()
        await book.open(0)
        return hosts(book, range(12_288))

    went = asyncio.run(main())

    assert all(abs(n - 4_096) <= 3 for n in Counter(went).values())
    pairs = Counter(pairwise(went))
    assert len(pairs) == 9
    assert min(pairs.values()) > 1_000  # of 12 287 pairs, 9 kinds


def test_the_seed_decides_where_connections_go(names):
    names.answer = ("10.0.0.1", "10.0.0.2")

    async def main(seed):
        book = make_book(seed=seed)
        await book.open(0)
        return hosts(book, range(64))

    assert asyncio.run(main(1)) == asyncio.run(main(1)) != asyncio.run(main(2))


def test_the_name_is_looked_up_again_after_its_time_and_only_for_a_new_connection(names):
    async def main():
        book = make_book(dns_ttl_s=10)
        await book.open(0)
        assert hosts(book, [0], 10 * S - 1) == ["10.0.0.1"]
        assert names.asked == 1
        names.answer = ("10.0.0.2",)
        assert hosts(book, [1], 10 * S) == ["10.0.0.1"]  # does not wait for the answer
        await settle(book)
        assert names.asked == 2
        assert hosts(book, [2], 11 * S) == ["10.0.0.2"]
        assert hosts(book, [3], 21 * S - 1) == ["10.0.0.2"]
        assert names.asked == 2
        hosts(book, [4], 21 * S)
        await settle(book)
        assert names.asked == 3
        await book.aclose()
        return book

    book = asyncio.run(main())

    assert book.names == ("10.0.0.1", "10.0.0.2")
    assert book.codes(np.arange(5)).tolist() == [0, 0, 1, 1, 1]


async def settle(book):
    """Wait until the look-up that is under way has its answer."""
    await asyncio.gather(book._lookup)


def test_the_address_of_every_connection_follows_from_its_number(names):
    names.answer = ("10.0.0.1", "10.0.0.2", "10.0.0.3")

    async def main():
        book = make_book(dns_ttl_s=1)
        await book.open(0)
        went = hosts(book, range(6_000))
        names.answer = ("10.0.0.4", "10.0.0.2")
        went += hosts(book, [6_000], S)
        await settle(book)
        went += hosts(book, range(6_001, 9_000), 2 * S)
        return book, went

    book, went = asyncio.run(main())

    numbers = np.random.default_rng(1).permutation(9_000)
    assert [book.names[code] for code in book.codes(numbers)] == [went[i] for i in numbers]
    assert set(went[6_001:]) == {"10.0.0.2", "10.0.0.4"}


def test_the_same_addresses_in_another_order_change_nothing(names):
    names.answer = ("10.0.0.1", "10.0.0.2")

    async def main():
        book = make_book(dns_ttl_s=1)
        await book.open(0)
        before = hosts(book, range(64))
        names.answer = ("10.0.0.2", "10.0.0.1")
        hosts(book, [64], S)
        await settle(book)
        return before, hosts(book, range(64), 2 * S)

    before, after = asyncio.run(main())

    assert before == after


def test_a_name_that_is_lost_keeps_its_addresses(names):
    async def main():
        book = make_book(dns_ttl_s=1)
        await book.open(0)
        names.answer = ()
        hosts(book, [0], S)
        await settle(book)
        return book, hosts(book, [1], 2 * S)

    book, went = asyncio.run(main())

    assert went == ["10.0.0.1"]
    assert book.failed_lookups == 1


@pytest.mark.parametrize(
    ("url", "load"),
    [
        ("http://shop/", {"dns_ttl_s": 0}),
        ("http://10.0.0.1/", {}),
        ("http://[::1]/", {}),
    ],
)
def test_nothing_is_looked_up_again_where_that_makes_no_sense(names, url, load):
    async def main():
        book = make_book(url, **load)
        await book.open(0)
        hosts(book, range(8), 10**6 * S)
        assert book._lookup is None

    asyncio.run(main())

    assert names.asked == 1


def test_a_pin_takes_the_place_of_every_look_up(monkeypatch):
    monkeypatch.setattr(module, "resolve", None)  # would fail if it were called
    pins = (PinnedHost.parse("shop:80:10.0.0.7,fd00::7"), PinnedHost.parse("other:80:10.0.0.9"))

    async def main():
        book = make_book(pins=pins)
        await book.open(0)
        return hosts(book, range(1_000), 10**6 * S)

    assert set(asyncio.run(main())) == {"10.0.0.7", "fd00::7"}


def test_a_pin_for_nobody_is_refused():
    with pytest.raises(UsageError, match="gives no address for shop:80"):
        make_book(pins=(PinnedHost.parse("shop:81:10.0.0.1"),))


def test_the_report_says_that_a_name_was_lost():
    weighing = Weighing(RunPlan(Target("http://shop/"), limits=Limits(max_samples=1)))
    assert isinstance(weighing._engine, Engine)
    remotes = weighing._engine.recorder.remotes
    assert remotes is not None
    before = weighing._account(Tally()).notes

    remotes.failed_lookups = 2

    after = weighing._account(Tally()).notes
    assert not any("looked up" in note for note in before)
    assert any("shop could not be looked up again, 2 times" in note for note in after)


def test_an_unknown_name_ends_the_run_with_a_remedy(names):
    names.answer = ()

    with pytest.raises(SamplingError, match="shop cannot be resolved") as caught:
        asyncio.run(make_book().open(0))

    assert "--resolve" in (caught.value.hint or "")


@pytest.mark.parametrize("host", ["a..b", "x" * 64, "."])
def test_what_cannot_be_a_name_is_a_name_that_cannot_be_resolved(host):
    with pytest.raises(SamplingError, match="cannot be resolved"):
        asyncio.run(make_book(f"http://{host}/").open(0))


def test_a_pin_to_a_zone_that_is_not_here_says_so():
    book = make_book(pins=(PinnedHost.parse("shop:80:fe80::1%nowhere"),))

    with pytest.raises(SamplingError, match="nowhere"):
        asyncio.run(book.open(0))


@pytest.fixture
def silence(monkeypatch):
    """Make the resolver wait until the test ends."""
    ended = threading.Event()

    def never(*_arguments, **_options):
        ended.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", never)
    yield
    ended.set()


@pytest.mark.usefixtures("silence")
def test_a_run_can_be_interrupted_while_the_name_server_is_silent():
    async def main():
        weighing = Weighing(RunPlan(Target("http://shop/"), limits=Limits(max_samples=1)))
        asyncio.get_running_loop().call_later(0.01, weighing.interrupt)
        return await weighing.run()

    report = asyncio.run(main())

    assert report.samples.launched == 0


@pytest.mark.usefixtures("silence")
def test_a_silent_name_server_is_named_after_a_while(monkeypatch):
    monkeypatch.setattr(module, "LOOKUP_TIMEOUT_S", 0.01)

    with pytest.raises(SamplingError, match=r"no answer from a name server within 0\.01 s"):
        asyncio.run(make_book().open(0))


def test_a_look_up_that_is_under_way_ends_with_the_run(names, monkeypatch):
    async def main():
        book = make_book(dns_ttl_s=1)
        await book.open(0)

        async def never(_host, _port):
            await asyncio.Event().wait()

        monkeypatch.setattr(module, "find", never)
        hosts(book, [0], S)
        assert book._lookup is not None
        await asyncio.sleep(0)
        await book.aclose()
        return book._lookup.cancelled()

    assert asyncio.run(main())
