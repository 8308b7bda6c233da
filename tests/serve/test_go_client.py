"""The doors asked by Go's HTTP client, with the timeouts and habits of the controllers."""

from __future__ import annotations

import asyncio
import json

import pytest
import trustme

from sampler.web import door as door_module
from sampler.web.address import Address
from sampler.web.door import Door
from sampler.web.tls import Tls
from sampler.web.tokens import Tokens
from tests.serve.serving import gate, served
from tests.serve.test_doors import ENDS, PAYLOAD, words

# Go's own library is compiled before the first one, where `make test` has not done it.
pytestmark = [pytest.mark.needs("go"), pytest.mark.timeout(900)]

PHASES = ("Successful", "Failed", "Inconclusive", "Inconclusive", "Error")
HOOK = json.dumps(PAYLOAD | {"metadata": {"wait": "0.05"}})
ARGO = "/v1/argo/shop?key=prod/app/7d/2"


def asked(call, each, out, *requests, door=None):
    """Serve a gate, and let Go call it; give what became of each request."""

    async def act(server, _client):
        url = server._door.url
        told = [
            await asyncio.to_thread(call, who, url + path, **how) for who, path, how in requests
        ]
        call.close()  # before the server ends, which would wait for goodbyes of TLS
        return told

    return served(act, each, out=out, door=door)


@pytest.mark.parametrize("number", range(5), ids=ENDS)
def test_each_end_of_a_check_is_what_the_controllers_make_of_it(call, tmp_path, number):
    wait = "0.05" if ENDS[number] == "PENDING" else "8"
    hook = {"body": HOOK if ENDS[number] == "PENDING" else json.dumps(PAYLOAD)}

    argo, increase, rollback = asked(
        call, gate(words(ENDS[number])), tmp_path,
        ("argo", f"{ARGO}&wait={wait}", {}),
        ("flagger", "/v1/flagger/shop/confirm-traffic-increase", hook),
        ("flagger", "/v1/flagger/shop/rollback", {**hook, "retries": 2}),
    )  # fmt: skip

    assert argo["phase"] == PHASES[number], argo
    assert (argo["document"] is None) is (ENDS[number] == "UNMEASURABLE")
    assert (increase["phase"], rollback["phase"]) == (
        "Succeeded" if ENDS[number] == "PASS" else "Error",
        "Succeeded" if ENDS[number] == "FAIL" else "Error",
    )
    verdict = "INCONCLUSIVE" if ENDS[number] == "UNMEASURABLE" else ENDS[number]
    for told in (increase, rollback):
        assert told["tries"] == 1
        assert told["message"].startswith(f"{verdict}: "), "people read it in the events"


def test_whoever_gives_up_waiting_joins_the_same_check_again(call, tmp_path):
    async def act(server, client):
        url = server._door.url
        early = await asyncio.to_thread(call, "argo", f"{url}{ARGO}&wait=25", timeout="100ms")
        again = await asyncio.to_thread(call, "argo", f"{url}{ARGO}&wait=0")
        (session,) = server.desk.sessions
        async with client.delete(f"/v1/checks/{session.id}"):
            pass
        last = await asyncio.to_thread(call, "argo", f"{url}{ARGO}&wait=25")
        return session.id, early, again, last

    identity, early, again, last = served(act, gate("HANG"), out=tmp_path)

    assert (early["phase"], early["status"]) == ("Error", 0)
    assert "Client.Timeout" in early["message"]
    assert [each["document"]["ID"] for each in (again, last)] == [identity] * 2
    assert [each["document"]["Verdict"] for each in (again, last)] == ["PENDING", "INCONCLUSIVE"]


def test_tls_and_tokens_are_what_the_controllers_can_send(call, tmp_path):
    issued = trustme.CA().issue_cert("127.0.0.1")
    cert, key, tokens = (tmp_path / name for name in ("cert.pem", "key.pem", "tokens"))
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    tokens.write_text("s3cret\n", encoding="ascii")
    door = Door(Address("127.0.0.1", 0), Tokens(tokens), Tls(cert, key))
    bearer, hook = {"headers": {"Authorization": "Bearer s3cret"}}, "/v1/flagger/shop/rollback"

    passed, untrusted, nobody, told, stranger, distrusted = asked(
        call, gate("PASS"), tmp_path / "runs",
        ("argo", ARGO, {**bearer, "insecure": True}),
        ("argo", ARGO, bearer),
        ("argo", ARGO, {"insecure": True}),
        ("flagger", f"{hook}/s3cret", {"insecure": True, "body": HOOK}),
        ("flagger", f"{hook}/other", {"insecure": True, "body": HOOK}),
        ("flagger", f"{hook}/s3cret", {"body": HOOK, "retries": 2}),
        door=door,
    )  # fmt: skip

    assert (passed["phase"], nobody["status"]) == ("Successful", 401)
    assert (told["status"], stranger["status"]) == (403, 401)
    for each in (untrusted, distrusted):
        assert (each["phase"], each["tries"]) == ("Error", 1)
        assert "x509" in each["message"]


def test_a_connection_is_used_again_and_nothing_is_redirected(call, tmp_path):
    paths = [ARGO, ARGO, "/v1/argo/shop/", "/v1/argo//shop", "/v1/argo/shop/../shop", "//v1/argo",
             "/v1/argo", "/v1"]  # fmt: skip

    told = asked(call, gate("PASS"), tmp_path, *(("argo", path, {}) for path in paths))

    assert [each["status"] for each in told] == [200, 200, *[404] * (len(paths) - 2)]
    assert [each["reused"] for each in told[:3]] == [False, True, True]
    assert all(each["url"].endswith(path) for each, path in zip(told, paths, strict=True))


def test_connections_that_controllers_leave_behind_keep_nobody_out(call, tmp_path, monkeypatch):
    """Flagger makes one for each call and leaves it; Argo leaves those whose answer is an error."""
    monkeypatch.setattr(door_module, "MOST_CONNECTIONS", 3)
    hook = ("flagger", "/v1/flagger/shop/confirm-traffic-increase", {"body": json.dumps(PAYLOAD)})
    calls = [*[hook] * 6, *[("argo", "/v1/argo/none", {})] * 6, hook]

    told = asked(call, gate("PASS"), tmp_path, *calls)

    assert [each["status"] for each in told] == [200] * 6 + [404] * 6 + [200]
