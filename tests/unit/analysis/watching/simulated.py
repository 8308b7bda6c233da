"""A simulated target, weighed without an end: the story that the recorded stream tells.

python -m tests.unit.analysis.watching.simulated > tests/recordings/watch/events.jsonl
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from analysis import Batch, Policy, Split
from analysis.data.live import Cost, to_line
from analysis.data.live_events import StateTold
from analysis.data.report import ReasonCode, Source
from analysis.versions.health import HealthEvidence, HealthPolicy, health_of
from analysis.versions.replicas import ReplicaCounts
from analysis.watching.asked import WatchPolicy
from analysis.watching.lookout import Lookout
from analysis.watching.picture import Around, picture
from analysis.weighing.fold import Fold
from analysis.weighing.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analysis.data.live_events import Event

START = 1_760_000_000.0
RATE = 20.0
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Stated:
    """A split, and where it was read."""

    split: Split
    source: Source


@dataclass(frozen=True, slots=True)
class Moved:
    """A change of the expectation, as a watcher reports it."""

    at_ns: int
    expectation: Stated | None
    text: str
    observed: Split | None = None
    is_of_endpoints: bool = False
    code: ReasonCode = ReasonCode.EXPECTATION_MOVED
    remedy: str = ""
    outage: str = ""
    lost: str = ""
    trouble: str = ""
    is_reconfigured: bool = True
    is_remark: bool = False
    is_unseen: bool = False


class Target:
    """Answers at a rate of its own, with labels drawn as it is told.

    Parameters
    ----------
    seed : int
    rate : float, default 20
        [1/s]
    """

    def __init__(self, seed: int, rate: float = RATE) -> None:
        self._rng = np.random.default_rng(seed)
        self._rate = rate
        self.sent = 0

    def second(self, second: float, canary: float, lost: float = 0.0, width: float = 1.0) -> Batch:
        """Return what is sent within a second, or another width [s]: a share of the canary, v2."""
        rng = self._rng
        n = int(rng.poisson(self._rate * width))
        sent_ns = ((np.sort(rng.random(n)) * width + second) * NS).astype(np.int64)
        label = (rng.random(n) < canary).astype(np.int32)
        label[rng.random(n) < lost] = -1
        batch = Batch.of_labels([None] * n, first=self.sent)
        self.sent += n
        took_ns = (rng.lognormal(-5.5, 0.3, n) * NS).astype(np.int64)
        return replace(
            batch,
            scheduled_ns=sent_ns,
            sent_ns=sent_ns,
            first_byte_ns=sent_ns + took_ns // 2,
            done_ns=sent_ns + took_ns,
            label=label,
            replica=np.where(label >= 0, label * 2 + rng.integers(0, 2, n), -1).astype(np.int32),
            outcome=np.where(label >= 0, 0, 1).astype(np.uint8),
            labels=("v1", "v2"),
            replicas=("v1-a", "v1-b", "v2-a", "v2-b"),
        )


def lookout_of(
    split: str = "v1=9,v2=1",
    *,
    false_alarm_s: float = 30 * 86_400,
    rate: float = RATE,
    is_followed: bool = False,
    policy: Policy | None = None,
) -> Lookout:
    """Return a lookout on a split, as a run begins it."""
    asked = WatchPolicy(policy or Policy(), false_alarm_s, rate)
    lookout = Lookout("shop", asked, START)
    watched = Watched(Split.parse(split), asked.policy, 0, Source(), judging=lookout)
    lookout.attach(watched, START, is_followed=is_followed)
    return lookout


def story() -> Iterator[Event]:
    """Tell four minutes: proof, drift, recovery, new weights, and a time without labels."""
    lookout, target = lookout_of(is_followed=True), Target(7)
    split, after = Split.parse("v1=9,v2=1"), Split.parse("v1=3,v2=1")
    fold = Fold(lookout, health=HealthEvidence.start(split, HealthPolicy(), 0), keeps_windows=False)
    seq = 0
    shares = {60: 0.5, 75: 0.1, 152: 0.25}
    canary, replicas, state = 0.1, ReplicaCounts(), lookout.course.state
    for second in range(240):
        canary = shares.get(second, canary)
        if second == 150:
            change = Moved(150 * NS, Stated(after, Source()), "weights 9:1 to 3:1", after)
            lookout.watched.notice([change], 0)
        batch = target.second(second, canary, lost=1.0 if second >= 220 else 0.0)
        fold.take(batch)
        replicas.observe(batch)
        now = START + second + 1
        events = lookout.look(now)
        if second % 10 == 9 or lookout.course.state is not state:
            state = lookout.course.state
            around = Around(
                url="http://shop.example/", run="20251009T085320.000000Z-shop", started=START,
                cost=Cost(rate_per_s=RATE, asked_per_s=RATE, cpu_share=0.01),
                views={"declared": {"v1": 0.9, "v2": 0.1}},
                outcomes={each.key: n for each, n in fold.tally.outcomes.items()},
                health=None if fold.health is None else health_of(fold.health, seed=0),
                replicas=replicas, last_event=seq + len(events),
            )  # fmt: skip
            events.append(
                StateTold(seq=0, at=now, target="shop", state=picture(lookout, around, now))
            )
        for event in events:
            seq += 1
            yield msgspec.structs.replace(event, seq=seq)


if __name__ == "__main__":
    for told in story():
        sys.stdout.buffer.write(to_line(told) + b"\n")
