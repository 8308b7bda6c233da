"""The command line: ``weighbridge COMMAND``. Data on stdout, people on stderr."""

from __future__ import annotations

from sampler.cli.entry import main

__all__ = ["main"]
