"""A log that another program wrote, as batches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sampler.base.clock import NS_PER_S
from sampler.base.errors import UsageError
from sampler.logs.fields import field_rows
from sampler.logs.formats import TABLES
from sampler.logs.generators import k6_rows, vegeta_rows
from sampler.logs.instants import check_unit
from sampler.logs.order import sent
from sampler.logs.parquet import ParquetTable
from sampler.logs.reading import Clock, Quality, Reading
from sampler.logs.recognise import recognise
from sampler.logs.rows import Builder
from sampler.logs.source import opened
from sampler.logs.stored import StoredSamples, holds_a_run, is_ours

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analysis.data.batch import Batch
    from sampler.logs.reading import LogRows
    from sampler.logs.recognise import Recognised
    from sampler.logs.source import Source

_DAY_NS = 86_400 * NS_PER_S
LONGEST_GAP_NS = 365 * _DAY_NS
"""Time without a row from which the report asks whether the times are right [ns]."""


class ForeignLog:
    """A log that another program wrote.

    Parameters
    ----------
    path : str
        The file; ``-`` is stdin.
    reading : Reading
        How it is to be read.

    Raises
    ------
    UsageError
        If the reading contradicts itself.
    """

    def __init__(self, path: str, reading: Reading | None = None) -> None:
        self.path = path
        self.reading = reading or Reading()
        self.quality = Quality()
        check_unit(self.reading.unit)
        check_unit(self.reading.duration_unit)

    def batches(self) -> Iterator[Batch]:
        """Yield the rows, in the order in which the requests were sent.

        Raises
        ------
        UsageError
            If the file cannot be read or lacks a column, a row stands too late, or there are more
            than `MOST_LABELS` labels.
        """
        with opened(self.path) as source:
            found = recognise(source, self.reading)
            source.envelope = found.envelope if found.envelope and found.envelope.layers else None
            self._refuse_options(found)
            clock = Clock()
            builder = Builder(source, self.reading, self.quality, clock)
            yield from builder.batches(sent(self._rows(found, source, clock), clock))
        if not self.quality.rows:
            passed = f"; {self.quality.tell_skipped()}" if self.quality.skipped else ""
            raise UsageError(f"{self.path} holds no rows{passed}", hint="is it the right file?")
        self.quality.doubt = clock.doubt
        self._note(found, builder, clock)

    def _refuse_options(self, found: Recognised) -> None:
        reading, kind = self.reading, found.kind
        for option, is_given, tools in (
            ("--label", reading.rule is not None, ("vegeta",)),
            ("--metric", bool(reading.metric), ("k6",)),
            ("--log-format", reading.log_format is not None, ("nginx", "apache")),
        ):
            if is_given and kind not in tools:
                raise UsageError(
                    f"{option} is for logs of {' and '.join(tools)}, and {self.path} is read as "
                    f"{kind}",
                    hint=f"leave out {option}, or set --format {tools[0]}",
                )
        columns = reading.columns
        own = {"k6", "vegeta", "hey", "oha"}
        for option, name, kinds in (
            ("--time-column", columns.time, own),
            ("--duration-column", columns.duration, own),
            ("--connection-column", columns.connection, {"hey", "oha"}),
        ):
            if name and kind in kinds:
                raise UsageError(
                    f"{option} {name}: a log of {kind} has its own field for that, or none",
                    hint=f"leave out {option}, or set it to none",
                )
        if kind == "vegeta" and columns.label:
            raise UsageError(
                "--label-column: vegeta keeps the label in the responses that it recorded",
                hint="name where: --label /pointer, header:NAME, regex:EXPR or status",
            )

    def _rows(self, found: Recognised, source: Source, clock: Clock) -> LogRows:
        reading, quality = self.reading, self.quality
        if found.kind == "k6":
            return _timed(k6_rows(source, reading, quality, clock), reading)
        if found.kind == "vegeta":
            return _timed(vegeta_rows(source, reading, quality), reading)
        if found.form is None:
            raise UsageError(f"{self.path}: no reader of {found.kind}")
        if found.kind == "hey":
            quality.notes.append(
                "hey leaves failed requests out of its CSV, and all after the first million: a "
                "version that does not answer goes unseen"
            )
        if found.kind == "loop":
            quality.notes.append(
                "a loop of curl leaves nothing of a request that failed: a version that does not "
                "answer goes unseen"
            )
        if found.shape is not None:
            return field_rows(source, found.form, found.shape, reading, quality, clock)
        table = ParquetTable(source.path)
        rows = field_rows(source, found.form, table, reading, quality, clock, table.rows())
        if table.loses_spelling(reading.columns.label or "label"):
            quality.notes.append(
                "the labels are stored as numbers, of which the spelling is lost: 1.10 is 1.1"
            )
        return rows

    def _note(self, found: Recognised, builder: Builder, clock: Clock) -> None:
        """Note what was passed over, and what was assumed about connections and order."""
        notes, quality = self.quality.notes, self.quality
        if found.kind not in TABLES:
            quality.label = f"{quality.label} ({found.kind})"
        if quality.skipped:
            notes.append(quality.tell_skipped())
        if not builder.has_keys:
            notes.append(
                "the log names no connections: each of its rows is judged as a connection of its "
                "own, which overstates the evidence if connections were reused"
                if self.reading.columns.connection is not None
                else "each row is judged as an independent draw, because of --connection-column "
                "none"
            )
        elif quality.repeated and found.form is not None and found.form.by_request:
            notes.append(
                "if the proxy chooses a version for each request, --connection-column none uses "
                "them all"
            )
        if builder.moved:
            notes.append(f"{builder.moved} row(s) came after later ones and were sorted by time")
        gap = builder.widest
        if gap.length_ns > LONGEST_GAP_NS:
            notes.append(
                f"{gap.length_ns / _DAY_NS:.0f} days lie between the rows of lines {gap.before} "
                f"and {gap.after}: is the time of one of them wrong?"
            )
        if clock.doubt:
            notes.append(f"{clock.doubt}: PASS and FAIL must hold in an order drawn at random too")
        elif builder.is_drawn:
            notes.append(
                "all times are whole seconds: the rows of a second are judged in an order drawn at "
                "random"
            )


def _timed(rows: LogRows, reading: Reading) -> LogRows:
    """Forget the times of rows, if they are to be taken as they stand."""
    if reading.columns.time is not None:
        return rows
    return ((number, row if isinstance(row, str) else (None, *row[1:])) for number, row in rows)


def open_record(path: str, reading: Reading | None = None) -> ForeignLog | StoredSamples:
    """Open a run's folder, its ``samples.parquet``, or a foreign log.

    Parameters
    ----------
    path : str
        What to open; ``-`` is a log on stdin.
    reading : Reading or None
        How a foreign log is to be read.

    Raises
    ------
    UsageError
        If there is no such file.
    """
    if path == "-":
        return ForeignLog(path, reading)
    place = Path(path)
    if place.is_dir():
        holds_a_run(place)
        return StoredSamples(place)
    if not place.exists():
        raise UsageError(f"{path} does not exist", hint="give a log, or the folder of a run")
    if place.suffix == ".parquet" and is_ours(place):
        return StoredSamples(place.parent)
    return ForeignLog(path, reading)
