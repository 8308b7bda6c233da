"""What a request says beside its gate: read, checked, and held against what the gate permits."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from math import isclose
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from analysis import Split
from analysis.data.errors import InputError
from sampler.serve.gates import MOST_WAIT_S, OVERRIDES, Ask, is_alone
from sampler.serve.outcome import Kind, Outcome
from sampler.serve.sessions import QueueFullError
from sampler.web.door import read_body
from sampler.web.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp import web

    from sampler.serve.desk import Desk
    from sampler.serve.gates import Gate
    from sampler.serve.sessions import Session

LONGEST_KEY = 512
LOOK_S = 5.0
"""How long a cluster may take to tell its weights while a caller waits [s]."""
_LONGEST_EXPECT = 8192
_YES, _NO = frozenset({"true", "1", "yes", True}), frozenset({"false", "0", "no", "", False})


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for.

    Parameters
    ----------
    ask : Ask
    wait_s : float
        How long the answer may be held back until the verdict [s].
    is_fresh : bool
        Whether a verdict that was reached before will not do.
    """

    ask: Ask
    wait_s: float
    is_fresh: bool = False


def gate_of(request: web.Request, desk: Desk) -> Gate:
    """Return the gate that the path names.

    Raises
    ------
    Problem
        404 if there is none.
    """
    name = request.match_info["gate"]
    gate = desk.gates.get(name)
    if gate is None:
        raise Problem(404, "there is no gate of this name", "GET /v1/gates lists them")
    return gate


async def json_of(request: web.Request) -> dict[str, Any]:
    """Return the body as an object; empty if there is none.

    Raises
    ------
    Problem
        400 if it is something else.
    """
    data = await read_body(request)
    if not data.strip():
        return {}
    try:
        document = json.loads(data)
        _require_text(json.dumps(document, ensure_ascii=False))
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise Problem(400, f"expected an object, got {type(document).__name__}")
    return document


def _require_text(given: str) -> None:
    """Refuse halves of characters, which no file and no page can hold."""
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise Problem(400, "expected text in UTF-8, got half of a surrogate pair") from error


def asked_of(
    gate: Gate,
    given: Mapping[str, Any],
    default_wait_s: float = 8.0,
    targets: Sequence[str] | None = None,
) -> Asked:
    """Return what a request asks for.

    Parameters
    ----------
    gate : Gate
    given : mapping of str to object
        What it says beside the gate, from its query or body.
    default_wait_s : float
        How long it is held if it does not say [s].
    targets : sequence of str or None
        Globs of URLs that it may name; None knows no URL at all.

    Raises
    ------
    Problem
        400 if it cannot be understood, 403 if the gate does not permit it, 422 if what is expected
        contradicts itself.
    """
    known = OVERRIDES if targets is None else (*OVERRIDES, "url")
    for name in given:
        if name not in known:
            raise Problem(400, f"{_shown(name)} is unknown", f"one of {', '.join(known)}")
        if name in OVERRIDES and name not in gate.permit:
            raise Problem(403, f"gate {gate.name} does not permit {name}")
    ask = Ask(
        key=_text("key", given.get("key", ""), LONGEST_KEY),
        expect=_expect(gate, given.get("expect", "")),
        step=_step(given.get("step")),
        url=_url(given.get("url", ""), targets or ()),
    )
    if ask.expect:
        ask = replace(ask, is_alone=is_alone(Split.parse(ask.expect).weight_of))
    return Asked(ask, wait_of(given.get("wait", default_wait_s)), _flag(given.get("fresh", False)))


async def current_session_of(desk: Desk, gate: Gate, asked: Asked) -> Session:
    """Return the session that answers; of a cluster, it is about the weights of this moment.

    Raises
    ------
    Problem
        As `session_of`; 503 if the cluster cannot be asked whether a verdict is to be repeated.
    """
    last = desk.sessions.latest(gate, asked.ask)
    if gate.is_live and last is not None and last.outcome is not None and not asked.is_fresh:
        weights = await desk.look(gate, LOOK_S, asked.ask.step)
        if isinstance(weights, Outcome):
            raise Problem(503, weights.line, weights.hint, {"Retry-After": "5"})
        asked = replace(asked, is_fresh=not _is_about(last.outcome, weights))
    return session_of(desk, gate, asked)


