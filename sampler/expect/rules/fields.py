"""Which fields of an API are evaluated, and what a field that is not evaluated does.

A field that decides about traffic and is not evaluated must end in a refusal: passed over in
silence, it would make another rule, and another split, out of what somebody wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sampler.expect.rules.objects import Node


_UNSET: tuple[object, ...] = (None, 0, "", [], {})
"""What a controller takes for a field that is not there."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one mapping of an API; every other one refuses.

    Parameters
    ----------
    what : str
        What the mapping is called in a message: ``the match of a rule``.
    evaluated : tuple of str
        Read and followed.
    beside : tuple of str
        Known not to matter to the split.
    refused : mapping of str to str
        Known, and not evaluated: why, for the message.
    """

    what: str
    evaluated: tuple[str, ...]
    beside: tuple[str, ...] = ()
    refused: Mapping[str, str] | None = None

    def open_ones(self, node: Node) -> list[str]:
        """Return the fields of a mapping that are neither evaluated nor beside the point."""
        return [
            key
            for key, value in node.mapping().items()
            if key not in (*self.evaluated, *self.beside) and value not in _UNSET
        ]

    def why(self, key: str) -> str:
        """Return what a message says of a field that is not evaluated."""
        said = (self.refused or {}).get(key, "")
        return f"{key} of {self.what} is not evaluated" + (f": {said}" if said else "")

    def check(self, node: Node) -> None:
        """Refuse a mapping that holds anything else.

        Raises
        ------
        ExpectationError
            With the place of the first field that is not evaluated.
        """
        for key in self.open_ones(node):
            raise ExpectationError(
                f"{node[key].where}: {node.owner}: {self.why(key)}",
                hint="declare the split with --expect"
                if key in (self.refused or {})
                else "is it spelt right? otherwise declare the split with --expect",
            )
