"""Streams of labels that every language can repeat."""

from __future__ import annotations

import hashlib

import pytest


def labels(seed, share, n):
    """Label i is v2 iff the first 8 bytes of SHA-256("seed:i"), as a fraction, are below share."""
    digests = (hashlib.sha256(f"{seed}:{i}".encode()).digest() for i in range(1, n + 1))
    return ["v2" if int.from_bytes(d[:8], "big") / 2**64 < share else "v1" for d in digests]


@pytest.fixture(scope="session")
def stream():
    return labels
