"""The command line: ``weighbridge COMMAND``. Data on stdout, people on stderr."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sampler.cli.entry import main

__all__ = ["main"]


def __getattr__(name: str) -> object:
    # Lazily: Ctrl-C must be handled before click is imported (`sampler.cli.interrupts`).
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("sampler.cli.entry"), name)
