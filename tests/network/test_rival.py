"""The rival of the benchmark has to be counted as fairly as we are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.requirements import path_of

pytestmark = [pytest.mark.network, pytest.mark.needs("wrk")]

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "tally.lua"
CONNECTIONS = 8


def test_the_lua_tally_counts_what_the_pods_counted_save_what_was_in_flight(cluster):
    done = cluster.run_in_client(
        [path_of("wrk"), "-t1", f"-c{CONNECTIONS}", "-d1s", "-s", str(SCRIPT), cluster.url]
    )

    (line,) = (line for line in done.stdout.splitlines() if line.startswith("TALLY "))
    tally = json.loads(line.removeprefix("TALLY "))
    served = cluster.counts()
    assert sum(tally["counts"].values()) == tally["requests"] > 0
    assert tally["errors"] == 0
    assert tally["counts"].keys() == {label for label, count in served.items() if count}
    assert all(tally["counts"][label] <= served[label] for label in tally["counts"])
    assert served.total() - tally["requests"] <= CONNECTIONS
