"""Random lives of a cluster: no PASS unless what was judged had the split that was asked about.

A small model of Deployments, pods and slices is changed at random; a watcher hears of it, in
any order, late after a gap, or by a list after 410. What answers is what is ready. The model
knows at each moment whether all is in place; that is compared with what the fold judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import Batch, Policy, Verdict
from analysis.data.split import Tolerance
from analysis.verdict.decision import decide
from analysis.weighing.history import alike
from analysis.weighing.watched import Watched
from sampler.expect.cluster.overview import compare
from sampler.expect.cluster.watch import ClusterWatcher
from sampler.expect.rules.model import Question
from tests.clusters import deployment, endpoint, endpoint_slice, pod, replica_set, service
from tests.replays import NAMESPACE, RESOURCES, Playing, timed

TICK_S = 0.1
UNSEEN_S = 0.5
"""Objects may contradict each other for 0.2 s before that is told, and a tick is 0.1 s long."""
PLURALS = {each.kind: each for each in RESOURCES.values()}
OWNERS = ("app", "app-canary")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Model:
    """What is in the cluster."""

    replicas: dict[str, int] = field(default_factory=lambda: {"app": 3, "app-canary": 1})
    versions: dict[str, str] = field(default_factory=lambda: {"app": "v1", "app-canary": "v2"})
    generations: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OWNERS, 1))
    seen: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OWNERS, 1))
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: int = 0

    def __post_init__(self):
        for owner, count in self.replicas.items():
            for _ in range(count):
                self.add(owner, "ready")

    def add(self, owner, state="starting"):
        self.made += 1
        name = f"{owner}-{self.made}"
        self.pods[name] = {
            "owner": owner, "version": self.versions[owner], "state": state, "restarts": 0,
        }  # fmt: skip

    def act(self, kind, which, number):
        """Do one thing to one pod or owner; pods are changed by controllers in `converge` alone."""
        owner = OWNERS[which % 2]
        named = sorted(self.pods)
        chosen = self.pods[named[which % len(named)]] if named else None
        if kind == "scale":
            self.replicas[owner] = number
            self.generations[owner] += 1
        elif kind == "relabel":
            self.versions[owner] = f"v{number + 1}"
            self.generations[owner] += 1
        elif kind == "converge":
            self.converge(owner)
        elif kind in {"silence", "revive"}:
            for each in self.pods.values():
                if each["owner"] == owner:
                    each["state"] = "unready" if kind == "silence" else "ready"
        elif chosen is not None and kind in {"ready", "unready"}:
            chosen["state"] = kind
        elif chosen is not None and kind == "crash":
            chosen["state"], chosen["restarts"] = "unready", chosen["restarts"] + 1
        elif named and kind == "delete":
            del self.pods[named[which % len(named)]]

    def converge(self, owner):
        """Do all that controllers would do for one owner."""
        self.seen[owner] = self.generations[owner]
        own = {name: each for name, each in self.pods.items() if each["owner"] == owner}
        for name, each in own.items():
            if each["version"] != self.versions[owner]:
                del self.pods[name]
        own = {name: each for name, each in self.pods.items() if each["owner"] == owner}
        for name in sorted(own)[self.replicas[owner] :]:
            del self.pods[name]
        for _ in range(self.replicas[owner] - len(own)):
            self.add(owner)
        for each in self.pods.values():
            if each["owner"] == owner and each["state"] == "starting":
                each["state"] = "ready"

    def objects(self):
        ready = [name for name, each in self.pods.items() if each["state"] == "ready"]
        yield service()
        for owner in OWNERS:
            own = [each for each in self.pods.values() if each["owner"] == owner]
            version = self.versions[owner]
            body = deployment(
                owner, version, self.replicas[owner], generation=self.generations[owner]
            )
            body["status"] = {
                "observedGeneration": self.seen[owner],
                "replicas": len(own),
                "updatedReplicas": sum(each["version"] == version for each in own),
            }
            yield body
            yield replica_set(owner, self.replicas[owner], version)
        for name, each in self.pods.items():
            yield {**pod(name, each["version"], each["owner"]), "status": self.status(each)}
        yield endpoint_slice(
            endpoint(name, conditions={"ready": name in ready}) for name in self.pods
        )

    @staticmethod
    def status(each):
        turned = "2026-01-01T00:00:09Z" if each["state"] == "unready" else "2026-01-01T00:00:00Z"
        container = {
            "restartCount": each["restarts"],
            "state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}},
        }
        if each["restarts"]:
            container["lastState"] = {
                "terminated": {
                    "exitCode": 1,
                    "reason": "Error",
                    "startedAt": "2026-01-01T00:00:01Z",
                    "finishedAt": "2026-01-01T00:00:02Z",
                }
            }
        status = "True" if each["state"] == "ready" else "False"
        ready = {"type": "Ready", "status": status, "lastTransitionTime": turned}
        return {"phase": "Running", "conditions": [ready], "containerStatuses": [container]}

    def configured(self):
        found: dict[str, int] = {}
        for owner in OWNERS:
            found[self.versions[owner]] = found.get(self.versions[owner], 0) + self.replicas[owner]
        return {version: count for version, count in found.items() if count}

    def ready(self):
        found: dict[str, int] = {}
        for each in self.pods.values():
            if each["state"] == "ready":
                found[each["version"]] = found.get(each["version"], 0) + 1
        return found

    def is_calm(self):
        """Whether all versions are in service, and no roll-out or crash is under way."""
        return (
            self.configured().keys() == self.ready().keys()
            and self.seen == self.generations
            and all(
                each["state"] != "starting"
                and not each["restarts"]
                and each["version"] == self.versions[each["owner"]]
                for each in self.pods.values()
            )
            and all(
                sum(each["owner"] == owner for each in self.pods.values()) == count
                for owner, count in self.replicas.items()
            )
        )


@dataclass(frozen=True)
class Moment:
    """What the model knows of a tick."""

    at_s: float
    wanted: dict[str, int]
    ready: dict[str, int]
    generations: tuple[int, ...]
    is_calm: bool
    is_blind: bool

    @property
    def is_right(self):
        return self.wanted.keys() == self.ready.keys() and not self.is_blind

    @property
    def is_out(self):
        return not self.is_blind and not self.wanted.keys() <= self.ready.keys()


@dataclass
class Told:
    """What a watcher has been told, and how."""

    playing: Playing
    known: dict[tuple[str, str], dict[str, Any]]
    is_blind: bool = False

    def tell(self, model, rng, *, is_listed):
        """Tell of the changes since last time: by events in any order, or by lists."""
        now = {(each["kind"], each["metadata"]["name"]): each for each in model.objects()}
        before, self.known = self.known, now
        watcher, state = self.playing.watcher, self.playing.state
        assert watcher is not None
        if is_listed:
            for kind, resource in PLURALS.items():
                items = [body for (of, _), body in now.items() if of == kind]
                key = (resource, NAMESPACE)
                if key in state.objects:
                    was_blind = watcher._blind.pop(key, None) is not None
                    if state.take(key, items, "9") or was_blind:
                        watcher._touch()
            return
        changes = [("DELETED", before[name]) for name in before.keys() - now.keys()]
        changes += [
            ("MODIFIED" if name in before else "ADDED", body)
            for name, body in now.items()
            if before.get(name) != body
        ]
        for place in rng.permutation(len(changes)):
            kind, body = changes[place]
            if state.apply((PLURALS[body["kind"]], NAMESPACE), kind, body):
                watcher._touch()


ACTS = st.tuples(
    st.sampled_from(
        ["converge", "scale", "relabel", "ready", "unready", "crash", "delete", "silence", "revive"]
    ),
    st.integers(0, 7),
    st.integers(0, 4),
    st.sampled_from([0.0, 0.1, 0.8, 1.5, 4.0]),
    st.sampled_from(["events", "events", "events", "gone", "gap"]),
)


OUTAGES = st.builds(
    lambda calm_s, out_s, how: [
        ("converge", 0, 0, calm_s, "events"),
        ("silence", 1, 0, out_s, how),
        ("revive", 1, 0, 6.0, "events"),
    ],
    st.sampled_from([0.8, 1.5]),
    st.sampled_from([0.1, 0.8, 1.5]),
    st.sampled_from(["events", "gap"]),
)
"""A version that is gone for a while, and comes back before a verdict can have fallen."""
LIVES = st.one_of(
    st.lists(ACTS, max_size=20),
    st.builds(lambda outage, acts: [*outage, *acts], OUTAGES, st.lists(ACTS, max_size=6)),
)


@settings(deadline=None, max_examples=60)
@given(LIVES, st.integers(0, 999))
def test_no_pass_unless_what_was_judged_had_the_split(acts, seed):
    rng = np.random.default_rng(seed)
    model, playing = Model(), Playing([])
    told = Told(playing, {})
    for kind, resource in PLURALS.items():
        items = [each for each in model.objects() if each["kind"] == kind]
        playing.state.take((resource, NAMESPACE), items, "1")
    told.known = {(each["kind"], each["metadata"]["name"]): each for each in model.objects()}
    overview = compare(None, playing.state, Question("app", namespace=NAMESPACE), None)  # type: ignore[arg-type]  # no server is asked
    watch = overview.watch(0.3, NOW, clock=playing.clock)
    assert isinstance(watch.watcher, ClusterWatcher)
    playing.watcher = watch.watcher
    asked = overview.expectation()
    policy = Policy(tolerance=Tolerance.parse("5pp"), max_samples=100_000)
    watched = Watched(asked.split, policy, 1, asked.source, settle_s=0.3, start=watch.start)
    truth: list[Moment] = []
    row = 0
    for kind, which, number, wait_s, how in [*acts, ("converge", 0, 0, 2.0, "events")]:
        model.act(kind, which, number)
        if how == "gap":
            playing.watcher._lose((PLURALS["EndpointSlice"], NAMESPACE), "gone away")
            told.is_blind = True
        elif told.is_blind or how == "gone":
            told.tell(model, rng, is_listed=True)
            told.is_blind = False
        else:
            told.tell(model, rng, is_listed=False)
        for _ in range(1 + round(wait_s / TICK_S)):
            playing.now_s += TICK_S
            ready, generations = model.ready(), tuple(model.generations.values())
            truth.append(
                Moment(
                    playing.now_s, model.configured(), ready, generations, model.is_calm(),
                    told.is_blind,
                )
            )  # fmt: skip
            watched.notice(playing.watcher.changes(), 0)
            names = [version for version, count in ready.items() for _ in range(count)] or [None]
            labels = [names[place] for place in rng.integers(0, len(names), 20)]
            batch = timed(
                Batch.of_labels(labels, first=row),
                np.linspace(playing.now_s - TICK_S, playing.now_s, 20, endpoint=False),
            )
            row += len(labels)
            watched.weigh(batch)
            decision = decide(watched.evidence)
            is_final = decision.is_final and watched.is_sure(playing.clock())
            if is_final and decision.verdict is Verdict.PASS:
                require_right(watched, truth)
                return
            if is_final:
                return


def require_right(watched, truth):
    """Check a PASS against what the model knows of the time that was judged."""
    history = watched.history(is_over=True)
    if history.out_of_service() is not None:
        return  # that is no PASS
    split = history.last.split
    for part in history.last.judged:
        within = [each for each in truth if part.since_s + TICK_S < each.at_s <= part.until_s]
        wrong = [
            not (each.is_right and alike(split, type(split).of(each.wanted))) for each in within
        ]
        assert longest(wrong) * TICK_S <= UNSEEN_S, (part, truth)
    same = [each for each in truth if each.generations == truth[-1].generations]
    calm = next((place for place in range(len(same)) if all_calm(same[place : place + 6])), None)
    if calm is not None:
        assert longest([each.is_out for each in same[calm:]]) * TICK_S <= UNSEEN_S, truth


def all_calm(moments):
    return len(moments) == 6 and all(each.is_calm and not each.is_blind for each in moments)


def longest(flags):
    """Length of the longest series of true ones."""
    most = here = 0
    for flag in flags:
        here = here + 1 if flag else 0
        most = max(most, here)
    return most
