"""Two recorded runs side by side: read both, compare, draw."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from analysis.review.comparison import RunRecord, compare
from sampler.base.errors import UsageError
from sampler.base.version import __version__
from sampler.run.recovery import report_of
from sampler.store.reader import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.figure import Figure

    from analysis.render.page import Drawing
    from analysis.review.compared import Comparison


class Pair(NamedTuple):
    """Two runs and what was found between them."""

    comparison: Comparison
    first: RunRecord
    second: RunRecord


def compare_folders(first: Path, second: Path) -> Pair:
    """Compare the runs of two folders; one that was cut off is compared by what it left.

    Raises
    ------
    UsageError
        If a folder holds no run, both hold the same one, or one of them saw and expects no label.
    """
    if first.resolve() == second.resolve():
        raise UsageError(
            f"both runs are {first}: expected two different ones",
            hint="name the folders of two runs: weighbridge report reports/A reports/B",
        )
    try:
        records = _record(RunFolder(first)), _record(RunFolder(second))
        return Pair(compare(*records), *records)
    except ValueError as error:
        raise UsageError(str(error), hint="name the folders of two runs with responses") from error


def comparison_page(pair: Pair) -> str:
    """Render a comparison as HTML, with figures on one scale for both runs."""
    from analysis.render.comparison import to_comparison_html  # noqa: PLC0415 - jinja2

    return to_comparison_html(pair.comparison, _drawings(pair), __version__)


def _record(run: RunFolder) -> RunRecord:
    report = report_of(run)
    try:
        batch = run.batch
    except (UsageError, OSError):
        batch = None  # moved or removed since: the reports are compared
    return RunRecord(report, batch, _plan(run))


def _plan(run: RunFolder) -> dict[str, Any] | None:
    try:
        return run.plan
    except UsageError:
        return None  # the settings are compared as far as the report tells them


def _drawings(pair: Pair) -> list[Drawing]:
    from analysis import figures  # noqa: PLC0415 - matplotlib
    from analysis.render import summary  # noqa: PLC0415 - as above
    from analysis.render.comparison import headline  # noqa: PLC0415 - as above
    from analysis.render.page import Drawing  # noqa: PLC0415 - as above
    from sampler.show.drawing import to_svg  # noqa: PLC0415 - matplotlib

    comparison = pair.comparison
    wanted: list[tuple[str, str, str, Callable[[], Figure]]] = [
        (
            "shares",
            "Shares of both runs with their intervals, and below what B has more than A.",
            headline(comparison),
            partial(figures.shares_compared, comparison),
        )
    ]
    if comparison.times:
        wanted.append(
            (
                "times",
                "Quantiles of the response times of both runs: p50, p90 and p99.",
                "The table of response times holds the same numbers.",
                partial(figures.times_compared, comparison),
            )
        )
    if _has_samples(pair.first) and _has_samples(pair.second):
        for name, run, figure in zip(
            "AB", pair[1:], figures.splits_compared((pair.first, pair.second)), strict=True
        ):
            caption = f"Run {name}: share of each label over time, on the scale of both runs."
            spoken = summary.in_words(run.report)
            wanted.append((f"split-{name.lower()}", caption, spoken, partial(_same, figure)))
    return [
        Drawing(name, caption, to_svg(draw, f"figure-{name}", caption, spoken))
        for name, caption, spoken, draw in wanted
    ]


def _has_samples(run: RunRecord) -> bool:
    return run.batch is not None and len(run.batch) > 0


def _same(figure: Figure) -> Figure:
    return figure
