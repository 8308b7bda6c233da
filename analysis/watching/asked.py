"""What is asked of a continuous weighing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analysis.text.rounding import counted

if TYPE_CHECKING:
    from analysis.data.policy import Policy


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """What is asked of a continuous weighing.

    Parameters
    ----------
    policy : Policy
        Tolerance, `beta` and the treatment of missing labels, as of a check.
    false_alarm_s : float
        Mean time between false alarms, at least [s], > 0.
    connections_per_s : float
        Connections per second that are asked for, > 0.
    blind_after_s : float, default 60
        Without a label for so long, nothing is known [s].
    patience_s : float, default 6
        An answer comes within this time, or not at all [s].
    """

    policy: Policy
    false_alarm_s: float
    connections_per_s: float
    blind_after_s: float = 60.0
    patience_s: float = 6.0

    @property
    def connections(self) -> float:
        """Mean number of connections to a false alarm, at least: the threshold."""
        return max(self.false_alarm_s * self.connections_per_s, 10.0)

    @property
    def of_evidence(self) -> Policy:
        """The policy of endless evidence."""
        return replace(self.policy, alpha=1 / self.connections, max_samples=None, calibrated=False)

    @property
    def words(self) -> str:
        """Say what an alarm is worth."""
        day = 86_400 * self.connections_per_s / self.connections
        return (
            f"false alarms are at least {_duration(self.false_alarm_s)} apart on average at "
            f"{self.connections_per_s:g} connections per second; within a day there is one with "
            f"a chance of at most {100 * min(day, 1.0):.2g} %"
        )


def _duration(seconds: float) -> str:
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return counted(round(seconds / size), unit)
    return counted(round(seconds), "second")
