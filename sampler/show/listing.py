"""The runs of a folder as a table: on a terminal, and as a data frame in a notebook."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.data.report import Verdict
from analysis.render.grid import Grid
from analysis.render.printable import name_of
from analysis.render.table import tone_of
from analysis.text.rounding import amount, counted, duration, percent
from sampler.base.errors import UsageError
from sampler.store.runs import runs_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from sampler.store.reader import RunFolder

MOST_SHOWN = 20
_ROOM = 40


@dataclass(frozen=True, slots=True)
class Listed:
    """One run of a list.

    Parameters
    ----------
    run : str
        Its id, the name of its folder.
    started_at : str
        RFC 3339, UTC; empty where no report tells it.
    verdict : str or None
        None of a run that was not judged, or has no report.
    reason : str
        Code of the first reason; ``cut_off`` of a run without a report, ``damaged`` of one
        whose report cannot be read; empty if there is none.
    expected, observed : dict of str to float
        Shares by label, in [0, 1].
    judged, launched : int
        Connections that the decision consumed; requests.
    duration_s : float
        From the first request to the end of the drain [s].
    target : str
        Method and URL.
    path : str
        The folder.
    """

    run: str
    started_at: str = ""
    verdict: str | None = None
    reason: str = ""
    expected: Mapping[str, float] | None = None
    observed: Mapping[str, float] | None = None
    judged: int = 0
    launched: int = 0
    duration_s: float = 0.0
    target: str = ""
    path: str = ""

    @classmethod
    def of(cls, folder: RunFolder) -> Listed:
        """Read what a list tells of a run."""
        path = folder.path
        if not folder.has_report:
            return cls(path.name, reason="cut_off", path=str(path))
        try:
            report = folder.report
        except UsageError:
            return cls(path.name, reason="damaged", path=str(path))
        return cls(
            run=path.name,
            started_at=report.run.started_at,
            verdict=None if report.verdict is None else report.verdict.value,
            reason=report.reasons[0].code.value if report.reasons else "",
            expected=None if report.expected is None else dict(report.expected.shares),
            observed=dict(report.observed.shares) if report.samples.labelled else {},
            judged=0 if report.decision is None else report.decision.decided_after,
            launched=report.samples.launched,
            duration_s=report.performance.duration_s,
            target=report.run.target,
            path=str(path),
        )


def runs(base: Path | str = "reports") -> pd.DataFrame:
    """List the runs in a folder as a data frame, the oldest first.

    Parameters
    ----------
    base : path-like or str, default "reports"
        The folder that ``--out`` names.

    Returns
    -------
    pandas.DataFrame
        A row a run, with the columns of `Listed`. `read` takes each ``path``.

    Raises
    ------
    UsageError
        If there is no such folder.
    """
    import pandas as pd  # noqa: PLC0415 - heavy

    rows = [asdict(Listed.of(folder)) for folder in runs_in(Path(base))]
    table = pd.DataFrame(rows, columns=list(Listed.__dataclass_fields__))
    table["started_at"] = pd.to_datetime(table["started_at"], utc=True, errors="coerce")
    return table


def table_of(base: Path) -> Grid | str:
    """Return the newest runs of a folder as a table, the newest first, or say there is none."""
    folders = runs_in(base)
    if not folders:
        return f"There is no run in {name_of(str(base), _ROOM)}."
    shown = [Listed.of(folder) for folder in reversed(folders[-MOST_SHOWN:])]
    hidden = len(folders) - len(shown)
    return Grid(
        rows=[_row(each) for each in shown],
        head=("run", "expected", "observed", "judged", "took", "target", "verdict"),
        right=frozenset({3, 4}),
        tones=[tone_of(Verdict(each.verdict) if each.verdict else None) for each in shown],
        more=f"and {counted(hidden, 'older run')}" if hidden else "",
    )


def _row(listed: Listed) -> tuple[str, ...]:
    if not listed.target:
        return (listed.run, "", "", "", "", "", listed.reason.replace("_", " "))
    return (
        listed.run,
        _shares(listed.expected or {}, 0),
        _shares(listed.observed or {}, 1),
        amount(listed.judged) if listed.expected else f"0 of {amount(listed.launched)}",
        duration(listed.duration_s),
        name_of(listed.target, _ROOM),
        (listed.verdict or "measured").replace("INCONCLUSIVE", f"INCONCLUSIVE {listed.reason}"),
    )


def _shares(shares: Mapping[str, float], places: int, most: int = 3) -> str:
    ranked: Sequence[tuple[str, float]] = sorted(shares.items(), key=lambda item: -item[1])
    told = [f"{name_of(label, 12)} {percent(share, places)}" for label, share in ranked[:most]]
    return ", ".join(told) + (" …" if len(ranked) > most else "") + (" %" if told else "")
