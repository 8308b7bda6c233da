from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from analysis import Policy, Split, Tolerance, Verdict
from analysis.data.report import ReasonCode, Worker
from analysis.versions.health import HealthPolicy
from sampler import UsageError, read, rejudge

RUNS = Path(__file__).resolve().parents[4] / "notebooks" / "runs"
SPLIT = Split.parse("v1=9,v2=1")


@pytest.mark.parametrize("name", ["first-look", "weight-ignored", "slow-canary", "next-step"])
def test_judged_again_in_its_own_way_a_run_has_its_own_verdict(name):
    run = read(RUNS / name)

    report = rejudge(run)

    assert report.verdict is run.report.verdict
    assert report.decision is not None
    assert run.report.decision is not None
    assert report.decision.decided_after == run.report.decision.decided_after
    assert report.expected == run.report.expected
    # Since these runs were recorded, it is drawn otherwise which neighbours are compared.
    ours, theirs = report.health, run.report.health
    assert ours is not None
    assert theirs is not None
    assert replace(ours, times=theirs.times) == theirs
    assert ours.times.differences_s == theirs.times.differences_s
    assert report.run.id == run.report.run.id


def test_another_split_is_judged_by_its_own_bands():
    report = rejudge(read(RUNS / "first-look"), Split.parse("v1=5,v2=5"))

    assert report.verdict is Verdict.FAIL
    assert report.expected is not None
    assert report.expected.weights == {"v1": 5, "v2": 5}
    assert report.expected.source.where == "argument of weighbridge.judge"


def test_another_policy_takes_the_place_of_the_runs_own():
    narrow = Policy(tolerance=Tolerance.parse("1pp"))

    report = rejudge(read(RUNS / "first-look"), policy=narrow)

    assert report.verdict is Verdict.INCONCLUSIVE


def test_a_limit_on_the_canarys_times_fails_a_slow_one():
    run = read(RUNS / "slow-canary")

    report = rejudge(run, health=HealthPolicy(max_slowdown=2))

    assert run.report.verdict is Verdict.PASS
    assert report.verdict is Verdict.FAIL
    assert report.reasons[0].code == "slowdown"


def test_a_run_that_was_measured_only_needs_a_split():
    run = read(RUNS / "half-dropped")

    with pytest.raises(UsageError, match="was not judged") as error:
        rejudge(run)

    assert "Split.parse" in (error.value.hint or "")
    assert rejudge(run, SPLIT).verdict is Verdict.FAIL


def test_without_its_plan_a_run_is_judged_by_the_defaults(tmp_path):
    shutil.copytree(RUNS / "first-look", tmp_path / "run")
    (tmp_path / "run" / "plan.json").unlink()

    assert rejudge(read(tmp_path / "run")).verdict is Verdict.PASS


def test_a_run_knows_its_plan_unless_that_was_not_kept(tmp_path):
    shutil.copytree(RUNS / "first-look", tmp_path / "run")
    run = read(tmp_path / "run")
    (tmp_path / "run" / "plan.json").unlink()

    assert read(RUNS / "first-look").plan == json.loads(
        (RUNS / "first-look" / "plan.json").read_text(encoding="utf-8")
    )
    assert run.plan is None


def test_a_plan_that_is_no_json_is_refused(tmp_path):
    shutil.copytree(RUNS / "first-look", tmp_path / "run")
    (tmp_path / "run" / "plan.json").write_text("{", encoding="utf-8")

    with pytest.raises(UsageError, match=r"plan\.json"):
        _ = read(tmp_path / "run").plan


def test_the_text_of_a_run_is_that_of_the_terminal():
    assert read(RUNS / "first-look").text().startswith("PASS  v2 received")


def test_a_figure_of_a_run_shows_itself_in_a_notebook():
    figure = read(RUNS / "first-look").figure()

    picture = figure._repr_png_()  # type: ignore[attr-defined]

    assert picture.startswith(b"\x89PNG")
    assert picture == figure._repr_png_()  # type: ignore[attr-defined]


def changed(folder, plan=None, workers=None, **columns):
    """Write a copy of a run in which some things are otherwise."""
    shutil.copytree(RUNS / "first-look", folder)
    for name, new in (("plan.json", plan), ("report.json", workers)):
        document = json.loads((folder / name).read_text(encoding="utf-8"))
        (document["performance"] if name == "report.json" else document).update(new or {})
        (folder / name).write_text(json.dumps(document), encoding="utf-8")
    table = parquet.read_table(folder / "samples.parquet")
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        column = values(table.column(name).to_pylist())
        table = table.set_column(at, table.field(at), pa.array(column, table.field(at).type))
    parquet.write_table(table, folder / "samples.parquet")
    return read(folder)


def test_what_a_lost_vantage_may_have_sent_is_no_fault_of_the_target(tmp_path):
    gone = Worker("w", launched=600, lost=200, gone="its process ended")
    run = changed(
        tmp_path / "run",
        workers={"workers": [asdict(gone)]},
        label=lambda all_: [None if 5 < at < 200 else each for at, each in enumerate(all_)],
        outcome=lambda all_: ["lost" if 5 < at < 200 else each for at, each in enumerate(all_)],
    )

    report = rejudge(run)

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].code is ReasonCode.VANTAGE_LOST
    assert "w (its process ended)" in report.reasons[0].message


def test_splits_of_zones_are_those_of_the_run_and_of_no_other_expectation(tmp_path):
    own = {"arms": ["v1", "v2"], "weights": [9, 1]}
    run = changed(
        tmp_path / "run",
        plan={"zone_of": ["a", "b"], "zone_splits": {"a": own, "b": own}},
        worker=lambda all_: [at % 2 for at in range(len(all_))],
    )

    own_again = rejudge(run).expected
    assert own_again is not None
    assert own_again.weights == {"v1": 9, "v2": 1}
    assert rejudge(run, Split.parse("v1=5,v2=5")).verdict is Verdict.FAIL
