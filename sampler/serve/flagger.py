"""Flagger's door: one route for each hook, since the payload does not name it.

The controller takes 200 and 202 as yes. From 500 on, and at 429, it may ask again and the text is
lost; so every other answer here is 403 or 409, with one line that it shows in its events.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from aiohttp import web

from analysis import Split
from sampler.serve.gates import Ask, is_alone
from sampler.serve.outcome import Kind, Outcome, line_of
from sampler.serve.replies import settled
from sampler.serve.requests import (
    LONGEST_KEY,
    LOOK_S,
    Asked,
    asked_of,
    gate_of,
    json_of,
    session_of,
)
from sampler.web.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sampler.serve.desk import Desk
    from sampler.serve.gates import Gate
    from sampler.serve.sessions import Session

WAIT_S = 5.0
"""Half of the controller's timeout: hooks of a canary are called one after another [s]."""
_LOG = logging.getLogger("weighbridge.web")


@dataclass(frozen=True, slots=True)
class Codes:
    """What a hook answers: to each verdict, while there is none, and where nothing is measured."""

    passed: int
    failed: int
    inconclusive: int
    pending: int
    unmeasured: int


HOOKS: Mapping[str, Codes] = {
    "confirm-rollout": Codes(200, 403, 403, 403, 403),
    "pre-rollout": Codes(200, 409, 409, 409, 409),
    "rollout": Codes(200, 409, 409, 409, 409),
    "confirm-traffic-increase": Codes(200, 403, 403, 403, 403),
    "confirm-promotion": Codes(200, 403, 403, 403, 403),
    "rollback": Codes(403, 200, 403, 403, 403),
    "post-rollout": Codes(200, 409, 409, 202, 409),
    "event": Codes(202, 202, 202, 202, 202),
}
_STAGES = {"confirm-rollout": "before", "pre-rollout": "before", "post-rollout": "after"}
"""Hooks around a roll-out; those of a step share one session, and what was seen before the
roll-out says nothing of what is there after it."""
_OVERRIDES = frozenset({"expect", "step", "wait", "fresh"})
"""What ``metadata`` of a Canary may say, where the gate permits it; the rest is for others."""


