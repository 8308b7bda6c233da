"""The alerts and the dashboard of examples/prometheus, on Debian's promtool and Prometheus."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest

from sampler.demo.process import EmbeddedService
from tests.ports import free_port
from tests.processes import REPOSITORY, WEIGHBRIDGE, completed, surroundings
from tests.requirements import path_of

EXAMPLES = REPOSITORY / "examples" / "prometheus"
DASHBOARD = json.loads((EXAMPLES / "dashboard.json").read_text(encoding="utf-8"))
READY = "Server is ready to receive web requests"

pytestmark = pytest.mark.needs("promtool", "prometheus")


def promtool(*arguments):
    done = completed([path_of("promtool") or "promtool", *arguments], EXAMPLES)
    return done.returncode, done.stdout + done.stderr


def test_the_examples_are_well_formed_and_the_alerts_fire_when_they_should():
    assert promtool("check", "config", "prometheus.yml")[0] == 0
    code, told = promtool("test", "rules", "rules.test.yml")
    assert code == 0, told
    assert "SUCCESS" in told


def test_an_alert_that_waits_longer_fails_its_test(tmp_path):
    for name in ("rules.yml", "rules.test.yml"):
        text = (EXAMPLES / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("> 120", "> 1200"), encoding="utf-8")

    assert promtool("test", "rules", str(tmp_path / "rules.test.yml"))[0] != 0


class Prometheus:
    """A server that scrapes every second; questions are asked of its API."""

    def __init__(self, port, events):
        self._url = f"http://127.0.0.1:{port}/api/v1/"
        self._events = events

    def ask(self, path, **query):
        url = f"{self._url}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        return self.ask("query", query=expression)["result"]

    def until(self, expression):
        """Return the result of an expression, looked for at each line that the watch tells."""
        while not (found := self.query(expression)):
            assert next(self._events, b""), f"{expression} has no result"
        return found

    def firing(self):
        alerts = self.ask("alerts")["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}


@contextmanager
def scraping(target, events, folder):
    """Run the Prometheus of the example on another port, faster, for one target."""
    port = free_port()
    text = (EXAMPLES / "prometheus.yml").read_text(encoding="utf-8")
    text = text.replace("15s", "1s").replace("127.0.0.1:9431", f"127.0.0.1:{target}")
    (folder / "prometheus.yml").write_text(text, encoding="utf-8")
    (folder / "rules.yml").write_bytes((EXAMPLES / "rules.yml").read_bytes())
    process = subprocess.Popen(
        [
            path_of("prometheus") or "prometheus", f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}",
        ],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            told = []
            for line in process.stderr or ():
                told.append(line)
                if READY in line:
                    break
            else:
                raise AssertionError("".join(told))
            yield Prometheus(port, events)
        finally:
            process.terminate()


def expressions():
    """Return each expression of the dashboard, as Grafana fills it in."""
    found = [each["expr"] for panel in DASHBOARD["panels"] for each in panel["targets"]]
    found += [each["expr"] for each in DASHBOARD["annotations"]["list"]]
    filled = {"$target": ".*", "$__rate_interval": "1m", "$__range": "5m"}
    return [
        re.sub("|".join(map(re.escape, filled)), lambda m: filled[m[0]], each) for each in found
    ]


@contextmanager
def watched(service, folder):
    """Watch a Service at 300 connections/s; yield the port of the page, and its stream."""
    process = subprocess.Popen(
        [
            *WEIGHBRIDGE, "watch", service.url, "--expect", "v1=9,v2=1", "--rate", "300/s",
            "--name", "shop", "--listen", "127.0.0.1:0", "--out", str(folder), "--max-time", "110s",
        ],
        stderr=subprocess.PIPE, text=True, env=surroundings(), cwd=folder,
    )  # fmt: skip
    with process:
        try:
            told = next(line for line in process.stderr or () if line.startswith("listening on "))
            port = int(told.rpartition(":")[2].strip().strip("/"))
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/events", timeout=60) as events:
                yield port, events
        finally:
            process.terminate()


def test_a_real_prometheus_is_quiet_until_the_split_drifts(tmp_path):
    """The alarm is certain within a second; a false one before it is not seen in 30 days."""
    with (
        EmbeddedService({"v1": 9, "v2": 1}, seed=5) as service,
        watched(service, tmp_path) as (port, events),
        scraping(port, events, tmp_path) as prometheus,
    ):
        prometheus.until('count_over_time(weighbridge_state{state="OK"}[1m]) >= 3')
        assert prometheus.firing() == set()

        service.configure({"v1": 5, "v2": 5}, seed=6)
        alert = prometheus.until('ALERTS{alertname="SplitDrift", alertstate="firing"}')
        assert alert[0]["metric"]["target"] == "shop"
        assert prometheus.firing() == {"SplitDrift"}

        # An increase needs two scrapes.
        prometheus.until('increase(weighbridge_alarms_total{kind="outside_tolerance"}[1m])')
        # Nothing was declared or read in a cluster, and no change has a lag. A scrape that is late
        # is one without a sample: each is asked until it has a result.
        for each in expressions():
            if not re.search("declared|configured|convergence|changes", each):
                prometheus.until(each)
