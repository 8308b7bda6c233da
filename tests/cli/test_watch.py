"""``weighbridge watch``: alarms, ends, several targets, and reading the configuration again."""

from __future__ import annotations

import asyncio
import re
import signal
import urllib.request
from functools import partial
from typing import Any

import pytest

from analysis.data.live import State, state_of
from analysis.data.live_events import event_of
from sampler import read
from sampler.base.errors import ExitCode, StorageError, UsageError, WeighbridgeError
from sampler.demo.process import EmbeddedService
from sampler.watch.several import Setup, Watching
from tests.processes import only_run, started

ONE = {"v1": 10}
"""A Service of one version, whose split is proven by a few hundred connections."""
FAST = ("--rate", "400/s")


def wait_for(process, text):
    """Read what a process says until a line holds a text; return the lines so far."""
    lines: list[str] = []
    while not lines or text not in lines[-1]:
        line = process.stderr.readline()
        assert line, f"ended with {process.wait()}, before {text!r} came: {''.join(lines)}"
        lines.append(line)
    return lines


def test_a_drift_in_mid_run_is_found_named_and_seen_to_end(weighbridge, tmp_path):
    ended = weighbridge("demo", "--watch")

    assert ended.returncode == 0, ended.stderr
    assert "look like 1:1" in ended.stdout
    turns = [line.rpartition("turn: ")[2] for line in ended.stderr.splitlines() if "turn:" in line]
    assert turns == ["STARTING to OK", "OK to DRIFT", "DRIFT to RECOVERING", "RECOVERING to OK"]
    assert read(only_run(tmp_path)).report.verdict == "PASS"


def test_a_signal_ends_it_with_a_report_and_the_verdict_of_the_last_stretch(tmp_path):
    with EmbeddedService(ONE, seed=1) as service:
        process = started(
            tmp_path, "watch", service.url, "--expect", "v1=1", *FAST, "--json", "state.json"
        )
        wait_for(process, "turn: STARTING to OK")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    run = only_run(tmp_path)
    events = [event_of(line) for line in (run / "events.jsonl").read_bytes().splitlines()]
    state = state_of((tmp_path / "state.json").read_bytes())

    assert process.returncode == 0
    assert read(run).report.verdict == "PASS"
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert (state.state, state.run, state.target) == (State.OK, run.name, "127.0.0.1")
    assert state.connections == read(run).report.samples.launched


def test_the_first_alarm_ends_it_with_1_if_asked_to(weighbridge):
    with EmbeddedService({"v1": 5, "v2": 5}, seed=1) as service:
        ended = weighbridge("watch", service.url, "--expect", "v1=9,v2=1", *FAST, "--fail-fast")

    assert ended.returncode == 1
    assert "ALARM v2 received" in ended.stderr


def test_a_target_that_never_answers_is_a_blind_time_and_nothing_was_measured(
    weighbridge, closed_port
):
    ended = weighbridge(
        "watch", f"http://127.0.0.1:{closed_port}/", "--expect", "v1=1", *FAST,
        "--blind-after", "500ms", "--max-time", "4s",
    )  # fmt: skip

    assert ended.returncode == 4
    assert "blind: no answer with a label" in ended.stderr


def test_several_targets_share_a_process_and_a_signal_reads_them_again(tmp_path):
    def write(*urls):
        tables = (
            f'[watch.shop-{n}]\nurl = "{url}"\nexpect = {{v1 = 1}}\n' for n, url in enumerate(urls)
        )
        text = '[watch]\nrate = "400/s"\n' + "".join(tables)
        (tmp_path / "weighbridge.toml").write_text(text, encoding="utf-8")

    with EmbeddedService(ONE, seed=1) as one, EmbeddedService(ONE, seed=2) as other:
        write(one.url)
        process = started(tmp_path, "watch", "--config", "weighbridge.toml")
        wait_for(process, "shop-0: turn: STARTING to OK")
        write(one.url, other.url)
        process.send_signal(signal.SIGHUP)
        lines = wait_for(process, "shop-1: turn: STARTING to OK")
        assert not any("shop-0: start" in line for line in lines)  # it goes on
        (tmp_path / "weighbridge.toml").write_text("[watch.shop-0]\nuri = 1\n", encoding="utf-8")
        process.send_signal(signal.SIGHUP)
        wait_for(process, "error: SIGHUP: ")
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=60)

    assert process.returncode == 0
    assert "shop-0: PASS at the end" in stderr
    assert "shop-1: PASS at the end" in stderr
    names = sorted(path.name.partition("Z-")[2] for path in (tmp_path / "reports").iterdir())
    assert names == ["watch-shop-0", "watch-shop-1"]


class Ended:
    """Stands in for a session: it ends at once, with a code or an error."""

    has_failed_fast = False

    def __init__(self, end, _teller):
        self.end = end

    async def run(self):
        if isinstance(self.end, WeighbridgeError):
            raise self.end
        return self.end


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ((ExitCode.PASS, ExitCode.PASS), 0),
        ((ExitCode.PASS, UsageError("no folder")), 2),
        ((ExitCode.INCONCLUSIVE, UsageError("no folder")), 2),
        ((UsageError("no folder"), UsageError("no folder")), 2),
        ((UsageError("no folder"), StorageError("full")), 4),
        ((StorageError("full"), ExitCode.FAIL), 1),
    ],
)
def test_a_target_that_could_not_be_weighed_is_no_pass_of_the_others(ends, code):
    async def run():
        watching = Watching()
        makers: list[Any] = [partial(Ended, end) for end in ends]
        watching.update([Setup(str(n), {}, make) for n, make in enumerate(makers)])
        return await watching.wait()

    assert asyncio.run(run()) == code


