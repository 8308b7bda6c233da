"""Ctrl-C while a call waits: sending stops, what is in flight is drained, and nothing hangs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

import weighbridge
from sampler.demo.pods import Faults
from sampler.demo.process import EmbeddedService
from tests.processes import completed, only_run, surroundings

SCRIPT = """
import weighbridge
from weighbridge import blocking

class Telling(blocking.PilotedRun):
    def interrupt(self):
        super().interrupt()
        print("interrupted", flush=True)

blocking.PilotedRun = Telling

def call():
    return weighbridge.sample(
        {url!r},
        weighbridge.Limits(max_time_s=100),
        load=weighbridge.Load(timeout_s=100),
        out="reports",
    )
"""
PLAIN = "print(call())"
IN_A_LOOP = """
import asyncio

async def cell():
    return call()

asyncio.run(cell())
"""
IN_A_NOTEBOOK = """
import asyncio

async def cell():
    return call()

# As a kernel does it: the loop runs, and Ctrl-C is left to Python's own handler.
asyncio.new_event_loop().run_until_complete(cell())
"""


def interrupted(service, folder, way, *, times):
    """Start a script, send it SIGINT once requests have come; return how it ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(url=service.url) + way],
        cwd=folder,
        env=surroundings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    seen = 0
    while seen < 16:
        assert process.poll() is None
        seen = service.counts().total
    assert process.stdout is not None
    process.send_signal(signal.SIGINT)
    for _ in range(times - 1):
        # Of two that come before the first is heard, Python hears one.
        assert process.stdout.readline() == "interrupted\n"
        process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    return process.returncode, stderr


@pytest.mark.parametrize("way", [PLAIN, IN_A_LOOP, IN_A_NOTEBOOK], ids=["plain", "run", "cell"])
def test_ctrl_c_drains_writes_the_run_and_then_interrupts(tmp_path, way):
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        code, stderr = interrupted(service, tmp_path, way, times=1)
        served = service.counts().total

    report = json.loads((only_run(tmp_path) / "report.json").read_text(encoding="utf-8"))
    assert code == -signal.SIGINT
    assert "KeyboardInterrupt" in stderr
    assert report["samples"]["outcomes"] == {"ok": served}


@pytest.mark.parametrize("way", [PLAIN, IN_A_NOTEBOOK], ids=["plain", "cell"])
def test_ctrl_c_once_more_gives_up_what_is_in_flight(tmp_path, way):
    faults = {"v1": Faults(hang=1.0), "v2": Faults(hang=1.0)}
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1, faults=faults) as service:
        code, stderr = interrupted(service, tmp_path, way, times=2)

    report = json.loads((only_run(tmp_path) / "report.json").read_text(encoding="utf-8"))
    assert code == -signal.SIGINT
    assert "KeyboardInterrupt" in stderr
    assert report["samples"]["outcomes"] == {"aborted": 16}


DEAF = """
import asyncio, os, signal, threading, time
import weighbridge
from sampler.run.gate import Weighing
from weighbridge import blocking

async def deaf(self, on_report=None):
    threading.Thread(target=signalling, daemon=True).start()
    await asyncio.Event().wait()

def signalling():
    while True:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)

Weighing.run = deaf
blocking._GIVE_UP_S = 0.1

def call():
    return weighbridge.sample("http://127.0.0.1:1/")
"""


@pytest.mark.parametrize("way", [PLAIN, IN_A_NOTEBOOK], ids=["plain", "cell"])
def test_the_third_ctrl_c_ends_the_wait_for_a_run_that_hears_nothing(tmp_path, way):
    done = completed([sys.executable, "-c", DEAF + way], tmp_path)

    assert done.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in done.stderr


def test_who_ignores_the_signal_is_left_alone():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
            weighbridge.sample(service.url, weighbridge.Limits(max_samples=5))
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_handler_of_before_stands_again_after_a_run_and_after_a_failure():
    before = signal.getsignal(signal.SIGINT)
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        weighbridge.sample(service.url, weighbridge.Limits(max_samples=5))
    with pytest.raises(weighbridge.SamplingError):
        weighbridge.sample("http://nobody.invalid/")

    assert signal.getsignal(signal.SIGINT) is before
