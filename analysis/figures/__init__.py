"""Figures of a run: values in, a matplotlib figure out; saving it is the caller's.

matplotlib is imported when the first figure is drawn, not before.
"""

from __future__ import annotations

from analysis.figures.connections import connections
from analysis.figures.replicas import shares_by_replica
from analysis.figures.response import response_times
from analysis.figures.split import split_over_time
from analysis.figures.style import DARK, LIGHT, Theme

__all__ = [
    "DARK",
    "LIGHT",
    "Theme",
    "connections",
    "response_times",
    "shares_by_replica",
    "split_over_time",
]
