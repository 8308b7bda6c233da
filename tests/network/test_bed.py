"""The bed itself: without these, the tests that stand on it would prove little."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
from scipy.stats import binom

from tests.network.cluster import SERVICE, Cluster
from tests.processes import still_running

pytestmark = pytest.mark.network

# One line of JSON on stdout: the label of every response, connection by connection.
CLIENT = """
import http.client, json, sys
address, connections, requests = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
seen = []
for _ in range(connections):
    connection = http.client.HTTPConnection(address, 80, timeout=60)
    hosts = []
    for _ in range(requests):
        connection.request("GET", "/")
        hosts.append(json.load(connection.getresponse()))
    connection.close()
    seen.append(hosts)
print(json.dumps(seen))
"""

# Asks once, waits for a line on stdin, and asks again on the same connection.
PATIENT_CLIENT = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], 80, timeout=60)
for _ in range(2):
    connection.request("GET", "/")
    print(connection.getresponse().read().decode(), flush=True)
    sys.stdin.readline()
"""


def ask(cluster, *, connections, requests):
    done = cluster.run_in_client(
        [sys.executable, "-c", CLIENT, SERVICE.address, str(connections), str(requests)]
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_connection_draws_a_pod_by_chance_and_keeps_it(cluster):
    seen = ask(cluster, connections=400, requests=3)

    hosts = [{answer["host"] for answer in connection} for connection in seen]
    assert all(len(pods) == 1 for pods in hosts)

    drawn = Counter(connection[0]["host"] for connection in seen)
    assert len(drawn) == 10
    # Each of ten pods gets a tenth; ten right ones leave these bounds once in 2 500 000 runs.
    low, high = binom.ppf(2e-8, 400, 0.1), binom.isf(2e-8, 400, 0.1)
    assert all(low <= count <= high for count in drawn.values()), drawn

    # A balancer that goes round would meet another pod each time.
    repeats = sum(a[0]["host"] == b[0]["host"] for a, b in pairwise(seen))
    assert repeats >= binom.ppf(2e-8, 399, 0.1) > 0


def test_the_pods_count_every_request_and_every_connection_by_label(cluster):
    seen = ask(cluster, connections=60, requests=4)

    connections = Counter(connection[0]["label"] for connection in seen)
    assert cluster.connections() == connections
    assert cluster.counts() == Counter({label: 4 * n for label, n in connections.items()})


def test_new_connections_follow_the_rules_that_were_applied_last(cluster):
    cluster.apply({"v1": 0, "v2": 10})

    seen = ask(cluster, connections=50, requests=1)

    assert {answer["label"] for connection in seen for answer in connection} == {"v2"}
    assert len({answer["host"] for connection in seen for answer in connection}) > 1


def test_an_open_connection_stays_with_its_pod_when_the_rules_change(cluster):
    cluster.apply({"v1": 10})
    with subprocess.Popen(
        [*cluster.prefix, sys.executable, "-c", PATIENT_CLIENT, SERVICE.address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout is not None
        before = json.loads(client.stdout.readline())
        cluster.apply({"v2": 10})
        after, _ = client.communicate("go on\n", timeout=60)

    assert before["label"] == "v1"
    assert json.loads(after) == before


def test_more_pods_than_exist_and_none_at_all_are_refused(cluster):
    with pytest.raises(ValueError, match="0 to 10 pods of v1, got 11"):
        cluster.apply({"v1": 11})
    with pytest.raises(ValueError, match="at least one endpoint"):
        cluster.apply({"v1": 0, "v2": 0})


def test_nothing_is_left_behind_when_the_block_fails():
    spaces: set[str] = set()
    processes: list[int] = []

    def fail_inside():
        with Cluster.start({"v1": 1}) as cluster:
            spaces.update({cluster.client, cluster.node})
            pids = output_of("ip", "netns", "pids", cluster.node)
            processes.extend(map(int, pids))
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail_inside()

    assert not spaces.intersection(output_of("ip", "netns", "list"))
    assert len(processes) == 2
    assert not still_running(processes)


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
