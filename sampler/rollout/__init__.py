"""A canary by replicas, moved in Git: start, promote, roll back."""

from __future__ import annotations

from sampler.rollout.evidence import demand_pass, newest, read_reports
from sampler.rollout.pair import Names, Pair, Side, State, find_pair
from sampler.rollout.steps import Setting, Step, promote, rollback, start
from sampler.rollout.worktree import Worktree

__all__ = [
    "Names",
    "Pair",
    "Setting",
    "Side",
    "State",
    "Step",
    "Worktree",
    "demand_pass",
    "find_pair",
    "newest",
    "promote",
    "read_reports",
    "rollback",
    "start",
]
