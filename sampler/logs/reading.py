"""How a log is to be read, what one row of it is, and what its rows were like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from analysis.data.batch import Outcome
from sampler.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from analysis.data.batch import Batch
    from sampler.labels.rule import LabelRule

NONE = "none"
"""Column name that stands for "there is no such column"."""
DEFAULT = ""
"""Column name that stands for "as the format calls it"."""
MOST_LABELS = 1000
"""Distinct labels beyond which the column is not that of the label."""
REMEMBERED = 200_000
"""Connections that are known again: the most recently used ones."""
REORDERED = 65_536
"""Rows by which a row may stand too late, unless said otherwise."""
_NAMED = 3

OK = int(Outcome.OK)
UNLABELLED = int(Outcome.UNLABELLED)

LogRow: TypeAlias = "tuple[int | None, str | None, str | None, int, int]"
"""Sent [ns, any origin] or None if the log does not say; label or None; what tells the
connection apart, or None; HTTP status, 0 for none; and the outcome if there is no label."""
LogRows: TypeAlias = "Iterator[tuple[int, LogRow | str]]"
"""Number of the line, and its row, or what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns (fields, tags, variables) of a log.

    Parameters
    ----------
    time, connection : str or None
        `DEFAULT` is the name that the format gives it, None says that there is none: rows are
        then taken as they stand, and each as a connection of its own.
    label : str
        Where the version is.
    """

    time: str | None = DEFAULT
    label: str = DEFAULT
    connection: str | None = DEFAULT


@dataclass(frozen=True, slots=True)
class Reading:
    """How a foreign log is read.

    Parameters
    ----------
    kind : str, default auto
        A name of `sampler.logs.KINDS`, or ``auto`` by what the file looks like.
    columns : Columns
        Which columns hold what.
    unit : str, default auto
        Of times that are whole numbers: ``s``, ``ms``, ``us``, ``ns``, or ``auto`` by the
        magnitude of the first one.
    rule : LabelRule or None
        Where in a recorded response the label is (vegeta).
    metric : str
        Name of the points that are requests (k6); `DEFAULT` is ``http_req_duration``.
    log_format : str or None
        The ``log_format`` of the lines, as in the configuration (nginx).
    renames : tuple of (str, str)
        Patterns, as of a shell, and the label of what matches; the first one wins.
    reorder : int
        Rows are sorted by time as long as none comes more than this many rows too late, >= 0.
    """

    kind: str = "auto"
    columns: Columns = field(default_factory=Columns)
    unit: str = "auto"
    rule: LabelRule | None = None
    metric: str = DEFAULT
    log_format: str | None = None
    renames: tuple[tuple[str, str], ...] = ()
    reorder: int = REORDERED


@dataclass(slots=True)
class Quality:
    """What the rows of a log were like.

    Parameters
    ----------
    rows, bad : int
        Rows so far, and those that could not be read.
    named : list of str
        The first few bad ones, with their line and what is wrong.
    repeated : int
        Rows on a connection that had a row before.
    notes : list of str
        What a reader of the verdict should know about the log.
    label : str
        Where the label was read, if the log was read.
    """

    rows: int = 0
    bad: int = 0
    named: list[str] = field(default_factory=list)
    repeated: int = 0
    notes: list[str] = field(default_factory=list)
    label: str = ""

    def count_bad(self, where: str, problem: str) -> None:
        """Count a bad row, and name it if it is one of the first."""
        self.bad += 1
        if len(self.named) < _NAMED:
            self.named.append(f"{where}: {problem}")

    def require(self, limit: float, name: str) -> None:
        """Refuse a log with too many bad rows.

        Raises
        ------
        UsageError
            If more than `limit` of the rows are bad.
        """
        if self.bad > limit * self.rows:
            raise UsageError(
                f"{name}: {self.describe()}; the limit is {limit * 100:.4g} %",
                hint="fix or remove these lines, or accept more with --max-bad-lines",
            )

    def describe(self) -> str:
        """Describe how many rows could not be read, and which came first."""
        shown = "; ".join(self.named)
        more = "; ..." if self.bad > len(self.named) else ""
        return f"{self.bad} of {self.rows} lines cannot be read ({shown}{more})"


class Record(Protocol):
    """Something recorded: batches in send order, and what the rows were like."""

    quality: Quality

    def batches(self) -> Iterator[Batch]:
        """Yield the samples; once."""
