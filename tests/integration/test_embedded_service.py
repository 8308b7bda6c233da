"""The embedded Service as a process, judged by the standard library's client and raw sockets."""

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from sampler.base.errors import UsageError, WeighbridgeError
from sampler.demo.loop import Loop
from sampler.demo.pods import Faults, Service, counts_from_json, pods_of
from sampler.demo.process import EmbeddedService
from sampler.demo.service import Balancer, Control
from tests.processes import REPOSITORY

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def connect(service):
    sock = socket.create_connection((service.address, service.port))
    sock.settimeout(10)
    return sock


def exchange(service, request=CLOSE):
    """Send `request` on a fresh connection and return all that comes until its end."""
    with connect(service) as sock:
        sock.sendall(request)
        return b"".join(iter(lambda: sock.recv(65_536), b""))


def ask(connection, method="GET"):
    connection.request(method, "/any?path=1")
    response = connection.getresponse()
    return response.status, response.read()


def test_an_http_1_0_client_is_served_until_the_end_of_the_connection():
    with EmbeddedService({"v1": 1}) as service:
        answer = exchange(service, b"GET / HTTP/1.0\r\n\r\n")

    assert b"Connection: close\r\n" in answer
    assert answer.endswith(b'{"label": "v1", "host": "app-1"}')


def test_counts_include_every_request_sent_before_they_were_asked_for():
    # In this process and turned by hand, so that all of it is ready in the same turn,
    # and more than one turn accepts.
    loop = Loop()
    balancer = Balancer(Service(pods_of({"v1": 1}), 1), loop)
    address = balancer.listen("127.0.0.1", 0)
    (commands, ask_end), (answer_end, answers) = os.pipe(), os.pipe()
    Control(loop, balancer, commands, answers)
    sockets = [socket.create_connection(address) for _ in range(300)]
    for sock in sockets:
        sock.sendall(GET)
    os.write(ask_end, b'{"counts": true}\n')

    for _ in range(4):
        loop.turn(0)
    counts = counts_from_json(json.loads(os.read(answer_end, 65_536))["counts"])

    balancer.close()
    loop.close()
    for sock in sockets:
        sock.close()
    for end in (commands, ask_end, answer_end, answers):
        os.close(end)
    assert (counts.connections, counts.total) == (300, 300)


def test_many_clients_at_once_lose_nothing():
    def client(_number):
        connection = http.client.HTTPConnection(service.address, service.port, timeout=60)
        answers = [json.loads(ask(connection)[1])["label"] for _ in range(20)]
        connection.close()
        return Counter(answers)

    with EmbeddedService({"v1": 3, "v2": 1}, seed=1) as service, ThreadPoolExecutor(16) as pool:
        labels: Counter[str] = sum(pool.map(client, range(64)), Counter())
        counts = service.counts()

    assert {label: counts.of(label).total() for label in labels} == labels
    assert (counts.connections, counts.total) == (64, 1280)


def test_a_configuration_holds_for_new_connections_when_it_returns():
    with EmbeddedService({"v1": 10}) as service:
        with connect(service) as idle:
            idle.sendall(GET)
            assert b'"v1"' in idle.recv(65_536)
            service.configure({"v2": 10})
            assert idle.recv(65_536) == b""
        answers = [exchange(service) for _ in range(20)]
        service.reset_counts()
        counts = service.counts()

    assert all(b'"v2"' in answer for answer in answers)
    assert counts.total == 0


def test_a_configuration_that_makes_no_sense_is_refused_and_changes_nothing():
    with EmbeddedService({"v1": 1}) as service:
        with pytest.raises(UsageError, match="'v9'"):
            service.configure({"v1": 1}, {"v9": Faults()})
        answer = exchange(service)

    assert b'"v1"' in answer


def test_a_command_that_the_process_does_not_know_is_refused_and_it_lives_on():
    with EmbeddedService({"v1": 1}) as service:
        with pytest.raises(UsageError, match="unknown command"):
            service._ask({"nonsense": True})
        counts = service.counts()

    assert counts.total == 0


def test_a_port_that_is_taken_is_an_error_with_a_hint():
    with (
        EmbeddedService({"v1": 1}) as first,
        pytest.raises(UsageError, match=str(first.port)) as caught,
    ):
        EmbeddedService({"v1": 1}, port=first.port)

    assert "another port" in (caught.value.hint or "")


def test_a_closed_service_leaves_no_process_and_no_listener():
    service = EmbeddedService({"v1": 1})
    service.close()
    service.close()

    with pytest.raises(ProcessLookupError):
        os.kill(service.pid, 0)
    with pytest.raises(ConnectionRefusedError):
        connect(service)
    with pytest.raises(ValueError, match="closed"):
        service.counts()


def test_a_service_whose_process_was_killed_says_so():
    service = EmbeddedService({"v1": 1})
    os.kill(service.pid, signal.SIGKILL)

    with pytest.raises(WeighbridgeError, match="ended with code -9"):
        service.counts()


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="pidfd_open is Linux's")
def test_the_process_ends_when_its_parent_is_killed():
    code = (
        "from sampler.demo.process import EmbeddedService\n"
        "service = EmbeddedService({'v1': 1})\n"
        "print(service.pid, flush=True)\n"
        "input()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()

    ended, _, _ = select.select([child], [], [], 60)
    os.close(child)
    assert ended


def test_the_process_imports_nothing_heavy():
    code = (
        "import sys, sampler.demo.service\n"
        "heavy = {'numpy', 'aiohttp', 'asyncio', 'uvloop', 'msgspec', 'pyarrow'}\n"
        "statistics = {name for name in sys.modules if name.startswith('analysis.')}\n"
        "statistics -= {'analysis.data', 'analysis.data.errors'}  # the family of errors alone\n"
        "print(sorted(heavy & set(sys.modules) | statistics))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_in_the_foreground_ends_with_a_signal(number):
    code = (
        "from sampler.demo.pods import Service, pods_of\n"
        "from sampler.demo.service import serve\n"
        "service = Service(pods_of({'v1': 1}))\n"
        "counts = serve(service, on_ready=lambda host, port: print(port, flush=True))\n"
        "print(counts.total)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        connection = http.client.HTTPConnection(
            "127.0.0.1", int(process.stdout.readline()), timeout=60
        )
        assert ask(connection)[0] == 200
        process.send_signal(number)  # nothing else wakes it: the connection is idle
        try:
            rest, _ = process.communicate(timeout=60)
        finally:
            process.kill()
            connection.close()

    assert rest == "1\n"


def test_running_out_of_descriptors_only_delays_connections():
    code = (
        "import resource, sys, json\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))\n"
        "from sampler.demo.service import main\n"
        "sys.exit(main({'pods': {'v1': 1}, 'port': 0, 'seed': None}))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["port"]
        sockets = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(40)]
        answered = 0
        for sock in sockets:
            sock.sendall(CLOSE)
        for sock in sockets:
            answered += b'"v1"' in sock.recv(65_536)
            sock.close()
        process.stdin.close()

    assert answered == 40
    assert process.returncode == 0


def test_the_address_family_follows_the_host(loopback_6):
    code = (
        "from sampler.demo.pods import Service, pods_of\n"
        "from sampler.demo.service import serve\n"
        "service = Service(pods_of({'v1': 1}))\n"
        f"serve(service, {loopback_6!r}, 0, lambda *at: print(*at, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        host, port = process.stdout.readline().split()
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        status, _ = ask(connection)
        connection.close()
        process.terminate()

    assert status == 200
