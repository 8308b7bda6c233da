"""Recordings of a real cluster, played to a check: what the API said beside what was received.

A recording has what an API server said (lists and watch streams, `events.jsonl.gz`) and what
an independent client received at the same time (`traffic.csv.gz`, 200 connections a second).
`check` plays both in a time of its own, without sockets; `tests.cluster.test_playback` plays them
through real ones.
"""

from __future__ import annotations

import csv
import gzip
import json
from bisect import bisect_left
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis import Batch, Outcome, Policy, Split
from analysis.data.report import Performance, Run, Source
from analysis.data.split import Tolerance
from analysis.verdict.decision import Ended
from analysis.weighing.change import Phase
from analysis.weighing.expectation import Fixed
from analysis.weighing.fold import Fold
from analysis.weighing.report import Account, Asked, assemble
from analysis.weighing.watched import Watched
from sampler.base.clock import NS_PER_S
from sampler.expect.cluster.overview import compare
from sampler.expect.cluster.resources import PODS, WORKLOADS, Resource
from sampler.expect.cluster.state import ClusterState
from sampler.expect.cluster.watch import ClusterWatcher
from sampler.expect.rules.model import Expectation, Question
from sampler.expect.rules.versions import VersionRule
from sampler.run.gate import SETTLING_PER_S, WAITING_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from analysis import Report
    from sampler.expect.cluster.standing import Deciding

RECORDINGS = Path(__file__).parent / "recordings" / "cluster"
NAMESPACE = "shop"
RESOURCES = {each.plural: each for each in (*PODS, *WORKLOADS)}
OUTCOMES = {
    "": Outcome.OK,
    "ok": Outcome.OK,
    "refused": Outcome.CONNECT_FAILED,
    "timeout": Outcome.CONNECT_TIMEOUT,
    "reset": Outcome.RESET,
}
PER_S = 200.0
_TICK_S = 0.05
BEGAN = {
    name: datetime.fromisoformat(text)
    for name, text in json.loads((RECORDINGS / "began.json").read_text("utf-8")).items()
}
"""Wall time of second 0 of each recording."""
QUESTIONS: dict[str, dict[str, Any]] = {
    "l-local-node1": {"service": "app-local", "node": "node1"},
    "m-zone-hints-node1": {"service": "app-zone", "zone": "z1"},
    "m-zone-hints-node2": {"service": "app-zone", "zone": "z2"},
    "o-same-tag": {"versions": VersionRule.parse("app=v1,app-canary=v2")},
}
"""What is asked of a recording besides the Service `app`."""


def question(name: str) -> Question:
    """Return what is asked of a recording."""
    return replace(Question(service="app", namespace=NAMESPACE), **QUESTIONS.get(name, {}))


@dataclass(frozen=True)
class Said:
    """One line of what the API server said, `at_s` seconds after the recording began."""

    at_s: float
    resource: Resource
    kind: str
    body: dict[str, Any]

    @property
    def key(self):
        return self.resource, NAMESPACE


@dataclass(frozen=True)
class Recording:
    name: str
    began: datetime
    said: list[Said]
    sent_s: list[float]
    labels: list[str]
    outcomes: list[Outcome]

    @property
    def end_s(self) -> float:
        return self.sent_s[-1]

    def share(self, label: str, since_s: float, until_s: float) -> float:
        """Share of a label among what was answered in a time."""
        first, end = bisect_left(self.sent_s, since_s), bisect_left(self.sent_s, until_s)
        answered = [each for each in self.labels[first:end] if each]
        return answered.count(label) / max(len(answered), 1)

    def batch(self, rows: list[int], first: int, origin_s: float) -> Batch:
        """Give connections as the samples of a run that began at `origin_s`."""
        labels = [self.labels[row] or None for row in rows]
        batch = timed(
            Batch.of_labels(labels, first=first),
            np.array([self.sent_s[row] - origin_s for row in rows]),
        )
        outcome = np.array([self.outcomes[row] for row in rows], dtype=np.uint8)
        return replace(batch, outcome=outcome)


def timed(batch: Batch, sent_s: NDArray[np.float64]) -> Batch:
    """Give samples the times at which they were sent [s]."""
    sent = np.round(sent_s * NS_PER_S).astype(np.int64)
    return replace(batch, scheduled_ns=sent, sent_ns=sent, first_byte_ns=sent, done_ns=sent)


def read(folder: Path) -> Recording:
    """Read a recording, whole or as it is kept here (without pods and times of answers)."""
    with gzip.open(folder / "events.jsonl.gz", "rt", encoding="utf-8") as lines:
        said = [
            Said(each["t"], RESOURCES[each["resource"]], each["event"]["type"], body or {})
            for each in map(json.loads, lines)
            if each["resource"] in RESOURCES
            for body in (each["event"].get("object"),)
        ]
    with gzip.open(folder / "traffic.csv.gz", "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return Recording(
        folder.name,
        BEGAN[folder.name],
        said,
        [float(row["t_sent"]) for row in rows],
        [row["label"] for row in rows],
        [OUTCOMES[row["outcome"]] for row in rows],
    )


