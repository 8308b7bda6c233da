"""The page of a real watch, behind a proxy: the process is killed, and another one begins."""

from __future__ import annotations

import http.client
import json
import signal
from contextlib import contextmanager
from typing import Any

import pytest

from sampler.demo.process import EmbeddedService
from tests.browser.chromium import NEEDED, opened
from tests.ports import free_port
from tests.processes import started
from tests.watch.proxied import proxied

pytestmark = [NEEDED, pytest.mark.needs("nginx")]

LIVE = "Live: each new second is shown."


@contextmanager
def watching(service, port, folder):
    """Watch a Service of one version on a port; yield the process when the split is proven."""
    process = started(
        folder, "watch", service.url, "--expect", "v1=1", "--rate", "400/s", "--name", "shop",
        "--listen", f"127.0.0.1:{port}",
    )  # fmt: skip
    with process:
        try:
            assert any("turn: STARTING to OK" in line for line in process.stderr or ())
            yield process
        finally:
            process.kill()


def events(url, last=""):
    """Return ids, kinds and documents of what the stream tells at first, up to a state."""
    host = url.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("GET", "/events", headers={"Last-Event-ID": last} if last else {})
    answer = connection.getresponse()
    found: list[tuple[str, str, dict[str, Any]]] = []
    block: dict[str, str] = {}
    while not found or found[-1][1] != "state":
        name, _, value = answer.readline().decode().rstrip("\n").partition(": ")
        if name == "data":
            found.append((block["id"], block["event"], json.loads(value)))
        block[name] = value
    answer.close()
    connection.close()
    return found


def test_a_page_finds_the_watch_that_took_the_place_of_a_killed_one(context, tmp_path):
    port = free_port()
    with EmbeddedService({"v1": 1}, seed=1) as service, proxied(port, tmp_path) as url:
        with watching(service, port, tmp_path) as killed:
            page = opened(context, url)
            page.get_by_text(LIVE).wait_for()
            page.evaluate("window.stays = true")
            before = events(url)
            began = page.locator("body").get_attribute("data-started")
            killed.send_signal(signal.SIGKILL)
            page.get_by_text("The connection is lost").wait_for()
            seen = page.locator("#stream").text_content()
        with watching(service, port, tmp_path):
            page.get_by_text("The watch began anew at").wait_for()
            page.get_by_text("PASS").wait_for()
            told = page.locator("#stream").text_content()
            began_again = page.locator("body").get_attribute("data-started")
            stays = page.evaluate("window.stays")
            after = events(url, last=before[-1][0])
            page.close()

    assert "this is the state of 20" in seen
    assert (stays, began_again > began) == (True, True)
    assert told.startswith(LIVE)
    assert began_again in told
    # Who followed the first process hears of a gap, and then everything that the second one told.
    assert after[0][1] == "gap"
    run = max((tmp_path / "reports").iterdir())
    written = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    lasting = [each["seq"] for each in written if each["event"] != "state"]
    numbered = [each["seq"] for _, kind, each in after if kind not in {"gap", "state"}]
    assert numbered
    assert numbered == lasting[: len(numbered)]
    assert {each.partition("-")[0] for each, _, _ in after}.isdisjoint(
        {before[-1][0].partition("-")[0]}
    )
    assert all("ERR_" in each or "502" in each for each in page.complaints), page.complaints
