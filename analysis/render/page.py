"""What all pages share: their frame, style and script, figures, and the chart of shares.

Everything that came from a stranger goes through the template's autoescape; the only markup
that is passed through is that of the figures, which is made from values by our own code. A
page's Content Security Policy forbids everything from elsewhere and every script but one, which
it names by its hash: our own, the same in each page, which reads its texts from a block of JSON.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from analysis.data.report import Verdict
from analysis.render import table
from analysis.render.grid import Span, Tone, largest_share
from analysis.render.printable import hold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Template
    from markupsafe import Markup

SIGNS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.INCONCLUSIVE: "?", None: "·"}
"""What stands before a verdict; None is for what was not judged."""
KINDS = {Tone.GOOD: "pass", Tone.BAD: "fail", Tone.OPEN: "open", Tone.PLAIN: "plain"}
"""Class that colours each tone."""
_PLACES = 4
_OPTION = re.compile(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*")
# What would end the block of JSON, or begin markup in it.
_UNSAFE = {ord(each): f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"}


@dataclass(frozen=True, slots=True)
class Row:
    """What a reading says of one version, or of all.

    Parameters
    ----------
    version : int or None
        Position of the label in the documents; None for what is not of one label.
    texts : tuple of str
        One a place.
    """

    version: int | None
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """Values of a figure at n places along its horizontal axis, as texts.

    Parameters
    ----------
    panel, last : str
        Ids of the first axes, whose width the places refer to, and of the last ones below.
    title : str
        What is chosen by a place.
    at : tuple of float
        The places, as fractions of that width, in [0, 1].
    heads : tuple of str
        Each place in words.
    rows : tuple of Row
    """

    panel: str
    last: str
    title: str
    at: tuple[float, ...]
    heads: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure of a page.

    Parameters
    ----------
    name : str
        Its id in the page, after ``figure-``.
    caption : str
        What is seen, in one sentence.
    svg : str
        An ``<svg>`` element with title and description, passed through as it is.
    reading : Reading or None
        Its values, for a reader whose browser runs scripts.
    is_detail : bool
        Whether it is folded away with the statistics.
    """

    name: str
    caption: str
    svg: str
    reading: Reading | None = None
    is_detail: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """A row of the chart of shares; places are percentages of the chart's width.

    Parameters
    ----------
    label, told : str
        The label, and its share and interval in words.
    kind : str
        Class of its colour.
    share : float or None
        None where nothing was seen.
    interval, accepted : (float, float) or None
        Left end and width.
    expected : float or None
    """

    label: str
    told: str
    kind: str
    share: float | None
    interval: tuple[float, float] | None
    accepted: tuple[float, float] | None
    expected: float | None


def kind_of(verdict: Verdict | None) -> str:
    """Return the class that colours a verdict; without one, nothing is settled."""
    return "open" if verdict is None else KINDS[table.tone_of(verdict)]


def bands_of(
    spans: Sequence[Span], rows: Sequence[tuple[str, str, Tone, float | None]]
) -> tuple[list[Band], str]:
    """Lay out the chart of shares.

    Parameters
    ----------
    spans : sequence of Span
    rows : sequence of (str, str, Tone, float or None)
        For each of them: its label, its share and interval in words, how it is coloured, and the
        share that is expected.

    Returns
    -------
    (list of Band, str)
        The rows, and the share at their right end.
    """
    scale = largest_share(spans)

    def between(ends: tuple[float, float] | None) -> tuple[float, float] | None:
        if ends is None:
            return None
        low, high = (100 * min(max(end, 0.0), scale) / scale for end in ends)
        return round(low, 2), round(max(high - low, 0.4), 2)

    return [
        Band(
            label=label,
            told=told,
            kind=KINDS[tone],
            share=round(100 * span.share / scale, 2),
            interval=between(span.interval),
            accepted=between(span.band),
            expected=None if expected is None else round(100 * expected / scale, 2),
        )
        for span, (label, told, tone, expected) in zip(spans, rows, strict=True)
    ], f"{100 * scale:.3g} %"


def render_page(
    template: str,
    drawings: Sequence[Drawing],
    versions: Sequence[tuple[int, str]],
    *,
    script: str = "page.js",
    styles: Sequence[str] = ("page.css",),
    colours: str = "",
    **values: Any,
) -> str:
    """Render a template with the parts that all pages share: style, script and figures.

    Parameters
    ----------
    template : str
        Name of a template of this package.
    drawings : sequence of Drawing
    versions : sequence of (int, str)
        Labels to choose from: position in the order of the documents, and visible name.
    script : str
        Name of the one script that the page runs.
    styles : sequence of str
        Names of its style sheets.
    colours : str
        Another style sheet, of our own making.
    **values
        What the template shows; escaped there.
    """
    from markupsafe import Markup  # noqa: PLC0415 - few runs need it

    code = _text(script)
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return template_of(template).render(
        # The first three are ours, the same in each page; the last ones are made by our own
        # code from escaped texts: sampler.show.drawing, and `_readings`.
        style=Markup("".join(map(_text, styles)) + colours),  # noqa: S704
        script=Markup(code),  # noqa: S704
        digest=Markup(digest),  # noqa: S704
        readings=Markup(_readings(drawings, versions)),  # noqa: S704
        drawings=[(each, Markup(each.svg)) for each in drawings if not each.is_detail],  # noqa: S704
        details=[(each, Markup(each.svg)) for each in drawings if each.is_detail],  # noqa: S704
        **values,
    )


@cache
def template_of(name: str) -> Template:
    """Return a template of this package; what it shows is escaped."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # noqa: PLC0415 - as above

    environment = Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = _prose
    return environment.get_template(name)


def page_style() -> str:
    """Return the style that all pages share."""
    return _text("page.css")


@cache
def _text(name: str) -> str:
    return files("analysis.render").joinpath(name).read_text(encoding="utf-8")


def _prose(text: str) -> Markup:
    """Set a sentence: numbers stay whole at the end of a line, options can be told apart."""
    from markupsafe import Markup, escape  # noqa: PLC0415 - few runs need it

    # The text is escaped first; what is added holds letters and hyphens only.
    return Markup(_OPTION.sub(r"<code>\g<0></code>", str(escape(hold(text)))))  # noqa: S704


def _readings(drawings: Sequence[Drawing], versions: Sequence[tuple[int, str]]) -> str:
    """Return what the script shows as JSON that cannot end the element around it."""
    figures = [
        {
            "figure": f"figure-{drawing.name}",
            "panel": drawing.reading.panel,
            "last": drawing.reading.last,
            "title": drawing.reading.title,
            "at": [round(place, _PLACES) for place in drawing.reading.at],
            "heads": list(map(hold, drawing.reading.heads)),
            "rows": [
                {"version": row.version, "texts": list(map(hold, row.texts))}
                for row in drawing.reading.rows
            ],
        }
        for drawing in drawings
        if drawing.reading is not None
    ]
    document = {"versions": list(versions), "figures": figures}
    return json.dumps(document, separators=(",", ":"), allow_nan=False).translate(_UNSAFE)
