"""Which transport carries a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.plan.load import TransportKind

if TYPE_CHECKING:
    from sampler.exchange.transport.base import Transport, Wiring


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

    return FastTransport(wiring)
