"""The transport that a load asks for."""

from __future__ import annotations

import pytest

from sampler.exchange.record import Recorder
from sampler.exchange.transport.base import Wiring
from sampler.exchange.transport.choice import make_transport
from sampler.labels.reader import LabelReader
from sampler.labels.rule import LabelRule
from sampler.plan.load import Load, TransportKind
from sampler.plan.target import Target


@pytest.mark.parametrize(
    ("kind", "url", "expected"),
    [
        (TransportKind.AUTO, "http://h/", "FastTransport"),
        (TransportKind.AUTO, "https://h/", "TlsTransport"),
        (TransportKind.FAST, "https://h/", "TlsTransport"),
        (TransportKind.FULL, "https://h/", "FullTransport"),
    ],
)
def test_fast_carries_whatever_full_is_not_asked_for(kind, url, expected):
    reader = LabelReader(LabelRule.parse("/label"))
    wiring = Wiring(
        target=Target(url),
        load=Load(transport=kind),
        reader=reader,
        recorder=Recorder(reader.labels, reader.replicas),
        clock=lambda: 0,
        seed=0,
        on_idle=lambda _slot: None,
    )

    assert type(make_transport(wiring)).__name__ == expected
