"""How a row is written in a line: as a JSON object, as text with a layout, or between delimiters.

A shape turns a line into a row, or says what is wrong with it, and finds a field in a row by its
name. What stands between quotes may come from a stranger, and not every program escapes it: a
`Layout` is read from both of its ends, so that nothing in the middle can move a field.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

from sampler.base.errors import UsageError
from sampler.labels.names import MAX_NAME_LENGTH
from sampler.labels.pointer import MISSING, follow, parse_pointer
from sampler.logs.own import TRACE, is_own_object
from sampler.logs.reading import LONGEST_LINE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sampler.logs.templates import Template

OWN = "what the program says about itself"
"""Stands for the problem of a line that is no row, and was never meant to be one."""
HEADER = "the names of the columns"
"""Stands for the problem of a line with these."""
_DELIMITERS = (",", "\t", ";", "|")
_STATUS_DIGITS = 3  # RFC 9110 section 15
_LONGEST_TEXT = 1 << 16
_NOTHING = frozenset({
    "", "-", "NULL", "null", "(null)", "\\N", "N/A", "n/a", "None", "nil", "<nil>", "NaN", "nan",
    "undefined", "<NOSRV>", "NOT_FOUND",
})  # fmt: skip
"""What programs write where there is no value."""


def text_of(value: object) -> str | None:
    """Read a label or the name of a connection; None where there is none.

    Raises
    ------
    ValueError
        If it is neither a text nor a number.
    """
    if type(value) is str:
        if not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
            raise ValueError("it is not UTF-8")
        if len(value) > MAX_NAME_LENGTH:  # nothing that is kept may grow without bound
            return value[:MAX_NAME_LENGTH] + "…"
        return None if value in _NOTHING else value
    if value is None or value is MISSING:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise ValueError("labels and connections must be strings or numbers")  # noqa: TRY004 - of a file
    return str(value)


def status_of(value: object) -> int:
    """Read an HTTP status; 0 where there is none."""
    text = str(value)
    return int(text) if len(text) == _STATUS_DIGITS and text.isdecimal() else 0


def finder(name: str) -> Callable[[dict[str, Any]], Any]:
    """Return a reader of one member, or of what a JSON pointer names; it may find `MISSING`.

    Several pointers with a blank between them are read together.

    Raises
    ------
    UsageError
        If the name begins with a slash and is no pointer.
    """
    if not name.startswith("/"):
        return lambda row: row.get(name, MISSING)
    first, *rest = name.split(" /")
    several = [parse_pointer(first), *(parse_pointer(f"/{each}") for each in rest)]
    if len(several) == 1:
        return lambda row: follow(row, several[0])

    def joined(row: dict[str, Any]) -> Any:
        found = [follow(row, tokens) for tokens in several]
        return MISSING if MISSING in found else ":".join(map(str, found))

    return joined


class Shape(Protocol):
    """How a row is written."""

    names: tuple[str, ...] | None
    """What a row has, None if that differs from one to the next."""
    front: int
    """Lines in front of the first row."""

    def parse(self, line: str) -> Any:
        """Return the row, or a text that says what is wrong with the line."""

    def find(self, name: str) -> Callable[[Any], Any]:
        """Return a reader of one field of a row, `MISSING` or None where it is not."""

    def has_trace(self, line: str) -> bool:
        """Whether a line that is no row shows a trace of one."""


class JsonLines:
    """One JSON object a line; numbers with decimals keep their spelling, in which 1.1 is not 1.10.

    Parameters
    ----------
    keys : tuple of str
        Of which each row has one, or several with blanks between; none if all objects are rows.
    """

    names: tuple[str, ...] | None = None
    front = 0

    def __init__(self, keys: tuple[str, ...] = ()) -> None:
        import msgspec  # noqa: PLC0415 - needed only where JSON is read

        self._keys = [frozenset(key.split()) for key in keys]
        self._wanted = keys[0].replace(" ", " and ") if keys else ""
        self._decode = msgspec.json.Decoder(dict[str, Any], float_hook=str).decode
        self._errors = (msgspec.DecodeError, UnicodeError, RecursionError)

    def parse(self, line: str) -> Any:
        """Return the object."""
        if len(line) >= LONGEST_LINE:
            return "the line is too long"
        try:
            row = self._decode(line)
        except self._errors as error:
            return f"not a JSON object: {error}"
        there = row.keys()
        for keys in self._keys:
            if keys <= there:
                return row
        if not self._keys:
            return row
        return OWN if is_own_object(row) else f"it has no {self._wanted}"

    def find(self, name: str) -> Callable[[Any], Any]:
        """Return a reader of one member, or of what a pointer leads to."""
        return finder(name)

    def has_trace(self, line: str) -> bool:
        """Whether it may be an object, or be about a request."""
        return "{" in line or TRACE.search(line) is not None


@dataclass(frozen=True, slots=True)
class Layout:
    """What the lines of a text look like, by their ends, with a named group for each field.

    Parameters
    ----------
    front : Pattern
        From the start of a line.
    back : Pattern or None
        To its end, after the front; None if the front is all.
    """

    front: re.Pattern[str]
    back: re.Pattern[str] | None = None

    @classmethod
    def of(cls, front: str, back: str | None = None) -> Layout:
        """Compile both."""
        return cls(re.compile(front), None if back is None else re.compile(back + r"\s*$"))

    @property
    def names(self) -> tuple[str, ...]:
        """The fields, in the order of `read`."""
        return (*self.front.groupindex, *(() if self.back is None else self.back.groupindex))

    def read(self, line: str) -> tuple[str | None, ...] | None:
        """Return the fields of a line, None if it does not look like this."""
        front = self.front.match(line)
        if front is None:
            return None
        if self.back is None:
            return front.groups()
        back = self.back.search(line, front.end())
        return None if back is None else front.groups() + back.groups()


class TextLines:
    """Lines with a layout, or with a template of a configuration.

    Parameters
    ----------
    title : str
        What is expected, for messages.
    read : callable
        Returns the fields of a line, or None.
    names : tuple of str
        What they are called.
    """

    names: tuple[str, ...] | None
    front = 0

    def __init__(
        self, title: str, read: Callable[[str], Sequence[str | None] | None], names: tuple[str, ...]
    ) -> None:
        self._title = title
        self._read = read
        self.names = names
        self._places = {name: place for place, name in enumerate(names)}

    @classmethod
    def of_template(cls, title: str, template: Template) -> TextLines:
        """Return the shape of a template."""
        match, names = template

        def read(line: str) -> Sequence[str | None] | None:
            found = match(line)
            return None if found is None else found.groups()

        return cls(title, read, names)

    def parse(self, line: str) -> Any:
        """Return the fields."""
        if len(line) >= _LONGEST_TEXT:
            return "the line is too long"
        row = self._read(line)
        return f"it is not in {self._title}" if row is None else row

    def find(self, name: str) -> Callable[[Any], Any]:
        """Return a reader of one field."""
        return itemgetter(self._places[name])

    def has_trace(self, line: str) -> bool:
        """Whether it is about a request."""
        return TRACE.search(line) is not None


class Cells:
    """Cells between delimiters, under a header.

    Parameters
    ----------
    header : str
        The line with the names of the columns.
    front : int
        Lines before it.
    where : str
        The log, for messages.

    Raises
    ------
    UsageError
        If the header cannot be read.
    """

    names: tuple[str, ...] | None

    def __init__(self, header: str, front: int, where: str) -> None:
        self._header = header
        self.front = front
        self._delimiter = max(_DELIMITERS, key=header.count)
        _, *others = header.split(self._delimiter)
        # Some write a blank after each delimiter; it is no part of what follows.
        self._has_blanks = bool(others) and all(each.startswith(" ") for each in others)
        try:
            self.names = tuple(self._cells(header))
        except csv.Error as error:
            raise UsageError(
                f"{where}: its header cannot be read: {error}", hint="is it the right file?"
            ) from error
        self._width = len(self.names)

    def parse(self, line: str) -> Any:
        """Return the cells."""
        if line == self._header:
            return HEADER  # once more where logs are concatenated
        if '"' in line or "\0" in line or len(line) >= LONGEST_LINE:
            try:
                cells = self._cells(line)
            except csv.Error as error:
                return str(error)
        else:
            cells = line.split(self._delimiter)
            if self._has_blanks:
                cells = [cell.lstrip(" ") for cell in cells]
        if len(cells) != self._width:
            return f"expected {self._width} columns, got {len(cells)}"
        return cells

    def find(self, name: str) -> Callable[[Any], Any]:
        """Return a reader of one cell."""
        names = self.names or ()
        if names.count(name) > 1:
            raise UsageError(
                f"there are {names.count(name)} columns {name!r}: it is unclear which one is meant",
                hint="rename or remove the others",
            )
        return itemgetter(names.index(name))

    def has_trace(self, line: str) -> bool:  # noqa: ARG002 - any text may be a cell
        """Whether it may be a row: any line may."""
        return True

    def _cells(self, line: str) -> list[str]:
        if len(line) >= LONGEST_LINE:
            raise csv.Error("the line is too long")
        if "\0" in line:
            raise csv.Error("it holds a NUL")
        # One line at a time: a quote that is never closed spoils its own line only.
        cells = csv.reader(
            (line,), delimiter=self._delimiter, skipinitialspace=self._has_blanks, strict=True
        )
        return next(cells)
