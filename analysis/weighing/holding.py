"""Why nothing is judged for a while, since when, and how long that is waited for."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from analysis.data.report import ReasonCode

if TYPE_CHECKING:
    from collections.abc import Collection

    from analysis.data.split import Split
    from analysis.weighing.change import Change, Stated

REPLACED_S = 5.0
"""A version that is configured no more may be replaced (``kubectl delete`` and ``apply``) [s]."""

_NS_PER_S = 1_000_000_000


class Noticed(NamedTuple):
    """A change."""

    at_ns: int
    """From when on it holds [ns since the run began]."""
    change: Change
    told_ns: int
    """When that was known [ns since the run began]: later, where a watch was lost in silence."""

    def held_since(self, since_ns: int | None) -> int | None:
        """Return since when nothing can be judged after it; None if it can be.

        Whoever changes the configuration meanwhile begins another roll-out, and is waited for anew.
        """
        if self.change.is_remark:
            return since_ns
        if self.change.expectation is not None:
            return None
        return self.told_ns if since_ns is None or self.change.is_reconfigured else since_ns


@dataclass
class Holding:
    """What holds the judging back.

    Attributes
    ----------
    why : str
        In words; empty while something can be judged.
    code, remedy : ReasonCode, str
        Of the reason, and what to do; empty if nothing else than the code says.
    since_ns : int or None
        Since when that is waited for [ns since the run began].
    gone : str
        A version that the check began with, if that is why.
    """

    why: str = ""
    code: ReasonCode = ReasonCode.EXPECTATION_MOVED
    remedy: str = ""
    since_ns: int | None = None
    gone: str = ""

    def release(self) -> None:
        """Hold nothing back any more."""
        self.why, self.code, self.remedy = "", ReasonCode.EXPECTATION_MOVED, ""

    def take(self, change: Change) -> None:
        """Hold back what a change does; `Noticed.held_since` says since when."""
        self.why, self.code, self.remedy = change.text, change.code, change.remedy
        self.gone = ""

    def hold(self, at_ns: int, why: str, remedy: str = "") -> None:
        """Judge nothing from a moment on [ns since the run began]."""
        self.why, self.code, self.remedy = why, ReasonCode.EXPECTATION_MOVED, remedy
        self.since_ns = at_ns

    def hold_without(
        self, begun: Split, stated: Stated, remedy: str, at_ns: int, held_ns: int | None
    ) -> bool:
        """Judge nothing if a version is to get nothing any more, and return whether that is so.

        A split without it is not the one that was asked about, whoever took it out of service.

        Parameters
        ----------
        begun : Split
            The split that the check began with.
        stated : Stated
            The one that holds.
        remedy : str
            What to do about that; empty for the usual.
        at_ns, held_ns : int, int or None
            When that was noticed, and since when something has been held back until then [ns
            since the run began].
        """
        before, now = self.gone, stated.split
        weight_of = now.weight_of
        shares = begun.weight_of.items()
        self.gone = next((label for label, n in shares if n and not weight_of.get(label)), "")
        if not self.gone:
            return False
        self.hold(
            held_ns if self.gone == before and held_ns is not None else at_ns,
            f"{self.gone} has no share of the split any more, and had one when the check began: "
            f"{begun} was expected, and now it is {now} ({stated.source.where})",
            remedy
            or "If that was meant, check again: the split is read anew. If not, find out who took "
            f"{self.gone} out (kubectl rollout history, kubectl get events).",
        )
        return True

    def waits_until_ns(self, wait_s: float, pending: Collection[Noticed], split: Split) -> float:
        """Return until when that is waited for [ns since the run began]; inf if nothing holds.

        Parameters
        ----------
        wait_s : float
            For how long whatever may still come is waited for [s].
        pending : collection of Noticed
            What comes next, in the order of time.
        split : Split
            The expected one, as far as it is known.
        """
        since_ns = self.since_ns
        for each in pending:
            since_ns = each.held_since(since_ns)
        if since_ns is None:
            return inf
        if self.gone and all(each.change.is_remark for each in pending):
            wait_s = min(wait_s, 0.0 if self.gone in split.weight_of else REPLACED_S)
        return since_ns + wait_s * _NS_PER_S
