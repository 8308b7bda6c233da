"""Times as logs write them, in nanoseconds.

Understood are RFC 3339 (``2026-01-31T12:00:00.25Z``) and what is close to it (Go's and psql's
``2026-01-31 12:00:00.25 +0000 UTC``, nginx's ``2026/01/31 12:00:00``), the Common Log Format
(``31/Jan/2026:12:00:00 +0000``, Apache's and nginx's; HAProxy's has a fraction and no zone), HTTP's
``Sat, 31 Jan 2026 12:00:00 GMT``, and numbers: seconds with decimals, and whole seconds,
milliseconds, microseconds or nanoseconds. A time without a zone is taken as UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from math import isfinite
from typing import Final

from sampler.base.clock import NS_PER_S
from sampler.base.errors import UsageError

UNITS: Final = {"s": NS_PER_S, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Nanoseconds in each unit of a whole number."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTH_NAMES = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_CLF = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(?: ([+-])(\d\d)(\d\d))?")
_HTTP = re.compile(r"[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")
_ZONE = re.compile(
    r" ?(?:UTC|GMT|([+-]\d\d):?(\d\d)?(?: (?:[A-Z]{3,5}|[+-]\d\d(?:\d\d)?))?(?: m=[+-][\d.]+)?)$"
)
_FRACTION = re.compile(r"(.{19,20}?)[.,](\d+)(.*)", re.DOTALL)
_DECIMAL_COMMA = re.compile(r"\d+,\d+")  # as tables of half the world write it
# Whole seconds reach 1e11 in the year 5138, and milliseconds were below it until 1973.
_MAGNITUDES = ((10**11, "s"), (10**14, "ms"), (10**17, "us"))


# The years 1823 and 2116: differences of such times fit into 64 bits.
_FARTHEST_NS = 1 << 62


class Nanoseconds(int):
    """An instant that is in nanoseconds already."""


class Instants:
    """Reads the times of one log.

    Parameters
    ----------
    unit : str, default auto
        Of whole numbers; ``auto`` goes by the magnitude of the first one, and keeps to it.
    """

    __slots__ = ("_base_ns", "_prefix", "_scale", "_suffix")

    def __init__(self, unit: str = "auto") -> None:
        self._scale = UNITS.get(unit)
        # The second that was read last: most rows stand in the same one.
        self._prefix = ""
        self._suffix = ""
        self._base_ns = 0

    def read(self, value: object) -> int:
        """Return the instant [ns], of no fixed origin.

        Raises
        ------
        ValueError
            If it is not a time.
        """
        if type(value) is str:
            is_date = value[4:5] == "-" or value[2:3] == "/"
            ns = self._calendar(value) if is_date else self._number(value)
        else:
            ns = self._value(value)
        if not -_FARTHEST_NS < ns < _FARTHEST_NS:
            raise ValueError(f"{str(value)[:40]!r} is not a plausible time")
        return ns

    def _value(self, value: object) -> int:
        if isinstance(value, Nanoseconds):
            return int(value)
        if isinstance(value, datetime):
            return _of_datetime(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            # Not a TypeError: the value is a file's, not a caller's.
            raise ValueError(f"{str(value)[:40]} is not a time")  # noqa: TRY004
        if isinstance(value, int):
            return value * (self._scale or self._choose(value))
        if not isfinite(value):
            raise ValueError(f"{value!r} is not a time")
        return round(value * (self._scale or self._choose(int(value))))

    def _calendar(self, text: str) -> int:
        if text[-1:] == "Z" and text[19:20] == "." and text[20:-1].isdigit():
            prefix, digits, suffix = text[:19], text[20:-1], "Z"
        elif match := _FRACTION.fullmatch(text):
            prefix, digits, suffix = match[1], match[2], match[3]
        else:
            prefix, digits, suffix = text, "", ""
        if prefix != self._prefix or suffix != self._suffix:
            self._base_ns = _of_text(prefix + suffix, text)
            self._prefix, self._suffix = prefix, suffix
        return self._base_ns + (int(digits[:9].ljust(9, "0")) if digits else 0)

    def _number(self, text: str) -> int:
        try:
            if text.isdecimal():
                value = int(text)
                return value * (self._scale or self._choose(value))
            number = float(text)
            return round(number * (self._scale or self._choose(int(number))))
        except (ValueError, OverflowError):
            if _DECIMAL_COMMA.fullmatch(text):
                return self._number(text.replace(",", "."))
            return _of_text(text)

    def _choose(self, first: int) -> int:
        unit = next((unit for limit, unit in _MAGNITUDES if abs(first) < limit), "ns")
        self._scale = UNITS[unit]
        return self._scale


def check_unit(unit: str) -> None:
    """Refuse what is neither ``auto`` nor one of `UNITS`.

    Raises
    ------
    UsageError
        If it is something else.
    """
    if unit != "auto" and unit not in UNITS:
        raise UsageError(f"expected auto, {', '.join(UNITS)} as the unit of times, got {unit!r}")


def instant_ns(value: object) -> int:
    """Read one instant by itself [ns]; see `Instants.read`.

    Raises
    ------
    ValueError
        If it is not a time.
    """
    return Instants().read(value)


def _of_text(text: str, whole: str = "") -> int:
    """Read a date and a time of day without a fraction; `whole` is how it stands in the log."""
    if match := _CLF.fullmatch(text) or _HTTP.fullmatch(text):
        return _of_parts(match)
    plain = text.strip()
    if plain[4:5] == plain[7:8] == "/":
        plain = plain.replace("/", "-", 2)
    if zone := _ZONE.search(plain, 10):
        hours = "+00" if zone[1] is None else zone[1]
        plain = f"{plain[: zone.start()]}{hours}:{zone[2] or '00'}"
    try:
        return _of_datetime(datetime.fromisoformat(plain))
    except ValueError:
        raise ValueError(
            f"{(whole or text)[:40]!r} is not a time: seconds, 2026-01-31T12:00:00Z, or "
            "31/Jan/2026:12:00:00 +0000"
        ) from None


def _of_parts(match: re.Match[str]) -> int:
    day, name, year, hour, minute, second, *zone = match.groups()
    month = _MONTHS.get(name)
    if month is None:
        raise ValueError(f"{match[0]!r} is not a time: there is no month {name!r}")
    sign, hours, minutes = zone if zone and zone[0] else ("+", "0", "0")
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    place = timezone(-offset if sign == "-" else offset)
    return _of_datetime(
        datetime(int(year), month, int(day), int(hour), int(minute), int(second), tzinfo=place)
    )


def _of_datetime(moment: datetime) -> int:
    since = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1000
