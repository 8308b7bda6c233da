"""The live view: what matters most survives a narrow terminal, and no forecast jumps."""

from __future__ import annotations

import pytest

from analysis import Batch, Evidence, Policy, Split, Tally, weigh
from analysis.planning.forecast import nearer_boundary
from analysis.render.printable import cells
from sampler.cli import progress as live
from sampler.cli.progress import ProgressLine, State, drawn
from sampler.plan.load import Limits
from sampler.plan.run import RunPlan
from sampler.plan.target import Target
from sampler.run.gate import Progress

HALVES = ["v1", "v2"] * 30


def progress(labels, *, split="v1=1,v2=1", is_draining=False, elapsed_s=0.5):
    batch = Batch.of_labels(labels)
    evidence = None
    if split is not None:
        evidence = weigh(Evidence.start(Split.parse(split), Policy(), 0), batch)
    return Progress(Tally.of(batch), evidence, len(labels), elapsed_s, is_draining)


def state(labels, *, to_go_s=None, limit_s=60.0, **more):
    return State.of(progress(labels, **more), limit_s, to_go_s)


def test_the_time_and_what_is_missing_stand_before_the_rate():
    facts = state([*HALVES, None], to_go_s=3.2).facts

    assert facts == (
        "61 requests", "0 s of 60 s", "about 4 s to go", "1 without a label", "122/s",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "verdict"),
    [(HALVES, "PASS"), (["v1", "v1", "v2", *["v1"] * 6], "FAIL")],
    ids=["half", "few"],
)
def test_the_nearer_boundary_is_told(labels, verdict):
    told = state(labels)

    assert told.nearer == verdict
    assert 0 < told.part < 1
    assert f" % of the way to {verdict}" in told.line()


def test_the_way_to_pass_is_that_of_the_hypothesis_refuted_least():
    evidence = progress((["v1"] * 22 + ["v2"] * 3) * 5, split="v1=9,v2=1").evidence
    logs = [peak.log_evidence for peak in evidence.peaks]

    verdict, part = nearer_boundary(evidence)

    assert verdict.value == "PASS"
    assert part == pytest.approx(min(logs) / 4.60517, rel=1e-4)
    assert min(logs) < max(logs)


def test_nothing_is_near_before_the_first_answer():
    assert state([]).nearer == ""
    assert state(HALVES, split=None).nearer == ""


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
@pytest.mark.parametrize("versions", [2, 12])
def test_no_line_is_wider_than_the_terminal_and_each_version_has_its_numbers(columns, versions):
    names = [f"2026.11.{place}" for place in range(versions)]
    split = ",".join(f"{name}=1" for name in names)

    lines = [line.plain for line in drawn(state(names * 9, split=split, to_go_s=70), columns)]

    assert max(map(cells, lines)) <= columns
    bars = [line for line in lines if "▕" in line]
    assert len(bars) == min(versions, 4)
    assert all(line.count("●") == 1 and line.endswith(")") for line in bars), lines
    assert (lines[-1] == "and 8 more labels") == (versions == 12)


def test_a_bar_shows_what_is_accepted_the_interval_and_the_share():
    told = state((["v1"] * 17 + ["v2"] * 3) * 5, split="v1=9,v2=1")
    (line,) = [line.plain for line in drawn(told, 120) if line.plain.startswith("v2")]

    bar = line[line.index("▕") + 1 : line.index("▏")]
    interval = told.spans["v2"].interval
    scale = len(bar) - 1
    assert bar.index("[") == round(told.spans["v2"].band[0] * scale)
    assert bar.index("●") == round(0.15 * scale)
    assert bar.rindex("━") == round(interval[1] * scale)
    assert line.endswith("15.0 % (5.0–14.1)")  # noqa: RUF001 - an interval has a dash


def test_a_run_that_waits_says_so():
    assert "waiting for requests in flight" in state(HALVES, is_draining=True).facts


@pytest.mark.parametrize("split", [None, "v1=1,v2=1"])
def test_a_label_cannot_steer_the_terminal(split):
    told = state(["\x1b[2Jv1\r", "v" * 5000] * 9, split=split)

    for text in (told.line(), *(line.plain for line in drawn(told, 120))):
        assert "\x1b" not in text
        assert "\r" not in text
        assert len(text) < 250
    assert r"\x1b[2Jv1\x0d" in told.line()


class Clock:
    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(live, "monotonic", lambda: self.now)


def told_lines(capsys):
    return capsys.readouterr().err.splitlines()


def a_plan():
    return RunPlan(Target("http://127.0.0.1:1/"), limits=Limits(max_time_s=60.0))


def test_where_nothing_can_be_drawn_a_line_comes_every_ten_seconds(monkeypatch, capsys):
    clock = Clock(monkeypatch)
    seen = []
    with ProgressLine(a_plan()) as line:
        for second in range(35):
            clock.now = 100.0 + second
            line.show(progress(HALVES, elapsed_s=second + 0.1))
            seen.append(len(told_lines(capsys)))

    assert [second for second, n in enumerate(seen) if n] == [10, 20, 30]


def test_the_forecast_follows_smoothly(monkeypatch, capsys):
    clock = Clock(monkeypatch)
    line, told = ProgressLine(a_plan()), []
    needs = [100, 100, 1000, 100]
    monkeypatch.setattr(live, "PLAIN_EVERY_S", 0.1)
    monkeypatch.setattr(live, "remaining", lambda _: needs.pop(0))
    for _ in range(4):
        clock.now += 0.5
        line.show(progress(HALVES, elapsed_s=6.0))
        told += [part for part in told_lines(capsys)[0].split(" · ") if "to go" in part]

    # 10 s, twice; a jump to 100 s is followed by a fifth of the way.
    assert told[0] == "about 10 s to go"
    assert told[2] == "about 30 s to go"
