"""Connections over socket pairs, turned by hand: no network, no waiting."""

import json
import select
import socket
from random import Random

import pytest

from sampler.demo.connection import LINGER_S
from sampler.demo.loop import Loop, SelectorPoller
from sampler.demo.pods import MAX_DELAY_S, Fate, Faults, Pod, Service, pods_of
from sampler.demo.service import Balancer

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
GONE = "gone"
POLLERS = [SelectorPoller] + ([select.epoll] if hasattr(select, "epoll") else [])


class Client:
    """One side of a connection to the balancer of a bench."""

    def __init__(self, bench):
        self.bench = bench
        self.sock, theirs = socket.socketpair()
        bench.sockets.append(self.sock)
        self.sock.setblocking(False)
        theirs.setblocking(False)
        bench.balancer.adopt(theirs)

    def send(self, data):
        self.sock.send(data)
        self.bench.turn()

    def take(self):
        """Return what has come, or GONE at the end."""
        try:
            return self.sock.recv(1 << 20) or GONE
        except BlockingIOError:
            return b""
        except ConnectionError:
            return GONE

    def ask(self, data=GET):
        self.send(data)
        return self.take()


class Bench:
    """A balancer whose clock and turns are ours."""

    def __init__(self, poller):
        self.now = 0.0
        self.loop = Loop(poller, clock=lambda: self.now)
        self.sockets = []
        self.balancer = Balancer(Service(()), self.loop)

    def serve(self, weights, faults=None, seed=1):
        self.balancer.close()
        self.balancer = Balancer(Service(pods_of(weights, faults), seed), self.loop)
        return self

    def turn(self):
        for _ in range(4):
            self.loop.turn(0)

    def wait(self, seconds):
        self.now += seconds
        self.turn()

    def close(self):
        self.balancer.close()
        for sock in self.sockets:
            sock.close()
        self.loop.close()


@pytest.fixture(params=POLLERS)
def bench(request):
    made = Bench(request.param())
    yield made
    made.close()


def body(answer):
    return answer.partition(b"\r\n\r\n")[2]


def test_each_connection_gets_the_pod_that_the_generator_names(bench):
    pods = pods_of({"v1": 9, "v2": 1})
    bench.serve({"v1": 9, "v2": 1}, seed=42)

    hosts = [json.loads(body(Client(bench).ask(CLOSE)))["host"] for _ in range(60)]

    draws = Random(42)
    assert hosts == [pods[int(draws.random() * len(pods))].name for _ in range(60)]


def test_faults_do_not_change_the_picks(bench):
    def went_to_v2(faults):
        bench.serve({"v1": 1, "v2": 1}, faults, seed=3)
        return [b"v2" in Client(bench).ask() for _ in range(40)]

    assert went_to_v2({}) == went_to_v2({"v1": Faults(error=0.5)})


def test_a_connection_stays_with_its_pod(bench):
    bench.serve({"v1": 5, "v2": 5})
    client = Client(bench)

    assert len({client.ask() for _ in range(30)}) == 1


def test_a_request_may_be_cut_anywhere(bench):
    client = Client(bench.serve({"v1": 1}))

    answers = [client.ask(bytes([byte])) for byte in GET + GET]

    assert [n + 1 for n, answer in enumerate(answers) if answer] == [len(GET), 2 * len(GET)]


def test_pipelined_requests_are_answered_in_order(bench):
    client = Client(bench.serve({"v1": 1}))
    one = client.ask(GET)

    both = client.ask(GET + b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + GET)

    assert both == one + one[: one.find(b"\r\n\r\n") + 4] + one


@pytest.mark.parametrize("cut", range(len(POST) + 6))
def test_a_body_is_skipped_wherever_it_is_cut(bench, cut):
    client = Client(bench.serve({"v1": 1}))
    data = POST + b"GET /" + GET

    first = client.ask(data[:cut]) if cut else b""
    assert first.count(b"HTTP/1.1 200") == (cut >= len(POST) + 5)
    assert (first + client.ask(data[cut:])).count(b"HTTP/1.1 200") == 2
    assert bench.balancer.counts.total == 2


def test_a_client_that_asks_for_permission_gets_it(bench):
    client = Client(bench.serve({"v1": 1}))

    answer = client.ask(POST[:-2] + b"Expect: 100-continue\r\n\r\n")

    assert answer == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert client.ask(b"12345").startswith(b"HTTP/1.1 200 OK")


