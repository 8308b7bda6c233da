"""Addresses that the user gives to names."""

from __future__ import annotations

import pytest

from sampler.base.errors import UsageError
from sampler.plan.pinned_hosts import PinnedHost


@pytest.mark.parametrize(
    ("text", "pin"),
    [
        ("shop:80:10.0.0.1", PinnedHost("shop", 80, ("10.0.0.1",))),
        (
            "Shop.Example:443:10.0.0.1,10.0.0.2",
            PinnedHost("shop.example", 443, ("10.0.0.1", "10.0.0.2")),
        ),
        ("shop:80:[::1]", PinnedHost("shop", 80, ("::1",))),
        ("shop:80:::1", PinnedHost("shop", 80, ("::1",))),
        ("shop:80:[fd00::1],10.0.0.1", PinnedHost("shop", 80, ("fd00::1", "10.0.0.1"))),
        ("*:8080:127.0.0.1", PinnedHost("*", 8080, ("127.0.0.1",))),
    ],
)
def test_the_grammar_is_that_of_curl(text, pin):
    assert PinnedHost.parse(text) == pin


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("shop", "expected HOST:PORT:ADDRESS"),
        ("shop:80", "expected HOST:PORT:ADDRESS"),
        ("shop:80:", "expected HOST:PORT:ADDRESS"),
        ("shop:0:10.0.0.1", "expected HOST:PORT:ADDRESS"),
        ("shop:65536:10.0.0.1", "expected HOST:PORT:ADDRESS"),
        ("+shop:80:10.0.0.1", "expected HOST:PORT:ADDRESS"),
        ("shop:80:other", "expected an IP address, got 'other'"),
        ("shop:80:10.0.0.1,", "expected an IP address, got ''"),
        ("10.0.0.1:80:10.0.0.2", "10.0.0.1 is an address already"),
    ],
)
def test_what_is_not_in_the_grammar_is_refused(text, reason):
    with pytest.raises(UsageError, match=reason):
        PinnedHost.parse(text)


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [("shop", 80, True), ("SHOP", 80, True), ("shop", 81, False), ("other", 80, False)],
)
def test_a_pin_is_for_its_own_host_and_port(host, port, expected):
    assert PinnedHost.parse("shop:80:10.0.0.1").matches(host, port) is expected


def test_a_star_is_for_any_host():
    assert PinnedHost.parse("*:80:10.0.0.1").matches("other", 80)
