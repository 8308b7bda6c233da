"""What each door answers to each end of a check: the tables that controllers rely on."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.render.document import from_json
from sampler.serve import desk
from sampler.serve.desk import Limits
from sampler.serve.flagger import HOOKS
from sampler.serve.gates import canary_of
from sampler.serve.outcome import LONGEST_LINE, MOST_LABELS, Kind, line_of, outcome_of
from sampler.serve.requests import matches
from sampler.serve.server import openapi
from sampler.serve.weighers import Weigher
from tests.processes import REPOSITORY
from tests.serve.serving import gate, served

PAYLOAD = {"name": "app", "namespace": "prod", "phase": "Progressing", "checksum": "85d5", "x": 1}
SCHEMAS = openapi()["components"]["schemas"]  # type: ignore[index]
ENDS = ("PASS", "FAIL", "INCONCLUSIVE", "PENDING", "UNMEASURABLE")


def held_to(document, name="Session"):
    """Hold a document to the one that the server publishes."""
    jsonschema.validate(document, SCHEMAS[name])
    return document


def documented(method, path):
    """Return the statuses that the description has for a request; none for a path without one."""
    for template, each in openapi()["paths"].items():  # type: ignore[attr-defined]
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if re.fullmatch(pattern, path.partition("?")[0]) and method.lower() in each:
            return set(each[method.lower()]["responses"])
    return set()


def call(method, path, **options):
    return method, path, options


def answers(gates, *requests, **how):
    """Call a server; give status, headers and text of each answer."""

    async def act(_server, client):
        given = []
        for method, path, options in requests:
            async with client.request(method, path, allow_redirects=False, **options) as response:
                assert str(response.status) in documented(method, path), (method, path)
                given.append((response.status, dict(response.headers), await response.text()))
        return given

    return served(act, *gates, **how)


def answer(each, method, path, out, **options):
    return answers([each], (method, path, options), out=out)[0]


def words(end):
    """Return the script of a gate for an end; what is pending hangs."""
    return "HANG" if end == "PENDING" else end


# Each row of the design: PASS, FAIL, INCONCLUSIVE, pending, nothing measured.
FLAGGER = {
    "confirm-rollout": (200, 403, 403, 403, 403),
    "pre-rollout": (200, 409, 409, 409, 409),
    "rollout": (200, 409, 409, 409, 409),
    "confirm-traffic-increase": (200, 403, 403, 403, 403),
    "confirm-promotion": (200, 403, 403, 403, 403),
    "rollback": (403, 200, 403, 403, 403),
    "post-rollout": (200, 409, 409, 202, 409),
    "event": (202, 202, 202, 202, 202),
}


def test_every_hook_has_its_row():
    assert set(HOOKS) == set(FLAGGER)


@pytest.mark.parametrize("number", range(5), ids=ENDS)
def test_flagger_gets_the_code_of_each_hook(tmp_path, number):
    each = gate(words(ENDS[number]), permit=frozenset({"wait"}))
    payload = {**PAYLOAD, "metadata": {"wait": "0.05" if ENDS[number] == "PENDING" else "20"}}
    paths = [f"/v1/flagger/shop/{hook}" for hook in FLAGGER]

    given = answers([each], *(("POST", path, {"json": payload}) for path in paths), out=tmp_path)

    assert [status for status, _, _ in given] == [row[number] for row in FLAGGER.values()]
    for (_, headers, text), hook in zip(given, FLAGGER, strict=True):
        assert headers["Content-Type"].startswith("text/plain")
        verdict = "INCONCLUSIVE" if ENDS[number] == "UNMEASURABLE" else ENDS[number]
        assert hook == "event" or text.startswith(verdict), text
        assert text.count("\n") == 1
        assert len(text) < 1000


@pytest.mark.parametrize(
    ("path", "payload"),
    [
        ("nowhere/rollout", b"{}"),
        ("shop/no-hook", b"{}"),
        ("shop/rollout", b"nonsense"),
        ("shop/rollout", b"[1]"),
        ("shop/rollout", b"x" * (65 << 10)),
        ("shop/rollout", json.dumps({**PAYLOAD, "metadata": {"wait": "99"}}).encode()),
        ("shop/rollout", json.dumps({**PAYLOAD, "metadata": {"expect": "v1"}}).encode()),
        ("shop/rollout", json.dumps({"name": {}, "metadata": 5}).encode()),
        ("shop/rollout", b""),
    ],
)
def test_flagger_is_never_told_to_ask_again_or_a_success_that_is_none(tmp_path, path, payload):
    status, _, text = answer(gate("FAIL"), "POST", f"/v1/flagger/{path}", tmp_path, data=payload)

    assert status in {403, 409}
    assert text.count("\n") == 1


def test_rollout_goes_on_while_inconclusive_where_the_gate_says_so(tmp_path):
    each = gate("INCONCLUSIVE", goes_on=True)

    assert answer(each, "POST", "/v1/flagger/shop/rollout", tmp_path, json=PAYLOAD)[0] == 200
    path = "/v1/flagger/shop/confirm-traffic-increase"
    assert answer(each, "POST", path, tmp_path, json=PAYLOAD)[0] == 403


def test_rollout_goes_on_for_no_check_that_has_measured_nothing(tmp_path):
    each = gate("HANG", goes_on=True)

    async def act(server, client):
        async with client.post("/v1/gates/shop/checks", json={"wait": 0}):
            pass
        told = []
        for wait in ("0", "5"):
            payload = {**PAYLOAD, "metadata": {"wait": wait}}
            async with client.post("/v1/flagger/shop/rollout", json=payload) as response:
                told.append((response.status, (await response.text()).partition(":")[0]))
            server.desk.sessions.stop(list(server.desk.sessions)[1], "interrupted")
        return told

    assert served(act, each, out=tmp_path, limits=Limits(1)) == [
        (409, "PENDING"),
        (409, "INCONCLUSIVE"),
    ]


def test_rollback_says_yes_after_inconclusive_for_long_enough(tmp_path):
    for seconds, status in ((0.0, 200), (3600.0, 403), (None, 403)):
        each = gate("INCONCLUSIVE", fail_after_s=seconds)
        path = "/v1/flagger/shop/rollback"
        assert answer(each, "POST", path, tmp_path, json=PAYLOAD)[0] == status


@pytest.mark.parametrize(
    ("word", "is_back_at_0", "status"),
    [("INCONCLUSIVE", False, 200), ("INCONCLUSIVE", True, 403),
     ("FAIL", False, 200), ("FAIL", True, 403)],
)  # fmt: skip
def test_a_server_that_starts_again_knows_what_a_step_has_come_to(
    tmp_path, word, is_back_at_0, status
):
    weights = {"v1": 9, "v2": 1}
    options = {"look": weights}
    each = gate(
        f"{word},INCONCLUSIVE", is_live=True, canary="v2", fail_after_s=3600.0, options=options
    )
    increase, rollback = (
        f"/v1/flagger/shop/{hook}" for hook in ("confirm-traffic-increase", "rollback")
    )

    async def begin(_server, client):
        async with client.post(increase, json=PAYLOAD) as response:
            assert (await response.text()).startswith(word)
        if is_back_at_0:
            weights.update(v1=10, v2=0)
            async with client.post(rollback, json=PAYLOAD) as response:
                assert response.status == 403

    async def again(_server, client):
        weights.update(v1=9, v2=1)
        async with client.post(rollback, json=PAYLOAD) as response:
            return response.status

    served(begin, each, out=tmp_path, limits=Limits(1))
    (file,) = tmp_path.glob("*/session.json")
    told = json.loads(file.read_text(encoding="utf-8"))
    earlier = {name: told[name] - 3600 for name in ("ended_at", "undecided_at") if told[name]}
    file.write_text(json.dumps(told | earlier), encoding="utf-8")

    assert served(again, each, out=tmp_path, limits=Limits(1)) == status


def test_a_server_starts_whatever_is_written_beside_its_runs(tmp_path):
    async def check(_server, client):
        async with client.post("/v1/gates/shop/checks", json={"key": "a"}) as response:
            return (await response.json())["status_url"]

    async def ask(_server, client):
        async with client.get(state) as response:
            return response.status

    each = gate("PASS")
    state = served(check, each, out=tmp_path)
    (file,) = tmp_path.glob("*/session.json")
    right = json.loads(file.read_text(encoding="utf-8"))
    wrong = [{}, [], "x", right | {"notes": 5}, right | {"outcome": "x"}, right | {"outcome": {}}]
    for name, value in (("line", 5), ("observed", []), ("verdict", "MAYBE"), ("kind", 1)):
        wrong.append(right | {"outcome": right["outcome"] | {name: value}})
    told = []
    for document in (right, *wrong):
        file.write_text(json.dumps(document), encoding="utf-8")
        told.append(served(ask, each, out=tmp_path))

    assert told == [200, *[404] * len(wrong)]


def test_increase_and_rollback_share_a_session_and_rollback_is_told_an_old_fail(tmp_path):
    each = gate("FAIL,PASS", linger_s=0.0)
    hooks = ("confirm-traffic-increase", "rollback", "rollback", "confirm-traffic-increase")
    calls = [("POST", f"/v1/flagger/shop/{hook}", {"json": PAYLOAD}) for hook in hooks]

    given = answers([each], *calls, ("POST", f"/v1/flagger/shop/{hooks[1]}", {"json": PAYLOAD}),
                    out=tmp_path, limits=Limits(1))  # fmt: skip

    # The second increase begins a new one, which passes; from then on there is nothing to undo.
    assert [status for status, _, _ in given] == [403, 200, 200, 200, 403]


def test_an_old_fail_undoes_no_rollout_that_begins_again(tmp_path):
    each = gate("FAIL,PASS", linger_s=0.0)
    other = PAYLOAD | {"checksum": "77aa"}
    hooks = (("confirm-traffic-increase", PAYLOAD), ("rollback", PAYLOAD),
             ("confirm-traffic-increase", other), ("rollback", PAYLOAD))  # fmt: skip
    calls = [("POST", f"/v1/flagger/shop/{hook}", {"json": payload}) for hook, payload in hooks]

    given = answers([each], *calls, out=tmp_path, limits=Limits(1))

    assert [status for status, _, _ in given] == [403, 200, 200, 403]


def asked(given):
    """Return what a scripted check was told to expect."""

    async def act(server, client):
        hints = []
        for path, payload in given:
            async with client.post(path, json=payload):
                pass
            hints.append(json.loads(list(server.desk.sessions)[-1].outcome.hint)["expect"])
        return hints

    return act


def options_of(path):
    """Return with which options a scripted check was begun."""

    async def act(server, client):
        async with client.post(path, json=PAYLOAD):
            return json.loads(next(iter(server.desk.sessions)).outcome.hint)

    return act


def test_hooks_around_a_rollout_ask_that_one_version_answers_alone(tmp_path):
    told = served(
        asked([
            ("/v1/flagger/shop/confirm-rollout", PAYLOAD),
            ("/v1/flagger/shop/rollout", PAYLOAD),
            ("/v1/flagger/shop/post-rollout", {**PAYLOAD, "phase": "Succeeded"}),
            ("/v1/flagger/shop/post-rollout", {**PAYLOAD, "phase": "Failed"}),
        ]),
        gate("PASS"),
        out=tmp_path,
    )  # fmt: skip

    assert told == ["v1=9,v2=0", "v1=9,v2=1", "v1=0,v2=1", "v1=9,v2=0"]


def test_a_cluster_gate_raises_no_weight_that_was_not_weighed(tmp_path):
    """A verdict of one weight says nothing of the next: the weights are part of the key."""
    weights = {"v1": 10, "v2": 0}
    each = gate("PASS,FAIL", is_live=True, canary="v2", options={"look": weights})
    path = "/v1/flagger/shop/confirm-traffic-increase"

    async def act(_server, client):
        told = []
        for canary in (0, 1, 1, 2):
            weights.update(v1=10 - canary, v2=canary)
            async with client.post(path, json=PAYLOAD) as response:
                told.append((response.status, (await response.text()).partition(":")[0]))
            async with client.post(path.replace("confirm-traffic-increase", "rollback"),
                                   json=PAYLOAD) as response:  # fmt: skip
                told.append(response.status)
        return told

    assert served(act, each, out=tmp_path, limits=Limits(1)) == [
        (200, "PASS"), 403,  # weight 0: nothing to weigh, nothing to roll back
        (200, "PASS"), 403,
        (200, "PASS"), 403,
        (403, "FAIL"), 200,
    ]  # fmt: skip


def test_a_roll_out_that_begins_again_is_told_nothing_of_the_one_before(tmp_path):
    weights = {"v1": 9, "v2": 1}
    each = gate("PASS,FAIL", is_live=True, canary="v2", options={"look": weights})

    async def act(_server, client):
        told = []
        for canary in (1, 1, 0, 1):
            weights.update(v1=10 - canary, v2=canary)
            path = "/v1/flagger/shop/confirm-traffic-increase"
            async with client.post(path, json=PAYLOAD) as response:
                told.append((await response.text()).partition(":")[0])
        return told

    assert served(act, each, out=tmp_path, limits=Limits(1)) == ["PASS", "PASS", "PASS", "FAIL"]


@pytest.mark.parametrize("is_long", ["name", "weights"])
def test_what_is_long_is_told_from_what_begins_alike(tmp_path, is_long):
    weights = {f"version-{n}-{'x' * 20}": 1 for n in range(30 if is_long == "weights" else 2)}
    each = gate("PASS,FAIL", is_live=True, options={"look": weights})
    payload = dict(PAYLOAD)

    async def act(_server, client):
        told = []
        for last in ("a", "b"):
            if is_long == "name":
                payload["name"] = "x" * 200 + last
            else:
                weights[list(weights)[-1]] += 1
            path = "/v1/flagger/shop/confirm-traffic-increase"
            async with client.post(path, json=payload) as response:
                told.append(response.status)
        return told

    assert served(act, each, out=tmp_path, limits=Limits(1)) == [200, 403]


@pytest.mark.parametrize("path", ["/v1/argo/shop", "/v1/gates/shop/checks"])
def test_a_cluster_is_asked_about_the_step_that_was_weighed(tmp_path, path):
    options = {"look": {"v1": 5, "v2": 5}, "looks": {"3": {"v1": 9, "v2": 1}}}
    each = gate("PASS,FAIL", is_live=True, options=options)
    calls = [call("POST", path, json={"key": "a", "step": 3})] * 2

    given = answers([each], *calls, out=tmp_path)

    assert [json.loads(text)["verdict"] for _, _, text in given] == ["PASS", "PASS"]


@pytest.mark.parametrize("path", ["/v1/argo/shop", "/v1/gates/shop/checks"])
def test_a_verdict_of_a_cluster_is_repeated_only_while_its_weights_are(tmp_path, path):
    weights = {"v1": 90, "v2": 10}
    each = gate("PASS,FAIL", is_live=True, options={"look": weights})

    async def act(_server, client):
        told = []
        for change in ({}, {}, {"v1": 9, "v2": 1}, {"v1": 8, "v2": 2}, None):
            weights.update(change or {})
            if change is None:
                weights.clear()  # the cluster does not answer
            async with client.post(path, json={"key": "a"}) as response:
                told.append((response.status, (await response.json()).get("verdict")))
        return told

    passed, failed = (200, "PASS"), (200, "FAIL")
    assert served(act, each, out=tmp_path) == [passed, passed, passed, failed, (503, None)]


@pytest.mark.parametrize(
    ("canary", "weights", "hook", "status"),
    [
        # At the end of a roll-out the weight of 0 is that of the stable version.
        ("v2", {"v1": 0, "v2": 10}, "confirm-traffic-increase", 403),
        ("", {"v1": 0, "v2": 10}, "confirm-traffic-increase", 403),
        ("", {"v1": 10, "v2": 0}, "confirm-traffic-increase", 403),
        ("v2", {"v1": 10, "v2": 0}, "confirm-traffic-increase", 200),
        ("v2", {"v1": 10, "v2": 0}, "rollback", 403),
        ("v2", {"v1": 10, "v2": 0}, "rollout", 409),
        # Traffic that is split before the roll-out is what these hooks are to find.
        ("v2", {"v1": 9, "v2": 1}, "pre-rollout", 409),
        ("", {"v1": 9, "v2": 1}, "confirm-rollout", 403),
    ],
)
def test_weights_of_a_cluster_are_taken_for_the_canarys_only_if_they_are(
    tmp_path, canary, weights, hook, status
):
    each = gate("FAIL", is_live=True, canary=canary, options={"look": weights})

    assert answer(each, "POST", f"/v1/flagger/shop/{hook}", tmp_path, json=PAYLOAD)[0] == status


@pytest.mark.parametrize(
    ("shares", "named", "canary"),
    [
        ({"v1": 9, "v2": 1}, "", "v2"),
        ({"v1": 9, "v2": 1}, "v1", "v1"),
        ({"v1": 9, "v2": 1}, "v3", "v2"),
        ({"v1": 5, "v2": 5}, "", "v2"),
        ({"v2": 5, "v1": 5}, "", "v2"),
        ({"v1": 8, "v2": 2, "v0": 0}, "", "v2"),
        ({"v1": 10, "v2": 0}, "", "v2"),
        ({"v1": 10}, "", "v1"),
        ({}, "", ""),
    ],
)
def test_the_canary_is_the_one_whose_health_is_compared(shares, named, canary):
    assert canary_of(shares, named) == canary


def test_versions_are_not_compared_where_one_answers_alone(tmp_path):
    options = {"canary": "v2", "stable": "v1", "max-slowdown": 2, "max-error-ratio": 2}
    each = gate("PASS", canary="v2", options=options)

    for hook, compared in (("pre-rollout", set()), ("rollout", set(options))):
        job = served(options_of(f"/v1/flagger/shop/{hook}"), each, out=tmp_path / hook)
        assert set(options) & set(job) == compared


@pytest.mark.parametrize("permit", [frozenset({"wait"}), frozenset({"wait", "key"})])
def test_nobody_is_told_what_argo_asked_without_a_key(tmp_path, permit):
    """Another Rollout, or a later step, would be promoted for it."""
    each = gate("PASS,FAIL,HANG", permit=permit)
    polls = [call("GET", f"/v1/argo/shop?wait={wait}") for wait in (20, 20, 0.05, 20)]

    given = answers([each], *polls[:3], out=tmp_path, limits=Limits(1))

    documents = [held_to(json.loads(text)) for _, _, text in given]
    assert [each["verdict"] for each in documents] == ["PASS", "FAIL", "PENDING"]
    assert documents[2]["line"].startswith("PENDING: no verdict while this request waited")
    assert len({each["id"] for each in documents}) == 3


def test_a_check_that_nobody_can_ask_for_again_is_ended(tmp_path):
    async def act(_server, client):
        async with client.get("/v1/argo/shop?wait=0.05") as response:
            path = (await response.json())["status_url"]
        async with client.get(f"{path}?wait=25") as response:
            return held_to(await response.json())

    document = served(act, gate("HANG"), out=tmp_path)

    assert (document["verdict"], document["reason"]) == ("INCONCLUSIVE", "without_key")


def test_an_event_is_noted_beside_the_running_session(tmp_path):
    async def act(server, client):
        await client.post("/v1/flagger/shop/rollout",
                          json={**PAYLOAD, "metadata": {"wait": "0"}})  # fmt: skip
        event = {**PAYLOAD, "metadata": {"eventMessage": "<script>alert(1)</script>"}}
        async with client.post("/v1/flagger/shop/event", json=event) as response:
            status = response.status
        async with client.get("/") as page:
            return status, next(iter(server.desk.sessions)).notes, await page.text()

    status, notes, page = served(act, gate("HANG"), out=tmp_path)

    assert status == 202
    assert notes == ["<script>alert(1)</script>"]
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize(
    ("end", "status", "verdict"),
    [
        ("PASS", 200, "PASS"),
        ("FAIL", 200, "FAIL"),
        ("INCONCLUSIVE", 200, "INCONCLUSIVE"),
        ("PENDING", 200, "PENDING"),
        ("UNMEASURABLE", 503, None),
        ("REFUSED", 422, None),
        ("BUG", 500, None),
    ],
)
def test_argo_gets_the_document_while_anything_is_measured(tmp_path, method, end, status, verdict):
    wait = "0.05" if end == "PENDING" else "20"
    path = f"/v1/argo/shop?key=prod/app/7d/2&wait={wait}"

    told, headers, text = answer(gate(words(end)), method, path, tmp_path)

    assert told == status
    if verdict is None:
        held_to(json.loads(text), "Problem")
        assert ("Retry-After" in headers) is (status == 503)
        return
    document = held_to(json.loads(text))
    assert document["verdict"] == headers["Weighbridge-Verdict"] == verdict
    assert document["line"].startswith(f"{verdict}: ")
    assert document["final"] is (verdict != "PENDING")
    assert document["key"] == "prod/app/7d/2"
    assert "Server-Timing" in headers


def test_argo_can_be_told_inconclusive_where_nothing_is_measured(tmp_path):
    each = gate("UNMEASURABLE", is_unmeasurable_error=False)

    status, _, text = answer(each, "GET", "/v1/argo/shop", tmp_path)

    assert (status, json.loads(text)["verdict"]) == (200, "INCONCLUSIVE")
    assert held_to(json.loads(text))["exit_code"] == 4


def test_head_begins_nothing(tmp_path):
    async def act(server, client):
        async with client.head("/v1/argo/shop?key=a") as response:
            return response.status, len(list(server.desk.sessions))

    assert served(act, gate("PASS"), out=tmp_path) == (405, 0)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 200),
        (None, 200),
        ({"expect": "v1=8,v2=2", "key": "a", "wait": 20, "step": 3, "fresh": True}, 200),
        ({"expect": {"v1": 8, "v2": 2}}, 200),
        ({"expect": "v1=8,v1=2"}, 422),
        ({"expect": {"v1": 0}}, 422),
        ({"expect": 5}, 400),
        ({"key": 5}, 400),
        ({"key": "x" * 513}, 400),
        ({"wait": 26}, 400),
        ({"wait": -1}, 400),
        ({"wait": "nan"}, 400),
        ({"wait": 10**400}, 400),
        ({"key": "\ud800"}, 400),
        ({"expect": "\ud800=1,v2=1"}, 400),
        ({"expect": {"v1": float("nan"), "v2": 1}}, 422),
        ({"wait": True}, 400),
        ({"step": -1}, 400),
        ({"step": 1.5}, 400),
        ({"fresh": "perhaps"}, 400),
        ({"unknown": 1}, 400),
        ({"url": "http://169.254.169.254/"}, 403),
        ([], 400),
    ],
)
def test_the_generic_door_reads_what_it_is_told_or_says_what_is_wrong(tmp_path, body, status):
    options = {} if body is None else {"json": body}

    told, _, text = answer(gate("PASS"), "POST", "/v1/gates/shop/checks", tmp_path, **options)

    assert told == status, text
    held_to(json.loads(text), "Session" if status == 200 else "Problem")


@pytest.mark.parametrize("name", ["expect", "step", "key", "wait", "fresh"])
def test_a_gate_permits_what_it_says(tmp_path, name):
    values = {"expect": "v1=1,v2=1", "step": 1, "key": "a", "wait": 1, "fresh": True}
    each = gate("PASS", permit=frozenset(values) - {name})
    path = "/v1/gates/shop/checks"

    assert answer(each, "POST", path, tmp_path, json={name: values[name]})[0] == 403
    del values[name]
    assert answer(each, "POST", path, tmp_path, json=values)[0] == 200


def test_a_check_is_begun_asked_for_and_ended(tmp_path):
    async def act(_server, client):
        path = "/v1/gates/shop/checks"
        async with client.post(path, json={"wait": 0}, headers={"Idempotency-Key": "k"}) as begun:
            first = held_to(await begun.json())
            told = [begun.status, begun.headers["Location"], begun.headers["Retry-After"]]
        async with client.post(path, json={"wait": 0, "key": "k"}) as joined:
            assert (await joined.json())["id"] == first["id"]
        state = f"/v1/checks/{first['id']}"
        async with client.get(f"{state}/report") as early:
            told.append(early.status)
        waiting = asyncio.create_task(client.get(f"{state}?wait=20"))
        for _ in range(2):
            async with client.delete(state) as ended:
                told.append(ended.status)
        async with await waiting as over:
            last = held_to(await over.json())
        for wrong in (f"{state}?wait=x", f"{state}?x=1", "/v1/checks/0123456789abcdef"):
            async with client.get(wrong) as refused:
                told.append(refused.status)
        async with client.delete("/v1/checks/0123456789abcdef") as refused:
            told.append(refused.status)
        return first, told, last

    first, told, last = served(act, gate("HANG"), out=tmp_path)

    assert told == [202, f"/v1/checks/{first['id']}", "5", 409, 202, 202, 400, 400, 404, 404]
    assert first["status_url"] == told[1]
    assert (last["verdict"], last["reason"], last["final"], last["exit_code"]) == (
        "INCONCLUSIVE", "interrupted", True, 3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/v1/gates", 200), ("/v1/argo/shop?key=a", 403)]
)
def test_a_link_on_a_page_of_another_site_begins_no_check(tmp_path, path, status):
    browser = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}

    assert answer(gate("PASS"), "GET", path, tmp_path, headers=browser)[0] == status


def test_keys_that_contradict_each_other_are_refused(tmp_path):
    headers = {"Idempotency-Key": "a"}
    path = "/v1/gates/shop/checks"

    assert (
        answer(gate("PASS"), "POST", path, tmp_path, json={"key": "b"}, headers=headers)[0] == 400
    )


def test_a_full_queue_is_503_for_scripts_and_argo_and_403_for_flagger(tmp_path):
    hang = {"json": {"wait": 0}}
    calls = [
        ("POST", "/v1/gates/shop/checks", hang),
        ("POST", "/v1/gates/shop/checks", hang),
        ("POST", "/v1/gates/shop/checks", hang),
        call("GET", "/v1/argo/shop"),
        ("POST", "/v1/flagger/shop/confirm-traffic-increase", {"json": PAYLOAD}),
    ]

    given = answers([gate("HANG")], *calls, out=tmp_path, limits=Limits(1, 1))

    assert [status for status, _, _ in given] == [202, 202, 503, 503, 403]
    assert (
        json.loads(given[1][2])["line"] == "PENDING: waits for other checks, number 1 of the queue"
    )
    assert [headers.get("Retry-After") for _, headers, _ in given] == ["5", "5", "10", "10", None]


def test_a_weigher_that_dies_costs_its_check_alone(tmp_path):
    calls = [call("POST", "/v1/gates/shop/checks")] * 2

    (first, _, text), (second, _, _) = answers(
        [gate("CRASH")], *calls, out=tmp_path, limits=Limits(1)
    )

    assert (first, second) == (200, 200)
    document = held_to(json.loads(text))
    assert (document["verdict"], document["reason"]) == ("INCONCLUSIVE", "interrupted")


def test_a_server_ends_while_looks_at_a_cluster_wait_for_a_weigher(tmp_path, monkeypatch):
    monkeypatch.setattr(desk, "_DRAINING_S", 0.0)
    live = gate("PASS", is_live=True, options={"look": "HANG"})

    async def act(server, _client):
        seen = await asyncio.gather(*(server.desk.look(live, 0.01) for _ in range(4)))
        await asyncio.wait_for(server.desk.close(), 60)
        return [each.kind for each in seen]

    assert served(act, live, out=tmp_path) == [Kind.UNMEASURABLE] * 4


@pytest.mark.parametrize("word", ["NONSENSE", "GARBLED"])
def test_a_bug_costs_its_check_alone(tmp_path, word):
    """What a check of before still says is never taken for the end of the next one."""
    calls = [call("POST", "/v1/gates/shop/checks")] * 2

    given = answers([gate(f"{word},PASS")], *calls, out=tmp_path, limits=Limits(1))

    assert [status for status, _, _ in given] == [500, 200]
    assert json.loads(given[1][2])["verdict"] == "PASS"


def test_a_process_that_cannot_be_started_now_is_started_later(tmp_path, monkeypatch):
    started = iter([None, OSError("no process"), OSError("no process"), None, None])
    start = Weigher.start

    async def starts(weigher):
        if (trouble := next(started)) is not None:
            raise trouble
        await start(weigher)

    monkeypatch.setattr(Weigher, "start", starts)
    calls = [call("POST", "/v1/gates/shop/checks")] * 2

    given = answers([gate("CRASH,PASS")], *calls, out=tmp_path, limits=Limits(1))

    assert [json.loads(text)["verdict"] for _, _, text in given] == ["INCONCLUSIVE", "PASS"]


def test_another_expectation_takes_the_place_of_manifests(tmp_path):
    options = {"manifests": "k8s", "service": "app", "map": "a=b", "timeout": "1s"}
    path = "/v1/flagger/shop/pre-rollout"

    job = served(options_of(path), gate("PASS", options=options), out=tmp_path)
    assert set(job) == {"url", "timeout", "alpha", "beta", "expect"}
    assert job["expect"] == "v1=9,v2=0"


def test_gates_metrics_and_the_description_are_there(tmp_path):
    paths = ("/v1/gates", "/metrics", "/openapi.json", "/healthz", "/")
    begin = call("POST", "/v1/gates/shop/checks")

    _, gates, metrics, described, health, page = answers(
        [gate("FAIL")], begin, *(call("GET", path) for path in paths), out=tmp_path
    )

    assert json.loads(gates[2])["gates"][0]["weights"] == {"v1": 9, "v2": 1}
    assert 'weighbridge_checks_total{gate="shop",verdict="FAIL"} 1.0' in metrics[2]
    assert 'weighbridge_sessions{state="done"} 1.0' in metrics[2]
    assert json.loads(described[2])["openapi"] == "3.1.0"
    assert health[0] == 200
    assert ">FAIL</td>" in page[2]
    assert "script-src" not in page[1]["Content-Security-Policy"]
    assert "default-src 'none'" in page[1]["Content-Security-Policy"]


def test_the_description_names_every_route_and_no_other(tmp_path):
    async def act(server, _client):
        routes = server._door.app.router.routes()
        return {(route.method.lower(), route.resource.canonical) for route in routes}

    served_routes = served(act, gate("PASS"), out=tmp_path)
    paths = openapi()["paths"]
    told = {
        (method, path)
        for path, each in paths.items()  # type: ignore[attr-defined]
        for method in each
        if method != "parameters"
    }
    shown = {
        (method, path)
        for method, path in served_routes
        if method != "head" and path != "/v1/checks/{id}.html"
    }
    assert shown == told


@pytest.mark.parametrize(
    ("url", "glob", "allowed"),
    [
        ("http://a.shop.svc/x", "http://*.shop.svc/*", True),
        ("http://a.shop.svc:80/x", "http://*.shop.svc/*", True),
        ("http://A.Shop.SVC/x", "http://*.shop.svc/*", True),
        ("http://a.shop.svc:81/x", "http://*.shop.svc/*", False),
        ("https://a.shop.svc/x", "http://*.shop.svc/*", False),
        ("http://evil.example/x.shop.svc/y", "http://*.shop.svc/*", False),
        ("http://evil.example?.shop.svc/", "http://*.shop.svc/*", False),
        ("http://evil.example#.shop.svc/", "http://*.shop.svc/*", False),
        ("http://a.shop.svc@evil.example/", "http://*.shop.svc/*", False),
        ("http://evil.example\\.shop.svc/", "http://*.shop.svc/*", False),
        ("http://evil.example\t.shop.svc/", "http://*.shop.svc/*", False),
        ("http://169.254.169.254/", "http://*.shop.svc/*", False),
        ("http://a.shop.svc/open/../admin", "http://*.shop.svc/open/*", False),
        ("http://a.shop.svc/open/%2E%2e/admin", "http://*.shop.svc/open/*", False),
        ("file:///etc/passwd", "file:///*", False),
        ("gopher://shop/", "gopher://shop/*", False),
        ("http://[::1/", "http://*/*", False),
        ("http:///x", "http://*/*", False),
    ],
)
def test_a_glob_allows_no_host_but_those_it_names(url, glob, allowed):
    assert matches(url, glob) is allowed


def test_a_target_of_the_request_is_weighed_where_it_is_allowed(tmp_path):
    calls = [
        ("POST", "/v1/gates/shop/checks", {"json": {"url": f"http://{host}/FAIL"}})
        for host in ("a.svc", "b.example")
    ]
    argo = call("GET", "/v1/argo/shop?url=http://a.svc/")

    given = answers([gate("PASS")], *calls, argo, out=tmp_path, targets=("http://*.svc/*",))

    assert [status for status, _, _ in given] == [200, 403, 400]
    assert json.loads(given[0][2])["verdict"] == "FAIL"


def test_labels_by_the_thousand_are_not_repeated_to_every_caller():
    report = from_json((REPOSITORY / "tests/stored/first/report.json").read_text(encoding="utf-8"))
    strangers = {f"stranger-{n:04}": 1e-6 * n for n in range(1000)}
    intervals = dict.fromkeys(strangers, (0.0, 0.1))
    seen = replace(
        report.observed,
        shares=report.observed.shares | strangers,
        intervals=report.observed.intervals | intervals,
    )

    told = outcome_of(replace(report, observed=seen))

    for each in (told.observed, told.low, told.high):
        assert each.keys() >= told.expected.keys()
        assert "stranger-0999" in each
        assert len(each) <= len(told.expected) + MOST_LABELS


@given(st.sampled_from(["PASS", "FAIL", "INCONCLUSIVE", "PENDING"]), st.text(max_size=400))
def test_a_line_begins_with_its_verdict_and_is_short_and_inert(verdict, sentence):
    line = line_of(verdict, sentence)

    assert line.startswith(f"{verdict}: ")
    assert len(line) <= LONGEST_LINE
    assert line.isascii()
    assert line.isprintable()
