"""A check in a cell of a real kernel: it decides, shows itself, and can be interrupted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from sampler.demo.process import EmbeddedService
from tests.processes import only_run, surroundings

CHECK = """
import weighbridge
weighbridge.check({url!r}, {{"v1": 9, "v2": 1}}, seed=1)
"""
SAMPLE = """
import weighbridge
weighbridge.sample({url!r}, weighbridge.Limits(max_time_s=100), out="reports")
"""


@pytest.fixture
def service():
    with EmbeddedService({"v1": 1, "v2": 9}, seed=1) as served:
        yield served


@pytest.fixture
def kernel(tmp_path):
    # Files in place of ports, which another test might take before the kernel does.
    manager = KernelManager(transport="ipc", ip=str(tmp_path / "kernel"))
    manager.start_kernel(cwd=str(tmp_path), env=surroundings())
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_a_check_in_a_cell_decides_and_its_report_shows_itself(service, kernel):
    _, client = kernel
    shown: list[dict[str, Any]] = []

    reply = client.execute_interactive(
        CHECK.format(url=service.url), timeout=60, output_hook=shown.append
    )

    (result,) = (each for each in shown if each["msg_type"] == "execute_result")
    assert reply["content"]["status"] == "ok"
    assert result["content"]["data"]["text/html"].startswith("<p><strong>FAIL</strong> ")
    assert result["content"]["data"]["text/plain"].startswith("<Report FAIL: ")


def test_interrupting_the_kernel_drains_and_writes_the_run(service, kernel, tmp_path):
    manager, client = kernel

    asked = client.execute(SAMPLE.format(url=service.url))
    while service.counts().total < 16:
        pass
    manager.interrupt_kernel()
    reply: dict[str, Any] = {"parent_header": {}}
    while reply["parent_header"].get("msg_id") != asked:
        reply = client.get_shell_msg(timeout=60)

    report = json.loads((only_run(tmp_path) / "report.json").read_text(encoding="utf-8"))
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert report["samples"]["outcomes"] == {"ok": service.counts().total}
