"""Runs of known labels."""

from __future__ import annotations

from random import Random

import pytest

from analysis.data.batch import Batch
from analysis.data.policy import Policy
from analysis.data.split import Split
from analysis.evidence.fold import weigh
from analysis.evidence.state import Evidence


def weighed(split, labels, **policy):
    """Weigh labels in their order; a dict gives counts, which are mixed."""
    if isinstance(labels, dict):
        labels = [label for label, count in labels.items() for _ in range(count)]
        Random(4).shuffle(labels)
    evidence = Evidence.start(Split.parse(split), Policy(**policy))
    return weigh(evidence, Batch.of_labels(labels))


@pytest.fixture(scope="session")
def run():
    return weighed
