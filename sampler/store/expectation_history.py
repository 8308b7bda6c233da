"""``expectation.json``: the expected split and its changes, as stored in a run's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from analysis.weighing.history import History
from sampler.base.errors import UsageError
from sampler.store.files import read_object

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.data.report import Expected


def to_document(expected: Expected | None, history: History | None) -> dict[str, Any] | None:
    """Return the document: the expectation in force, and how it came to be.

    None where nothing is expected.
    """
    if expected is None:
        return None
    document: dict[str, Any] = msgspec.to_builtins(expected)
    return document if history is None else document | msgspec.to_builtins(history)


def read_history(file: Path) -> History | None:
    """Read what ``expectation.json`` says of stretches.

    Returns
    -------
    History or None
        None where there is no such file, or its run watched nothing.

    Raises
    ------
    UsageError
        If the file cannot be read.
    """
    try:
        document = read_object(file)
        return msgspec.convert(document, History) if "stretches" in document else None
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UsageError(
            f"{file} cannot be read: {error}",
            hint="without that file, the whole run is judged under one split",
        ) from error
