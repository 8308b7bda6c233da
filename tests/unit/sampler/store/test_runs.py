"""The runs of a folder: which is the newest, what may be removed, and what never is."""

from __future__ import annotations

from pathlib import Path

import pytest

from sampler.base.errors import UsageError
from sampler.store.runs import find_run, keep_newest, runs_in


def made(base, day, *, name="check", report=True):
    path = base / f"202601{day:02d}T000000.000000Z-{name}"
    path.mkdir()
    (path / "plan.json").write_text("{}")
    if report:
        (path / "report.json").write_text("{}")
    return path


def test_runs_come_in_the_order_of_their_starts_and_only_runs(tmp_path):
    later, earlier = made(tmp_path, 2, name="a"), made(tmp_path, 1, name="z")
    (tmp_path / "example").mkdir()
    (tmp_path / "20260103T000000.000000Z-empty").mkdir()
    (tmp_path / "20260104T000000.000000Z-file").touch()

    assert [run.path for run in runs_in(tmp_path)] == [earlier, later]
    assert find_run(Path("latest"), tmp_path) == later


def test_a_folder_without_runs_has_no_newest_one(tmp_path):
    with pytest.raises(UsageError, match="found none"):
        find_run(Path("latest"), tmp_path)
    with pytest.raises(UsageError, match="expected a folder of runs"):
        runs_in(tmp_path / "absent")


def test_the_oldest_finished_runs_go(tmp_path):
    days = [made(tmp_path, day) for day in range(1, 6)]

    assert keep_newest(tmp_path, 2) == days[:3]
    assert sorted(tmp_path.iterdir()) == days[3:]


def test_what_is_not_certainly_a_finished_run_stays(tmp_path):
    base, elsewhere = tmp_path / "reports", tmp_path / "elsewhere"
    base.mkdir()
    elsewhere.mkdir()
    running = made(base, 1, report=False)
    target = made(elsewhere, 2)
    link = base / "20260102T000000.000000Z-linked"
    link.symlink_to(target)
    kept = base / "example"
    kept.mkdir()
    (kept / "report.json").touch()
    made(base, 3)
    newest = made(base, 4)

    keep_newest(base, 1)

    assert sorted(base.iterdir()) == sorted([running, link, kept, newest])
    assert (target / "report.json").exists()
