"""Runs of known labels."""

from __future__ import annotations

from random import Random

import pytest

from analysis.batch import Batch
from analysis.evidence import Evidence
from analysis.policy import Policy
from analysis.split import Split
from analysis.weighing import weigh


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
