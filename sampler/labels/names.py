"""Names of versions and replicas, and the small integers that stand for them in samples."""

from __future__ import annotations

from analysis.data.batch import ABSENT, OTHER

MAX_NAMES = 1_000
"""Distinct labels, and distinct replicas, that a run tells apart. Further ones are `OTHER`: a
target that answers with a new name each time must not grow without bound."""
MAX_NAME_LENGTH = 200
"""Characters of a name that are kept."""


class NameCodes:
    """Names and their codes, in the order of their first appearance; bounded."""

    __slots__ = ("_codes", "names")

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self.names: tuple[str, ...] = ()

    def code(self, name: str | None) -> int:
        """Return the code of a name, a new one if need be; `ABSENT` for None and ""."""
        if not name:
            return ABSENT
        if len(name) > MAX_NAME_LENGTH or name == OTHER:
            name = name[:MAX_NAME_LENGTH] + "…"
        found = self._codes.get(name)
        if found is None:
            if len(self.names) >= MAX_NAMES:
                name = OTHER
            found = self._codes.setdefault(name, len(self.names))
            if found == len(self.names):
                self.names += (name,)
        return found
