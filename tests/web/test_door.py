"""What all of our HTTP doors share, asked over loopback."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import ssl

import aiohttp
import pytest
import trustme
import uvloop
from aiohttp import web

from sampler.base.errors import UsageError
from sampler.web import door as door_module
from sampler.web.address import Address, require_guarded
from sampler.web.door import Door, read_body
from sampler.web.log import begin_log
from sampler.web.tls import Tls
from sampler.web.tokens import Tokens

LOOPBACK = Address("127.0.0.1", 0)
TOKEN = "0123456789abcdef"


@pytest.fixture
def token_file(tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"# of CI\n{TOKEN}\n\nanother-one\n", encoding="utf-8")
    return file


@pytest.fixture
def log():
    """What the door has logged, as a list of objects."""
    stream = io.StringIO()
    begin_log(has_access=True, stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger("weighbridge.web").handlers = []


async def echo(request):
    return web.json_response({"length": len(await read_body(request))})


async def fault(_request):
    raise ZeroDivisionError


def with_door(act, door=None, runner=asyncio.run):
    """Open a door with three routes, and let `act` call it; give what that returns."""

    async def run():
        opened = door or Door(LOOPBACK)
        opened.app.router.add_post("/v1/{gate}", echo)
        opened.app.router.add_post("/v1/{gate}/{hook}/{token}", echo)
        opened.app.router.add_get("/fault", fault)
        await opened.open()
        try:
            async with aiohttp.ClientSession(opened.url) as session:
                return await act(opened, session)
        finally:
            await opened.close()

    return runner(run())


def status_of(method, path, door=None, **how):
    async def act(_door, session):
        async with session.request(method, path, allow_redirects=False, **how) as response:
            return response.status, dict(response.headers), await response.text()

    return with_door(act, door)


@pytest.mark.parametrize(
    ("text", "address", "is_loopback"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080), True),
        ("127.9.9.9:1", Address("127.9.9.9", 1), True),
        ("[::1]:0", Address("::1", 0), True),
        ("localhost:80", Address("localhost", 80), True),
        (":8080", Address("", 8080), False),
        ("*:8080", Address("", 8080), False),
        ("0.0.0.0:8080", Address("0.0.0.0", 8080), False),
        ("[::]:8080", Address("::", 8080), False),
        ("localhost.example:80", Address("localhost.example", 80), False),
    ],
)
def test_an_address_is_read_and_known_to_be_this_machines_or_not(text, address, is_loopback):
    assert Address.parse(text) == address
    assert address.is_loopback is is_loopback


@pytest.mark.parametrize("text", ["", "8080", "::1:80", "h:", "h:65536", "h:-1", "h:٣"])
def test_what_is_no_address_is_refused_with_an_example(text):
    with pytest.raises(UsageError) as raised:
        Address.parse(text)

    assert "127.0.0.1:8080" in str(raised.value.hint)


def test_nobody_listens_beyond_loopback_without_a_token_unless_that_is_said():
    everywhere = Address("0.0.0.0", 80)

    with pytest.raises(UsageError, match="from other machines"):
        require_guarded(everywhere, has_tokens=False, is_open=False)
    require_guarded(everywhere, has_tokens=True, is_open=False)
    require_guarded(everywhere, has_tokens=False, is_open=True)
    require_guarded(LOOPBACK, has_tokens=False, is_open=False)


@pytest.mark.parametrize("content", ["", "# nothing\n\n", "two words\n", "é\n"])
def test_a_file_without_a_usable_token_is_refused(tmp_path, content):
    file = tmp_path / "tokens"
    file.write_text(content, encoding="utf-8")

    with pytest.raises(UsageError, match="token"):
        Tokens(file)


def test_every_line_is_a_token_and_nothing_else(token_file):
    tokens = Tokens(token_file)

    assert [tokens.allows(each) for each in (TOKEN, "another-one")] == [True, True]
    wrong = ["", TOKEN[:-1], TOKEN + "0", "# of CI", "another-one\n", "\udc80"]
    assert not any(tokens.allows(each) for each in wrong)


def test_a_token_is_compared_with_each_line_whatever_it_looks_like(token_file, monkeypatch):
    tokens = Tokens(token_file)
    compared = []

    def compare(given, known):
        compared.append((len(given), len(known)))
        return given == known

    monkeypatch.setattr("sampler.web.tokens.hmac.compare_digest", compare)

    for token in (TOKEN, TOKEN[:-1], "x", ""):
        compared.clear()
        tokens.allows(token)
        assert compared == [(32, 32), (32, 32)], token


def test_tokens_are_read_again_when_the_file_changes(token_file, log):
    tokens = Tokens(token_file)
    newer = token_file.with_name("newer")
    newer.write_text("third\n", encoding="utf-8")

    newer.replace(token_file)
    assert (tokens.allows("third"), tokens.allows(TOKEN)) == (True, False)
    token_file.unlink()
    assert not tokens.allows("third")
    assert "nobody may call" in log()[-1]["message"]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        ("Bearer another-one", 200),
        (f"Bearer {TOKEN}x", 401),
        (f"Basic {base64.b64encode(f'me:{TOKEN}'.encode()).decode()}", 200),
        (f"Basic {base64.b64encode(f'{TOKEN}:me'.encode()).decode()}", 401),
        ("Basic %%%", 401),
        (TOKEN, 401),
    ],
)
def test_a_door_with_tokens_asks_for_one(token_file, header, status):
    headers = {} if header is None else {"Authorization": header}
    door = Door(LOOPBACK, Tokens(token_file))

    told, got, body = status_of("POST", "/v1/shop", door, headers=headers)

    assert told == status, body
    assert ("WWW-Authenticate" in got) is (status == 401)


def test_a_token_may_stand_in_the_path_and_is_not_logged(token_file, log):
    async def act(_door, session):
        paths = (f"/v1/shop/rollout/{TOKEN}", f"/v1/shop/rollout/{TOKEN}/", f"/nowhere/{TOKEN}")
        return [(await session.post(path)).status for path in paths]

    assert with_door(act, Door(LOOPBACK, Tokens(token_file))) == [200, 401, 401]
    lines = log()
    assert [line["path"] for line in lines] == ["/v1/shop/rollout/-", "/v1/…", "/nowhere/…"]
    assert TOKEN not in json.dumps(lines)


def test_health_needs_no_token_and_readiness_is_told(token_file):
    async def act(door, session):
        told = [(await session.get(path)).status for path in ("/healthz", "/readyz")]
        door.unready = ""
        return [*told, (await session.get("/readyz")).status]

    assert with_door(act, Door(LOOPBACK, Tokens(token_file))) == [200, 503, 200]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("PUT", "/v1/shop", 405), ("GET", "/fault", 500)],
)
def test_every_error_is_a_problem_document_with_the_headers_of_every_answer(
    method, path, status, log
):
    told, headers, body = status_of(method, path)

    assert told == status
    assert headers["Content-Type"] == "application/problem+json"
    document = json.loads(body)
    assert {"type", "title", "status", "detail", "hint"} == set(document)
    assert "ZeroDivision" not in body
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"] == "weighbridge"
    assert any("traceback" in line for line in log()) is (status == 500)


@pytest.mark.parametrize("path", ["/v1/shop/", "/v1//shop", "/v1/../fault/", "/healthz/"])
def test_no_path_is_redirected(path):
    assert status_of("POST", path)[0] == 404


def test_a_body_has_a_limit(log):
    assert status_of("POST", "/v1/shop", data=b"x" * (64 << 10))[0] == 200
    assert status_of("POST", "/v1/shop", data=b"x" * ((64 << 10) + 1))[0] == 413
    assert status_of("POST", "/v1/shop", data=b"x", headers={"Content-Encoding": "gzip"})[0] == 415
    assert {line["status"] for line in log()} == {200, 413, 415}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "rebound.example"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, 403),
    ],
)
def test_pages_of_others_cannot_call_through_a_browser(headers, status):
    assert status_of("POST", "/v1/shop", headers=headers)[0] == status


@pytest.mark.parametrize("begun", [b"", b"POST /v1/shop HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_a_connection_without_a_whole_request_is_closed_in_time(monkeypatch, begun):
    monkeypatch.setattr(door_module, "REQUEST_S", 0.05)

    async def act(door, _session):
        port = int(door.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        try:
            left = await reader.read()
        except ConnectionResetError:
            left = b""
        writer.close()
        return left

    assert with_door(act) == b""


def test_a_body_that_does_not_come_ends_its_request(monkeypatch):
    monkeypatch.setattr(door_module, "REQUEST_S", 1.0)  # in which its head has to come

    async def act(door, _session):
        port = int(door.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v1/shop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx")
        line = await reader.readline()
        writer.transport.abort()
        return line

    assert b" 408 " in with_door(act)


@pytest.mark.parametrize(
    ("header", "status"), [(b"Expect: x", 417), (b"Host: localhost:x", 400), (b"Host: evil", 403)]
)
def test_what_is_refused_early_is_a_problem_too(header, status):
    async def act(door, _session):
        port = int(door.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        host = b"" if header.startswith(b"Host") else b"Host: localhost\r\n"
        writer.write(b"GET /fault HTTP/1.1\r\nConnection: close\r\n" + host + header + b"\r\n\r\n")
        answer = await reader.read()
        writer.transport.abort()
        return answer

    head, _, body = with_door(act).partition(b"\r\n\r\n")
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(body)["status"] == status


def test_of_too_many_connections_the_one_goes_that_has_been_idle_for_longest(monkeypatch):
    monkeypatch.setattr(door_module, "MOST_CONNECTIONS", 2)

    async def act(door, _session):
        port = int(door.url.rpartition(":")[2])
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for reader, writer in opened:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert await reader.readuntil(b"ok\n")
        expects = b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        opened[0][1].write(b"POST /v1/shop HTTP/1.1\r\nHost: localhost\r\n" + expects)
        await opened[0][0].readuntil(b"\r\n\r\n")
        opened += [await asyncio.open_connection("127.0.0.1", port)]
        left = await opened[1][0].read()
        opened[0][1].write(b"{}")
        answer = await opened[0][0].readuntil(b"2}")
        counted = door.connections
        for _, writer in opened:
            writer.transport.abort()
        return left, answer[:15], counted

    assert with_door(act) == (b"", b"HTTP/1.1 200 OK", 2)


def test_what_is_no_http_is_answered_as_a_problem_and_not_logged(log):
    async def act(door, _session):
        port = int(door.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{TOKEN} nonsense\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return answer

    answer = with_door(act)

    assert b" 400 " in answer
    assert b"application/problem+json" in answer
    assert TOKEN not in json.dumps(log())


def test_an_address_that_is_taken_is_a_usage_error():
    async def act(door, _session):
        second = Door(Address("127.0.0.1", int(door.url.rpartition(":")[2])))
        with pytest.raises(UsageError, match=r"--listen 127\.0\.0\.1"):
            await second.open()
        return True

    assert with_door(act)


def certificate(authority, folder, name):
    issued = authority.issue_cert("127.0.0.1", common_name=name)
    cert, key = folder / "cert.pem", folder / "key.pem"
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    return cert, key


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run])
def test_a_certificate_is_read_again_when_its_file_changes(tmp_path, log, runner):
    authority = trustme.CA()
    cert, key = certificate(authority, tmp_path, "first")
    context = ssl.create_default_context()
    authority.configure_trust(context)

    async def name_of(door):
        port = int(door.url.rpartition(":")[2])
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="127.0.0.1"
        )
        subject = writer.get_extra_info("peercert")["subject"]
        writer.transport.abort()
        return dict(pair[0] for pair in subject)["commonName"]

    async def act(door, session):
        told = [await name_of(door)]
        certificate(authority, tmp_path, "second")
        told.append(await name_of(door))
        key.write_text("half a key", encoding="utf-8")
        told.append(await name_of(door))
        certificate(authority, tmp_path, "third")
        told.append(await name_of(door))
        async with session.get("/healthz", ssl=context) as response:
            return [*told, response.status]

    told = with_door(act, Door(LOOPBACK, tls=Tls(cert, key)), runner)

    assert told == ["first", "second", "second", "third", 200]
    assert "the old certificate stays" in log()[0]["message"]


def test_a_certificate_that_cannot_be_used_is_refused(tmp_path):
    cert, key = certificate(trustme.CA(), tmp_path, "one")

    with pytest.raises(UsageError, match="--tls-cert"):
        Tls(key, cert)
    with pytest.raises(UsageError, match="No such file"):
        Tls(cert, tmp_path / "none.pem")


def test_the_access_log_can_be_left_out(log):
    stream = io.StringIO()
    begin_log(has_access=False, stream=stream)

    assert status_of("POST", "/v1/shop")[0] == 200
    assert stream.getvalue() == ""
