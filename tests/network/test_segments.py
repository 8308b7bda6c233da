"""What a fresh connection costs in segments, by the kernel's own count."""

from __future__ import annotations

import json
import sys

import pytest

from tests.processes import REPOSITORY

pytestmark = pytest.mark.network

CONNECTIONS = 300

# Runs as a client: samples a URL, or a server of its own whose answer is in two pieces, the
# second of which Nagle's algorithm holds back until the first is acknowledged.
PROGRAM = """
import asyncio, json, socket, sys, threading
from pathlib import Path
from sampler import Limits, Target, sample

def counters():
    found = {}
    for name in ("snmp", "netstat"):
        lines = [line.split() for line in Path("/proc/net", name).read_text().splitlines()]
        for names, values in zip(lines[::2], lines[1::2]):
            found |= {names[0] + name: int(n) for name, n in zip(names[1:], values[1:])}
    return found

def serve(listener):
    kept = []  # a close would push out what Nagle's algorithm holds
    for _ in range(int(sys.argv[1])):
        sock, _ = listener.accept()
        kept.append(sock)
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: 15\\r\\n\\r\\n")
        sock.sendall(b'{"label": "v1"}')

url = sys.argv[2] if len(sys.argv) > 2 else None
if url is None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    url = "http://127.0.0.1:%d/" % listener.getsockname()[1]
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
before = counters()
report = asyncio.run(sample(Target(url), Limits(max_samples=int(sys.argv[1]))))
after = counters()
assert report.samples.outcomes == {"ok": int(sys.argv[1])}, report.samples.outcomes
print(json.dumps({name: after[name] - before[name] for name in before}))
"""


def counted(cluster, *arguments):
    done = cluster.run_in_client(
        ["env", f"PYTHONPATH={REPOSITORY}", sys.executable, "-c", PROGRAM, *arguments]
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_fresh_connection_costs_the_client_three_segments(cluster):
    counters = counted(cluster, str(CONNECTIONS), cluster.url)

    # SYN, request, FIN; five with an acknowledgement of the handshake and of the answer.
    assert 3 * CONNECTIONS <= counters["Tcp:OutSegs"] < 4 * CONNECTIONS


def test_a_server_with_nagles_algorithm_does_not_wait_for_an_acknowledgement(cluster):
    counters = counted(cluster, str(CONNECTIONS))

    # Acknowledgements that were sent because the kernel's timer of 40 ms had run out.
    assert counters["TcpExt:DelayedACKs"] < CONNECTIONS / 4
