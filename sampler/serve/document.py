"""The document of a session, ``weighbridge.gate/1``: flat, and of one type in each place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sampler.base.version import __version__
from sampler.serve.outcome import Outcome, line_of
from sampler.serve.sessions import Session, State

if TYPE_CHECKING:
    from sampler.serve.sessions import Sessions

SCHEMA = "weighbridge.gate/1"
RETRY_AFTER_S = 5
PENDING = "PENDING"
_AS_TOLD = (
    "verdict",
    "line",
    "reason",
    "hint",
    "expected",
    "observed",
    "low",
    "high",
    "connections",
)


def document_of(session: Session, sessions: Sessions) -> dict[str, Any]:
    """Return the document of a session as it stands.

    Every field is present in every document, with one type; only numbers may be null. The verdict
    of a session that is not over is PENDING, and INCONCLUSIVE is always final.
    """
    is_final = session.state is State.DONE
    told = session.outcome if is_final else session.progress
    if told is None or (session.stopped and not is_final):
        told = Outcome(PENDING, "", line_of(PENDING, _waits(session, sessions)))
    weights = session.gate.weights
    canary = told.canary or session.gate.canary_of(weights)
    path = f"/v1/checks/{session.id}"
    return {
        "schema": SCHEMA,
        "gate": session.gate.name,
        "key": session.key,
        "id": session.id,
        "state": session.state.value,
        "final": is_final,
        **{name: getattr(told, name) for name in _AS_TOLD},
        "elapsed_s": round(told.elapsed_s, 3),
        "canary": canary,
        "canary_share": told.observed.get(canary),
        "exit_code": int(told.exit_code) if is_final else None,
        "retry_after_s": 0 if is_final else RETRY_AFTER_S,
        "status_url": path,
        "report": f"{path}/report" if session.run else "",
        "run": session.run,
        "version": __version__,
    }


def _waits(session: Session, sessions: Sessions) -> str:
    if session.stopped:
        return session.why_stopped
    if session.state is State.RUNNING:
        return "the check has begun"
    return f"waits for other checks, number {sessions.position(session)} of the queue"
