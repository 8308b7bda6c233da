"""Errors of a door as problem documents (RFC 9457)."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping


class Problem(Exception):  # noqa: N818 - the word of the RFC
    """What is wrong with a request, or with the server; ends the request wherever it is raised.

    Parameters
    ----------
    status : int
        400 or above.
    detail : str
        What was expected, and what came.
    hint : str or None
        What to do.
    headers : mapping of str to str or None
        Of the response.
    more : mapping of str to object or None
        Further members of the document.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.hint = hint
        self.headers = headers or {}
        self.more = more or {}

    def response(self) -> web.Response:
        """Return the document."""
        document = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": str(self),
            "hint": self.hint or "",
            **self.more,
        }
        return web.Response(
            status=self.status,
            body=json.dumps(document).encode(),
            content_type="application/problem+json",
            headers=self.headers,
        )
