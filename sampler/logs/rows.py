"""Rows of a log, put in the order of sending and made batches of."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from analysis.data.batch import ABSENT, Batch
from sampler.base.errors import UsageError
from sampler.logs.reading import MOST_LABELS, OK, REMEMBERED, UNLABELLED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from sampler.logs.reading import LogRow, LogRows, Quality, Reading

_ROWS = 8192
_RAW_NAMES = 100_000
_NS_PER_S = 1_000_000_000
_POSITION = 30  # bits of the position on a connection
_TIME, _LABEL, _STATUS, _OUTCOME, _LINE = range(5)


class Gap(NamedTuple):
    """A time without a row [ns], and the lines of the rows before and after it."""

    length_ns: int
    before: int
    after: int


class Names:
    """Codes of labels, the same through a whole record.

    Parameters
    ----------
    where : str
        The record, for messages.
    renames : sequence of (str, str)
        Patterns and the label of what matches them.
    """

    def __init__(self, where: str, renames: Sequence[tuple[str, str]] = ()) -> None:
        self._where = where
        self._renames = renames
        self._codes: dict[str, int] = {}
        self._raw: dict[str | None, int] = {None: ABSENT, "": ABSENT}

    def code(self, raw: str | None) -> int:
        """Return the code of a label as the log writes it; `ABSENT` for none.

        Raises
        ------
        UsageError
            If there are more than `MOST_LABELS` of them.
        """
        found = self._raw.get(raw)
        return self._new(raw or "") if found is None else found

    def _new(self, raw: str) -> int:
        name = next((label for pattern, label in self._renames if fnmatchcase(raw, pattern)), raw)
        code = self._codes.setdefault(name, len(self._codes))
        if code >= MOST_LABELS:
            raise UsageError(
                f"{self._where}: more than {MOST_LABELS} different labels, the last one "
                f"{name[:40]!r}",
                hint="is it the column of the label? name the right one with --label-column, or "
                "merge what belongs together with --map 'PATTERN=LABEL'",
            )
        if len(self._raw) < _RAW_NAMES:
            self._raw[raw] = code
        return code

    @property
    def all(self) -> tuple[str, ...]:
        """The labels, by code."""
        return tuple(self._codes)


class _Connections:
    """Numbers of connections and positions on them.

    The `REMEMBERED` that were used last are known again, and no more than twice as many: when
    so many were met, those that were met before them and not since are forgotten.
    """

    def __init__(self) -> None:
        # Number and position in one integer each: the garbage collector need not look at them.
        self._known: dict[str, int] = {}
        self._older: dict[str, int] = {}
        self._opened = 0

    def place(self, keys: Sequence[str | None]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return the numbers of the connections, and the position of each row on its own."""
        known, opened, places = self._known, self._opened, []
        for key in keys:
            if key is None:
                places.append(opened << _POSITION)
                opened += 1
                continue
            place = known.get(key)
            if place is None:
                if len(known) >= REMEMBERED:
                    self._older, known = known, {}
                place = self._older.pop(key, None) if self._older else None
                if place is None:
                    place = opened << _POSITION
                    opened += 1
            places.append(place)
            known[key] = place + 1
        self._known, self._opened = known, opened
        both = np.array(places, dtype=np.int64)
        return both >> _POSITION, (both & ((1 << _POSITION) - 1)).astype(np.int32)

    def fresh(self, count: int) -> range:
        """Return numbers for connections that have no names."""
        self._opened += count
        return range(self._opened - count, self._opened)


