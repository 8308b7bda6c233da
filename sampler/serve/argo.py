"""The door of Argo Rollouts: the ``web`` provider, and Kargo's verification through it.

The controller takes 2xx as a measurement and everything else as an error, five of which in a row
end the analysis. So the answer is 200 with the document while anything could be measured; a
verdict that is not reached is neither of its two conditions, which is Inconclusive there.

Nothing but its key tells a request from that of another Rollout, or of an earlier step. One without
a key gets a check of its own, which ends when its wait does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.serve.outcome import Kind
from sampler.serve.replies import reply, require_measured, settled
from sampler.serve.requests import asked_of, current_session_of, gate_of, json_of
from sampler.serve.sessions import WITHOUT_KEY

if TYPE_CHECKING:
    from aiohttp import web

    from sampler.serve.desk import Desk


class Argo:
    """The door.

    Parameters
    ----------
    desk : Desk
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def add_to(self, app: web.Application) -> None:
        """Add the routes of this door. HEAD is none of them: it would begin a check unasked."""
        for method in ("GET", "POST", "PUT"):
            app.router.add_route(method, "/v1/argo/{gate}", self._answer)

    async def _answer(self, request: web.Request) -> web.Response:
        """Answer at once if the verdict is there, else when it is, or when the wait is over.

        GET, the provider's default, may begin a check although it is no pure read: requests with
        one key share it.
        """
        gate = gate_of(request, self._desk)
        given = await json_of(request) | dict(request.query)
        asked = asked_of(gate, given)
        session = await current_session_of(self._desk, gate, asked)
        headers = await settled(self._desk, session, asked)
        if not session.key:
            self._desk.sessions.stop(session, WITHOUT_KEY)
        outcome = session.outcome
        is_unmeasurable = outcome is not None and outcome.kind is Kind.UNMEASURABLE
        if gate.is_unmeasurable_error or not is_unmeasurable:
            require_measured(session)
        return reply(self._desk, session, 200, headers)
