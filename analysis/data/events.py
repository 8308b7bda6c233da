"""What happened around a run while it sampled, as events on its time axis."""

from __future__ import annotations

from dataclasses import dataclass

ENDPOINTS = "endpoints"
"""The pods that may answer have changed."""

WEIGHT = "weight"
"""The weights of a route, or the replicas that were asked for, have changed."""

SETTLED = "settled"
"""The time to settle after a change is over: what is sent from here on counts."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened beside the samples of a run.

    Parameters
    ----------
    at_s : float
        Since the start of the run [s]; negative for what was under way before.
    kind : str
        `ENDPOINTS`, `WEIGHT` or `SETTLED`.
    text : str
        One sentence for people.
    """

    at_s: float
    kind: str
    text: str
