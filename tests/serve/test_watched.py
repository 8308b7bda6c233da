"""Gates of kind watch: what callers are told of a live state, and of a watch that is not there."""

from __future__ import annotations

import asyncio
import re
import time

import click
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from analysis.data.live import State, to_line
from analysis.data.report import Verdict
from sampler.base.errors import UsageError
from sampler.cli.gates import gates_of
from sampler.cli.serve import command
from sampler.serve.gates import Gate
from sampler.serve.outcome import Kind
from sampler.serve.watched import look_at_watch, outcome_of_state
from tests.serve.serving import served
from tests.stories import ALARM, BEGIN, Story
from tests.watch.served import serving

EVENTS = list(Story().events())
STATES = [each.state for each in EVENTS if hasattr(each, "state")]
DRIFTED = next(each for each in STATES if each.at > BEGIN + ALARM + 5)


def shown(state, *, at=None):
    return msgspec.structs.replace(state, at=time.time() if at is None else at)


def asked(watch, out, gate="shop"):
    async def act(_server, client):
        async with client.get(f"/v1/argo/{gate}", params={"wait": 8}) as response:
            return response.status, await response.json()

    return served(act, Gate("shop", {}, watch=watch), out=out)


@pytest.fixture
def watch():
    with serving() as one:
        yield one


@pytest.mark.parametrize(
    ("state", "verdict"), [(STATES[-1], "PASS"), (DRIFTED, "FAIL"), (STATES[5], "INCONCLUSIVE")]
)
def test_the_verdict_is_that_of_the_watch(watch, tmp_path, state, verdict):
    async def show():
        watch.stream.show({"shop": shown(state)})

    watch.call(show())
    status, document = asked(watch.url, tmp_path)

    assert status == 200
    assert document["verdict"] == verdict
    assert document["line"].startswith(f"{verdict}: ")
    assert document["final"] is True
    assert document["expected"] == {"v1": 0.9, "v2": 0.1}
    assert document["connections"] == state.stretch.connections


def test_an_old_state_a_wrong_answer_and_nobody_are_no_verdict(watch, tmp_path, closed_port):
    async def show():
        watch.stream.show({"shop": shown(STATES[-1], at=time.time() - 100)})

    empty = asked(watch.url, tmp_path)
    watch.call(show())
    old = asked(watch.url, tmp_path)
    nobody = asked(f"http://127.0.0.1:{closed_port}/", tmp_path)

    assert [each[0] for each in (empty, old, nobody)] == [503] * 3
    assert re.search(r"is 1\d\d s old", old[1]["detail"])


def test_an_answer_is_read_to_its_end_in_whatever_parts_it_comes():
    body = to_line(shown(DRIFTED))

    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for part in (body[:1400], body[1400:]):
            await response.write(part)
            await asyncio.sleep(0.05)  # or the kernel makes one of them
        return response

    async def ask():
        server = TestServer(web.Application())
        server.app.router.add_get("/api/state", answer)
        async with server:
            return await look_at_watch(str(server.make_url("/")), "")

    assert asyncio.run(ask()).verdict == "FAIL"


def test_a_watch_that_asks_for_a_token_is_sent_the_first_of_the_file(tmp_path):
    file = tmp_path / "token"
    seen = []

    async def answer(request):
        seen.append(request.headers.get("Authorization"))
        return web.Response(body=to_line(shown(DRIFTED)))

    async def ask():
        server = TestServer(web.Application())
        server.app.router.add_get("/api/state", answer)
        async with server:
            url = str(server.make_url("/"))
            return [await look_at_watch(url, "", given) for given in ("", str(file))]

    file.write_text("# callers\nfirst\nsecond\n", encoding="ascii")
    told = asyncio.run(ask())
    file.unlink()
    gone = asyncio.run(ask())[1]

    assert [each.verdict for each in told] == ["FAIL"] * 2
    assert seen[:2] == [None, "Bearer first"]
    assert gone.kind is Kind.UNMEASURABLE
    assert "No such file" in gone.line


def test_each_state_has_its_verdict_and_a_reason():
    seen = {each.state: outcome_of_state(each) for each in STATES}
    blind = outcome_of_state(
        msgspec.structs.replace(
            STATES[5], state=State.BLIND, verdict=Verdict.INCONCLUSIVE, why="no label for 60 s"
        )
    )

    assert {state: each.reason for state, each in seen.items()} == {
        State.STARTING: "not_proven",
        State.OK: "within_tolerance",
        State.DRIFT: "outside_tolerance",
        State.RECOVERING: "not_proven",
        State.CHANGING: "expectation_moved",
    }
    assert blind.kind is Kind.UNMEASURABLE
    assert "no label for 60 s" in blind.line


def read(tmp_path, text):
    file = tmp_path / "weighbridge.toml"
    file.write_text(text, encoding="utf-8")
    with command.make_context("serve", [], resilient_parsing=True) as ctx:
        return gates_of(file, click.Context(command, parent=ctx.parent, info_name="serve"))


def test_a_gate_of_this_kind_is_read_from_the_configuration(tmp_path):
    (tmp_path / "token").write_text("first\n", encoding="ascii")
    gate = read(
        tmp_path,
        '[gate.shop]\nkind = "watch"\nurl = "http://127.0.0.1:9431/"\nname = "a"\n'
        f'token-file = "{tmp_path}/token"\n',
    )["shop"]

    assert (gate.watch, gate.target) == ("http://127.0.0.1:9431/", "a")
    assert gate.token_file == str(tmp_path / "token")


@pytest.mark.parametrize(
    "line",
    [
        'expect = "v1=9,v2=1"',
        'url = "ftp://x/"',
        'url = "http://u:p@x/"',
        "name = 3",
        "token-file = 3",
        'token-file = "/nowhere"',
        "",
    ],
)
def test_what_does_not_belong_to_it_is_refused(tmp_path, line):
    url = "" if line.startswith("url") or not line else 'url = "http://127.0.0.1:9431/"\n'

    with pytest.raises(UsageError, match=r"gate\.shop"):
        read(tmp_path, f'[gate.shop]\nkind = "watch"\n{url}{line}\n')