def test_the_server_closes_first_when_asked_to(bench):
    client = Client(bench.serve({"v1": 1}))

    assert b"Connection: close\r\n" in client.ask(CLOSE)
    assert client.take() == GONE


def test_garbage_is_told_so_and_the_rest_of_it_is_ignored(bench):
    client = Client(bench.serve({"v1": 1}))

    assert client.ask(b"\x16\x03\x01").startswith(b"HTTP/1.1 400 ")
    assert client.take() == GONE

    client.send(GET)  # still welcome, as input to ignore
    assert bench.balancer.counts.rejected == 1
    assert bench.balancer.counts.total == 0
    bench.wait(LINGER_S)
    with pytest.raises(BrokenPipeError):
        client.sock.send(GET)


def test_a_client_that_leaves_after_garbage_is_forgotten_at_once(bench):
    client = Client(bench.serve({"v1": 1}))
    assert client.ask(b"{}").startswith(b"HTTP/1.1 400 ")

    client.sock.close()
    bench.turn()

    assert not bench.balancer._shared.connections


def test_a_client_that_shuts_its_side_down_still_gets_its_answer(bench):
    client = Client(bench.serve({"v1": 1}, {"v1": Faults(delay_s=0.5)}))
    client.send(GET)
    client.sock.shutdown(socket.SHUT_WR)
    bench.turn()
    assert client.take() == b""

    bench.wait(0.5)

    assert client.take().startswith(b"HTTP/1.1 200 OK")
    assert client.take() == GONE


def test_a_client_that_does_not_read_loses_nothing_and_holds_nobody_up(bench):
    bench.serve({"v1": 1})
    slow, other = Client(bench), Client(bench)
    slow.sock.setblocking(True)
    slow.sock.settimeout(0)
    asked = 0
    for _ in range(10_000):  # until both buffers are full
        try:
            asked += slow.sock.send(GET * 100)
        except BlockingIOError:
            break
        bench.turn()
    assert other.ask().startswith(b"HTTP/1.1 200 OK")

    answers: list[bytes] = []
    while asked % len(GET) or sum(a.count(b"HTTP/1.1 200") for a in answers) < asked // len(GET):
        if asked % len(GET):
            rest = len(GET) - asked % len(GET)
            try:
                asked += slow.sock.send(GET[-rest:])
            except BlockingIOError:
                answers.append(slow.take())
        else:
            answers.append(slow.take())
        bench.turn()
        assert len(answers) < 10_000

    assert bench.balancer.counts.total == asked // len(GET) + 1


def test_a_dropped_request_ends_without_a_byte(bench):
    client = Client(bench.serve({"v1": 1}, {"v1": Faults(drop=1)}))

    assert client.ask() == GONE
    assert bench.balancer.counts.by_fate() == {Fate.DROPPED: 1}


def test_a_hanging_request_is_given_up_after_a_minute(bench):
    client = Client(bench.serve({"v1": 1}, {"v1": Faults(hang=1)}))
    client.send(GET)

    bench.wait(MAX_DELAY_S - 0.1)
    assert client.take() == b""

    bench.wait(0.1)
    assert client.take() == GONE
    assert bench.balancer.counts.by_fate() == {Fate.HUNG: 1}


def test_a_client_that_leaves_a_hanging_request_is_forgotten_at_once(bench):
    client = Client(bench.serve({"v1": 1}, {"v1": Faults(hang=1)}))
    client.send(GET)
    assert len(bench.balancer._shared.connections) == 1

    client.sock.close()
    bench.turn()

    assert not bench.balancer._shared.connections


def test_a_client_that_leaves_before_a_late_answer_is_forgotten(bench):
    client = Client(bench.serve({"v1": 1}, {"v1": Faults(delay_s=1)}))
    client.send(GET)
    client.sock.close()
    bench.turn()

    bench.wait(1)

    assert not bench.balancer._shared.connections
    assert bench.balancer.counts.by_fate() == {Fate.ANSWERED: 1}


