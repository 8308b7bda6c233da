"""The stream of events over HTTP: what a reader lacks, slow and many readers, refusals."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
from itertools import count

import msgspec
import pytest

from analysis.data.live import State, state_of
from analysis.data.live_events import BucketTold, StateTold
from analysis.data.report import Verdict
from analysis.render.live import to_live_page
from analysis.review.chronicle import Chronicle
from sampler.watch import page
from sampler.watch.stream import Stream
from tests.stories import ALARM, Story
from tests.watch.served import serving

EVENTS = list(Story(seconds=60).events())
LASTING = [each.seq for each in EVENTS if not isinstance(each, StateTold)]


class Reader:
    """A client of the stream, as curl is one."""

    def __init__(self, served, last=None, origin=None):
        self._connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
        headers = (
            {} if last is None else {"Last-Event-ID": f"{origin or served.stream.origin}-{last}"}
        )
        self._connection.request("GET", "/events", headers=headers)
        self.answer = self._connection.getresponse()

    def lines(self):
        for _ in count():
            line = self.answer.readline()
            if not line:
                return
            yield line.decode().rstrip("\n")

    def until(self, seq):
        """Return the numbers and kinds of events up to one of them."""
        found, last = [], None
        for line in self.lines():
            name, _, value = line.partition(": ")
            if name == "id":
                last = int(value.rpartition("-")[2])
            elif name == "event":
                found.append((last, value))
            elif name == "data" and last == seq:
                return found
        return found

    def close(self):
        self.answer.close()
        self._connection.close()


@pytest.fixture
def served():
    with serving() as one:
        yield one


def lasting(found):
    return [seq for seq, kind in found if kind != "state"]


def test_a_new_reader_begins_with_the_state_and_hears_what_follows(served):
    served.tell(*EVENTS[:60])
    reader = Reader(served)
    first = next(line for line in reader.lines() if line.startswith("event: "))
    served.tell(*EVENTS[60:])
    found = reader.until(EVENTS[-1].seq)
    reader.close()

    assert first == "event: state"
    assert lasting(found) == [seq for seq in LASTING if seq > 60]
    assert reader.answer.getheader("Content-Type") == "text/event-stream"
    assert reader.answer.getheader("X-Accel-Buffering") == "no"


def test_who_comes_back_gets_everything_since_and_each_once(served):
    served.tell(*EVENTS[:60])
    reader = Reader(served, last=0)
    before = reader.until(60)
    reader.close()
    served.stop()
    served.tell(*EVENTS[60:])
    served.start()
    reader = Reader(served, last=60)
    after = reader.until(EVENTS[-1].seq)
    reader.close()

    assert lasting(before) + lasting(after) == LASTING


@pytest.mark.parametrize("last", [60, ""])
def test_a_number_of_another_process_is_none_of_this_one(served, last):
    """It was started anew, and has told more since than the client had heard of the last one."""
    served.tell(*EVENTS)
    reader = Reader(served, last=last, origin="00c0ffee")
    (_, first), *rest = reader.until(EVENTS[-1].seq)
    reader.close()

    assert first == "gap"
    assert lasting(rest) == LASTING


def test_the_stream_says_how_soon_to_come_back(served):
    served.tell(*EVENTS[:3])
    reader = Reader(served)

    assert next(reader.lines()) == "retry: 2000"
    reader.close()


def test_of_states_that_were_missed_only_the_newest_is_sent():
    stream = Stream()
    for each in EVENTS:
        stream.tell(each)
    kinds = [line.kind for line in stream.begin(0)]

    assert kinds.count("state") == 1
    assert kinds[-1] == "state"
    assert [line.seq for line in stream.begin(0) if line.kind != "state"] == LASTING


@pytest.mark.parametrize("last", [3, 10**9], ids=["too long ago", "of another process"])
def test_who_missed_what_is_not_kept_is_told_of_the_gap(last):
    stream = Stream(kept=10)
    for each in EVENTS:
        stream.tell(each)
    gap, *rest = stream.begin(last)

    assert gap.kind == "gap"
    assert json.loads(gap.data)["after"] == last
    assert [line.seq for line in rest if line.kind != "state"] == LASTING[-10:]


def test_a_state_that_no_event_told_is_sent_with_the_number_of_the_last_event():
    stream = Stream()
    for each in EVENTS:
        stream.tell(each)
    place, last = stream.place, EVENTS[-1].state
    stream.show({"shop": last})
    assert stream.since(place) == []

    newer = msgspec.structs.replace(last, at=last.at + 1)
    stream.show({"shop": newer})
    [line] = stream.since(place)
    assert (line.seq, line.kind) == (EVENTS[-1].seq, "state")
    assert json.loads(line.data)["state"]["at"] == newer.at
    assert stream.states() == [newer]
    assert list(stream.chronicle.targets["shop"].turns) == list(
        Chronicle(EVENTS).targets["shop"].turns
    )


def test_a_target_that_is_no_longer_weighed_is_no_longer_shown():
    stream = Stream()
    for each in EVENTS:
        stream.tell(each)
    stream.show({"shop": None})
    assert stream.states() == [EVENTS[-1].state]
    stream.show({})

    assert stream.states() == []
    assert not any(line.kind == "state" for line in stream.begin(0))


def test_silence_is_filled_with_comments(served, monkeypatch):
    monkeypatch.setattr(page, "PATIENCE_S", 0.01)
    served.tell(*EVENTS[:3])
    reader = Reader(served)

    assert ": no news" in (line for line in reader.lines())
    reader.close()


def test_a_slow_reader_is_not_queued_for_and_ends_with_the_newest_state(served):
    slow = socket.create_connection(("127.0.0.1", served.port), timeout=60)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    slow.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    fast = Reader(served)
    state = next(each for each in EVENTS if isinstance(each, StateTold))
    n = 4000  # 14 MB of states, more than the sockets between hold
    for first in range(1, n, 500):
        served.tell(*(msgspec.structs.replace(state, seq=seq) for seq in range(first, first + 500)))
    fast.until(n)
    fast.close()
    received = bytearray()
    while b"-%d\nevent: " % n not in received[-20_000:]:
        received += slow.recv(65_536)
    slow.close()

    assert received.count(b"event: state") < 0.8 * n


def test_sixty_four_follow_and_the_next_is_refused_until_one_leaves(served):
    served.tell(*EVENTS)
    readers = [Reader(served) for _ in range(page.MOST_READERS)]
    assert all(next(each.lines()) == "retry: 2000" for each in readers)
    refused = Reader(served)
    assert refused.answer.status == 503
    assert refused.answer.getheader("Retry-After")
    refused.close()

    bucket = next(each for each in EVENTS if isinstance(each, BucketTold))
    served.tell(msgspec.structs.replace(bucket, seq=10_000))
    assert all(each.until(10_000)[-1] == (10_000, "bucket") for each in readers)
    for each in readers:
        each.close()
    seq, status = 10_000, 503
    while status == 503:  # whoever has left is noticed when it is written to
        seq += 1
        served.tell(msgspec.structs.replace(bucket, seq=seq))
        again = Reader(served)
        status = again.answer.status
        again.close()

    assert status == 200


def asked(served, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_the_state_is_its_document(served):
    assert asked(served, "/api/state")[0].status == 503
    served.tell(*EVENTS)

    assert state_of(asked(served, "/api/state")[1]) == EVENTS[-1].state
    assert asked(served, "/api/state?target=shop")[0].status == 200
    answer, body = asked(served, "/api/state?target=cart")
    assert answer.status == 404
    assert b"shop" in body


@pytest.mark.parametrize("path", ["/?target=cart", "/?span=1h", "/report.html?target=cart"])
def test_what_is_not_there_is_said_and_never_shown_as_something_else(served, path):
    served.tell(*EVENTS)
    answer, body = asked(served, path)

    assert answer.status == 404
    assert json.loads(body)["detail"].startswith("expected one of")


def test_a_page_is_made_once_for_all_who_look_at_the_same_second(served, monkeypatch):
    made = []

    def render(*given):
        made.append(given)
        return to_live_page(*given)

    monkeypatch.setattr(page, "to_live_page", render)
    served.tell(*EVENTS)
    pages = {asked(served, "/")[1] for _ in range(3)}

    assert len(pages) == len(made) == 1
    answer, packed = asked(served, "/", **{"Accept-Encoding": "gzip"})
    assert answer.getheader("Content-Encoding") == "gzip"
    assert {gzip.decompress(packed)} == pages
    assert len(packed) < 20_000


@pytest.mark.parametrize("state", [State.BLIND, State.CHANGING])
def test_where_nothing_is_judged_no_version_is_within(state):
    last = EVENTS[-1]
    changed = msgspec.structs.replace(last.state, state=state, verdict=Verdict.INCONCLUSIVE)
    page_of = to_live_page(Chronicle([msgspec.structs.replace(last, state=changed)]))

    assert "✓ within" not in page_of
    assert page_of.count("? undecided") == 2


@pytest.mark.parametrize(
    ("at", "mark"), [(640, "✓ within"), (ALARM + 2, "✗ outside"), (20, "? undecided")]
)
def test_a_version_is_marked_as_the_verdict_says_whatever_its_interval_is(at, mark):
    story = list(Story(seconds=at).events())
    wide = [msgspec.structs.replace(each, interval=(0.0, 1.0)) for each in story[-1].state.labels]
    state = msgspec.structs.replace(story[-1].state, labels=wide)
    page_of = to_live_page(Chronicle([msgspec.structs.replace(story[-1], state=state)]))

    assert page_of.count(f">{mark}<") == 2
