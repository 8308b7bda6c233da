"""The fold: batches in send order become everything that is known of a run.

    fold = Fold(Fixed(split, policy), health=HealthEvidence.start(split, HealthPolicy()))
    for batch in batches:
        fold.take(batch)
        if fold.look().is_final:
            break
    folded = fold.finish()

A live run, a stored one, a run that was cut off, another tool's log and a run that is looked at
once more all go through it; `analysis.weighing.report.assemble` makes their report of the result.
Two things come out of the same samples: the `Tally`, which is shown and adds up in any order, and
the `Evidence`, which is decided on and follows the order of sending.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.data.errors import InputError
from analysis.data.tally import Tally
from analysis.evidence.fold import finish
from analysis.verdict.decision import decide
from analysis.versions.apart import Apart
from analysis.versions.correlation import ConnectionCounts
from analysis.versions.replicas import ReplicaCounts
from analysis.weighing.zones import Zones

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from analysis.data.batch import Batch
    from analysis.evidence.state import Evidence
    from analysis.verdict.decision import Decision
    from analysis.versions.correlation import Correlation
    from analysis.versions.health import HealthEvidence
    from analysis.weighing.expectation import Expectation
    from analysis.weighing.history import History


@dataclass(frozen=True, slots=True)
class Folded:
    """What a run came to.

    Parameters
    ----------
    tally : Tally
        All samples.
    evidence : Evidence or None
        What is decided on; None if nothing was judged.
    health : HealthEvidence or None
        Canary against stable version; None if there are no two to compare, or zones are to have
        different splits.
    zone_health : tuple of HealthEvidence
        In each zone, where there are several, that is to have both.
    replicas : ReplicaCounts
        Replicas inside the versions.
    correlation : Correlation or None
        How the answers of a connection depend on each other; None where each connection
        carried one.
    history : History or None
        What happened to the expectation, where that was watched.
    zones : dict of str to Evidence
        Of each zone, where each is judged; `evidence` is then that of the zone that the verdict is
        about.
    named : str
        Which one that is.
    apart : Apart or None
        Whether zones differ, where several are to have the same split.
    last_ns : int
        When the last sample was sent or complete [ns since the run began]; 0 without samples.
    """

    tally: Tally
    evidence: Evidence | None
    health: HealthEvidence | None
    replicas: ReplicaCounts
    zone_health: tuple[HealthEvidence, ...] = ()
    correlation: Correlation | None = None
    history: History | None = None
    zones: dict[str, Evidence] = field(default_factory=dict)
    named: str = ""
    apart: Apart | None = None
    last_ns: int = 0

    @property
    def compared(self) -> tuple[HealthEvidence, ...]:
        """The family of comparisons of health."""
        return _compared(self)

    @property
    def is_uniform(self) -> bool:
        """Whether one split was expected throughout, and every sample was judged."""
        return self.history is None or self.history.is_uniform

    def without_verdict(self) -> Folded:
        """Return what a run knows that no rule of its own ended: nothing is settled."""
        if self.evidence is None:
            return self
        zones = {name: replace(each, settled=None) for name, each in self.zones.items()}
        return replace(self, evidence=replace(self.evidence, settled=None), zones=zones)


class Fold:
    """Folds the batches of one run, in send order.

    Parameters
    ----------
    expectation : Expectation or None
        The expectation and its evidence; None measures without judging.
    health : HealthEvidence or None
        Compares canary and stable version; None compares nothing.
    has_connections : bool
        Whether connections may carry several answers.
    keeps_windows : bool
        Whether windows of time are counted; they grow with the length of the run.
    zone_of : sequence of str, default ()
        Zone of each vantage, by the number in the column ``worker``; empty for one stream.

    Raises
    ------
    InputError
        If there is a limit on the canary's health, and no zone is to have both versions.

    Attributes
    ----------
    tally : Tally
        All samples so far.
    health : HealthEvidence or None
        Of all samples so far.
    zone_health : tuple of HealthEvidence
        Of those of each zone.
    replicas : ReplicaCounts
        Likewise.
    decision : Decision or None
        What the last `look` found.
    """

    def __init__(
        self,
        expectation: Expectation | None,
        *,
        health: HealthEvidence | None = None,
        has_connections: bool = False,
        keeps_windows: bool = True,
        zone_of: Sequence[str] = (),
    ) -> None:
        self.tally = Tally()
        zones = expectation if isinstance(expectation, Zones) else None
        is_alike = zones is None or zones.is_alike
        # Over all: a zone that is slow, and has more of the canary, would make the canary slow.
        self.health = health if is_alike else None
        self._zone_of = np.array(zone_of)
        self.zone_health: tuple[HealthEvidence, ...] = ()
        if zones is not None and health is not None:
            begun = (
                health.within(name, zones.zones[name].split) for name in dict.fromkeys(zone_of)
            )
            self.zone_health = tuple(each for each in begun if each is not None)
        if health is not None and health.policy.gates and not self.compared:
            raise InputError(
                f"there is nothing to compare: no zone is to have both {health.canary} and "
                f"{health.stable}",
                hint="leave max_error_ratio and max_slowdown out",
            )
        self._apart = Apart(zone_of) if is_alike and len(set(zone_of)) > 1 else None
        self._expectation = expectation
        self.replicas = ReplicaCounts()
        self._connections = ConnectionCounts() if has_connections else None
        self._keeps_windows = keeps_windows
        self.decision: Decision | None = None
        self._last_ns = 0

    @property
    def evidence(self) -> Evidence | None:
        """The evidence so far; None if nothing is judged."""
        return None if self._expectation is None else self._expectation.evidence

    @property
    def compared(self) -> tuple[HealthEvidence, ...]:
        """The family of comparisons of health, so far."""
        return _compared(self)

    @property
    def is_decided(self) -> bool:
        """Whether `look` has found a verdict that is final."""
        return self.decision is not None and self.decision.is_final

    def take(self, batch: Batch) -> None:
        """Count the next samples, and weigh them unless the run is decided."""
        self.tally += Tally.of(batch, has_windows=self._keeps_windows)
        self.weigh(batch)
        self.replicas.observe(batch)
        if self._connections is not None:
            self._connections.observe(batch)
        if self.health is not None:
            self.health = self.health.observe(batch)
        if self.zone_health:
            where = self._zone_of[batch.worker]
            self.zone_health = tuple(
                each.observe(batch, where == each.zone) for each in self.zone_health
            )
        if self._apart is not None:
            self._apart.observe(batch)
        if len(batch):
            self._last_ns = max(self._last_ns, int(batch.sent_ns.max()), int(batch.done_ns.max()))

    def weigh(self, batch: Batch) -> None:
        """Weigh the next samples and count nothing: for runs that are looked at once more."""
        if self._expectation is not None and not self.is_decided:
            self._expectation.weigh(batch)

    def look(self) -> Decision | None:
        """Return what the policy makes of the evidence so far; a final verdict stays.

        None if nothing is judged.
        """
        if self.evidence is not None and not self.is_decided:
            self.decision = decide(self.evidence)
        return self.decision

    def finish(self) -> Folded:
        """End the run: what is left of its connections is judged, and nothing more is taken."""
        history = None if self._expectation is None else self._expectation.finish()
        zones = self._expectation if isinstance(self._expectation, Zones) else None
        return Folded(
            tally=self.tally,
            evidence=None if self.evidence is None else finish(self.evidence),
            health=self.health,
            replicas=self.replicas,
            zone_health=self.zone_health,
            correlation=None if self._connections is None else self._connections.finish(),
            history=history,
            zones=zones.zones if zones is not None else {},
            named="" if zones is None else zones.named,
            apart=self._apart,
            last_ns=self._last_ns,
        )


def _compared(each: Fold | Folded) -> tuple[HealthEvidence, ...]:
    return (*(() if each.health is None else (each.health,)), *each.zone_health)


def weighed_again(expectation: Expectation, batches: Iterable[Batch]) -> Iterator[Evidence]:
    """Weigh a run that is over once more, and yield the evidence after each batch.

    Parameters
    ----------
    expectation : Expectation
        What its samples are weighed against; it ends as that of the run.
    batches : iterable of Batch
        In send order.
    """
    fold = Fold(expectation)
    for batch in batches:
        fold.weigh(batch)
        yield expectation.evidence
