"""Random scenes: pods come and go, slices follow, and the data plane follows them later."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

from analysis.data.report import Verdict
from tests.clusters import pod
from tests.scenes import TICK_S, UNREADY, Scene, cluster, names, slice_of, status

TOLERANCE = 0.05
LONG_S = 40


class Moving:
    """A cluster in which some pods are not ready for a while, or are replaced.

    Attributes
    ----------
    answered, told : list of float
        For each request, the canary's share of the pods that the data plane asked, and of those
        that were ready in the slices then; the former is 0.5 throughout where it is broken.
    """

    def __init__(self, seed):
        random = Random(seed)
        counts = random.choice([(9, 1), (4, 1), (3, 2)])
        objects = cluster(*counts)
        self.expected = counts[1] / sum(counts)
        self.slices_lag_s, self.plane_lag_s = random.choice([0, 0.5]), random.choice([0, 1.5, 4, 8])
        self.is_broken = random.random() < 0.25
        self.ready = dict.fromkeys(names(objects), True)
        self.scene = Scene(objects, f"{TOLERANCE * 100:g}pp", wait_s=20)
        self.answered: list[float] = []
        self.told: list[float] = []
        self.acts: list[tuple[float, str, bool]] = []
        for _ in range(random.randint(1, 3)):
            at_s, name = random.choice([0.0, 3, 12]) + random.random(), random.choice([*self.ready])
            name = random.choice([name, f"v2-{counts[1] - 1}"])
            self.acts += [(at_s, name, False), (at_s + random.choice([0.3, 1, 3]), name, True)]

    def run(self):
        """Let it move, and return the report."""
        slices, plane, acts = [(0.0, self.ready)], [(0.0, self.ready)], sorted(self.acts)
        for tick in range(round(LONG_S / TICK_S)):
            while acts and acts[0][0] <= tick * TICK_S:
                at_s, name, is_ready = acts.pop(0)
                self.ready = {**self.ready, name: is_ready}
                version = name.partition("-")[0]
                body = pod(name, version, "app" if version == "v1" else "app-canary")
                body["metadata"]["uid"] = name
                body["status"] = status(ready=is_ready, turned=at_s)
                self.scene.tell("MODIFIED", body)
                slices.append((at_s + self.slices_lag_s, self.ready))
                plane.append((at_s + self.slices_lag_s + self.plane_lag_s, self.ready))
            if slices[1:] and slices[1][0] <= tick * TICK_S:
                out = {name: UNREADY for name, is_ready in slices[1][1].items() if not is_ready}
                self.scene.tell("MODIFIED", slice_of(self.ready, **out))
                del slices[0]
            if plane[1:] and plane[1][0] <= tick * TICK_S:
                del plane[0]
            self.tick(slices[0][1], plane[0][1])
        return self.scene.report()

    def tick(self, slices, plane):
        """Send what is sent meanwhile, and note what it was to get, and gets."""
        told, got = (
            Counter(name.partition("-")[0] for name, is_ready in each.items() if is_ready)
            for each in (slices, plane)
        )
        got = Counter(v1=1, v2=1) if self.is_broken else got
        row = self.scene.row
        self.scene.run(TICK_S, got)
        self.answered += [got["v2"] / got.total()] * (self.scene.row - row)
        self.told += [told["v2"] / told.total()] * (self.scene.row - row)


@pytest.mark.parametrize("seed", [*range(16), 47])
def test_no_verdict_is_one_of_what_the_data_plane_has_not_followed_yet(seed):
    moving = Moving(seed)
    report = moving.run()
    last = moving.scene.watched.history(is_over=True).last
    rows = [slice(part.first_row, part.end_row) for part in last.judged]
    answered, told = (
        np.mean([share for part in rows for share in shares[part]] or [moving.expected])
        for shares in (moving.answered, moving.told)
    )

    if report.verdict is Verdict.PASS:
        assert abs(answered - moving.expected) <= TOLERANCE
    if report.verdict is Verdict.FAIL:
        assert moving.is_broken or abs(told - moving.expected) > TOLERANCE, report.reasons
