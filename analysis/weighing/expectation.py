"""The expected split over the time of a run: fixed, retold, or watched.

Each judges the samples of a run against the split that was expected of them, and keeps the
evidence. `Fixed` expects one split throughout. `Retold` judges stored samples under the splits
that their history names. `analysis.weighing.watched.Watched` takes changes while the run goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from analysis.evidence.fold import weigh
from analysis.evidence.state import Evidence
from analysis.weighing.history import begin

if TYPE_CHECKING:
    from analysis.data.batch import Batch
    from analysis.data.policy import Policy
    from analysis.data.split import Split
    from analysis.weighing.history import History


class Expectation(Protocol):
    """What is expected of the samples of one run, and the evidence on it."""

    @property
    def evidence(self) -> Evidence:
        """Of the split that the verdict is about."""
        ...

    def weigh(self, batch: Batch) -> None:
        """Judge the next samples, in send order."""
        ...

    def finish(self) -> History | None:
        """End the run; return what happened to the expectation, None if it was not watched."""
        ...


class Fixed:
    """One split for the whole run.

    Parameters
    ----------
    split : Split
    policy : Policy
    seed : int, default 0
        Breaks ties of the drift guard.

    Raises
    ------
    ValueError
        If the tolerance does not fit the split.
    """

    def __init__(self, split: Split, policy: Policy, seed: int = 0) -> None:
        self.evidence = Evidence.start(split, policy, seed)

    def weigh(self, batch: Batch) -> None:
        """Judge the next samples, in send order."""
        self.evidence = weigh(self.evidence, batch)

    def finish(self) -> None:
        """Return nothing: nothing happened."""


class Retold:
    """The splits of a run that was watched, as its history names them.

    Parameters
    ----------
    history : History
        Of the run.
    policy : Policy
        Of the whole run, or another one.
    seed : int, default 0
        Of the run.

    Attributes
    ----------
    evidence : Evidence
        Of the last stretch.

    Raises
    ------
    ValueError
        If the tolerance does not fit the split of the last stretch.
    """

    def __init__(self, history: History, policy: Policy, seed: int = 0) -> None:
        self._history = history
        last = history.last
        self.evidence = begin(
            last.split, history.policy(policy), seed, is_elsewhere=last.is_elsewhere
        )

    def weigh(self, batch: Batch) -> None:
        """Judge the next samples, as far as they were judged."""
        for part in self._history.judged(batch):
            self.evidence = weigh(self.evidence, part)

    def finish(self) -> History:
        """Return the history."""
        return self._history