def test_a_reset_comes_in_the_middle_of_the_body(bench):
    client = Client(bench.serve({"v1": 1}, {"v1": Faults(reset=1)}))

    answer = client.ask()

    length = int(answer.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    assert 0 < len(body(answer)) < length
    assert client.take() == GONE
    assert bench.balancer.counts.by_fate() == {Fate.RESET: 1}


def test_an_error_keeps_the_connection(bench):
    client = Client(bench.serve({"v1": 1}, {"v1": Faults(error=1)}))

    assert [client.ask()[:12] for _ in range(2)] == [b"HTTP/1.1 503"] * 2
    assert bench.balancer.counts.by_fate() == {Fate.ERROR: 2}


def test_a_slow_pod_holds_up_nobody_else(bench):
    bench.serve({"v1": 1, "v2": 1}, {"v2": Faults(delay_s=0.3)})
    clients = [Client(bench) for _ in range(20)]

    early = [client.ask() for client in clients]
    bench.wait(0.3)
    late = [client.take() for client in clients]

    assert all(b'"v1"' in answer for answer in early if answer)
    assert [b'"v2"' in answer for answer in late] == [not answer for answer in early]
    assert any(late)


def test_what_is_pipelined_behind_a_late_answer_waits_for_it(bench):
    client = Client(bench.serve({"v1": 1}, {"v1": Faults(delay_s=1)}))
    client.send(GET + CLOSE)

    bench.wait(1)
    first = client.take()
    bench.wait(1)
    second = client.take()

    assert (first.count(b"HTTP/1.1"), second.count(b"HTTP/1.1")) == (1, 1)
    assert client.take() == GONE


def test_fates_follow_their_own_seeded_generator(bench):
    faults = Faults(drop=0.3, error=0.3)
    bench.serve({"v1": 1}, {"v1": faults}, seed=9)

    answers = [Client(bench).ask() for _ in range(50)]

    draws = Random("fates of 9")
    expected = [faults.fate(draws.random()) for _ in range(50)]
    seen = [
        Fate.DROPPED if a == GONE else Fate.ERROR if b" 503 " in a else Fate.ANSWERED
        for a in answers
    ]
    assert seen == expected


def test_idle_connections_of_removed_pods_are_closed(bench):
    client = Client(bench.serve({"v1": 1}))
    client.ask()

    bench.balancer.replace(pods_of({"v2": 1}))

    assert client.take() == GONE
    assert b'"v2"' in Client(bench).ask()


def test_a_request_that_a_removed_pod_has_begun_is_answered_and_the_last(bench):
    client = Client(bench.serve({"v1": 1}, {"v1": Faults(delay_s=1)}))
    client.send(GET)

    bench.balancer.replace(pods_of({"v2": 1}))
    bench.wait(1)

    answer = client.take()
    assert b'"v1"' in answer
    assert b"Connection: close\r\n" in answer
    assert client.take() == GONE


def test_a_request_that_has_come_but_was_not_read_survives_the_removal_of_its_pod(bench):
    client = Client(bench.serve({"v1": 1}))
    client.sock.send(GET)

    bench.balancer.replace(pods_of({"v2": 1}))

    assert b'"v1"' in client.take()
    assert client.take() == GONE
    assert bench.balancer.counts.of("v1") == {Fate.ANSWERED: 1}


def test_a_pod_that_stays_keeps_its_connections_and_takes_over_its_faults(bench):
    client = Client(bench.serve({"v1": 1}))
    assert client.ask().startswith(b"HTTP/1.1 200")

    bench.balancer.replace(pods_of({"v1": 1}, {"v1": Faults(error=1)}))

    assert client.ask().startswith(b"HTTP/1.1 503")


def test_counts_outlive_their_pods_until_they_are_reset(bench):
    bench.serve({"v1": 1})
    Client(bench).ask()
    bench.balancer.replace(pods_of({"v2": 1}))
    Client(bench).ask()

    counts = bench.balancer.counts
    assert counts.requests == {("v1", Fate.ANSWERED): 1, ("v2", Fate.ANSWERED): 1}
    assert counts.hosts == {"app-1": 2}
    assert counts.connections == 2

    bench.balancer.reset_counts()
    assert (bench.balancer.counts.total, bench.balancer.counts.connections) == (0, 0)


def test_without_pods_each_connection_is_refused(bench):
    client = Client(bench.serve({"v1": 0}))

    assert client.take() == GONE
    assert bench.balancer.counts.connections == 1


def test_pods_of_one_name_and_two_labels_are_two_pods(bench):
    client = Client(bench.serve({"v1": 1}))
    client.ask()

    bench.balancer.replace((Pod("app-1", "v2"),))

    assert client.take() == GONE