class Flagger:
    """The door.

    Parameters
    ----------
    desk : Desk
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def add_to(self, app: web.Application) -> None:
        """Add the routes of this door; Flagger sends no headers, so a token may end the path."""
        app.router.add_post("/v1/flagger/{gate}/{hook}", self._answer)
        app.router.add_post("/v1/flagger/{gate}/{hook}/{token}", self._answer)

    async def _answer(self, request: web.Request) -> web.Response:
        hook = request.match_info["hook"]
        codes = HOOKS.get(hook)
        if codes is None:
            return _text(403, f"there is no hook of this name, only {', '.join(HOOKS)}")
        try:
            gate = gate_of(request, self._desk)
            payload = await json_of(request)
            return await self._hook(hook, codes, gate, payload)
        except Problem as problem:
            return _text(codes.unmeasured, f"INCONCLUSIVE: {problem}")
        except Exception:  # noqa: BLE001 - a 500 would be asked again, and say nothing
            _LOG.exception("a bug in weighbridge")
            return _text(codes.unmeasured, "INCONCLUSIVE: this is a bug in weighbridge")

    async def _hook(
        self, hook: str, codes: Codes, gate: Gate, payload: Mapping[str, Any]
    ) -> web.Response:
        metadata = payload.get("metadata")
        said = metadata if isinstance(metadata, dict) else {}
        where = f"{_part(payload, 'namespace')}/{_part(payload, 'name')}"
        if hook == "event":
            self._desk.sessions.note(gate, where, str(said.get("eventMessage", ""))[:500])
            return _text(202, "noted")
        given = {name: said[name] for name in said if name in _OVERRIDES}
        weights = await self._weights(gate, given)
        if isinstance(weights, Outcome):
            return _text(codes.unmeasured, weights.line)
        if gate.is_live:
            if weights.get(gate.canary) == 0:
                self._desk.sessions.start_over(gate, where)
            settled_already = _without_weighing(hook, codes, gate, weights)
            if settled_already is not None:
                return settled_already
        else:
            weights = _expected(hook, payload, weights, gate.canary_of(weights))
            given["expect"] = _as_text(weights)
        place = f"{where}/{_part(payload, 'checksum')}/{_STAGES.get(hook, 'step')}"
        asked = _asked(gate, given, place, weights)
        session = self._present(hook, gate, asked)
        await settled(self._desk, session, asked)
        return self._told(hook, codes, session)

    async def _weights(self, gate: Gate, given: dict[str, Any]) -> Mapping[str, int] | Outcome:
        """Return the weights of the present step: of the cluster, the request, or the gate."""
        if gate.is_live:
            return await self._desk.look(gate, LOOK_S, asked_of(gate, given).ask.step)
        if "expect" in given:
            ask = asked_of(gate, {"expect": given["expect"]}).ask
            return Split.parse(ask.expect).weight_of
        if not gate.weights:
            raise Problem(400, f"gate {gate.name} expects no split of its own")
        return gate.weights

    def _present(self, hook: str, gate: Gate, asked: Asked) -> Session:
        """Return the session of the step; `rollback` is told a FAIL for as long as that goes on."""
        last = self._desk.sessions.latest(gate, asked.ask)
        if hook == "rollback" and last is not None and _is_failed(last):
            return last
        return session_of(self._desk, gate, asked)

    def _told(self, hook: str, codes: Codes, session: Session) -> web.Response:
        outcome = session.outcome
        if outcome is None:
            progress = session.progress
            line = line_of("PENDING", "not decided yet") if progress is None else progress.line
            return _text(codes.pending, line)
        if outcome.kind is not Kind.MEASURED:
            return _text(codes.unmeasured, outcome.line)
        if outcome.verdict == "PASS":
            return _text(codes.passed, outcome.line)
        if outcome.verdict == "FAIL":
            return _text(codes.failed, outcome.line)
        gate = session.gate
        if hook == "rollout" and gate.goes_on and outcome.connections:
            return _text(200, outcome.line)
        if hook == "rollback" and self._has_lasted(session):
            return _text(200, outcome.line)
        return _text(codes.inconclusive, outcome.line)

    def _has_lasted(self, session: Session) -> bool:
        """Whether a step has been INCONCLUSIVE for longer than its gate allows."""
        limit_s = session.gate.fail_after_s
        lasted_s = self._desk.sessions.undecided_s(session)
        return limit_s is not None and lasted_s is not None and lasted_s >= limit_s


def _asked(gate: Gate, given: Mapping[str, Any], place: str, weights: Mapping[str, int]) -> Asked:
    """Return what a hook asks for; its key is the object, what is rolled out, and the weights."""
    told = {name: value for name, value in given.items() if name in gate.permit or name == "expect"}
    expect = told.pop("expect", "")
    asked = asked_of(gate, told | {"expect": ""} if gate.is_live else told, WAIT_S)
    step = _as_text(weights) if gate.is_live else expect
    key = f"{place}/{step}"
    if len(key) > LONGEST_KEY:
        key = f"{place}/{sha256(step.encode()).hexdigest()}"
    ask = Ask(key, expect, asked.ask.step, is_alone=is_alone(weights))
    return Asked(ask, asked.wait_s, asked.is_fresh)


def _without_weighing(
    hook: str, codes: Codes, gate: Gate, weights: Mapping[str, int]
) -> web.Response | None:
    """Return what the weights of a cluster say by themselves; None if it has to be weighed.

    Only a canary that the gate names is known to be the one whose weight is 0: at the end of a
    roll-out, that is the stable version. Without a name the split is weighed as it is.
    """
    if _STAGES.get(hook) == "before" and not is_alone(weights):
        return _text(
            codes.failed, line_of("FAIL", f"traffic is set to {_as_text(weights)} already")
        )
    if gate.canary not in weights or weights[gate.canary]:
        return None
    if hook == "confirm-traffic-increase":
        return _text(200, line_of("PASS", f"the weight of {gate.canary} is 0"))
    if hook == "rollback":
        return _text(403, "PENDING: the canary gets no traffic yet")
    return None


def _expected(
    hook: str, payload: Mapping[str, Any], weights: Mapping[str, int], canary: str
) -> Mapping[str, int]:
    """Return the split that a hook asks about.

    Before a roll-out the canary must not answer. After one that succeeded, the primary runs what
    was the canary, so its label has all traffic; after one that failed, it must be gone.
    """
    stage = _STAGES.get(hook)
    if stage == "before" or (stage == "after" and payload.get("phase") != "Succeeded"):
        without = {label: 0 if label == canary else n for label, n in weights.items()}
        return without if any(without.values()) else weights
    if stage == "after":
        return {label: int(label == canary) for label in weights}
    return weights


def _as_text(weights: Mapping[str, int]) -> str:
    return ",".join(f"{label}={n}" for label, n in weights.items())


def _part(payload: Mapping[str, Any], name: str) -> str:
    """Return a text of the payload as a part of a key: without a slash, as long as names are."""
    value = payload.get(name)
    return str(value).replace("/", "-")[:253] if isinstance(value, str | int) else "-"


def _is_failed(session: Session) -> bool:
    """Whether a session has failed the step at which its object still is."""
    outcome = session.outcome
    if outcome is None or session.is_past:
        return False
    return outcome.kind is Kind.MEASURED and outcome.verdict == "FAIL"


def _text(status: int, line: str) -> web.Response:
    verdict = line.partition(":")[0]
    headers = {"Weighbridge-Verdict": verdict} if verdict.isupper() else {}
    return web.Response(status=status, text=line + "\n", headers=headers)
