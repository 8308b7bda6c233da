"""Figures of a run: values in, a matplotlib figure out; saving it is the caller's.

matplotlib is imported when the first figure is drawn, not before.
"""

from __future__ import annotations

from analysis.figures.comparison import shares_compared, splits_compared, times_compared
from analysis.figures.connections import connections
from analysis.figures.evidence import evidence_in_words, evidence_over_connections
from analysis.figures.outlook import characteristic_in_words, operating_characteristic
from analysis.figures.readings import evidence_reading, split_reading, times_reading
from analysis.figures.replicas import shares_by_replica
from analysis.figures.response import response_times
from analysis.figures.split import split_over_time
from analysis.figures.style import DARK, LIGHT, Theme, styled

__all__ = [
    "DARK",
    "LIGHT",
    "Theme",
    "characteristic_in_words",
    "connections",
    "evidence_in_words",
    "evidence_over_connections",
    "evidence_reading",
    "operating_characteristic",
    "response_times",
    "shares_by_replica",
    "shares_compared",
    "split_over_time",
    "split_reading",
    "splits_compared",
    "styled",
    "times_compared",
    "times_reading",
]