def test_one_that_could_not_go_on_is_tried_again_when_the_options_are_read_again():
    begun: list[Any] = []

    class Lasting(Ended):
        async def run(self):
            begun.append(self.end)
            if isinstance(self.end, WeighbridgeError):
                raise self.end
            await self.stopped.wait()
            return self.end

        def stop(self):
            self.stopped.set()

        def __init__(self, end, teller):
            super().__init__(end, teller)
            self.stopped = asyncio.Event()

    ends: dict[str, Any] = {"full": StorageError("full"), "shop": ExitCode.PASS}

    def setups(**options):
        makers: dict[str, Any] = {name: partial(begin, name) for name in ends}
        return [Setup(name, options, make) for name, make in makers.items()]

    def begin(name, teller):
        return Lasting(ends[name], teller)

    async def run():
        watching = Watching()
        watching.update(setups())
        waiting = asyncio.create_task(watching.wait())
        for _ in range(9):
            await asyncio.sleep(0)
        assert list(watching.errors) == ["full"]
        ends["full"] = ExitCode.INCONCLUSIVE
        watching.update(setups())
        assert not watching.errors
        await asyncio.sleep(0)
        before = dict(watching.sessions)
        with pytest.raises(UsageError):
            watching.update([*setups(rate=1), Setup("broken", {}, refuse)])
        assert watching.sessions == before  # nothing has ended for what cannot begin
        watching.stop()
        return await waiting

    def refuse(_teller):
        raise UsageError("no such folder")

    assert asyncio.run(run()) is ExitCode.INCONCLUSIVE
    assert [str(each) for each in begun] == ["full", str(ExitCode.PASS), str(ExitCode.INCONCLUSIVE)]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("http://shop/",), "expected one of --expect, --manifests and --cluster"),
        (("--expect", "v1=1"), "expected a URL"),
        (("http://shop/", "--expect", "v1=1", "--connection", "auto"), "--connection auto"),
        (("http://shop/", "--expect", "v1=1", "--false-alarm", "0d"), "--false-alarm"),
        (("http://shop/", "--expect", "v1=1", "--alpha", "1%"), "there is no option --alpha"),
    ],
)
def test_what_cannot_be_weighed_is_refused_before_anything_is_sent(weighbridge, arguments, problem):
    ended = weighbridge("watch", *arguments)

    assert ended.returncode == 2
    assert problem in ended.stderr


@pytest.mark.parametrize("line", ['listen = "127.0.0.1:0"', 'json = "x.json"', "no-token = true"])
def test_a_table_of_a_target_has_nothing_of_the_process(weighbridge, tmp_path, line):
    text = f"[watch.shop]\nurl = 'http://shop/'\nexpect = {{v1 = 1}}\n{line}\n"
    (tmp_path / "w.toml").write_text(text, encoding="utf-8")
    ended = weighbridge("watch", "--config", "w.toml")

    assert ended.returncode == 2
    assert f"[watch.shop]: {line.partition(' ')[0]} holds for the whole process" in ended.stderr


def test_a_target_may_have_a_folder_of_its_own(weighbridge, tmp_path):
    with EmbeddedService(ONE, seed=1) as service:
        text = f"[watch.shop]\nurl = '{service.url}'\nexpect = {{v1 = 1}}\nout = 'elsewhere'\n"
        (tmp_path / "w.toml").write_text(f"[watch]\nmax-time = '1s'\n{text}", encoding="utf-8")
        weighbridge("watch", "--config", "w.toml")

    assert [each.name.partition("Z-")[2] for each in (tmp_path / "elsewhere").iterdir()] == [
        "watch-shop"
    ]
    assert not (tmp_path / "reports").exists()


def test_a_table_of_a_target_is_checked_as_any_other(weighbridge, tmp_path):
    (tmp_path / "w.toml").write_text("[watch.shop]\nuri = 'http://shop/'\n", encoding="utf-8")
    ended = weighbridge("watch", "--config", "w.toml")

    assert ended.returncode == 2
    assert "[watch.shop] uri: watch has no option of this name" in ended.stderr


def test_the_page_of_the_story_stays_until_it_is_interrupted(tmp_path):
    process = started(tmp_path, "demo", "--watch", "--listen", "127.0.0.1:0")
    [url] = re.findall(r"listening on (\S+)", wait_for(process, "listening on")[-1])
    wait_for(process, "the story is told")
    with urllib.request.urlopen(url, timeout=60) as answer:
        page = answer.read().decode()
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=60)

    assert process.returncode == 0
    assert "found 0." in told
    assert "look like 1:1" in told
    assert all(each in page for each in ("OK to DRIFT", "look like 1:1", "RECOVERING to OK"))
