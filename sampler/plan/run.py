"""The plan of one whole run: what is asked, what should come of it, where it is written.

A plan is a value: it holds nothing that lives, and changes nothing that it was given.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import TYPE_CHECKING

from analysis import Policy
from analysis.data.policy import MOST_PER_CONNECTION
from analysis.data.report import Source
from analysis.versions.health import HealthPolicy
from sampler.base.errors import UsageError, is_a
from sampler.labels.rule import LabelRule
from sampler.plan.load import Limits, Load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from analysis import Split
    from analysis.data.report import View
    from sampler.plan.target import Target

DEFAULT_LABEL = LabelRule.parse("/label")
DEFAULT_REPLICA = LabelRule.parse("/host")
DEFAULT_MAX_TIME_S = 60.0
"""How long a check sends at most [s]."""
DEFAULT_SAMPLE_TIME_S = 10.0
"""How long is sampled without judging [s]."""


def draw_seed() -> int:
    """Draw the seed of a run that was given none."""
    return secrets.randbits(32)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run: what is asked, what should come of it, and where it is written.

    Parameters
    ----------
    target, load
        What is sent, and how.
    limits : Limits
        When sending ends. In a check without ``max_samples``, the policy's budget holds.
    label, replica : LabelRule
        Where the version and the pod are read; no replica if None.
    split : Split or None
        The expected split; None measures without judging.
    policy : Policy
        Tolerance and error rates.
    source : Source
        Where the split was read.
    health : HealthPolicy
        How much worse the canary may be than the stable version.
    replica_counts : mapping of str to int
        Number of replicas of a version, where it is known.
    previous : Split or None
        The split before this one, where it is known.
    views : tuple of View
        What else was read of the split: what is declared, what a cluster is configured for.
    zone_of : tuple of str
        Where each vantage is, by its number, if each place is to be judged by itself.
    zone_splits : mapping of str to Split
        What is expected in a place, where that is not `split`.
    wait_for_s : float
        How long to wait, before the run, until the target answers [s], in [0, 86400]; 0 does not.
    seed : int
        Of every random choice of the run.
    out : Path or None
        Folder of all runs; None writes nothing.
    name : str
        Last part of the run's id.
    keep : int or None
        Runs that stay in `out` when this one ends, the newest; None removes none.
    command : str
        The command line that repeats the run.
    commit : str
        Git commit that declares what is expected; empty where there is none.

    Raises
    ------
    UsageError
        If no answer can hold a label where it is read.
    """

    target: Target
    load: Load = field(default_factory=Load)
    limits: Limits = field(default_factory=lambda: Limits(max_time_s=DEFAULT_MAX_TIME_S))
    label: LabelRule = DEFAULT_LABEL
    replica: LabelRule | None = DEFAULT_REPLICA
    split: Split | None = None
    policy: Policy = field(default_factory=Policy)
    source: Source = field(default_factory=Source)
    health: HealthPolicy = field(default_factory=HealthPolicy)
    replica_counts: Mapping[str, int] = field(default_factory=dict)
    previous: Split | None = None
    views: tuple[View, ...] = ()
    zone_of: tuple[str, ...] = ()
    zone_splits: Mapping[str, Split] = field(default_factory=dict)
    wait_for_s: float = 0.0
    seed: int = field(default_factory=draw_seed)
    out: Path | None = None
    name: str = "run"
    keep: int | None = None
    command: str = ""
    commit: str = ""

    def __post_init__(self) -> None:
        if not is_a(self.wait_for_s, Real) or not 0 <= self.wait_for_s <= 86_400:
            raise UsageError(
                f"wait_for_s must be seconds from 0 to 86400, got {self.wait_for_s!r}",
                hint="write wait_for_s=30",
            )
        if self.keep is not None and self.out is None:
            raise UsageError("--keep counts runs in a folder, and --out none names none")
        if self.target.method == "HEAD" and self.label.reads_body:
            raise UsageError(
                f"the label is read from the body ({self.label}), and an answer to HEAD has none",
                hint="read it with --label header:NAME or status, or ask with GET",
            )

        if self.policy.calibrated and not self.load.connection.is_fresh:
            raise UsageError(
                "--calibrated needs a fresh connection for each request, got --connection "
                f"{self.load.connection}",
                hint="leave one of both out",
            )

    @property
    def deciding_policy(self) -> Policy:
        """The policy, with the number of answers of a connection, where that has an end.

        It has to be known before the first answer; connections that are kept without end are
        judged by their first answers.
        """
        longest = self.load.connection.longest or 1
        if self.policy.per_connection == 1 < longest <= MOST_PER_CONNECTION:
            return replace(self.policy, per_connection=longest)
        return self.policy