def declare(stable: int, new: int, labels: str = "v1,v2") -> Expectation:
    """Give what manifests declare."""
    return Expectation(
        Split(tuple(labels.split(",")), (stable, new)), Source("Service", "app", "deploy.yaml:9")
    )


class Playing:
    """Plays what an API server said to a watcher, up to a time.

    Parameters
    ----------
    said : iterable of Said
        In the order of time.
    """

    def __init__(self, said: Iterable[Said]) -> None:
        self._said = list(said)
        self._at = 0
        self.now_s = 0.0
        self.state = ClusterState()
        self.watcher: ClusterWatcher | None = None

    def clock(self) -> int:
        return round(self.now_s * NS_PER_S)

    def until(self, at_s: float) -> None:
        """Apply everything that was said up to a time."""
        while self._at < len(self._said) and self._said[self._at].at_s <= at_s:
            each = self._said[self._at]
            self._at += 1
            self.now_s = each.at_s
            self._apply(each)
        self.now_s = at_s

    def _apply(self, each: Said) -> None:
        version = str((each.body.get("metadata") or {}).get("resourceVersion", ""))
        if each.kind == "LIST":
            items = map(each.resource.complete, each.body.get("items") or ())
            is_news = self.state.take(each.key, items, version)
            if self.watcher is not None:
                is_news |= self.watcher._blind.pop(each.key, None) is not None
        elif each.kind in {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"}:
            is_news = self.state.apply(each.key, each.kind, each.resource.complete(each.body))
        elif each.kind in {"UNREACHABLE", "HTTP"} and self.watcher is not None:
            self.watcher._lose(each.key, each.body.get("message", each.kind))
            return
        else:
            return
        if is_news and self.watcher is not None:
            self.watcher._touch()


def check(
    recording: Recording,
    *,
    declared: Expectation | None = None,
    deciding: Deciding | None = None,
    question: Question | None = None,
    since_s: float = 0.2,
    wait_s: float = inf,
    tolerance: str = "auto",
    naive: bool = False,
) -> Report:
    """Check a recording from some second on, as `weighbridge check --cluster` does.

    Parameters
    ----------
    naive : bool
        Read the expectation once, and judge whatever comes.
    """
    question = question or Question(service="app", namespace=NAMESPACE)
    playing = Playing(recording.said)
    playing.until(since_s)
    overview = compare(None, playing.state, question, declared)  # type: ignore[arg-type]  # no server
    asked = overview.expectation(deciding)
    now = recording.began + timedelta(seconds=since_s)
    watch = overview.watch(None, now, deciding=deciding, wait_s=wait_s, clock=playing.clock)
    assert isinstance(watch.watcher, ClusterWatcher)
    playing.watcher = watch.watcher
    policy = Policy(tolerance=Tolerance.parse(tolerance))
    watched = Watched(
        asked.split, policy, 1, asked.source, age_s=watch.age_s, start=watch.start,
        remarks=watch.remarks,
    )  # fmt: skip
    fold = Fold(Fixed(asked.split, policy, 1) if naive else watched)
    paces = {Phase.WAITING: WAITING_PER_S, Phase.SETTLING: SETTLING_PER_S, Phase.JUDGING: PER_S}
    origin_ns = playing.clock()
    row, first, owed = bisect_left(recording.sent_s, since_s), 0, 0.0
    while playing.now_s < recording.end_s and not fold.is_decided:
        playing.until(playing.now_s + _TICK_S)
        elapsed_ns = playing.clock() - origin_ns
        watched.notice(playing.watcher.changes(), origin_ns)
        rows = []
        while row < len(recording.sent_s) and recording.sent_s[row] <= playing.now_s:
            owed += (PER_S if naive else paces[watched.phase]) / PER_S
            if owed >= 1:
                owed -= 1
                rows.append(row)
            row += 1
        if rows:
            fold.take(recording.batch(rows, first, since_s))
            first += len(rows)
        if naive or watched.is_sure(elapsed_ns):
            fold.look()
        if elapsed_ns >= watched.waits_until_ns(wait_s):
            break
    folded = fold.finish()
    performance = Performance(
        "replay", playing.now_s - since_s, PER_S, 0.0, False, 1, None, "fresh"
    )
    run = Run("replay", None, 1, "", "", "", "", "")
    account = Account(performance, run, Ended.TIME)
    return assemble(Asked(policy, asked.source, overview.views.for_report(asked)), folded, account)
