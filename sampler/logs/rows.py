"""Rows of a log, put in the order of sending and made batches of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from analysis.data.batch import ABSENT, Batch
from sampler.base.errors import UsageError
from sampler.logs.held import LABEL, LINE, OUTCOME, STATUS, TIME, TOOK, Durations, Held
from sampler.logs.names import Connections, Names
from sampler.logs.reading import OK, UNLABELLED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from sampler.logs.reading import Clock, LogRow, LogRows, Quality, Reading
    from sampler.logs.source import Source

_ROWS = 8192
_NS_PER_S = 1_000_000_000
_FIRST = 16
# What is on its way for so long is a small part of what is sent in a second.
_LITTLE_NS = 50_000_000


class Gap(NamedTuple):
    """A time without a row [ns], and the lines of the rows before and after it."""

    length_ns: int
    before: int
    after: int


class Builder:
    """Makes batches of rows, in the order in which their requests were sent.

    A row that stands too late by no more than `Reading.reorder` rows is moved to where it
    belongs. Rows of one instant keep their order; those of one second, where the log tells no
    more, are put into an order that does not look at them.

    A program that writes rows as requests end (`Clock.is_live`) does not begin with the traffic.
    What was in flight when the log began is in it if it took long, so that slow versions are
    over-represented: these rows come last.

    Parameters
    ----------
    source : Source
        The record.
    reading : Reading
        How it is read.
    quality : Quality
        What is counted on the way.
    clock : Clock
        What the times mean.
    """

    def __init__(self, source: Source, reading: Reading, quality: Quality, clock: Clock) -> None:
        self._source = source
        self._reorder = reading.reorder
        self._quality = quality
        self._clock = clock
        self._names = Names(source.path, reading.renames)
        self._connections = Connections()
        self._durations = Durations()
        self._draw = np.random.default_rng(0)
        self._first = 0
        self._origin: int | None = None
        self._latest = 0
        self._start: int | None = None
        self._released = 0
        self._begins: int | None = None
        self._held = Held()
        self._early = Held()
        self.moved = 0
        """Rows that stood too late and were moved."""
        self.has_keys = False
        """Whether any row named its connection."""
        self.is_timed = False
        """Whether any row had a time."""
        self.is_coarse = True
        """Whether all times were whole seconds."""
        self.is_drawn = False
        """Whether rows of one second were put into an order that was drawn."""
        self.widest = Gap(0, 0, 0)
        """The longest time without a row."""

    def batches(self, rows: LogRows) -> Iterator[Batch]:
        """Yield all rows.

        Raises
        ------
        UsageError
            If a row stands too late, or there are too many labels.
        """
        chunk: list[LogRow | str] = []
        lines: list[int] = []
        for line, row in rows:
            chunk.append(row)
            lines.append(line)
            if len(chunk) > _ROWS:  # the last row of all is looked at by itself
                self._hold(chunk[:_ROWS], lines[:_ROWS])
                chunk, lines = chunk[_ROWS:], lines[_ROWS:]
                if len(self._held) > 2 * self._reorder:
                    yield from self._release(len(self._held) - self._reorder)
        self._hold(chunk[:-1], lines[:-1])
        if chunk and not self._is_cut_off(lines[-1], chunk[-1]):
            self._hold(chunk[-1:], lines[-1:])
        yield from self._release(len(self._held))
        if len(self._early):
            yield from self._in_batches(self._early.sorted())
        self._tell_what_is_whole()

    def _read(self, row: LogRow | str, line: int) -> LogRow:
        """Return a row; for one that cannot be read, a request of which nothing is known."""
        if isinstance(row, str):
            self._quality.count_bad(f"line {line}", row)
            return None, None, None, 0, UNLABELLED, None
        return row

    def _is_cut_off(self, line: int, row: LogRow | str) -> bool:
        """Whether the log was copied while its last line was being written."""
        if line != self._source.unfinished or not self._quality.rows:
            return False
        if not isinstance(row, str):
            earliest = (self._origin or 0) + self._held.earliest()
            is_early = row[0] is not None and self.is_timed and row[0] < earliest
            if not is_early and not self._names.is_cut_off(row[1]):
                return False
        self._quality.notes.append(
            f"line {line}, the last one, is not finished, and is left out: the log was copied "
            "while it was written"
        )
        return True

    def _hold(self, chunk: Sequence[LogRow | str], lines: Sequence[int]) -> None:
        if not chunk:
            return
        if str in set(map(type, chunk)):
            chunk = list(map(self._read, chunk, lines))
        is_first = not self._quality.rows
        self._quality.rows += len(chunk)
        times, labels, keys, statuses, outcomes, took = zip(*chunk, strict=True)
        n = len(chunk)
        self.has_keys = self.has_keys or keys.count(None) < n
        columns = np.empty((n, 6), dtype=np.int64)
        columns[:, TIME] = self._instants(times)
        columns[:, LABEL] = self._names.codes(labels)
        columns[:, STATUS] = statuses
        columns[:, OUTCOME] = outcomes
        columns[:, LINE] = lines
        columns[:, TOOK] = (
            ABSENT if took.count(None) == n else [ABSENT if each is None else each for each in took]
        )
        if self._clock.is_live and self.is_timed:
            self._durations.observe(columns)
            self._held.append(*self._without_early(columns, keys, is_first=is_first))
        else:
            self._held.append(columns, keys)

    def _without_early(
        self, columns: NDArray[np.int64], keys: Sequence[str | None], *, is_first: bool
    ) -> tuple[NDArray[np.int64], Sequence[str | None]]:
        """Set aside what was sent before the log began, that is before its first row was written.

        The row that was written first is no more likely to be of one version than of another.
        """
        sent, ends = columns[:, TIME], columns[:, TIME] + columns[:, TOOK]
        known = columns[:, TOOK] >= 0
        is_sorted = bool((sent[1:] >= sent[:-1]).all())
        if is_first and known.any():
            begins = int(ends[known].min())
            if self._is_to_the_second:
                # How far into it, the log does not say; but rows stand in the order of their ends.
                origin = (self._origin or 0) % _NS_PER_S
                begins = int(ends[known][:_FIRST].max()) + origin + self._slack
                begins += -origin - begins % _NS_PER_S
            self._begins = begins
        elif is_first and not is_sorted:
            # When a row was written, all before it had been sent.
            self._begins = int(sent[:_FIRST].max())
        if self._begins is None:
            return columns, keys
        early = sent < self._begins
        if is_first:
            early[np.argmin(np.where(known, ends, ends.max())) if known.any() else 0] = False
        if early.all() or not early.any():
            return columns, keys
        self._early.append(columns[early], [keys[at] for at in np.flatnonzero(early).tolist()])
        return columns[~early], [keys[at] for at in np.flatnonzero(~early).tolist()]

    def _instants(self, times: Sequence[int | None]) -> NDArray[np.int64]:
        """Return the times since the first one; a row without a time takes that before it."""
        if None in times:
            if self._origin is None:
                self._origin = next((time for time in times if time is not None), None)
            if self._origin is None:
                return np.zeros(len(times), dtype=np.int64)
            latest = self._origin + self._latest
            filled = [latest := latest if time is None else time for time in times]
        else:
            filled = list(times)  # type: ignore[arg-type]  # there is no None in it
            self._origin = filled[0] if self._origin is None else self._origin
        sent = np.array(filled, dtype=np.int64)
        self.is_timed = True
        self.is_coarse = self.is_coarse and not (sent % _NS_PER_S).any()
        sent -= self._origin
        self._latest = int(sent[-1])
        return sent

    def _release(self, count: int) -> Iterator[Batch]:
        if not len(self._held):
            return
        time = self._held.columns[:, TIME]
        if (time[1:] < time[:-1]).any():
            if not self._reorder:
                raise self._late(int(np.argmax(time[1:] < time[:-1])) + 1)
            self.moved += int(np.count_nonzero(time < np.maximum.accumulate(time)))
        may_draw = self.is_timed and self.is_coarse and not self._clock.ends
        self._held = self._held.sorted(self._draw if may_draw else None)
        time = self._held.columns[:, TIME]
        self.is_drawn = self.is_drawn or (may_draw and bool((time[1:] == time[:-1]).any()))
        if self._start is not None and self._held.earliest() < self._released:
            raise self._late(0)
        self._measure_gaps()
        rows, self._held = self._held.divided(count)
        self._released = int(rows.columns[-1, TIME])
        if self._start is None:
            self._start = min(rows.earliest(), self._early.earliest())
        yield from self._in_batches(rows)

    def _in_batches(self, rows: Held) -> Iterator[Batch]:
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            yield self._batch(rows.columns[part], rows.keys[part])

    @property
    def _is_to_the_second(self) -> bool:
        """Whether the log tells no more than the second in which a request was sent."""
        return self._clock.serial or (self.is_coarse and not self._clock.ends)

    @property
    def _slack(self) -> int:
        """What a clock that is right to the second may hide of what was on its way [ns]."""
        return _NS_PER_S - 1 if self._durations.longest() > _LITTLE_NS else 0

    def _tell_what_is_whole(self) -> None:
        """Say from when to when no request is missing, however long it took."""
        if not self._clock.is_live or self._start is None:
            return
        begins = self._start if self._begins is None else self._begins
        longest, latest = self._durations.longest(), self._durations.latest
        if not latest:
            ends = self._latest
        elif self._is_to_the_second:
            ends = latest if longest <= _LITTLE_NS else latest - longest - _NS_PER_S
        else:
            ends = latest - longest
        self._quality.whole = (begins - self._start, ends - self._start)

    def _measure_gaps(self) -> None:
        if len(self._held) < 2:
            return
        gaps = np.diff(self._held.columns[:, TIME])
        at = int(gaps.argmax())
        if gaps[at] > self.widest.length_ns:
            before, after = self._held.columns[at : at + 2, LINE].tolist()
            self.widest = Gap(int(gaps[at]), before, after)

    def _late(self, place: int) -> UsageError:
        allowed = f" by more than {self._reorder} rows" if self._reorder else ""
        return UsageError(
            f"{self._source.path}, line {self._held.columns[place, LINE]}: it comes too late"
            f"{allowed}: its time is earlier than that of rows before it; rows must stand in the "
            "order in which the requests were sent, or a slow version is under-counted",
            hint="sort the rows by that time first, or raise --reorder; or use --time-column "
            "none if they are in that order and the column is something else",
        )

    def _batch(self, rows: NDArray[np.int64], keys: Sequence[str | None]) -> Batch:
        n = len(rows)
        if self.has_keys:
            connection, ordinal = self._connections.place(keys)
            self._quality.repeated += int(np.count_nonzero(ordinal))
        else:
            connection = np.array(self._connections.fresh(n))
            ordinal = np.zeros(n, dtype=np.int32)
        sent = np.maximum(rows[:, TIME] - (self._start or 0), 0)
        label = rows[:, LABEL].astype(np.int32)
        absent: NDArray[Any] = np.full(n, ABSENT, dtype=np.int64)
        batch = Batch(
            first=self._first,
            scheduled_ns=sent,
            sent_ns=sent,
            first_byte_ns=absent,
            done_ns=absent,
            connection=connection.astype(np.int64),
            ordinal=ordinal,
            label=label,
            replica=np.full(n, ABSENT, dtype=np.int32),
            status=np.clip(rows[:, STATUS], 0, 999).astype(np.int16),
            outcome=np.where(label == ABSENT, rows[:, OUTCOME], OK).astype(np.uint8),
            worker=np.zeros(n, dtype=np.uint16),
            labels=self._names.all,
        )
        self._first += n
        return batch
