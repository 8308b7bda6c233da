"""Controllers promote after a PASS alone and fail after a FAIL alone, whatever gets lost.

The controllers are models (`tests.serve.controllers`), the server is real, and its checks are
scripted. What was truly found is read from the scripts, not from the server.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import zlib
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sampler.serve.desk import Limits
from tests.serve.controllers import Analysis, Canary
from tests.serve.serving import gate, serving

FEW = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))

WORDS = st.sampled_from(["PASS", "FAIL", "INCONCLUSIVE", "UNMEASURABLE", "CRASH", "NONSENSE"])
SCRIPTS = st.lists(WORDS, min_size=1, max_size=5).map(",".join)
HUNG = st.sampled_from(["HANG", "INCONCLUSIVE,HANG"])
"""Never decided: each answer is pending."""
TROUBLES = st.lists(st.sampled_from(["", "", "", "lost", "cut", "restart"]), max_size=8)
"""What happens at each call, and nothing after them: the answer is lost, the caller gives up
before it comes, or the server is stopped and started again before it is asked."""

PAYLOAD = {"name": "app", "namespace": "prod", "phase": "Progressing", "checksum": "85d5"}


class World:
    """One gate behind a real server, which may restart, and a network that loses answers."""

    def __init__(self, each, troubles, change=lambda _path, answer: answer):
        self.gate, self.troubles, self.change = each, iter(troubles), change
        self.out = Path(tempfile.mkdtemp())

    async def __aenter__(self):
        self._stack = AsyncExitStack()
        await self._start()
        return self

    async def __aexit__(self, *exception):
        await self._stack.aclose()
        shutil.rmtree(self.out)

    async def _start(self):
        context = serving(self.gate, out=self.out, limits=Limits(2))
        _, self.client = await self._stack.enter_async_context(context)

    async def ask(self, method, path, **options):
        """Call the server; None if no answer arrives."""
        trouble = next(self.troubles, "")
        if trouble == "restart":
            await self._stack.aclose()
            await self._start()
        try:
            async with asyncio.timeout(0.001 if trouble == "cut" else 60):
                async with self.client.request(method, path, **options) as response:
                    answer = response.status, await response.text()
        except TimeoutError:
            return None
        return None if trouble == "lost" else self.change(path, answer)

    def found(self, url):
        """Return what the checks of a target have come to."""
        words = url.rpartition("/")[2].split(",")
        counter = self.out / f"count-{zlib.crc32(url.encode())}"
        begun = counter.stat().st_size if counter.exists() else 0
        return {words[min(number, len(words) - 1)] for number in range(begun)}


def analysed(script, troubles=(), *, linger_s=60.0, old=False, **changes):
    """Run an analysis; give its phase and what was truly found."""
    each = gate(script, linger_s=linger_s)
    metric = Analysis(1, 0, success_limit=0) if old else Analysis(8, 8)
    is_hung = "HANG" in script

    async def run():
        async with World(each, troubles, **changes) as world:
            path = f"/v1/argo/shop?key=prod/app/85d5/1&wait={0.02 if is_hung else 20}"
            phase = await metric.run(lambda where: world.ask("GET", where), path)
            return phase, world.found(each.options["url"])

    return asyncio.run(run())


@FEW
@given(SCRIPTS | HUNG, TROUBLES, st.sampled_from([0.0, 60.0]), st.booleans())
def test_an_analysis_succeeds_after_a_pass_alone_and_fails_after_a_fail_alone(
    script, troubles, linger_s, old
):
    phase, found = analysed(script, troubles, linger_s=linger_s, old=old)

    assert phase in {"Successful", "Failed", "Inconclusive", "Error"}
    assert phase != "Successful" or "PASS" in found
    assert phase != "Failed" or "FAIL" in found


@pytest.mark.parametrize(("script", "phase"), [
    ("PASS,FAIL", "Successful"), ("FAIL,PASS", "Failed"), ("INCONCLUSIVE", "Inconclusive"),
    ("HANG", "Inconclusive"), ("UNMEASURABLE", "Error"), ("CRASH", "Inconclusive"),
])  # fmt: skip
@pytest.mark.parametrize("old", [True, False], ids=["before v1.8", "from v1.8"])
def test_an_analysis_ends_as_its_check_does(script, phase, old):
    assert analysed(script, old=old)[0] == phase
    assert analysed(script, ["lost", "cut", "restart"], old=old)[0] == phase


def as_failure(_path, answer):
    """Answer as a server with two values would: what is not a PASS yet is a failure."""
    status, body = answer
    document = json.loads(body)
    if document.get("verdict") == "PENDING":
        document["line"] = "FAIL: not proven yet"
    return status, json.dumps(document)


def test_a_pending_answer_that_reads_as_a_failure_would_abort_without_a_fail():
    phase, found = analysed("HANG", change=as_failure)

    assert (phase, "FAIL" in found) == ("Failed", False)


def rolled_out(scripts, troubles=(), *, retries=0, linger_s=60.0, **changes):
    """Roll a canary out over the weights 2 and 5 of 10; give it, and what was found at each."""
    urls = {weight: f"http://at-{weight}/{script}" for weight, script in scripts.items()}
    is_hung = any("HANG" in script for script in scripts.values())
    wait = "0.02" if is_hung else "20"
    options: dict[str, object] = {"look": {}}
    each = gate("", is_live=True, canary="v2", linger_s=linger_s, options=options)
    settled = dict(each.options)

    def set_weight(weight):
        settled.update(look={"v1": 10 - weight, "v2": weight}, url=urls.get(weight, "http://none/"))

    object.__setattr__(each, "options", settled)
    canary = Canary(list(scripts), set_weight, retries)
    payload = {**PAYLOAD, "metadata": {"wait": wait}}

    async def run():
        async with World(each, troubles, **changes) as world:
            await canary.run(
                lambda hook: world.ask("POST", f"/v1/flagger/shop/{hook}", json=payload),
                len(troubles) + 8,
            )
            return {weight: world.found(url) for weight, url in urls.items()}

    return canary, asyncio.run(run())


@FEW
@given(SCRIPTS | HUNG, SCRIPTS, TROUBLES, st.integers(0, 2), st.sampled_from([0.0, 60.0]))
def test_a_canary_is_raised_after_a_pass_at_its_weight_and_rolled_back_after_a_fail_alone(
    first, second, troubles, retries, linger_s
):
    canary, found = rolled_out({2: first, 5: second}, troubles, retries=retries, linger_s=linger_s)

    for weight in canary.raised_from:
        assert weight == 0 or "PASS" in found[weight]
    assert canary.phase != "Failed" or any("FAIL" in words for words in found.values())
    assert canary.phase != "Promoting" or canary.raised_from == [0, 2, 5]
    unanswered = troubles.count("lost") + troubles.count("cut")
    assert canary.events.count("") <= unanswered, "whoever looks at the events is told why"


@pytest.mark.parametrize(("first", "second", "phase", "raised"), [
    ("PASS", "PASS", "Promoting", [0, 2, 5]), ("FAIL", "PASS", "Failed", [0]),
    ("PASS", "FAIL", "Failed", [0, 2]), ("INCONCLUSIVE", "PASS", "Progressing", [0]),
    ("HANG", "PASS", "Progressing", [0]), ("CRASH", "FAIL", "Progressing", [0]),
])  # fmt: skip
def test_a_canary_goes_as_far_as_its_checks_say(first, second, phase, raised):
    for troubles in ((), ("", "lost", "lost", "restart")):
        canary, _ = rolled_out({2: first, 5: second}, troubles)
        assert (canary.phase, canary.raised_from) == (phase, raised)


def test_a_pending_answer_that_is_accepted_would_raise_a_canary_without_a_pass():
    def accepted(_path, answer):
        return (202, answer[1]) if answer[1].startswith("PENDING") else answer

    canary, found = rolled_out({2: "HANG", 5: "PASS"}, change=accepted)

    assert "PASS" not in found[2]
    assert canary.phase == "Failed" or canary.raised_from[1:]


def test_a_hook_that_answers_5xx_would_leave_people_without_a_reason():
    def broken(_path, answer):
        return (503, answer[1]) if answer[0] == 403 else answer

    canary, _ = rolled_out({2: "INCONCLUSIVE", 5: "PASS"}, retries=1, change=broken)

    assert not all(canary.events)
