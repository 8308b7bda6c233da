"""What a request costs in system calls, counted by strace: most of its processor time."""

from __future__ import annotations

import pytest

from tests.benchmarks.request_cost import calls_of_a_request, weighed

pytestmark = [pytest.mark.network, pytest.mark.needs("strace")]

LENGTHS = (1_000, 4_000)  # the end of a kept connection takes two reads, and not all are kept


@pytest.mark.parametrize(
    ("connection", "needed"),
    [
        (
            "fresh",
            {"socket", "setsockopt", "connect", "epoll_ctl", "sendto", "recvfrom", "close"},
        ),
        ("reuse", {"sendto", "recvfrom"}),
    ],
)
def test_a_request_takes_each_system_call_once_and_no_other(cluster, connection, needed):
    calls = calls_of_a_request([weighed(cluster, "check", connection, n) for n in LENGTHS])

    calls.pop("epoll_wait", None)  # as many as answers and ticks come apart: of time, not requests
    assert {name: round(calls.pop(name), 1) for name in needed} == dict.fromkeys(needed, 1.0)
    assert max(calls.values(), default=0) < 0.25, calls  # what grows with time: ticks, clocks
