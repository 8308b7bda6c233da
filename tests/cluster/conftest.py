"""What the tests of the live source share."""

from __future__ import annotations

import pytest


@pytest.fixture
def reach(monkeypatch, tmp_path):
    """Make a cluster the one that weighbridge asks."""

    def reach(cluster, user=None):
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig(tmp_path, user)))

    return reach
