"""Sessions as responses: the document, or the problem that stands in its place."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sampler.serve.document import RETRY_AFTER_S, document_of
from sampler.serve.outcome import Kind
from sampler.serve.sessions import State
from sampler.web.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sampler.serve.desk import Desk
    from sampler.serve.requests import Asked
    from sampler.serve.sessions import Session

_STATUSES = {Kind.UNMEASURABLE: 503, Kind.REFUSED: 422, Kind.BUG: 500}


async def settled(desk: Desk, session: Session, asked: Asked) -> dict[str, str]:
    """Wait for a session as long as was asked; return the headers that say how long it took."""
    began = time.monotonic()
    await desk.wait(session, asked.wait_s)
    return {"Server-Timing": f"wait;dur={(time.monotonic() - began) * 1000:.1f}"}


def json_response(
    document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return JSON in ASCII."""
    body = json.dumps(document).encode() + b"\n"
    return web.Response(
        status=status, body=body, content_type="application/json", headers=headers or {}
    )


def reply(
    desk: Desk, session: Session, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return the document of a session."""
    document = document_of(session, desk.sessions)
    named = {"Weighbridge-Verdict": document["verdict"], **(headers or {})}
    return json_response(document, status, named)


def require_measured(session: Session) -> None:
    """Refuse to call a session a verdict that measured nothing.

    Raises
    ------
    Problem
        503 if nothing could be measured, 422 if the check was refused, 500 if it ended by a bug.
    """
    outcome = session.outcome
    if session.state is not State.DONE or outcome is None or outcome.kind is Kind.MEASURED:
        return
    status = _STATUSES[outcome.kind]
    again = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
    raise Problem(
        status,
        outcome.line.partition(": ")[2] or outcome.line,
        outcome.hint,
        again,
        {"id": session.id, "status_url": f"/v1/checks/{session.id}"},
    )
