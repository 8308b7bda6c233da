"""A process that weighs for ``serve``: jobs as lines of JSON on stdin, what they come to on stdout.

How it works. A job waits for nothing that can be ready before: NumPy, Arrow and the transport are
imported before the first one. While a check runs, its event loop reads stdin: a line that says
stop, or the end of the stream, interrupts it, and the run is written as that of any other
check that was interrupted.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import time
import traceback
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.render import to_json, to_junit
from sampler.base.errors import StorageError, UsageError, WeighbridgeError
from sampler.cli import check
from sampler.cli.execute import loop_runner
from sampler.cli.options import command_line
from sampler.run.gate import Weighing
from sampler.run.pilot import PilotedRun
from sampler.run.recovery import report_of
from sampler.serve import memory
from sampler.serve.outcome import MOST_LABELS, Kind, outcome_of, outcome_of_error, undecided
from sampler.store.files import whole
from sampler.store.layout import JUNIT, REPORT
from sampler.store.reader import RunFolder
from sampler.store.writer import import_for_writing

if TYPE_CHECKING:
    from analysis import Report
    from sampler.expect.cluster.watch import Watch
    from sampler.plan.run import RunPlan
    from sampler.run.gate import Progress
    from sampler.serve.outcome import Outcome

_TELL_S = 0.25
"""Between two words on how far a check is [s]."""


class _Lines:
    """Lines of stdin, read by whoever waits for them: a blocking call, or an event loop."""

    def __init__(self) -> None:
        self._rest = b""
        self.has_ended = False
        self.is_stopped = False

    def read(self) -> list[dict[str, Any]]:
        """Return the messages that came; blocks until there is at least a byte, or the end."""
        data = os.read(0, 1 << 16)
        self.has_ended = self.has_ended or not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines if line]


def main() -> None:
    """Do jobs until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server says when to stop
    import_for_writing()
    gc.collect()
    gc.freeze()
    lines = _Lines()
    while not lines.has_ended:
        jobs = lines.read()
        for job, after in zip_longest(jobs, jobs[1:]):
            if job["do"] != "stop":  # one that came after the end of its job
                lines.is_stopped = after is not None and after["do"] == "stop"
                _say({"end": _do(job, lines)})


def _do(job: dict[str, Any], lines: _Lines) -> dict[str, Any]:
    try:
        match job["do"]:
            case "look":
                return {"weights": _weights_of(job["options"])}
            case "recover":
                return {"outcome": _recovered(Path(job["run"]), job["canary"]).to_document()}
            case _:
                return {"outcome": _weighed(job, lines).to_document()}
    except WeighbridgeError as error:
        return {"outcome": outcome_of_error(error).to_document()}
    except Exception:  # noqa: BLE001 - the server lives on, and says that this was a bug
        traceback.print_exc()
        bug = undecided("this is a bug in weighbridge, not in your service", "bug", Kind.BUG)
        return {"outcome": bug.to_document()}


def _weights_of(options: dict[str, Any]) -> dict[str, int]:
    split = _planned(options)[0].split
    return {} if split is None else dict(split.weight_of)


def _planned(
    options: dict[str, Any], out: str | None = None, name: str = "", keep: int | None = None
) -> tuple[RunPlan, Watch | None]:
    """Make the plan of a check from the table of a gate."""
    params = check.options_of_table(options, "the gate:")
    url = params.pop("url")
    params |= {"name": name, "keep": keep}
    return check.planned(url, params, None if out is None else Path(out), _as_command(options))


def _as_command(options: dict[str, Any]) -> str:
    """Return the command line that repeats a check outside of the server."""
    words = ["check", str(options.get("url", ""))]
    for name, value in options.items():
        if name == "url" or value is False:
            continue
        for each in value if isinstance(value, list) else [value]:
            text = json.dumps(each) if isinstance(each, dict) else str(each)
            words += [f"--{name}"] if each is True else [f"--{name}", text]
    return command_line([word for word in words if word])


def _weighed(job: dict[str, Any], lines: _Lines) -> Outcome:
    plan, watch = _planned(job["options"], job["out"], job["name"], job["keep"])
    report = loop_runner(plan)(_weigh(plan, watch, job["session"], lines))
    return outcome_of(report, job["canary"])


async def _weigh(
    plan: RunPlan, watch: Watch | None, session: dict[str, Any], lines: _Lines
) -> Report:
    run = PilotedRun(plan, lambda piloted: Weighing(piloted, _Telling(), watch))
    if lines.has_ended or lines.is_stopped:
        run.interrupt()

    def hear() -> None:
        lines.read()  # stop, or the end: nothing else is said meanwhile
        if lines.has_ended:
            loop.remove_reader(0)
        run.interrupt()

    loop = asyncio.get_running_loop()
    loop.add_reader(0, hear)
    try:
        weighing = await run.begin()
        _remember(weighing, session)
        return await weighing.run()
    finally:
        loop.remove_reader(0)


def _remember(weighing: Weighing, session: dict[str, Any]) -> None:
    """Say whose run this is before it sends anything: a killed one is found by it."""
    if weighing.path is None:
        return
    try:
        memory.save(weighing.path, session)
    except OSError as error:
        raise StorageError(
            f"the run cannot be written to {weighing.path}: {error.strerror}",
            hint="free some space, or choose another folder with --out DIR",
        ) from error
    _say({"run": str(weighing.path)})


class _Telling:
    """Tells now and then how far a check is."""

    def __init__(self) -> None:
        self._told_s = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._told_s < _TELL_S or progress.evidence is None:
            return
        self._told_s = now
        tally = progress.tally
        n = max(tally.labelled, 1)
        labels = [label for label in tally.labels if label][:MOST_LABELS]
        observed = {label: tally.labels[label] / n for label in labels}
        _say({"connections": tally.labelled, "elapsed_s": progress.elapsed_s, "observed": observed})


def _recovered(folder: Path, canary: str) -> Outcome:
    """Make the report of a run that was killed, and leave it with the run."""
    run = RunFolder(folder)
    if not (folder / REPORT).exists() and not run.plan:
        raise UsageError(f"{folder} was cut off before its first request")
    has_report = run.has_report
    report = report_of(run)
    if not has_report:
        with whole(folder / JUNIT) as part:
            part.write_text(to_junit(report), encoding="utf-8")
        with whole(folder / REPORT) as part:
            part.write_text(to_json(report), encoding="utf-8")
    return outcome_of(report, canary)


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
