"""Real HTTP servers have counted what we have counted; ``make servers`` asks many more."""

from __future__ import annotations

import pytest

from tests.servers.catalog import ORIGIN, SERVERS
from tests.servers.comparing import compared
from tests.servers.running import COMBINATIONS

REQUESTS = 40
_PARTS = {"nginx": "nginx", "HAProxy": "haproxy", "Envoy": "envoy", "Traefik": "traefik",
          "aiohttp": "", "http.server, HTTP/1.0": "", "http.server, HTTP/1.1": "",
          "Node http": "node"}  # fmt: skip


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(
            server, id=server.name, marks=pytest.mark.needs(*filter(None, [_PARTS[server.name]]))
        )
        for server in SERVERS
        if server.name in _PARTS
    ],
)
def test_a_server_has_counted_what_we_have_counted(server, tmp_path):
    results = compared(server, tmp_path, REQUESTS, ORIGIN)
    assert len(results) == len(server.framings) * len(COMBINATIONS)
    assert [each.tell() for each in results if not each.is_equal] == []
    for each in results:
        if each.path.endswith("-fresh") or each.path.startswith("close/"):
            assert each.connections == REQUESTS
