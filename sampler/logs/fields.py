"""From the fields of a line to a row: one reader for every format that has a table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from analysis.data.batch import Outcome
from sampler.base.errors import UsageError
from sampler.labels.names import MAX_NAME_LENGTH
from sampler.labels.pointer import MISSING
from sampler.logs.formats import TABLES
from sampler.logs.instants import UNITS, Instants
from sampler.logs.own import is_own, is_own_object
from sampler.logs.reading import DEFAULT, UNLABELLED
from sampler.logs.shapes import HEADER, OWN, TextLines, status_of, text_of
from sampler.logs.templates import directive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sampler.logs.formats import Format
    from sampler.logs.reading import Clock, LogRows, Quality, Reading
    from sampler.logs.shapes import Shape
    from sampler.logs.source import Source

    Find = Callable[[Any], Any]

_CLOSED = int(Outcome.CLOSED)
_POD = "pod"
_SEVERAL = re.compile(r", | : ")
_MOST_NAMED = 20
_NUMBER = re.compile(r"-?\d+(?:\.\d*)?")
_NAMED_UNITS = re.compile(
    r"(?:_(ns|us|ms|s|secs?|seconds?|milli(?:s|seconds)|micro(?:s|seconds)|nano(?:s|seconds))"
    r"|(?<=[a-z])(Ns|Us|Ms|[Mm]illis|[Mm]icros|[Nn]anos|(?:Milli|Micro|Nano)seconds))$"
)
_LIKE_DURATIONS = re.compile(
    r"(?i)(?:duration|elapsed|latency|took|(?:request|response|processing|upstream)_?time|rtt)"
    r"(?:_?(?:ns|us|ms|s|sec|secs|seconds|millis|micros|nanos))?"
)
_LIKE_ENDS = re.compile(
    r"(?i)(?:^|[_\W])end(?:s|ed)?(?:[_\W]|at$|time$|$)|(?-i:[a-z]End)|finish|complet|logged"
)
_LIKE_TIMES = re.compile(r"(?i)time|date|stamp|when|clock|(?:^|_)(?:ts|at|start(?:ed)?|sent)$")
_TEXT_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h)")
_IN_TEXT = {**UNITS, "µs": 1_000, "μs": 1_000, "m": 60 * 10**9, "h": 3600 * 10**9}
_SECONDS = 10**9
_REMEMBERED = 4096


def field_rows(
    source: Source,
    form: Format,
    shape: Shape,
    reading: Reading,
    quality: Quality,
    clock: Clock,
    lines: Iterator[tuple[int, Any]] | None = None,
) -> LogRows:
    """Read the rows of a log by the table of its format.

    Parameters
    ----------
    source, reading
        What is read, and how.
    form : Format
        What its fields are called.
    shape : Shape
        How its rows are written.
    quality : Quality
        Counts the lines that are no rows.
    clock : Clock
        Learns what the times mean.
    lines : iterator of (int, row), optional
        The rows, if they are not those of the lines of `source`.

    Raises
    ------
    UsageError
        If a field that was asked for is not there.
    """
    sample = sampled_rows(source, shape) if lines is None else []
    fields = _Fields(source, form, shape, reading, sample)
    quality.fields = fields.there
    fields.tell(clock)
    quality.label, quality.hint = fields.label_name, form.hint
    return _rows(lines or lines_of(source, shape, quality), fields, Instants(reading.unit))


def lines_of(source: Source, shape: Shape, quality: Quality) -> Iterator[tuple[int, Any]]:
    """Yield the rows, or what is wrong with lines that some request left; pass over the others."""
    parse, front, passing = shape.parse, shape.front, True
    for number, line in source.lines():
        if not line:
            continue
        if number <= front:
            quality.skip(number, line)
            continue
        row = parse(line)
        if type(row) is str:
            if row is HEADER:
                continue
            if row is OWN or is_own(line) or (passing and not shape.has_trace(line)):
                passing = True
                quality.skip(number, line)
                continue
        passing = False
        yield number, row


def sampled_rows(source: Source, shape: Shape) -> list[Any]:
    """Return the rows of the sample."""
    lines = enumerate(source.sample[shape.front : -1] or source.sample)
    if source.envelope is not None:
        lines = source.envelope.opened(lines)  # type: ignore[assignment]  # both are pairs
    rows = (shape.parse(line) for _, line in lines if line)
    return [row for row in rows if type(row) is not str]


def _rows(lines: Iterator[tuple[int, Any]], fields: _Fields, instants: Instants) -> LogRows:
    find_time, find_label, find_key = fields.time, fields.label, fields.key
    find_status, find_took, find_serial = fields.status, fields.took, fields.serial
    instant = instants.read
    known: dict[str, str | None] = {}  # what labels are read from, as there are few of them
    for number, row in lines:
        if type(row) is str:
            yield number, row
            continue
        try:
            time = None
            if find_time is not None:
                value = find_time(row)
                if value is None or value is MISSING:
                    yield number, "it has no time"
                    continue
                time = instant(value)
                if find_serial is not None:
                    time += _serial(find_serial(row), time)
            status = 0 if find_status is None else status_of(find_status(row))
            label = None if find_label is None else find_label(row)
            if type(label) is not str:
                label = text_of(label)
            elif label in known:
                label = known[label]
            else:
                found, label = label, _first(label)
                if len(known) < _REMEMBERED and len(found) <= MAX_NAME_LENGTH:
                    known[found] = label
            if not status and fields.needs_status:
                label = None
            yield number, (
                time,
                label,
                None if find_key is None else text_of(find_key(row)),
                status,
                UNLABELLED if status or find_status is None else _CLOSED,
                None if find_took is None else find_took(row),
            )  # fmt: skip
        except (ValueError, OverflowError, TypeError) as error:
            yield number, str(error)


def _serial(value: object, time: int) -> int:
    """Return a number of a request as nanoseconds of a whole second; 0 where it is none."""
    text = str(value)
    return int(text) % _SECONDS if text.isdecimal() and time % _SECONDS == 0 else 0


def _first(value: str) -> str | None:
    """Read a label; proxies that tried several servers name the one that was drawn first."""
    text = text_of(value)
    if text is not None and (", " in text or " : " in text):
        return text_of(_SEVERAL.split(text, maxsplit=1)[0])
    return text


class _Fields:
    """Where in a row of a log what stands."""

    def __init__(
        self, source: Source, form: Format, shape: Shape, reading: Reading, sample: list[Any]
    ) -> None:
        self._source = source
        self._form = form
        self._shape = shape
        self._sample = sample
        self._is_bare = False
        self.there = shape.names or tuple(
            dict.fromkeys(name for row in self._sample for name in row)
        )
        columns = reading.columns
        self.time_name = self._name(columns.time, form.time, "--time-column")
        if self.time_name is None and columns.time is not None and form.time:
            if form.name != "jsonl" or any(map(_LIKE_TIMES.search, self.there)):
                raise self._lacks(form.time[0], "--time-column")
            self._is_bare = True  # what a loop of curl leaves of bodies on one line
        self.label_name = self._label_name(columns.label)
        key_name = self._name(columns.connection, form.connection, "--connection-column")
        status_name = self._name(DEFAULT, form.status, "")
        self.time = self._find(self.time_name)
        self.label = self._find(self.label_name)
        self.key = self._find(key_name)
        self.status = self._find(status_name)
        self.serial = self._find(form.serial) if self._has(form.serial) else None
        self.took = self._took(columns.duration, reading.duration_unit)
        self.needs_status = form.needs_status
        # Whoever says --duration-column none says that the times are those of sending.
        self._is_of_any_name = form.name in TABLES and columns.duration is not None
        self._is_of_messages = any(is_own_object(row) for row in sample if isinstance(row, dict))

    def tell(self, clock: Clock) -> None:
        """Say what the times mean."""
        ends = self._form.ends
        clock.is_live = self._form.is_live
        clock.serial = self.serial is not None
        clock.ends = self.time_name is not None and (
            bool(self._was_asked)
            or (ends if isinstance(ends, bool) else self.time_name in ends)
            or (self._is_of_any_name and _LIKE_ENDS.search(self.time_name) is not None)
        )
        if self.time_name is None and (self._is_bare or self._form.name == "loop"):
            clock.doubt = "the log has no times, and rows may stand in the order of the answers"
        elif self._is_of_any_name and self.took is None and self.time_name is not None:
            like = next((name for name in self.there if _LIKE_DURATIONS.fullmatch(name)), None)
            if like is not None:
                clock.doubt = (
                    f"the log has a field {like!r}, and does not say whether {self.time_name!r} is "
                    f"when a request was sent (--duration-column none) or when it ended "
                    f"(--duration-column {like})"
                )
            elif self._is_of_messages:
                clock.doubt = (
                    "its rows are messages of a program, which are often written when a request "
                    "has ended (--duration-column none if they are written when it is sent)"
                )

    def _label_name(self, asked: str) -> str:
        form, where = self._form, self._source.path
        # What curl's lines are grepped for is part of their layout already.
        asked = DEFAULT if form.name == "loop" else asked
        name = self._name(asked, form.label, "--label-column", is_label=True)
        if name is None and form.name in TABLES and self._shape.names is not None:
            raise self._lacks(form.label[0], "--label-column")
        if name is None and (not form.label or self._shape.names is not None):
            raise UsageError(
                f"{where}: its rows do not show which version answered ({form.title})",
                hint=form.hint,
            )
        return name or form.label[0]

    def _name(
        self, asked: str | None, usual: tuple[str, ...], option: str, *, is_label: bool = False
    ) -> str | None:
        """Return the field that was asked for, or the first usual one that occurs."""
        if asked is None:
            return None
        if asked == DEFAULT:
            return next((name for name in usual if self._has(name)), None)
        name = asked.lstrip("$")
        if isinstance(self._shape, TextLines):
            name = directive(name)
        is_fixed = self._shape.names is not None
        # A label may come after the sample; of a log in which it never does, the end tells.
        if not self._has(name) and (is_fixed or (self._sample and not is_label)):
            raise self._lacks(asked, option)
        return name

    def _has(self, name: str) -> bool:
        """Whether the rows of the sample have such a field."""
        if name == _POD and self._pod_of() is not None:
            return True
        if self._shape.names is not None:
            return name in self._shape.names
        if not name.startswith("/"):
            return name in self.there
        find = self._shape.find(name)
        return any(find(row) is not MISSING for row in self._sample)

    def _pod_of(self) -> Find | None:
        """Return a reader of who wrote a line, where its envelope says so."""
        envelope = self._source.envelope
        if envelope is None or envelope.pod is None or _POD in self.there:
            return None
        return lambda _row: envelope.pod

    def _find(self, name: str | None) -> Find | None:
        if name is None:
            return None
        return (self._pod_of() if name == _POD else None) or self._shape.find(name)

    def _took(self, asked: str | None, unit: str) -> Callable[[Any], int | None] | None:
        usual = self._form.took or {}
        self._was_asked = asked
        if asked is None:
            return None
        if asked:
            name = self._name(asked, (), "--duration-column")
            names = [name or asked]
            unit = _unit_of(names[0]) if unit == "auto" else unit
        else:
            found = next(
                (each for each in usual if all(self._has(part) for part in each.split())), None
            )
            if found is None:
                return None
            names, unit = found.split(), usual[found]
        finds = [self._shape.find(name) for name in names]
        scale = UNITS[unit]
        if len(finds) == 1:
            (find,) = finds
            return lambda row: _duration(find(row), scale)

        def total(row: Any) -> int | None:
            parts = [_duration(find(row), scale) for find in finds]
            known = [part for part in parts if part is not None]
            return sum(known) if len(known) == len(parts) else None

        return total

    def _lacks(self, asked: str, option: str) -> UsageError:
        there = ", ".join(map(repr, self.there[:_MOST_NAMED])) or "nothing that can be read"
        what = "field" if self._shape.names is None else "column"
        otherwise = "" if option == "--label-column" else f"; {option} none if there is none"
        like = next(filter(_LIKE_TIMES.search, self.there), None)
        perhaps = (
            f", perhaps {like}"
            if like and like == like.strip() and option == "--time-column"
            else ""
        )
        hint = (
            "its first line looks like data, but must name the columns: time,label,connection"
            if any(_NUMBER.fullmatch(name) for name in self.there)
            else f"name the right one with {option}{perhaps}{otherwise}; or is it the log of a "
            "tool? see --format"
        )
        return UsageError(f"{self._source.path} has no {what} {asked!r}; it has {there}", hint=hint)


def _unit_of(name: str) -> str:
    """Return the unit that the name of a column ends with; seconds if it says none."""
    match = _NAMED_UNITS.search(name)
    said = "s" if match is None else (match[1] or match[2]).lower()
    words = {"nano": "ns", "micr": "us", "mill": "ms"}
    return words.get(said[:4], said if said in UNITS else "s")


def _duration(value: object, scale: int) -> int | None:
    """Read how long a request took [ns]; None where that is not known."""
    if value is None or value is MISSING:
        return None
    text = str(value)
    try:
        ns = round(float(text) * scale)
    except (ValueError, OverflowError):
        parts = _TEXT_DURATION.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            return None
        ns = sum(round(float(number) * _IN_TEXT[unit]) for number, unit in parts)
    return ns if 0 <= ns < 1 << 62 else None
