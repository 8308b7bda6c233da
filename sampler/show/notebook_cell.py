"""A run as a notebook shows it."""

from __future__ import annotations

import re
from functools import partial
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis import Batch, Report


def to_cell(report: Report, batch: Batch) -> str:
    """Render a run for a notebook: the verdict, why, and the split over time.

    Parameters
    ----------
    report : Report
    batch : Batch
        All samples of the run; without one there is no figure.
    """
    from analysis.figures import split_over_time  # noqa: PLC0415 - matplotlib
    from analysis.render import summary  # noqa: PLC0415 - a notebook asks for it
    from analysis.review.classical import classical_test  # noqa: PLC0415 - likewise
    from sampler.show.drawing import to_svg  # noqa: PLC0415 - matplotlib

    tag, why = escape(summary.tag(report)), escape(summary.why(report))
    text = f"<p><strong>{tag}</strong> {why}</p>"
    if (classical := classical_test(report)) is not None:
        shown, note = escape(str(classical)), escape(classical.note)
        text += f"<details><summary>Classical test</summary>{shown}. {note}</details>"
    if not len(batch):
        return text
    # Several runs may stand in one notebook: each has ids of its own.
    name = "run-" + re.sub("[^A-Za-z0-9]+", "-", report.run.id)[:80]
    draw = partial(split_over_time, batch, report)
    svg = to_svg(draw, name, "Share of each label over the run.", summary.in_words(report))
    return f'{text}<div style="max-width: 40rem">{svg}</div>'
