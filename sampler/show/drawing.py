"""Figures as SVG and PNG: matplotlib's output, made deterministic, safe to embed and readable.

How it works. Figures are drawn in the light theme. In SVG each of its colours becomes a CSS
variable with the colour as its fallback, and a style sheet gives the variables their values in
both colour schemes; the same file is therefore light, dark and printable. Text stays text.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import sys
import tempfile
import warnings
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from analysis.figures import DARK, LIGHT
from analysis.figures.style import styled
from sampler.base.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

_USUAL = (("XDG_CONFIG_HOME", ".config"), ("XDG_CACHE_HOME", ".cache"))
"""Where matplotlib keeps its settings and its list of fonts."""
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_PNG_DPI = 200
_CELL_DPI = 120
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
# What belongs to one label, by its position; whatever stands in such a part does, too.
_OF_A_VERSION = re.compile(r"(?:panel|name|times|p\d+|low|high|cells)-(\d+)")
_FONTS = "'DejaVu Sans', Verdana, sans-serif"


def to_svg(draw: Callable[[], Figure], name: str, title: str, description: str) -> str:
    """Draw a figure as an SVG document.

    Parameters
    ----------
    draw : callable
        Gives the figure, in the light theme.
    name : str
        Prefix of all ids, so that several figures can stand in one page: letters and hyphens.
    title, description : str
        What a screen reader says.

    Returns
    -------
    str
        An ``<svg>`` element without declaration, dates or references to anything outside
        of it. Drawing the same figure again returns the same text.
    """
    _give_room()
    from matplotlib import rc_context  # noqa: PLC0415 - heavy

    buffer = BytesIO()
    settings: Any = {"svg.hashsalt": "weighbridge", "svg.fonttype": "none"}
    with styled(LIGHT), rc_context(settings), warnings.catch_warnings():
        # Labels may be written in scripts that the font has not; a browser has others.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        draw().savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    # Parsed is only what matplotlib has just written.
    root = ET.fromstring(buffer.getvalue())  # noqa: S314
    return _dressed(root, name, title, description)


def to_png(draw: Callable[[], Figure], dpi: float = _PNG_DPI) -> bytes:
    """Draw a figure as PNG, 960 pixels wide by default; the same figure gives the same bytes."""
    _give_room()
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        draw().savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _give_room() -> None:
    """Give matplotlib a folder that it can write to, before it complains on stderr.

    Raises
    ------
    StorageError
        If there is none, as in a container whose file system is read-only.
    """
    if "matplotlib" in sys.modules or "MPLCONFIGDIR" in os.environ or all(map(_is_open, _USUAL)):
        return
    try:
        room = tempfile.mkdtemp(prefix="weighbridge-")
    except OSError as error:
        raise StorageError(
            f"a figure takes a folder for temporary files, and none can be written to: {error}",
            hint="mount one at /tmp, or set TMPDIR; other documents need none",
        ) from error
    os.environ["MPLCONFIGDIR"] = room
    atexit.register(shutil.rmtree, room, ignore_errors=True)


def _is_open(usual: tuple[str, str]) -> bool:
    """Whether matplotlib can write to one of its usual folders, which it makes if need be."""
    variable, default = usual
    folder = Path(os.environ.get(variable) or f"~/{default}").expanduser() / "matplotlib"
    with suppress(OSError, RuntimeError):
        folder.mkdir(parents=True, exist_ok=True)
        return os.access(folder, os.W_OK)
    return False


def showing(figure: Figure) -> Figure:
    """Let a notebook show a figure by itself: pyplot and its backend are not needed for that."""
    figure._repr_png_ = partial(to_png, lambda: figure, _CELL_DPI)  # type: ignore[attr-defined]
    return figure


def _dressed(root: ET.Element, name: str, title: str, description: str) -> str:
    for parent in root.iter():
        for child in [each for each in parent if each.tag.endswith(("}metadata", "}title"))]:
            parent.remove(child)
    colours = _variables()
    for element in root.iter():
        _rewrite(element, name, colours)
    for attribute in ("width", "height"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("id", name)
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    spoken = [ET.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{tag}"}) for tag in ("title", "desc")]
    spoken[0].text, spoken[1].text = title, description
    sheet = ET.Element(f"{{{_SVG}}}style")
    sheet.text = style_sheet(f"#{name}")
    for position, element in enumerate([*spoken, sheet]):
        root.insert(position, element)
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    return ET.tostring(root, encoding="unicode")


def _rewrite(element: ET.Element, name: str, colours: dict[str, str]) -> None:
    """Prefix ids and references to them, and replace colours by variables."""
    for key, value in list(element.attrib.items()):
        new = _REFERENCE.sub(lambda match: f"url(#{name}-{match[1]})", value)
        if key == "id":
            new = f"{name}-{value}"
            if match := _OF_A_VERSION.fullmatch(value):
                element.set("data-version", match[1])
        elif key == f"{{{_XLINK}}}href" and value.startswith("#"):
            new = f"#{name}-{value[1:]}"
        elif key == "style":
            new = re.sub("#[0-9a-f]{6}", lambda match: colours.get(match[0], match[0]), new)
            new = new.replace("'DejaVu Sans'", _FONTS)
        elif key in {"fill", "stroke"} and new in colours:
            # A presentation attribute knows no variables.
            del element.attrib[key]
            element.set("style", f"{element.get('style', '')};{key}: {colours[new]}".strip(";"))
            continue
        element.set(key, new)


def _variables() -> dict[str, str]:
    return {colour: f"var(--wb-{role}, {colour})" for role, colour in LIGHT.roles().items()}


def style_sheet(scope: str) -> str:
    """Return the colours of a figure in both schemes, for the elements that `scope` selects."""
    dark = ";".join(f"--wb-{role}:{colour}" for role, colour in DARK.roles().items())
    light = ";".join(f"--wb-{role}:{colour}" for role, colour in LIGHT.roles().items())
    return f"{scope}{{{light}}}@media screen and (prefers-color-scheme:dark){{{scope}{{{dark}}}}}"
