"""A stored run as people meet it in Python: its figures, its tables, its cell in a notebook."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.render import to_text
from analysis.review.trace import retraced
from sampler.base.errors import UsageError
from sampler.store.arrow import grouped, parse_width, windows_of
from sampler.store.reader import RunFolder

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from matplotlib.figure import Figure

    from analysis.review.trace import Trace


class StoredRun(RunFolder):
    """A run read from disk, with its figures and tables; parameters are those of `RunFolder`."""

    def windows(self, width: str = "1s") -> pa.Table:
        """Count labels by window of sending; see `sampler.store.arrow.windows_of`.

        Parameters
        ----------
        width : str, default "1s"
            Such as ``1s``, ``100ms`` or ``5m``.

        Raises
        ------
        ValueError
            If the width has another form.
        """
        return windows_of(self.batch, parse_width(width))

    def by(self, column: str) -> pa.Table:
        """Count samples by ``label``, ``replica``, ``outcome``, ``status`` …, with quantiles.

        Raises
        ------
        ValueError
            If there is no such column, or it does not hold categories.
        UsageError
            If the samples cannot be read.
        """
        self.batch  # noqa: B018 - refuses samples that are damaged
        return grouped(self.table, column)

    def figure(self, name: str = "split") -> Figure:
        """Draw ``split``, ``evidence``, ``replicas``, ``times`` or ``connections`` (matplotlib).

        As the last line of a cell it shows itself, whatever backend matplotlib has.

        Raises
        ------
        ValueError
            If there is no such figure.
        UsageError
            If the run has no report.
        """
        from sampler.show.drawing import showing  # noqa: PLC0415 - matplotlib

        return showing(self._draw(name))

    def _draw(self, name: str) -> Figure:
        from analysis import figures  # noqa: PLC0415 - heavy

        report, batch = self.report, self.batch
        match name:
            case "split":
                return figures.split_over_time(batch, report)
            case "evidence":
                return figures.evidence_over_connections(self._trace(), report)
            case "replicas":
                return figures.shares_by_replica(report)
            case "times":
                return figures.response_times(batch, report)
            case "connections":
                return figures.connections(batch, report)
        raise ValueError(f"expected split, evidence, replicas, times or connections, got {name!r}")

    def _trace(self) -> Trace:
        found = retraced(self.batch, self.report, self.policy, self.history)
        if found is None:
            raise UsageError(
                f"{self.path} does not hold the plan, the samples and the report of one decision",
                hint="the evidence can be drawn for runs of weighbridge check",
            )
        return found

    def to_pandas(self) -> pd.DataFrame:
        """All samples as a pandas data frame."""
        return self.table.to_pandas()

    def text(self) -> str:
        """Return the report as the terminal shows it.

        Raises
        ------
        UsageError
            If the run has no report.
        """
        return to_text(self.report)

    def _repr_html_(self) -> str:
        from sampler.show.notebook_cell import to_cell  # noqa: PLC0415 - a notebook asks for it

        try:
            return to_cell(self.report, self.batch)
        except UsageError as error:
            return f"<p>{escape(str(error))}</p>"

    def __repr__(self) -> str:
        return f"StoredRun({str(self.path)!r})"


def read(path: str | Path) -> StoredRun:
    """Open a run's folder.

    Raises
    ------
    UsageError
        If the folder holds no run.
    """
    return StoredRun(Path(path))
