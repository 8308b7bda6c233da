"""A watched run as it is shown again: the page of the events that were written."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from analysis.data.live import to_lines
from analysis.data.live_events import event_of
from analysis.render.grid import Grid
from analysis.render.live import View, happenings, to_live_page
from analysis.render.printable import name_of, sentence
from analysis.review.chronicle import Chronicle
from sampler.base.errors import UsageError
from sampler.store.layout import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from analysis.data.live_events import Event

_LONGEST_LINE = 1 << 20
_MOST_TARGETS = 1000
_LABEL_ROOM = 32


def is_watched(folder: Path) -> bool:
    """Return whether a folder holds the events of a continuous weighing."""
    return (folder / EVENTS).is_file()


def chronicle_of(folder: Path) -> Chronicle:
    """Read what a continuous weighing told.

    Raises
    ------
    UsageError
        If it cannot be read, or a line is no event; the last one may be torn.
    """
    chronicle = Chronicle()
    for event in _events(folder / EVENTS):
        chronicle.take(event)
        if len(chronicle.targets) > _MOST_TARGETS:
            raise UsageError(f"{folder / EVENTS} has more than {_MOST_TARGETS} targets")
    if not any(told.state for told in chronicle.targets.values()):
        raise UsageError(
            f"{folder / EVENTS} holds no state of a target",
            hint="the run was ended before its first second was over; start another one",
        )
    return chronicle


def _events(file: Path) -> Iterator[Event]:
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(iter(partial(lines.readline, _LONGEST_LINE), b""), 1):
                if not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
                    return  # torn: the process was killed as it wrote it
                try:
                    yield event_of(line)
                except ValueError as error:
                    raise UsageError(
                        f"{file}, line {number}: expected an event, got {sentence(str(error))}",
                        hint="each line is one JSON object, as docs/watch.md describes it",
                    ) from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error


def renderers_of(chronicle: Chronicle) -> dict[str, Callable[[], str]]:
    """Return what makes each document of a watched run."""
    states = (told.state for told in chronicle.targets.values())
    return {"html": partial(_page, chronicle), "json": partial(to_lines, states)}


def _page(chronicle: Chronicle) -> str:
    from sampler.show.drawing import style_sheet  # noqa: PLC0415 - heavy

    return to_live_page(chronicle, View(colours=style_sheet(".live")))


def parts(chronicle: Chronicle, **_: object) -> Iterator[str | Grid]:
    """Yield what people read: the newest state of each target, and what happened."""
    for name, told in chronicle.targets.items():
        if told.state is not None:
            yield f"{name_of(name, _LABEL_ROOM)}: {sentence(told.state.line)}"
            yield Grid([(row.at, row.kind, row.text) for row in happenings(told)])
