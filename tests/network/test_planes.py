"""The product on data planes of every kind that people use, each running its real program."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.network.bed import run
from tests.network.dispersion import dispersion
from tests.network.planes.base import Unit, start
from tests.network.planes.catalog import PLANES
from tests.network.weighing import KEPT, RIGHT, WRONG, measure, unit_of_choice, weigh
from tests.processes import still_running

pytestmark = pytest.mark.network


def each(planes, name=lambda plane: plane.name):
    """Run a test on each of `planes`, if its program is here."""
    cases = [
        pytest.param(plane, id=name(plane), marks=pytest.mark.needs(plane.program))
        for plane in planes
    ]
    return pytest.mark.parametrize("plane", cases)


every_plane = each(PLANES)
by_connection = each([plane for plane in PLANES if plane.unit is Unit.CONNECTION])
# One of each program that is a process of its own; `test_bed` looks after the kernel's rules.
every_proxy = each(
    {plane.program: plane for plane in PLANES if plane.unit is Unit.REQUEST}.values(),
    name=lambda plane: plane.program,
)


@every_plane
def test_the_right_split_passes_and_every_request_is_counted_as_the_pods_did(plane, tmp_path):
    with start(plane, RIGHT) as running:
        weighed = weigh(running, tmp_path)
        served = running.counts()
        # One by one: a balancer that looks at the load avoids pods that are busy, the more the
        # slower the machine is, and would be taken for one that goes round. So many that one pick
        # which a plane leaves out hides no turn of its wheel.
        labels = measure(running, tmp_path, 600, "--concurrency", "1")

    assert weighed.exit_code == 0, weighed.printed
    assert weighed.verdict == "PASS"
    assert Counter(weighed.labels) == served
    assert weighed.report["samples"]["launched"] == len(weighed.labels)

    seen = dispersion(labels, "v2")
    assert seen.regime is plane.regime, seen


@every_plane
def test_one_pod_off_fails_where_the_tolerance_is_half_a_pod(plane, tmp_path):
    with start(plane, WRONG) as running:
        weighed = weigh(running, tmp_path)
        unit = unit_of_choice(running)

    assert weighed.exit_code == 1, weighed.printed
    assert weighed.verdict == "FAIL"
    assert unit is plane.unit


@by_connection
@pytest.mark.parametrize("weights", [RIGHT, WRONG], ids=["right", "wrong"])
def test_a_few_kept_connections_decide_nothing_that_is_wrong(plane, weights, tmp_path):
    with start(plane, weights) as running:
        weighed = weigh(running, tmp_path, *KEPT)
        served = running.counts()

    wrong = "FAIL" if weights is RIGHT else "PASS"
    assert weighed.verdict != wrong, weighed.printed
    # Eight draws cannot tell 9:1 from its neighbours, however many answers each of them gave.
    assert weighed.exit_code == 3, weighed.printed
    assert weighed.report["samples"]["independent"] <= 8
    assert Counter(weighed.labels) == served


@by_connection
def test_many_connections_of_several_requests_pass_as_what_they_are(plane, tmp_path):
    with start(plane, RIGHT) as running:
        weighed = weigh(running, tmp_path, "--connection", "3:3", "--tolerance", "8pp")

    assert weighed.exit_code == 0, weighed.printed
    samples = weighed.report["samples"]
    assert samples["independent"] <= samples["connections"]
    assert samples["launched"] > 2 * samples["independent"]


@every_proxy
def test_nothing_is_left_behind_when_the_block_fails(plane):
    processes: list[int] = []
    spaces: set[str] = set()

    def fail_inside():
        with start(plane, RIGHT) as running:
            spaces.update({running.bed.client, running.bed.node})
            pids = run(["ip", "netns", "pids", running.bed.node]).split()
            processes.extend(map(int, pids))
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail_inside()

    assert not spaces.intersection(run(["ip", "netns", "list"]).split())
    # nginx with the pods is two processes, and the proxy is at least one.
    assert len(processes) >= 3
    assert not still_running(processes)
