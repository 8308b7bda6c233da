"""One look for all figures: colours, type, sizes.

Figures are drawn 4.8 inches wide with type of 9 points, so that they can still be read when
they are shown 400 pixels wide, and on paper. Colours are those of Okabe and Ito (2008), which
people with any colour vision tell apart; shape, line style or position always says the same.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from numpy.typing import NDArray

WIDTH = 4.8
"""Width of a figure [inch]."""
LEFT, RIGHT = 0.62, 0.14
"""Margins of the axes [inch]."""
FONT = 9.0
SMALL = 8.0
LINE_STYLES = ("-", "--", "-.", ":")


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours by what they are for, as ``#rrggbb``; no two of a theme are the same.

    Parameters
    ----------
    paper, ink, quiet, grid, accepted, failed, unlabelled : str
        Background; text and lines; secondary text; grid; accepted band; failed requests;
        answers without a label.
    series : tuple of str
        Colours of the labels, in their order.
    """

    paper: str
    ink: str
    quiet: str
    grid: str
    accepted: str
    failed: str
    unlabelled: str
    series: tuple[str, ...]

    def colour(self, position: int) -> str:
        """Colour of a label by its position; they repeat with another line style."""
        return self.series[position % len(self.series)]

    def roles(self) -> dict[str, str]:
        """Colour by name of its role; the series are ``series-0`` and so on."""
        named = {
            name: getattr(self, name)
            for name in ("paper", "ink", "quiet", "grid", "accepted", "failed", "unlabelled")
        }
        return named | {f"series-{position}": each for position, each in enumerate(self.series)}


LIGHT = Theme(
    paper="#ffffff",
    ink="#1f2328",
    quiet="#57606a",
    grid="#dde2e7",
    accepted="#e9edf0",
    failed="#b42318",
    unlabelled="#8a93a0",
    series=("#0072b2", "#d55e00", "#007f5c", "#b0578d", "#2e96d6", "#b97f00"),
)
DARK = Theme(
    paper="#10151b",
    ink="#e6eaee",
    quiet="#a3adb8",
    grid="#2c343d",
    accepted="#232b34",
    failed="#ff8a7a",
    unlabelled="#7b8694",
    series=("#56b4e9", "#f08a3c", "#2fc39a", "#dd8fbf", "#8fcdf5", "#e6b422"),
)


@contextmanager
def styled(theme: Theme) -> Iterator[None]:
    """Draw in this look; text is never read as mathematics, whatever a label holds."""
    from matplotlib import rc_context  # noqa: PLC0415 - heavy
    from matplotlib.rcsetup import cycler  # noqa: PLC0415

    settings: Any = {
        "font.family": ["DejaVu Sans"],
        "font.size": FONT,
        "axes.edgecolor": theme.quiet,
        "axes.facecolor": "none",
        "axes.labelcolor": theme.quiet,
        "axes.labelsize": SMALL,
        "axes.linewidth": 0.6,
        "axes.prop_cycle": cycler(color=theme.series),
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": False,
        "figure.facecolor": theme.paper,
        "figure.edgecolor": "none",
        "grid.color": theme.grid,
        "grid.linewidth": 0.6,
        "hatch.linewidth": 0.6,
        "legend.fontsize": SMALL,
        "legend.frameon": False,
        "legend.labelcolor": theme.ink,
        "text.color": theme.ink,
        "text.parse_math": False,
        "text.usetex": False,
        "xtick.color": theme.quiet,
        "xtick.labelsize": SMALL,
        "xtick.major.width": 0.6,
        "ytick.color": theme.quiet,
        "ytick.labelsize": SMALL,
        "ytick.major.width": 0.6,
    }
    with rc_context(settings):
        yield


class Sheet:
    """A figure that is laid out from the top down, in inches.

    Parameters
    ----------
    height : float
        Of the whole figure [inch].
    """

    def __init__(self, height: float) -> None:
        from matplotlib.figure import Figure  # noqa: PLC0415 - heavy

        self.figure: Figure = Figure(figsize=(WIDTH, height))
        self.height = height

    def axes(self, top: float, height: float, *, left: float = LEFT, share: Any = None) -> Axes:
        """Add axes whose upper edge lies `top` inches below that of the figure."""
        rectangle = (
            left / WIDTH,
            1 - (top + height) / self.height,
            (WIDTH - left - RIGHT) / WIDTH,
            height / self.height,
        )
        return self.figure.add_axes(rectangle, sharex=share)

    def text(self, left: float, top: float, text: str, **style: Any) -> Text:
        """Write a line whose upper edge lies `top` inches below that of the figure."""
        return self.figure.text(
            left / WIDTH, 1 - top / self.height, text, va="top", **({"ha": "left"} | style)
        )

    def legend(self, top: float, handles: list[Any], *, columns: int) -> None:
        """Explain the marks, in columns below `top`."""
        self.figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(0.08 / WIDTH, 1 - top / self.height),
            ncols=columns,
            borderaxespad=0.0,
            columnspacing=1.2,
            handlelength=1.8,
        )


def boxes(
    axes: Axes,
    left: NDArray[Any],
    right: NDArray[Any],
    bottom: NDArray[Any],
    top: NDArray[Any],
    **style: Any,
) -> None:
    """Draw n rectangles as one path: a few bytes each in a file, instead of an element.

    Parameters
    ----------
    axes : Axes
    left, right, bottom, top : (n,) float
        Edges, in the coordinates of the axes.
    **style
        Of the patch.
    """
    from matplotlib.patches import PathPatch  # noqa: PLC0415 - heavy
    from matplotlib.path import Path  # noqa: PLC0415

    corners = np.stack(
        [np.stack([x, y], axis=-1) for x in (left, right) for y in (bottom, top)], axis=1
    ).astype(np.float64)
    # Around, and back to the first corner, where the rectangle is closed.
    around = corners[:, [0, 2, 3, 1, 0]].reshape(-1, 2)
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(corners)
    axes.add_patch(PathPatch(Path(around, codes), **({"lw": 0} | style)))


def log_times(axes: Axes, low: float, high: float) -> None:
    """Make the horizontal axis one of times, logarithmic, with steps between few decades.

    Parameters
    ----------
    axes : Axes
    low, high : float
        Least and greatest time that is drawn [ms].
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: PLC0415 - heavy

    axes.set_xscale("log")
    decades = np.log10(high / low)
    # Few decades need the steps between them; many would crowd with them.
    steps = (1, 1.5, 2, 3, 5, 7) if decades < 1 else (1, 2, 5) if decades < 3 else (1,)
    axes.xaxis.set_major_locator(LogLocator(10, subs=steps))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    axes.set_xlabel("ms, from when a request was due to its last byte")


def finish(figure: Figure) -> Figure:
    """Make sure that no text of the figure is read as mathematics later, in a notebook too."""
    from matplotlib.text import Text  # noqa: PLC0415 - heavy

    for text in figure.findobj(Text):
        if isinstance(text, Text):
            text.set_parse_math(False)
    return figure


def percent(share: float) -> str:
    """Write a tick: a share in [0, 1] as percent, without needless zeros."""
    return f"{100 * share:.4g} %"
