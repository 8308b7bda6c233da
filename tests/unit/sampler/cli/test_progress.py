"""The live line: what matters most survives a narrow terminal."""

from __future__ import annotations

import pytest

from analysis import Batch, Evidence, Policy, Split, Tally, weigh
from sampler.cli.progress import describe
from sampler.run.gate import Progress

HALVES = ["v1", "v2"] * 30


def progress(labels, *, split="v1=1,v2=1", is_draining=False):
    batch = Batch.of_labels(labels)
    evidence = None
    if split is not None:
        evidence = weigh(Evidence.start(Split.parse(split), Policy(), 0), batch)
    return Progress(Tally.of(batch), evidence, len(labels), 0.5, is_draining)


def test_what_is_still_needed_stands_before_the_shares_and_the_rate():
    line = describe(progress(HALVES))

    assert line.startswith("60 requests, about ")
    assert line.index("more needed") < line.index("50.0 %") < line.index("120/s")


def test_each_label_has_its_share_and_its_interval_the_smallest_first():
    line = describe(progress([*HALVES, "v1"]))

    assert [part.split()[0] for part in line.split(" · ") if "[" in part] == ["v2", "v1"]


def test_a_run_that_waits_says_so():
    assert "waiting for requests in flight" in describe(progress(HALVES, is_draining=True))


@pytest.mark.parametrize("split", [None, "v1=1,v2=1"])
def test_answers_without_a_label_are_counted(split):
    assert "1 without a label" in describe(progress([*HALVES, None], split=split))


def test_one_request_is_one_request():
    assert describe(progress(["v1"], split=None)).startswith("1 request ")


@pytest.mark.parametrize("split", [None, "v1=1,v2=1"])
def test_a_label_cannot_steer_the_terminal(split):
    line = describe(progress(["\x1b[2Jv1\r", "v" * 5000] * 9, split=split))

    assert "\x1b" not in line
    assert "\r" not in line
    assert r"\x1b[2Jv1\x0d" in line
    assert len(line) < 200


def test_a_forecast_has_no_more_than_two_digits():
    line = describe(progress(HALVES, split="v1=55,v2=45"))

    told = line.partition("about ")[2].partition(" more needed")[0].replace(" ", "")
    assert 1 <= len(told.rstrip("0")) <= 2 < len(told), line