class Builder:
    """Makes batches of rows.

    A row that stands too late by no more than `Reading.reorder` rows is moved to where it
    belongs; rows of one instant keep their order.

    Parameters
    ----------
    where : str
        The record, for messages.
    reading : Reading
        How it is read.
    quality : Quality
        What is counted on the way.
    """

    def __init__(self, where: str, reading: Reading, quality: Quality) -> None:
        self._where = where
        self._reorder = reading.reorder
        self._quality = quality
        self._names = Names(where, reading.renames)
        self._connections = _Connections()
        self._first = 0
        self._origin: int | None = None
        self._latest = 0
        self._start: int | None = None
        self._released = 0
        self._held = np.zeros((0, 5), dtype=np.int64)
        self._held_keys: list[str | None] = []
        self.moved = 0
        """Rows that stood too late and were moved."""
        self.has_keys = False
        """Whether any row named its connection."""
        self.is_timed = False
        """Whether any row had a time."""
        self.is_coarse = True
        """Whether all times were whole seconds."""
        self.widest = Gap(0, 0, 0)
        """The longest time without a row."""

    def batches(self, rows: LogRows) -> Iterator[Batch]:
        """Yield all rows.

        Raises
        ------
        UsageError
            If a row stands too late, or there are too many labels.
        """
        chunk: list[LogRow] = []
        lines: list[int] = []
        quality = self._quality
        for line, row in rows:
            if isinstance(row, str):
                quality.count_bad(f"line {line}", row)
                # Some version did answer it, on a connection of which nothing is known.
                chunk.append((None, None, None, 0, UNLABELLED))
            else:
                chunk.append(row)
            lines.append(line)
            if len(chunk) >= _ROWS:
                self._hold(chunk, lines)
                chunk, lines = [], []
                if len(self._held) > 2 * self._reorder:
                    yield from self._release(len(self._held) - self._reorder)
        self._hold(chunk, lines)
        yield from self._release(len(self._held))

    def _hold(self, chunk: list[LogRow], lines: list[int]) -> None:
        if not chunk:
            return
        self._quality.rows += len(chunk)
        times, labels, keys, statuses, outcomes = zip(*chunk, strict=True)
        n = len(chunk)
        self.has_keys = self.has_keys or keys.count(None) < n
        columns = np.empty((n, 5), dtype=np.int64)
        columns[:, _TIME] = self._instants(times)
        columns[:, _LABEL] = np.fromiter(map(self._names.code, labels), np.int64, n)
        columns[:, _STATUS] = statuses
        columns[:, _OUTCOME] = outcomes
        columns[:, _LINE] = lines
        self._held = np.concatenate((self._held, columns)) if len(self._held) else columns
        self._held_keys += keys

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
        time = self._held[:, _TIME]
        if (time[1:] < time[:-1]).any():
            if not self._reorder:
                raise self._late(int(np.argmax(time[1:] < time[:-1])) + 1)
            self.moved += int(np.count_nonzero(time < np.maximum.accumulate(time)))
            order = np.argsort(time, kind="stable")
            self._held = self._held[order]
            keys = self._held_keys
            self._held_keys = [keys[at] for at in order.tolist()]
        if self._start is not None and self._held[0, _TIME] < self._released:
            raise self._late(0)
        self._measure_gaps()
        rows, self._held = self._held[:count], self._held[count:]
        keys, self._held_keys = self._held_keys[:count], self._held_keys[count:]
        self._released = int(rows[-1, _TIME])
        if self._start is None:
            self._start = int(rows[0, _TIME])
        for start in range(0, len(rows), _ROWS):
            yield self._batch(rows[start : start + _ROWS], keys[start : start + _ROWS])

    def _measure_gaps(self) -> None:
        if len(self._held) < 2:
            return
        gaps = np.diff(self._held[:, _TIME])
        at = int(gaps.argmax())
        if gaps[at] > self.widest.length_ns:
            before, after = self._held[at : at + 2, _LINE].tolist()
            self.widest = Gap(int(gaps[at]), before, after)

    def _late(self, place: int) -> UsageError:
        allowed = f" by more than {self._reorder} rows" if self._reorder else ""
        return UsageError(
            f"{self._where}, line {self._held[place, _LINE]}: it comes too late{allowed}: its "
            "time is earlier than that of rows before it; rows must stand in the order in which "
            "the requests were sent, or a slow version is under-counted",
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
        sent = rows[:, _TIME] - (self._start or 0)
        label = rows[:, _LABEL].astype(np.int32)
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
            status=np.clip(rows[:, _STATUS], 0, 999).astype(np.int16),
            outcome=np.where(label == ABSENT, rows[:, _OUTCOME], OK).astype(np.uint8),
            worker=np.zeros(n, dtype=np.uint16),
            labels=self._names.all,
        )
        self._first += n
        return batch
