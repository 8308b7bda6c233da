"""The figures that are kept as images, and how they are drawn for it: 400 pixels wide.

Write them again, and look at each: ``python -m tests.reference.images``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.image import imread
from matplotlib.text import Text

from analysis import Policy, figures
from analysis.data.events import Event
from analysis.figures import DARK, LIGHT
from analysis.figures.style import WIDTH
from analysis.review import trace
from analysis.review.comparison import RunRecord, compare
from tests.recorded import recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from analysis import Batch, Report

FOLDER = Path(__file__).parent / "figures"
DPI = 400 / WIDTH
TWELVE = [f"release-2026.{number}" for number in range(12)]
THEMES = {"light": LIGHT, "dark": DARK}


def cases() -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Yield the name and the drawing of each image."""
    for theme_name, theme in THEMES.items():
        for name, draw in _drawings():
            yield f"{name}-{theme_name}", partial(draw, theme=theme)


def _drawings() -> Iterator[tuple[str, Callable[..., Figure]]]:
    few, many = recorded(["v1", "v2"], [9, 1], replicas=5, lost=0.002), _crowd()
    failed = recorded(["v1", "v2"], [9, 1], expect=[5, 5])
    sticky = recorded(["v1", "v2"], [7, 3], n=600, per_connection=5, lost=0.01)
    events = (
        Event(0.3, "weight", "HTTPRoute shop/checkout: v2 10 %, was 0"),
        Event(0.31, "endpoints", "v2: 1 of 1 endpoints ready, was 0"),
        Event(1.2, "settled", "10 s have passed since the last change"),
    )
    for name, (batch, report) in (("few", few), ("many", many)):
        told = replace(report, events=events)
        yield f"split-{name}", partial(figures.split_over_time, batch, told)
        yield f"replicas-{name}", partial(figures.shares_by_replica, report)
        yield f"times-{name}", partial(figures.response_times, batch, report)
        other = recorded(*_others(name), seed=4)
        renamed = replace(other[1], run=replace(other[1].run, id="other"))
        comparison = compare(RunRecord(report, batch), RunRecord(renamed, other[0]))
        yield f"shares-compared-{name}", partial(figures.shares_compared, comparison)
        yield f"times-compared-{name}", partial(figures.times_compared, comparison)
    for name, (batch, report) in (("few", few), ("many", many), ("failed", failed)):
        traced = trace.trace(batch, report, Policy())
        if traced is not None:
            yield f"evidence-{name}", partial(figures.evidence_over_connections, traced, report)
    yield "split-failed", partial(figures.split_over_time, *failed)
    yield "connections", partial(figures.connections, *sticky)


def _crowd() -> tuple[Batch, Report]:
    """Make a run of 12 versions and 200 replicas."""
    return recorded(TWELVE, [3] * 12, n=3000, replicas=17, lost=0.01)


def _others(name: str) -> tuple[list[str], list[int]]:
    return (["v1", "v2"], [8, 2]) if name == "few" else (TWELVE, list(range(1, 13)))


def draw(make: Callable[[], Figure]) -> tuple[bytes, NDArray[np.bool_]]:
    """Draw a figure as PNG, and say which of its pixels hold no text.

    Letters differ by a hair from one release of FreeType to the next, and legends are as wide
    as their letters; lines, bands and marks do not.
    """
    figure = make()
    figure.set_dpi(DPI)
    figure.canvas.draw()
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    width, height = figure.canvas.get_width_height()
    free = np.ones((height, width), dtype=np.bool_)
    boxes = [text.get_window_extent() for text in figure.findobj(Text) if text.get_text()]
    boxes += [legend.get_window_extent() for legend in figure.legends]
    for box in boxes:
        rows = slice(max(int(height - box.y1) - 3, 0), max(int(height - box.y0) + 4, 0))
        free[rows, max(int(box.x0) - 4, 0) : max(int(box.x1) + 5, 0)] = False
    return buffer.getvalue(), free


def pixels(png: bytes | Path) -> NDArray[np.float64]:
    """Read an image: (height, width, 3) in [0, 255]."""
    source = BytesIO(png) if isinstance(png, bytes) else png
    image: NDArray[np.float64] = np.asarray(imread(source, format="png"), dtype=np.float64)
    return 255 * image[:, :, :3]


def main() -> None:
    """Write all images."""
    FOLDER.mkdir(exist_ok=True)
    for name, make in cases():
        (FOLDER / f"{name}.png").write_bytes(draw(make)[0])
        print(name)


if __name__ == "__main__":
    main()
