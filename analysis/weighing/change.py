"""What a watcher of the expectation reports, and what a run does meanwhile."""

from __future__ import annotations

from enum import Enum, auto, unique
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from analysis.data.batch import Batch
    from analysis.data.report import ReasonCode, Source
    from analysis.data.split import Split
    from analysis.evidence.state import Evidence


class Stated(Protocol):
    """The expected split from some moment on, and where it was read."""

    @property
    def split(self) -> Split:
        """The expected split."""
        ...

    @property
    def source(self) -> Source:
        """Where it was read."""
        ...


class Change(Protocol):
    """A change of the expectation, as a watcher reports it."""

    @property
    def at_ns(self) -> int:
        """When it was noticed, on the clock of the watcher [ns]."""
        ...

    @property
    def expectation(self) -> Stated | None:
        """The expected split from then on; None if it is unknown."""
        ...

    @property
    def is_of_endpoints(self) -> bool:
        """Whether pods came or went; otherwise weights changed."""
        ...

    @property
    def text(self) -> str:
        """One sentence."""
        ...

    @property
    def observed(self) -> Split | None:
        """The split of the endpoints, which the data plane follows; None is the expected one."""
        ...

    @property
    def code(self) -> ReasonCode:
        """Why nothing can be judged, if so."""
        ...

    @property
    def remedy(self) -> str:
        """What to do about that, or about a split that lacks a version; empty for the usual."""
        ...

    @property
    def outage(self) -> str:
        """What is out of service under an unchanged configuration, in a sentence."""
        ...

    @property
    def lost(self) -> str:
        """Which version that is; empty if none is."""
        ...

    @property
    def trouble(self) -> str:
        """What the status of the pods says; empty if all are well."""
        ...

    @property
    def is_reconfigured(self) -> bool:
        """Whether somebody has changed the configuration since the last change."""
        ...

    @property
    def is_remark(self) -> bool:
        """Whether nothing but `trouble` is new."""
        ...

    @property
    def is_unseen(self) -> bool:
        """Whether the watcher sees nothing any more."""
        ...


class Judging(Protocol):
    """How the stretches of an expectation are judged, if not as those of a run with an end."""

    def begin(self, split: Split) -> Evidence:
        """Return the evidence of a stretch before its first sample."""
        ...

    def judge(self, evidence: Evidence, part: Batch) -> Evidence:
        """Judge the next samples of a stretch."""
        ...


@unique
class Phase(Enum):
    """What a run does with the samples of a moment."""

    WAITING = auto()
    """There is nothing to judge: the cluster moves, or is not as declared."""
    SETTLING = auto()
    """The data plane follows what has changed."""
    JUDGING = auto()
