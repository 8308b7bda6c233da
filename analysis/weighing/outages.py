"""Versions out of service during a run, and times in which something was not done."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.data.split import Split


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which a version was out of service, though nobody had changed the configuration.

    Parameters
    ----------
    since_s, until_s : float or None
        When that was noticed, and when it was over [s since the run began]; None goes on.
    text : str
        One sentence.
    label : str
        The version.
    """

    since_s: float
    until_s: float | None
    text: str
    label: str = ""


def in_words(outages: Sequence[Outage]) -> str:
    """Tell of outages: of the first one, and how often there were more."""
    first, *more = outages
    told = f"{first.text}, from {first.since_s:.1f} s {_until(first)}"
    if more:
        times = "once" if len(more) == 1 else f"{len(more)} times"
        told += f", and {times} more, {_until(more[-1])}"
    return told


def _until(each: Outage) -> str:
    return "on" if each.until_s is None else f"to {each.until_s:.1f} s"


@dataclass
class Span:
    """The sum of the times in which something lasted.

    Attributes
    ----------
    since_ns : int or None
        When it began, if it lasts [ns since the run began].
    total_ns : int
        The times that are over [ns].
    """

    since_ns: int | None = None
    total_ns: int = 0

    def begin(self, at_ns: int) -> int:
        """Begin, if it does not last yet; return when it began."""
        if self.since_ns is None:
            self.since_ns = at_ns
        return self.since_ns

    def end(self, at_ns: int) -> None:
        """End, if it lasts."""
        if self.since_ns is not None:
            self.total_ns += max(at_ns - self.since_ns, 0)
            self.since_ns = None

    def until(self, at_ns: int) -> int:
        """Return the sum, with what lasts counted up to a moment [ns]."""
        return self.total_ns + (0 if self.since_ns is None else max(at_ns - self.since_ns, 0))


@dataclass
class Outages:
    """The outages of a run.

    Attributes
    ----------
    all : list of Outage
        In the order of time.
    """

    all: list[Outage] = field(default_factory=list)
    _bygone: int = 0
    """Those of an earlier configuration: the first ones."""

    def note(self, since_s: float, at_s: float, text: str, label: str, *, is_over: bool) -> None:
        """Note what is out of service.

        Parameters
        ----------
        since_s, at_s : float
            Since when that may be, and when it was noticed [s since the run began].
        text, label : str
            In a sentence, and which version; empty if none is.
        is_over : bool
            Whether all are in service again.
        """
        last = self.all[-1] if self.all else None
        until_s = at_s if is_over or not text else None
        if last is not None and last.until_s is None:
            self.all[-1] = replace(last, until_s=until_s, text=text or last.text)
        elif text:
            self.all.append(Outage(since_s, until_s, text, label))

    def reconfigure(self) -> None:
        """Note that somebody has changed the configuration."""
        self._bygone = len(self.all)

    def forgive(self, before: Split, after: Split) -> None:
        """Forget what an earlier configuration lost and a new split makes good.

        What a version lost is made good by a change of its own weight, and of no other.
        """
        old, new = before.weight_of, after.weight_of
        self.all[: self._bygone] = [
            each
            for each in self.all[: self._bygone]
            if old.get(each.label) == new.get(each.label, 0)
        ]
        self._bygone = 0
