import os
import select

import pytest

from sampler.demo.loop import READ, WRITE, Loop, SelectorPoller, Timer


class FakeClock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


POLLERS = [SelectorPoller] + ([select.epoll] if hasattr(select, "epoll") else [])


@pytest.fixture(params=POLLERS)
def poller(request):
    made = request.param()
    yield made
    made.close()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def loop(poller, clock):
    return Loop(poller, clock=clock)


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_handler_hears_of_input(loop, pipe):
    heard: list[int] = []
    loop.watch(pipe[0], READ, heard.append)

    loop.turn(0)
    os.write(pipe[1], b"x")
    loop.turn(0)

    assert heard == [READ]


def test_a_paused_descriptor_is_silent_until_it_is_resumed(loop, pipe):
    heard: list[int] = []
    os.write(pipe[1], b"x")
    loop.watch(pipe[0], READ, heard.append)
    loop.watch(pipe[0], 0, heard.append)
    loop.turn(0)
    assert heard == []

    loop.watch(pipe[0], READ, heard.append)
    loop.turn(0)

    assert heard == [READ]


def test_room_to_write_is_an_event(loop, pipe):
    heard: list[int] = []
    loop.watch(pipe[1], WRITE, heard.append)

    loop.turn(0)

    assert heard == [WRITE]


def test_a_handler_that_another_one_removed_is_not_called(loop):
    pairs = [os.pipe(), os.pipe()]
    heard = []

    def remove_the_other(fd):
        heard.append(fd)
        loop.unwatch(next(read for read, _ in pairs if read != fd))

    for read, write in pairs:
        os.write(write, b"x")
        loop.watch(read, READ, lambda _events, fd=read: remove_the_other(fd))
    loop.turn(0)

    assert len(heard) == 1
    for ends in pairs:
        for end in ends:
            os.close(end)


def test_timers_are_called_in_order_once_they_are_due(loop, clock):
    called = []
    loop.call_later(2.0, lambda: called.append("late"))
    loop.call_later(1.0, lambda: called.append("early"))

    loop.turn(0)
    assert called == []

    clock.now = 2.0
    loop.turn()
    assert called == ["early", "late"]


def test_a_cancelled_timer_is_not_called(loop, clock):
    called = []
    loop.call_later(1.0, lambda: called.append("x")).cancel()

    clock.now = 1.0
    loop.turn()

    assert called == []


def test_a_timer_may_cancel_another_that_is_due(loop, clock):
    called = []
    timers: list[Timer] = []

    def cancel_the_other():
        timers[0].cancel()

    loop.call_later(1.0, cancel_the_other)
    timers.append(loop.call_later(1.0, lambda: called.append("x")))

    clock.now = 1.0
    loop.turn()

    assert called == []


def test_what_a_timer_schedules_for_now_belongs_to_the_next_turn(loop):
    called = []
    loop.call_later(0, lambda: loop.call_later(0, lambda: called.append("x")))

    loop.turn()
    assert called == []

    loop.turn()
    assert called == ["x"]


def test_running_ends_after_the_turn_that_stops(loop):
    loop.call_later(0, loop.stop)

    loop.run()
