"""Documents of a run that need its samples: the page and its figures."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sampler.errors import UsageError
from sampler.store import StoredRun, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from matplotlib.figure import Figure

    from analysis import Batch, Report
    from analysis.render.html import Drawing

HTML = "report.html"
SPLIT_SVG = "split.svg"


def page_of(report: Report) -> str:
    """Render a report as HTML; a run that is on disk keeps a copy, beside its ``split.svg``.

    Parameters
    ----------
    report : Report
        Its ``run.path`` says where the samples are; without them the page has tables only.

    Raises
    ------
    UsageError
        If the samples cannot be read, or the folder of the run cannot be written.
    """
    from analysis.render.html import to_html  # noqa: PLC0415 - jinja2, few runs need it

    run = _run_of(report)
    drawings = draw_all(report, None if run is None else run.batch)
    page = to_html(report, drawings)
    if run is not None:
        _keep(run.path, page, drawings)
    return page


def located(report: Report, folder: Path) -> Report:
    """Give a report whose run lies where it was read, wherever it was written."""
    return replace(report, run=replace(report.run, path=str(folder)))


def _keep(folder: Path, page: str, drawings: Sequence[Drawing]) -> None:
    try:
        (folder / HTML).write_text(page, encoding="utf-8")
        for drawing in drawings:
            if drawing.name == "split":
                (folder / SPLIT_SVG).write_text(drawing.svg + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}") from error


def draw_all(report: Report, batch: Batch | None) -> list[Drawing]:
    """Draw every figure that suits a run, as SVG.

    Parameters
    ----------
    report : Report
    batch : Batch or None
        Its samples; without them only the replicas are drawn.
    """
    from analysis.render.html import Drawing  # noqa: PLC0415 - as above
    from sampler.drawing import to_svg  # noqa: PLC0415 - matplotlib

    return [
        Drawing(name, caption, to_svg(draw, f"figure-{name}", caption, spoken))
        for name, caption, spoken, draw in _figures(report, batch)
    ]


def _figures(
    report: Report, batch: Batch | None
) -> Iterator[tuple[str, str, str, Callable[[], Figure]]]:
    """Yield name, caption, description for a screen reader, and how to draw it."""
    from analysis import figures  # noqa: PLC0415 - matplotlib
    from analysis.render import summary  # noqa: PLC0415 - as above

    spoken = summary.in_words(report)
    if batch is not None and len(batch):
        caption = "Share of each label over the run, in windows and so far."
        yield "split", caption, spoken, partial(figures.split_over_time, batch, report)
    if sum(map(len, report.observed.replicas.values())) > 1:
        caption = "What each replica answered, as a multiple of an even share."
        table = "The table of replicas holds the same numbers."
        yield "replicas", caption, table, partial(figures.shares_by_replica, report)
    if batch is not None and len(batch):
        caption = "Share of the answers that had come within a time, by label."
        legend = "The legend gives the quantiles of each label."
        yield "times", caption, legend, partial(figures.response_times, batch, report)
        if batch.ordinal.any():
            caption = "Labels inside connections: a row a connection, a cell a request."
            head = "The heading counts the connections that stayed with one label."
            yield "connections", caption, head, partial(figures.connections, batch, report)


def _run_of(report: Report) -> StoredRun | None:
    if report.run.path is None:
        return None
    try:
        return read(Path(report.run.path))
    except UsageError:
        return None  # moved or removed since: the page has tables only
