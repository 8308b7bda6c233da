"""Which transport carries a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sampler.base.clock import run_clock
from sampler.plan.load import TransportKind

if TYPE_CHECKING:
    from sampler.exchange.transport.base import Transport, Wiring
    from sampler.exchange.transport.compiled import CompiledTransport

PURE = "WEIGHBRIDGE_PURE"


def make_transport(wiring: Wiring) -> Transport:
    """Make the transport that the load asks for: ``fast``, unless it is ``full``.

    Raises
    ------
    UsageError
        If the target's file of authorities cannot be used.
    """
    if wiring.load.transport is TransportKind.FULL:
        from sampler.exchange.transport.full import FullTransport  # noqa: PLC0415 - aiohttp is heavy

        return FullTransport(wiring)
    if wiring.target.is_tls:
        from sampler.exchange.transport.tls import TlsTransport  # noqa: PLC0415 - symmetric with above

        return TlsTransport(wiring)
    from sampler.exchange.transport.fast import FastTransport  # noqa: PLC0415 - symmetric with above

    fast = compiled() if wiring.clock is run_clock else None
    return FastTransport(wiring) if fast is None else fast(wiring)


def compiled() -> type[CompiledTransport] | None:
    """Return the transport whose usual cases are compiled; None unless `is_compiled`."""
    if not is_compiled():
        return None
    from sampler.exchange.transport.compiled import CompiledTransport  # noqa: PLC0415 - optional

    return CompiledTransport


def is_compiled() -> bool:
    """Whether the usual cases of the fast transport are compiled, and wanted so.

    The environment variable `PURE`, if set, asks for Python alone. What is older than its source
    beside it is not used: the modules in Python fit the source.
    """
    if os.environ.get(PURE):
        return False
    try:
        from sampler.exchange.transport import _fastpath  # noqa: PLC0415 - optional
    except ImportError:
        return False
    built = Path(_fastpath.__file__)
    source = built.with_name("_fastpath.c")
    return not source.exists() or source.stat().st_mtime_ns <= built.stat().st_mtime_ns
