"""How a log is to be read, what one row of it is, and what its rows were like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

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
LONGEST_LINE = 1_000_000
"""Bytes of a line that are looked at; no tool writes a longer one."""
MOST_LABELS = 1000
"""Distinct labels beyond which the column is not that of the label."""
REMEMBERED = 200_000
"""Connections that are known again: the most recently used ones."""
REORDERED = 65_536
"""Rows by which a row may stand too late, unless said otherwise."""
_NAMED = 3
_SHOWN = 60

OK = int(Outcome.OK)
UNLABELLED = int(Outcome.UNLABELLED)

LogRow: TypeAlias = "tuple[int | None, str | None, str | None, int, int, int | None]"
"""The time [ns, any origin], or None if the log does not say; label or None; what tells the
connection apart, or None; HTTP status, 0 for none; the outcome if there is no label; and how
long the request took [ns], or None. Whether the time is that of sending says a `Clock`."""
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
    duration : str or None
        How long a request took. One that is named says that the times are those of the ends.
    """

    time: str | None = DEFAULT
    label: str = DEFAULT
    connection: str | None = DEFAULT
    duration: str | None = DEFAULT


@dataclass(slots=True)
class Clock:
    """What the times of a log say about the order of sending; a reader fills it in.

    Parameters
    ----------
    ends : bool
        Whether they say when requests ended, not when they were sent.
    is_live : bool
        Whether rows are written as requests end, by a program that knows no beginning and no end
        of the traffic: what was in flight at the ends of such a log is not all in it.
    serial : bool
        Whether times that are whole seconds carry a number of their request as nanoseconds.
    doubt : str
        Why the order of sending is not known, if so.
    """

    ends: bool = False
    is_live: bool = False
    serial: bool = False
    doubt: str = ""


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
    duration_unit : str, default auto
        Of durations that are numbers: as `unit`, or ``auto`` by the name of the column, and
        seconds if it says nothing.
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
    duration_unit: str = "auto"
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
    fields : tuple of str
        What the rows of the sample have, where they name it themselves.
    hint : str
        What to do if no row has a label.
    skipped : int
        Lines that are no rows: of the program about itself, or in front of the log.
    passed : list of str
        The first few of these.
    doubt : str
        Why the order of sending is not known, if so.
    whole : tuple of (int, int) or None
        From when to when every request is in the log, whatever it took [ns since the first row
        was sent]; None if it is in it anyway.
    """

    rows: int = 0
    bad: int = 0
    named: list[str] = field(default_factory=list)
    repeated: int = 0
    notes: list[str] = field(default_factory=list)
    label: str = ""
    fields: tuple[str, ...] = ()
    hint: str = ""
    skipped: int = 0
    passed: list[str] = field(default_factory=list)
    doubt: str = ""
    whole: tuple[int, int] | None = None

    def take(self, batch: Batch) -> None:
        """Count the rows of a batch, and those on connections that had some before."""
        self.rows += len(batch)
        self.repeated += int(np.count_nonzero(batch.ordinal))

    def skip(self, number: int, line: str) -> None:
        """Count a line that is no row, and name it if it is one of the first."""
        self.skipped += 1
        if len(self.passed) < _NAMED:
            self.passed.append(f"line {number}: {line.strip()[:_SHOWN]!r}")

    def tell_skipped(self) -> str:
        """Describe how many lines were passed over, and which came first."""
        more = "; ..." if self.skipped > len(self.passed) else ""
        return (
            f"{self.skipped} line(s) are not of a request and were passed over "
            f"({'; '.join(self.passed)}{more})"
        )

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
                hint="fix or remove these lines, or accept more with --max-bad-lines"
                if 2 * self.bad < self.rows
                else "most of it is something else: is it the right file, and are --format and the "
                "names of the columns right? (docs/judge.md)",
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
