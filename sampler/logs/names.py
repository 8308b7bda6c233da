"""Names in a log, and the small numbers that stand for them: labels, and connections."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from analysis.data.batch import ABSENT
from sampler.base.errors import UsageError
from sampler.logs.reading import MOST_LABELS, REMEMBERED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_RAW_NAMES = 100_000
_POSITION = 30  # bits of the position on a connection
# An address of IPv6 in a pattern is not a class of characters.
_ADDRESS = re.compile(r"\[(?=[^\]]*:[^\]]*:)([0-9A-Fa-f:.%*?]+)\]")


class Names:
    """Codes of labels, the same through a whole record.

    Parameters
    ----------
    where : str
        The record, for messages.
    renames : sequence of (str, str)
        Patterns and the label of what matches them, empty if that is none.
    """

    def __init__(self, where: str, renames: Sequence[tuple[str, str]] = ()) -> None:
        self._where = where
        self._renames = [(_ADDRESS.sub(r"[[]\1]", pattern), label) for pattern, label in renames]
        self._codes: dict[str, int] = {}
        self._raw: dict[str | None, int] = {None: ABSENT, "": ABSENT}

    def codes(self, raw: Sequence[str | None]) -> list[int]:
        """Return the codes of labels as the log writes them; `ABSENT` for none.

        Raises
        ------
        UsageError
            If there are more than `MOST_LABELS` of them.
        """
        found = list(map(self._raw.get, raw))
        if None in found:
            found = [self.code(each) for each in raw]
        return found  # type: ignore[return-value]  # there is no None in it

    def code(self, raw: str | None) -> int:
        """Return the code of one."""
        found = self._raw.get(raw)
        return self._new(raw or "") if found is None else found

    def _new(self, raw: str) -> int:
        name = next((label for pattern, label in self._renames if fnmatchcase(raw, pattern)), raw)
        code = self._codes.setdefault(name, len(self._codes)) if name else ABSENT
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

    def is_cut_off(self, raw: str | None) -> bool:
        """Whether a label that was not met before is the beginning of one that was."""
        if not raw or raw in self._raw:
            return False
        return any(known.startswith(raw) for known in self._raw if known)

    @property
    def all(self) -> tuple[str, ...]:
        """The labels, by code."""
        return tuple(self._codes)


class Connections:
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
