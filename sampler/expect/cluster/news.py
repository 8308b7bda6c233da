"""What changed between two looks at a cluster, in the words of a run. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analysis.data.report import ReasonCode
from sampler.base.clock import NS_PER_S
from sampler.base.errors import ExpectationError
from sampler.expect.cluster.standing import Held, Sight
from sampler.expect.rules.workloads import movers
from sampler.expect.views import describe_change

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analysis.data.split import Split
    from sampler.expect.cluster.standing import Standing
    from sampler.expect.cluster.state import ClusterState
    from sampler.expect.rules.model import Expectation
    from sampler.expect.rules.objects import KubeObject

GRACE_S = 0.2
"""How long objects may contradict each other before that is reported [s]: they arrive in
separate streams."""


@dataclass(frozen=True, slots=True)
class ExpectationChange:
    """A change of the expected split, or of what is known about it.

    Parameters
    ----------
    at_ns : int
        When it was noticed, on the clock of the run [ns].
    expectation : Expectation or None
        The expected split from then on; None while nothing can be judged.
    is_of_endpoints : bool
        Whether pods came or went; otherwise weights changed.
    text : str
        One sentence.
    observed : Split or None
        That of the endpoints, which the data plane follows; None is the expected one.
    code, remedy : ReasonCode, str
        Why nothing can be judged, if so, and what to do about it, if the code does not say;
        where a split is known, what to do if it lacks a version.
    outage, lost : str
        What is out of service under an unchanged configuration, in a sentence, and which
        version that is; empty if none is.
    trouble : str
        What the pods' status says; empty if all are well.
    is_reconfigured : bool
        Whether somebody has changed the configuration since the last change.
    is_remark : bool
        Whether nothing but `trouble` is new.
    is_unseen : bool
        Whether the cluster cannot be watched.
    """

    at_ns: int
    expectation: Expectation | None
    is_of_endpoints: bool
    text: str
    observed: Split | None = None
    code: ReasonCode = ReasonCode.EXPECTATION_MOVED
    remedy: str = ""
    outage: str = ""
    lost: str = ""
    trouble: str = ""
    is_reconfigured: bool = False
    is_remark: bool = False
    is_unseen: bool = False

    @classmethod
    def of(cls, sight: Sight, at_ns: int) -> ExpectationChange:
        """Return what a run is told that begins with this look."""
        held = sight.held
        return cls(
            at_ns,
            None if held is not None else sight.asked,
            is_of_endpoints=True,
            text="" if held is None else held.text,
            observed=None if sight.observed is None else sight.observed.split,
            code=ReasonCode.EXPECTATION_MOVED if held is None else held.code,
            remedy="" if held is None else held.remedy,
            outage=sight.outage,
            lost=sight.lost,
            trouble=sight.trouble,
        )


class News:
    """Compares looks, and tells what is new.

    Parameters
    ----------
    standing : Standing
        Looks.
    sight : Sight
        Its first look.
    """

    def __init__(self, standing: Standing, sight: Sight) -> None:
        self._standing = standing
        self._sight = sight
        self._told = sight
        """The last look at which a split was known."""

    def is_due(self, now_ns: int) -> bool:
        """Whether time alone may have changed something."""
        return self._sight.again_ns is not None and now_ns >= self._sight.again_ns

    def look(
        self, state: ClusterState, blind: str, touched_ns: int, now_ns: int
    ) -> list[ExpectationChange] | None:
        """Return the change since the last look; None if it is too early to tell.

        Parameters
        ----------
        state : ClusterState
        blind : str
            Why it may be out of date; empty if it is not.
        touched_ns, now_ns : int
            When it changed first, and the present, on the clock of the run [ns].
        """
        sight = self._see(state, blind, now_ns)
        is_young = now_ns - touched_ns < GRACE_S * NS_PER_S
        if sight.held is not None and not blind and is_young:
            return None  # a slice may come before the pod that it names: the rest is under way
        before, self._sight = self._sight, sight
        change = ExpectationChange.of(sight, touched_ns)
        is_reconfigured = sight.configurations != before.configurations
        if change.expectation is None:
            is_same = (before.held, before.outage, before.trouble) == (
                sight.held, sight.outage, sight.trouble,
            )  # fmt: skip
            change = replace(change, is_reconfigured=is_reconfigured, is_unseen=bool(blind))
            return [] if is_same and not is_reconfigured else [change]
        is_same = (
            before.held is None and sight.pods == before.pods and _splits(before) == _splits(sight)
        )
        if is_same and sight.trouble == before.trouble and not is_reconfigured:
            return []
        if is_same:
            text = sight.trouble or "the pods' status is clear again"
            return [replace(change, text=text, is_remark=True, is_reconfigured=is_reconfigured)]
        told, self._told = self._told, sight
        remedy = _moved_by(told.made_of, state) if is_reconfigured else ""
        is_of_endpoints, text = _describe(told, sight)
        if before.held is not None:
            text = f"the expected split is known again: {text}"
        return [
            replace(
                change,
                is_of_endpoints=is_of_endpoints,
                text=text,
                remedy=remedy,
                is_reconfigured=is_reconfigured,
            )
        ]

    def _see(self, state: ClusterState, blind: str, now_ns: int) -> Sight:
        """Look, or return why that is impossible."""
        known = self._sight
        until_then = "" if self._told.asked is None else str(self._told.asked.split)
        if blind and until_then:
            blind += f" (until then {until_then} was expected)"
        unknown = replace(known, asked=None, held=Held(ReasonCode.EXPECTATION_MOVED, blind))
        if blind:
            return unknown
        try:
            sight = self._standing.look(state, now_ns)
        except ExpectationError as error:
            remedy = f"{error.hint[:1].upper()}{error.hint[1:]}." if error.hint else ""
            sight = replace(unknown, held=Held(ReasonCode.EXPECTATION_MOVED, str(error), remedy))
        if sight.held is not None:
            return replace(sight, held=_deleted(sight.held, self._told, state))
        if sight.asked is None and sight.held is None:
            held = Held(ReasonCode.EXPECTATION_MOVED, "the split that was asked about is not known")
            return replace(sight, held=held)
        return sight


def _deleted(held: Held, told: Sight, state: ClusterState) -> Held:
    """Say so if something is gone of which the last known split was made."""
    gone = {str(each): each for each in told.made_of if not state.has(each)}
    if not gone:
        return held
    what = ", ".join(gone)
    return replace(
        held,
        text=f"{what} was there before and is deleted: {held.text}",
        remedy=_moved_by(gone.values(), state)
        or "If that was not meant, apply it again, and find out who deleted it (kubectl get "
        "events, the audit log of the API server); then check again.",
    )


def _moved_by(made_of: Iterable[KubeObject], state: ClusterState) -> str:
    """Say what to do where a controller scales and deletes what a split was made of; or nothing."""
    inventory = state.running()
    for owner in made_of:
        for mover in movers(owner, inventory):
            return (
                f"{mover} scales {owner} as its roll-out goes on, or deletes it: wait until that "
                f"is over (kubectl describe {mover.kind.lower()} {mover.name} -n "
                f"{mover.namespace}), or check the split that it gives, with --route "
                f"{mover.kind}/{mover.name}."
            )
    return ""


def _splits(sight: Sight) -> tuple[Split | None, Split | None]:
    return (
        None if sight.asked is None else sight.asked.split,
        None if sight.observed is None else sight.observed.split,
    )


def _describe(before: Sight, after: Sight) -> tuple[bool, str]:
    """Return whether pods came or went, and a sentence about it."""
    old, new = before.observed or before.asked, after.observed or after.asked
    if old is None or new is None:
        return True, f"the split is {None if after.asked is None else after.asked.split}"
    is_of_endpoints, text = describe_change(old, new)
    if after.asked is not None and after.asked.split != new.split:
        text += f", and {after.asked.split} is expected"
    return is_of_endpoints, text
