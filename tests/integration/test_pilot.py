"""``--connection auto``: what the balancer picks for is found out, and what is cheaper is done."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

import weighbridge
from analysis import Policy, Split, Tolerance
from analysis.data.report import Verdict
from sampler.plan.load import ConnectionLife, Load, TransportKind
from sampler.run.door import check
from sampler.run.pilot import EACH, connections_of
from tests.conformance.scripted import ScriptedServer

AUTO = ConnectionLife.parse("auto")


async def waiting(*args, **options):
    """Call the form that blocks."""
    return await asyncio.to_thread(weighbridge.check, *args, **options)


@pytest.mark.parametrize(
    ("transport", "call"), [("fast", check), ("full", check), ("fast", waiting)]
)
@pytest.mark.parametrize(
    ("is_per_request", "connection", "told"),
    [(True, "10:30", "picks for each request"), (False, "fresh", "pick for each connection")],
)
def test_a_pilot_chooses_what_is_cheaper_and_is_not_judged(
    is_per_request, connection, told, transport, call
):
    def script(request):
        number = request.number if is_per_request else request.connection
        label = b"v2" if Random(number).random() < 0.3 else b"v1"
        return [b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"label": "%s"}' % label]

    async def run():
        async with ScriptedServer(script) as server:
            load = Load(connection=AUTO, transport=TransportKind(transport))
            policy = Policy(tolerance=Tolerance.parse("15pp"), alpha=1e-5, beta=1e-5)
            url = f"http://127.0.0.1:{server.port}/"
            report = await call(url, "v1=7,v2=3", load=load, policy=policy, seed=1)
            return report, len(server.requests)

    report, served = asyncio.run(run())

    assert report.verdict is Verdict.PASS
    assert report.performance.connection == connection
    assert any(told in note for note in report.notes)
    assert report.samples.launched < served


@pytest.mark.parametrize(
    ("split", "connections"), [("v1=9,v2=1", 11), ("v1=1", 1), ("v1=9999,v2=1", 400)]
)
def test_a_rare_version_takes_more_connections_up_to_a_limit(split, connections):
    expected = Split.parse(split)

    assert connections_of(expected) == connections
    if connections < 400:
        assert float((expected.shares**EACH).sum()) ** connections <= 0.01 or connections == 1
