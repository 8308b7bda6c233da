"""Values of options: how they are written, and the error for one that cannot be read."""

from __future__ import annotations

import re
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_DECIMAL = r"((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e-?[0-9]{1,2})?)"
_UNITS_S = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_MOST_PER_S = 1_000_000


class Number(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases
    """A number in a form and a range of its own.

    Attributes
    ----------
    form : str
        Regular expression of the whole text.
    expected : str
        The form and the range, as an error states them.
    """

    name = "number"
    form = _DECIMAL
    expected = "a number"

    def read(self, match: re.Match[str]) -> float | None:
        """Return the number of a text that has the form; None if it is out of range."""
        raise NotImplementedError

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        match = re.fullmatch(self.form, str(value))
        number = None if match is None else self.read(match)
        if number is None:
            self.fail(f"expected {self.expected}, got {str(value)!r}", param, ctx)
        return number


class Count(Number):
    """A whole number.

    Parameters
    ----------
    least, most : int
        Ends of the range; without `most` it has none.
    """

    name = "count"
    form = "[0-9]{1,15}"

    def __init__(self, least: int = 1, most: int | None = None) -> None:
        self.least = least
        self.most = inf if most is None else most
        span = f"of at least {least}" if most is None else f"from {least} to {most}"
        self.expected = f"a whole number {span}"

    def read(self, match: re.Match[str]) -> int | None:
        """Return the number."""
        number = int(match[0])
        return number if self.least <= number <= self.most else None


class Duration(Number):
    """Seconds, or a number with a unit: ``500ms``, ``30s``, ``5m``.

    Parameters
    ----------
    longest_s : float
        Largest value [s].
    is_positive : bool
        Whether 0 is refused.
    """

    name = "duration"
    form = _DECIMAL + "(ms|s|m|h|d|)"

    def __init__(self, longest_s: float = 1e6, *, is_positive: bool = True) -> None:
        self._longest_s = longest_s
        self._is_positive = is_positive
        above = "above 0 and " if is_positive else ""
        self.expected = f"a duration such as 500ms, 30s or 5m, {above}at most {longest_s:.0f}s"

    def read(self, match: re.Match[str]) -> float | None:
        """Return the seconds."""
        seconds = float(match[1]) * _UNITS_S[match[2]]
        is_low = self._is_positive and not seconds
        return None if is_low or seconds > self._longest_s else seconds


class Settle(Duration):
    """A duration, or None for ``auto``."""

    name = "settle"
    form = f"auto|{Duration.form}"

    def __init__(self) -> None:
        super().__init__(is_positive=False)
        self.expected = f"auto or {self.expected}"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """Return the seconds, or None."""
        return None if value == "auto" else super().convert(value, param, ctx)


class Weights(click.ParamType):  # type: ignore[type-arg]  # as above
    """Weights by label, as text; in a configuration, a table of them, too."""

    name = "weights"


def once(_ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> str | None:
    """Return the value of an option that is read as one of several; refuse a second one."""
    if len(values) > 1:
        raise click.BadParameter(
            f"expected once, got {len(values)} times: name all labels in one",
            param=param,
        )
    return values[0] if values else None


class Share(Number):
    """A share: ``5%`` or ``0.05``."""

    name = "share"
    form = _DECIMAL + "(%?)"
    expected = "a share of at most 100%, such as 5% or 0.05"

    def read(self, match: re.Match[str]) -> float | None:
        """Return the share in [0, 1]."""
        share = float(match[1]) / (100 if match[2] else 1)
        return share if share <= 1 else None


class Chance(Share):
    """An error rate: ``0.01`` or ``1%``."""

    name = "chance"
    expected = "a chance above 0 and below 0.5, such as 0.01"

    def read(self, match: re.Match[str]) -> float | None:
        """Return the chance in (0, 0.5)."""
        chance = super().read(match)
        return chance if chance is not None and 0 < chance < 0.5 else None


class Factor(Number):
    """A factor of at least 1: ``1.5`` or ``1.5x``."""

    name = "factor"
    form = _DECIMAL + "x?"
    expected = "a factor of at least 1, such as 1.5"

    def read(self, match: re.Match[str]) -> float | None:
        """Return the factor."""
        return float(match[1]) if float(match[1]) >= 1 else None


class Rate(Number):
    """Requests per second: ``200`` or ``200/s``."""

    name = "rate"
    form = _DECIMAL + "(?:/s)?"
    expected = f"requests per second such as 200/s, above 0 and at most {_MOST_PER_S}/s"

    def read(self, match: re.Match[str]) -> float | None:
        """Return the rate [1/s]."""
        return float(match[1]) if 0 < float(match[1]) <= _MOST_PER_S else None


class RateCap(Rate):
    """A rate that may be lifted: ``2000/s``, ``0`` or ``none``."""

    name = "max-rate"
    form = f"none|{Rate.form}"
    expected = f"{Rate.expected}, or none"

    def read(self, match: re.Match[str]) -> float | None:
        """Return the cap [1/s]; infinity if it is lifted."""
        return inf if match[0] in {"none", "0", "0/s"} else super().read(match)


class RunsFolder(click.Path):
    """A folder, or ``none``, which a path such as ``./none`` is not."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the folder, or None."""
        return None if value == "none" else super().convert(value, param, ctx)


class Life(click.ParamType):  # type: ignore[type-arg]  # as above
    """How long a connection lives: a word that the shell completes, or ``MIN:MAX``."""

    name = "life"
    words = ("fresh", "reuse", "auto")

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the words that begin so."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - for a shell alone

        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]
