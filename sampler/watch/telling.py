"""Telling: events get their numbers, are handed on, and are written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import msgspec

from analysis.data.live import to_line
from sampler.base.errors import StorageError
from sampler.store.layout import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from analysis import Batch
    from analysis.data.live_events import Event


class Teller:
    """Gives the events of all targets of a process their numbers, and hands them on.

    Attributes
    ----------
    last : int
        Number of the last event.
    listeners : list of callable
        Each is called with every event, in its order.
    samplers : list of callable
        Each is called with the name of a target and each batch of its samples.
    """

    def __init__(self) -> None:
        self.last = 0
        self.listeners: list[Callable[[Event], None]] = []
        self.samplers: list[Callable[[str, Batch], None]] = []

    def tell(self, events: Iterable[Event]) -> list[Event]:
        """Give events their numbers, hand them on, and return them."""
        told = []
        for event in events:
            self.last += 1
            numbered = msgspec.structs.replace(event, seq=self.last)
            told.append(numbered)
            for listener in tuple(self.listeners):
                listener(numbered)
        return told


class EventLog:
    """Writes events into the folder of a run, one line each.

    Parameters
    ----------
    folder : Path or None
        None writes nothing.

    Raises
    ------
    StorageError
        If the file cannot be made; so do `write` and `close`, if the disk is full or fails.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / EVENTS
        self._file: BinaryIO | None = None
        if self._path is not None:
            try:
                self._file = self._path.open("ab")
            except OSError as error:
                raise self._failed(error) from error

    def write(self, events: Iterable[Event]) -> None:
        """Append events; they are with the system when this returns."""
        if self._file is None:
            return
        try:
            for event in events:
                self._file.write(to_line(event) + b"\n")
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                raise self._failed(error) from error

    def _failed(self, error: OSError) -> StorageError:
        return StorageError(
            f"events cannot be written to {self._path}: {error.strerror}",
            hint="free some space, or choose another folder with --out DIR",
        )