def _is_about(outcome: Outcome, weights: Mapping[str, int]) -> bool:
    """Whether an outcome is about the split that these weights are; what measured none is."""
    if outcome.kind is not Kind.MEASURED:
        return True
    total = sum(weights.values()) or 1
    shares = {label: n / total for label, n in weights.items()}
    labels = shares.keys() | outcome.expected.keys()
    return all(isclose(shares.get(x, 0), outcome.expected.get(x, 0)) for x in labels)


def session_of(desk: Desk, gate: Gate, asked: Asked) -> Session:
    """Return the session that answers; parameters are those of `Desk.ask`.

    Raises
    ------
    Problem
        503 if the queue is full, or the server ends.
    """
    try:
        return desk.ask(gate, asked.ask, is_fresh=asked.is_fresh)
    except QueueFullError as error:
        why = "the server ends" if desk.sessions.is_ending else "too many checks wait already"
        raise Problem(503, why, "ask again later", {"Retry-After": "10"}) from error


def _expect(gate: Gate, given: object) -> str:
    if given == "":
        if not (gate.weights or gate.is_live or gate.watch):
            raise Problem(
                400, f"gate {gate.name} expects no split of its own", "say expect=v1=9,v2=1"
            )
        return ""
    if gate.watch:
        raise Problem(403, f"what gate {gate.name} expects is said by its watch")
    if gate.is_live:
        raise Problem(403, f"gate {gate.name} reads what is expected from the cluster")
    text = json.dumps(given) if isinstance(given, dict) else given
    text = _text("expect", text, _LONGEST_EXPECT)
    try:
        Split.parse(text)
    except InputError as error:
        raise Problem(422, f"expect: {error}", "write v1=9,v2=1") from error
    return text


def _text(name: str, given: object, longest: int) -> str:
    if not isinstance(given, str):
        raise Problem(400, f"{name} must be text")
    _require_text(given)
    if len(given) > longest:
        raise Problem(400, f"{name} has {len(given)} characters, of at most {longest}")
    return given


def _step(given: object) -> int | None:
    if given is None:
        return None
    text = str(given)
    if isinstance(given, bool) or not (text.isascii() and text.isdecimal()) or len(text) > 6:
        raise Problem(400, "step must be a whole number from 0")
    return int(text)


def wait_of(given: object) -> float:
    """Return how long an answer may be held back [s].

    Raises
    ------
    Problem
        400 if it is no number of seconds that may be.
    """
    try:
        seconds = float(given) if isinstance(given, str | int | float) else -1.0
    except (ValueError, OverflowError):
        seconds = -1.0
    if isinstance(given, bool) or not 0 <= seconds <= MOST_WAIT_S:
        raise Problem(400, f"wait must be seconds from 0 to {MOST_WAIT_S:g}")
    return seconds


def _flag(given: object) -> bool:
    value = given.lower() if isinstance(given, str) else given
    if isinstance(value, str | bool) and value in _YES | _NO:
        return value in _YES
    raise Problem(400, "fresh must be true or false")


def _url(given: object, targets: Sequence[str]) -> str:
    url = _text("url", given, 2048)
    if url and not any(matches(url, glob) for glob in targets):
        raise Problem(403, "this target is not allowed", "serve --allow-target GLOB allows some")
    return url


def matches(url: str, glob: str) -> bool:
    """Whether a URL is one of those that a glob allows.

    Scheme, host, port and path are compared each by itself: a star in the host is never part of a
    path, and nothing before an @ passes for a host.
    """
    try:
        parts, allowed = urlsplit(url), urlsplit(glob)
        ports = (parts.port, allowed.port)
    except ValueError:
        return False
    if "@" in parts.netloc or "\\" in url or any(ord(each) <= 0x20 for each in url):
        return False
    if not {".", ".."}.isdisjoint(unquote(parts.path).split("/")):
        return False  # leads out of the path that it seems to be in
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return (
        default is not None
        and parts.scheme == allowed.scheme
        and bool(parts.hostname)
        and fnmatchcase(parts.hostname or "", (allowed.hostname or "").lower())
        and (ports[0] or default) == (ports[1] or default)
        and fnmatchcase(parts.path or "/", allowed.path or "/")
    )


def _shown(name: str) -> str:
    return repr(name[:40])
