"""The page of a server: its gates and what was weighed at them. It has no script."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from analysis.data.report import Verdict
from analysis.render.page import kind_of, page_style, template_of
from analysis.render.printable import name_of, sentence
from analysis.render.summary import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME_ROOM = 80


@dataclass(frozen=True, slots=True)
class Row:
    """One session.

    Parameters
    ----------
    gate, key : str
    verdict : str
        PASS, FAIL, INCONCLUSIVE or PENDING.
    state : str
        ``queued``, ``running`` or ``done``.
    line : str
        The sentence behind the verdict.
    began : str
        RFC 3339.
    notes : tuple of str
        What was said of it meanwhile.
    state_url, page_url : str
        Where its document is, and its page; no page if empty.
    """

    gate: str
    key: str
    verdict: str
    state: str
    line: str
    began: str
    notes: tuple[str, ...] = ()
    state_url: str = ""
    page_url: str = ""


def page_policy() -> str:
    """Return the Content Security Policy of the page: its own style, and nothing else."""
    digest = b64encode(sha256(page_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def to_html(gates: Sequence[tuple[str, str]], rows: Sequence[Row], version: str) -> str:
    """Render the page.

    Parameters
    ----------
    gates : sequence of (str, str)
        Name, and what is expected, in words.
    rows : sequence of Row
        The newest first.
    version : str
        Of weighbridge.

    Returns
    -------
    str
        HTML 5. What came from strangers is text in it, and nothing else.
    """
    from markupsafe import Markup  # noqa: PLC0415 - as in `analysis.render.page`

    return template_of("gates.html.jinja").render(
        style=Markup(page_style()),  # noqa: S704 - ours, the same in each page
        gates=[(name_of(name, _NAME_ROOM), sentence(expected)) for name, expected in gates],
        rows=[
            replace(
                row,
                gate=name_of(row.gate, _NAME_ROOM),
                key=name_of(row.key, _NAME_ROOM) if row.key else "",
                line=sentence(row.line),
                began=moment(row.began),
                notes=tuple(map(sentence, row.notes)),
            )
            for row in rows
        ],
        kinds={verdict.value: kind_of(verdict) for verdict in Verdict},
        version=version,
    )
