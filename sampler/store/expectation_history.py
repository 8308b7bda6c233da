"""``expectation.json``: what should be, and what happened to it, as a run's folder keeps it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from analysis.weighing.history import History
from sampler.base.errors import UsageError

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
        document = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(document, dict) or "stretches" not in document:
            return None
        return msgspec.convert(document, History)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{file} cannot be read: {error}",
            hint="without that file the whole run is judged under one split",
        ) from error
