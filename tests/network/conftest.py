"""The network bed: see `tests.network.cluster`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.network.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A Service in front of nine pods of v1 and one of v2."""
    with Cluster.start({"v1": 9, "v2": 1}) as running:
        yield running
