"""Documents of a run that need its samples: the page and its figures."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sampler.base.errors import StorageError, UsageError
from sampler.store.files import whole
from sampler.store.reader import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from matplotlib.figure import Figure

    from analysis import Batch, Policy, Report
    from analysis.render.page import Drawing, Reading
    from analysis.weighing.history import History

HTML = "report.html"
SPLIT_SVG = "split.svg"
SPLIT_PNG = "split.png"


def page_of(report: Report) -> str:
    """Render a report as HTML; its run keeps a copy, beside the figure of the split.

    Parameters
    ----------
    report : Report
        Its ``run.path`` says where the samples are; without them the page has tables only.

    Raises
    ------
    UsageError
        If the samples cannot be read.
    StorageError
        If the folder of the run cannot be written.
    """
    from analysis.render.html import to_html  # noqa: PLC0415 - jinja2, few runs need it

    run = _run_of(report)
    drawings = (
        draw_all(report, None)
        if run is None
        else draw_all(report, run.batch, run.policy, run.history)
    )
    page = to_html(report, drawings)
    if run is not None and _is_its_own(run, report):
        _keep(run, report, page, drawings)
    return page


def _is_its_own(run: RunFolder, report: Report) -> bool:
    """Whether a report is the one that a run holds, or its first; judging anew makes others."""
    try:
        return run.report.run.command == report.run.command
    except UsageError:
        return True


def located(report: Report, folder: Path) -> Report:
    """Return the report with its path set to the folder that it was read from."""
    return replace(report, run=replace(report.run, path=str(folder)))


def _keep(run: RunFolder, report: Report, page: str, drawings: Sequence[Drawing]) -> None:
    try:
        _write(run.path / HTML, page.encode())
        for drawing in drawings:
            if drawing.name == "split":
                _write(run.path / SPLIT_SVG, drawing.svg.encode() + b"\n")
                _write(run.path / SPLIT_PNG, _split_png(run, report))
    except OSError as error:
        raise StorageError(f"{run.path} cannot be written: {error.strerror}") from error


def _write(file: Path, data: bytes) -> None:
    with whole(file) as part:
        part.write_bytes(data)


def _split_png(run: RunFolder, report: Report) -> bytes:
    from analysis.figures import split_over_time  # noqa: PLC0415 - matplotlib
    from sampler.show.drawing import to_png  # noqa: PLC0415 - matplotlib

    return to_png(partial(split_over_time, run.batch, report))


def draw_all(
    report: Report,
    batch: Batch | None,
    policy: Policy | None = None,
    history: History | None = None,
) -> list[Drawing]:
    """Draw every figure that suits a run, as SVG.

    Parameters
    ----------
    report : Report
    batch : Batch or None
        Its samples; without them only the replicas are drawn.
    policy : Policy or None
        That the run was judged by, its budget included; None takes what the report tells of it.
    history : History or None
        What happened to its expectation, where that was watched.
    """
    from analysis.render.page import Drawing  # noqa: PLC0415 - as above
    from sampler.show.drawing import to_svg  # noqa: PLC0415 - matplotlib

    return [
        Drawing(
            each.name,
            each.caption,
            to_svg(each.draw, f"figure-{each.name}", each.caption, each.spoken),
            each.reading,
            is_detail=each.name == "evidence",
        )
        for each in _figures(report, batch, policy, history)
    ]


def is_drawn(report: Report) -> bool:
    """Whether there is something to draw: without a single label, figures would be empty."""
    return report.samples.labelled > 0


class _Figure(NamedTuple):
    """A figure before it is drawn: `spoken` is what a screen reader says of it."""

    name: str
    caption: str
    spoken: str
    draw: Callable[[], Figure]
    reading: Reading | None = None


def _figures(
    report: Report, batch: Batch | None, policy: Policy | None, history: History | None
) -> Iterator[_Figure]:
    if not is_drawn(report):
        return
    if batch is not None and len(batch):
        yield from _of_samples(report, batch, policy, history)
    elif _has_replicas(report):
        yield _replicas(report)


def _of_samples(
    report: Report, batch: Batch, policy: Policy | None, history: History | None
) -> Iterator[_Figure]:
    from analysis import figures  # noqa: PLC0415 - matplotlib
    from analysis.render import summary  # noqa: PLC0415 - as above
    from analysis.review.timeline import Timeline  # noqa: PLC0415 - as above
    from analysis.review.trace import retraced  # noqa: PLC0415 - as above

    timeline = Timeline.of(batch, report)
    yield _Figure(
        "split",
        "Share of each label over the run, in windows and so far.",
        summary.in_words(report),
        partial(figures.split_over_time, batch, report, timeline=timeline),
        figures.split_reading(timeline, report),
    )
    trace = retraced(batch, report, policy, history)
    if trace is not None:
        yield _Figure(
            "evidence",
            "How the evidence grew, and the boundaries at which it decides.",
            figures.evidence_in_words(trace),
            partial(figures.evidence_over_connections, trace, report),
            figures.evidence_reading(trace, report),
        )
    if _has_replicas(report):
        yield _replicas(report)
    yield _Figure(
        "times",
        "Share of the answers that had come within a time, by label.",
        "The legend gives the quantiles of each label.",
        partial(figures.response_times, batch, report),
        figures.times_reading(batch, report),
    )
    if batch.ordinal.any():
        yield _Figure(
            "connections",
            "Labels inside connections: a row a connection, a cell a request.",
            "The heading counts the connections that stayed with one label.",
            partial(figures.connections, batch, report),
        )


def _has_replicas(report: Report) -> bool:
    return sum(map(len, report.observed.replicas.values())) > 1


def _replicas(report: Report) -> _Figure:
    from analysis.figures import shares_by_replica  # noqa: PLC0415 - matplotlib

    return _Figure(
        "replicas",
        "What each replica answered, as a multiple of an even share.",
        "The table of replicas holds the same numbers.",
        partial(shares_by_replica, report),
    )


def _run_of(report: Report) -> RunFolder | None:
    if report.run.path is None:
        return None
    try:
        return RunFolder(Path(report.run.path))
    except UsageError:
        return None  # moved or removed since: the page has tables only
