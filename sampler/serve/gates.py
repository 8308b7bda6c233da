"""Gates: what may be asked for by name, and what a request may say beside the name."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum, unique
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

OVERRIDES = ("expect", "step", "key", "wait", "fresh")
"""What a request may say, where its gate permits it; nothing else, and never a URL."""
MOST_WAIT_S = 25.0
DEFAULT_LINGER_S = 60.0
WATCHED_LINGER_S = 1.0
"""A watch says what is so now: its verdict is hardly repeated [s]."""
UNMEASURED_LINGER_S = 5.0
"""Shorter than any controller's interval: who asks again is measured again [s]."""


@unique
class Spending(StrEnum):
    """What becomes of the error rates when a key is weighed again."""

    NONE = "none"
    STEP = "step"


def canary_of(shares: Mapping[str, float], named: str = "") -> str:
    """Return the version under test of a split: the one that is named, or the smallest share.

    Of equal shares it is the one whose name sorts last, as where its health is compared. Where
    one version alone has a share, it is one of those that have none.
    """
    if named in shares:
        return named
    positive = [label for label, share in shares.items() if share > 0]
    others = [label for label in shares if label not in positive]
    candidates = positive if len(positive) > 1 or not others else others
    return min(sorted(candidates, reverse=True), key=lambda label: shares[label], default="")


def is_alone(shares: Mapping[str, float]) -> bool:
    """Whether one version is to answer alone, so that there is nothing to compare it with."""
    return sum(share > 0 for share in shares.values()) < 2


@dataclass(frozen=True, slots=True)
class Gate:
    """A named check.

    Parameters
    ----------
    name : str
        As in ``[gate.NAME]``.
    options : mapping of str to object
        The options of ``check``, as its table in a configuration has them.
    weights : mapping of str to int
        The expected split; empty where a cluster or each request says it.
    is_live : bool
        Whether the expectation is read from a cluster.
    alpha, beta : float
        Error rates of one session, in (0, 1).
    canary : str
        The version under test; empty: found out by `canary_of`.
    linger_s : float
        How long a verdict is repeated [s].
    permit : frozenset of str
        Which of `OVERRIDES` a request may carry.
    spending : Spending
        STEP halves alpha and beta with each further session of a key, so that their sum over all
        of them stays within the gate's.
    goes_on : bool
        Flagger: whether ``rollout`` goes on while INCONCLUSIVE.
    fail_after_s : float or None
        Flagger: how long INCONCLUSIVE may last until ``rollback`` says yes [s]; None never.
    watch : str
        URL of a watch whose verdict is told in place of a check's; empty for a check.
    target : str
        Name of the target there; empty for the first one.
    token_file : str
        Where the token is that the watch asks for; empty for none.
    is_unmeasurable_error : bool
        Argo: whether a target that cannot be measured is an error, or INCONCLUSIVE.
    """

    name: str
    options: Mapping[str, Any]
    weights: Mapping[str, int] = field(default_factory=dict)
    is_live: bool = False
    alpha: float = 0.01
    beta: float = 0.01
    canary: str = ""
    linger_s: float = DEFAULT_LINGER_S
    permit: frozenset[str] = frozenset(OVERRIDES)
    spending: Spending = Spending.NONE
    goes_on: bool = False
    fail_after_s: float | None = None
    is_unmeasurable_error: bool = True
    watch: str = ""
    target: str = ""
    token_file: str = ""

    @property
    def fingerprint(self) -> str:
        """Tells whether a gate of this name asked the same in an earlier process."""
        told = json.dumps(dict(self.options), sort_keys=True, default=str)
        return sha256(told.encode()).hexdigest()[:16]

    def canary_of(self, weights: Mapping[str, float]) -> str:
        """Return the version under test of a split."""
        return canary_of(weights, self.canary)


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be weighed at a gate.

    Parameters
    ----------
    key : str
        Requests with the same key share a session; empty begins one of its own.
    expect : str
        Weights in place of the gate's, as ``--expect`` takes them; empty leaves the gate's.
    step : int or None
        Of a Rollout or Canary in manifests.
    url : str
        A target in place of the gate's, where ``--allow-target`` permits it.
    is_alone : bool
        Whether one version is to answer alone: the health of two is not compared then.
    """

    key: str = ""
    expect: str = ""
    step: int | None = None
    url: str = ""
    is_alone: bool = False

    @property
    def object(self) -> str:
        """What is rolled out: the first two parts of a key of three or more, NAMESPACE/NAME/…."""
        parts = self.key.split("/")
        return "/".join(parts[:2]) if len(parts) > 2 else ""
