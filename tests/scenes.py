"""A check of a cluster whose objects and answers are told, on a clock of its own."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from analysis import Batch, Policy
from analysis.data.report import Performance, Run
from analysis.data.split import Tolerance
from analysis.verdict.decision import Ended
from analysis.weighing.change import Phase
from analysis.weighing.fold import Fold
from analysis.weighing.report import Account, Asked, assemble
from analysis.weighing.watched import Watched
from sampler.expect.cluster.overview import compare
from sampler.expect.cluster.resources import Resource
from sampler.expect.rules.model import Question
from tests.clusters import canary, endpoint, endpoint_slice
from tests.replays import NAMESPACE, RESOURCES, Playing, timed

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)
TICK_S = 0.05
PER_S = {Phase.WAITING: 5, Phase.SETTLING: 100, Phase.JUDGING: 200}
EXTENSIONS = (
    Resource("argoproj.io", "v1alpha1", "rollouts", "Rollout"),
    Resource("flagger.app", "v1beta1", "canaries", "Canary"),
    Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute"),
)
BY_KIND = {each.kind: each for each in (*RESOURCES.values(), *EXTENSIONS)}
RIGHT = {"v1": 9, "v2": 1}
UNREADY = {"ready": False, "serving": False, "terminating": False}
LEAVING = {"ready": False, "serving": True, "terminating": True}


def at(seconds):
    return (BEGAN + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def status(*, ready=True, turned=-3600, started=-3601, restarts=0, last=(), inits=()):
    """Status of a pod; `last` has the start and the end of what crashed."""
    container = {"restartCount": restarts, "state": {"running": {"startedAt": at(started)}}}
    if last:
        ended = {"exitCode": 1, "reason": "Error", "startedAt": at(last[0])}
        container["lastState"] = {"terminated": {**ended, "finishedAt": at(last[1])}}
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": at(turned)}
    return {
        "phase": "Running", "conditions": [condition],
        "containerStatuses": [container], "initContainerStatuses": list(inits),
    }  # fmt: skip


def cluster(stable=9, new=1):
    """Give the objects of a settled canary, with their status."""
    objects = copy.deepcopy(list(canary(stable, new)))
    for each in objects:
        if each["kind"] == "Pod":
            each["status"], each["metadata"]["uid"] = status(), each["metadata"]["name"]
        if each["kind"] == "Deployment":
            n = each["spec"]["replicas"]
            each["status"] = {"observedGeneration": 1, "replicas": n, "updatedReplicas": n}
    return objects


def without_owner(objects, owner):
    """Leave out what makes the pods of a Deployment."""
    return [
        each
        for each in objects
        if each["kind"] not in {"Deployment", "ReplicaSet"}
        or not each["metadata"]["name"].startswith(owner)
    ]


def scaled(objects, owner, replicas):
    """Give a Deployment that was scaled, all of whose pods there are."""
    body = copied(objects, "Deployment", owner)
    body["spec"]["replicas"], body["metadata"]["generation"] = replicas, 2
    body["status"] = {
        "observedGeneration": 2, "replicas": replicas, "updatedReplicas": replicas,
    }  # fmt: skip
    return body


def another_pod(objects, like, name):
    body = copied(objects, "Pod", like)
    body["metadata"]["name"] = body["metadata"]["uid"] = name
    return body


def names(objects):
    return [each["metadata"]["name"] for each in objects if each["kind"] == "Pod"]


def copied(objects, kind, name):
    found = (each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return copy.deepcopy(next(found))


def slice_of(pods, **conditions):
    """Give the slice of some pods; those that are named (v1_0) have other conditions."""
    given = {name.replace("_", "-"): each for name, each in conditions.items()}
    return endpoint_slice(
        endpoint(name, conditions=given[name]) if name in given else endpoint(name) for name in pods
    )


class Scene:
    """A check of a cluster whose objects and answers are told."""

    def __init__(
        self, objects, tolerance="5pp", wait_s=120.0, declared=None, deciding=None, **asked
    ):
        self.playing = Playing([])
        for kind, resource in BY_KIND.items():
            listed = [each for each in objects if each["kind"] == kind]
            self.playing.state.take((resource, NAMESPACE), listed, "1")
        access: Any = None
        question = Question(**{"service": "app", "namespace": NAMESPACE, **asked})
        seen = compare(access, self.playing.state, question, declared)
        expected = seen.expectation(deciding)
        watch = seen.watch(None, BEGAN, deciding=deciding, wait_s=wait_s, clock=self.playing.clock)
        watcher: Any = watch.watcher
        self.watcher = self.playing.watcher = watcher
        self.wait_s, self.asked = wait_s, expected
        self.policy = Policy(tolerance=Tolerance.parse(tolerance))
        self.watched = Watched(
            expected.split,
            self.policy,
            1,
            expected.source,
            start=watch.start,
            remarks=watch.remarks,
        )
        self.fold, self.random, self.row = Fold(self.watched), np.random.default_rng(1), 0

    def tell(self, kind, body):
        key = BY_KIND[body["kind"]], NAMESPACE
        if self.playing.state.apply(key, kind, body):
            self.watcher._touch()

    def run(self, seconds, shares):
        """Let time pass while the pods answer by these shares."""
        labels, weights = list(shares), np.array(list(shares.values()), dtype=float)
        for _ in range(round(seconds / TICK_S)):
            is_over = self.playing.clock() >= self.watched.waits_until_ns(self.wait_s)
            if self.fold.is_decided or is_over:
                return
            self.playing.now_s += TICK_S
            self.watched.notice(self.watcher.changes(), 0)
            n = self.random.poisson(PER_S[self.watched.phase] * TICK_S)
            if n:
                drawn = self.random.choice(labels, n, p=weights / weights.sum()).tolist()
                now_s = self.playing.now_s
                sent = np.linspace(now_s - TICK_S, now_s, n, endpoint=False)
                self.fold.take(timed(Batch.of_labels(drawn, first=self.row), sent))
                self.row += n
            if self.watched.is_sure(self.playing.clock()):
                self.fold.look()

    def report(self):
        account = Account(
            Performance("r", self.playing.now_s, 200, 0.0, False, 1, None, "fresh"),
            Run("r", None, 1, "", "", "", "", ""),
            Ended.TIME,
        )
        return assemble(Asked(self.policy, self.asked.source, ()), self.fold.finish(), account)
