"""How the runs of the notebooks are recorded, and what is left out of an executed notebook."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis import Verdict
from notebooks.record import KEPT, SCENES, keep, record
from sampler import read
from sampler.demo.process import EmbeddedService


def test_a_scene_becomes_a_run_that_can_be_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with EmbeddedService({"v1": 1}, seed=1) as service:
        report = record("weight-ignored", SCENES["weight-ignored"], service, seed=1)
    keep(Path(report.run.path or ""), tmp_path / "kept")

    run = read(tmp_path / "kept")

    assert {path.name for path in run.path.iterdir()} == set(KEPT)
    assert run.report.verdict is Verdict.FAIL
    assert len(run.batch) == run.report.samples.launched


def test_every_scene_has_its_recorded_run():
    folder = Path(__file__).resolve().parents[2] / "notebooks" / "runs"
    for name, scene in SCENES.items():
        report = read(folder / name).report
        assert report.verdict is scene.usual, name
        if scene.requests is not None:
            assert report.samples.launched == scene.requests


def test_an_executed_notebook_is_made_the_same_each_time():
    nbformat = pytest.importorskip("nbformat")
    from notebooks.execute import tidy  # noqa: PLC0415 - as above

    cell = nbformat.v4.new_code_cell("print(1)", execution_count=7)
    cell.metadata["execution"] = {"iopub.execute_input": "2026-01-01T00:00:00Z"}
    cell.outputs = [
        nbformat.v4.new_output("stream", name="stdout", text="1"),
        nbformat.v4.new_output("stream", name="stdout", text="2\n"),
        nbformat.v4.new_output("execute_result", {"text/plain": "3"}, execution_count=7),
    ]
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"signature": "x"})

    tidy(notebook)

    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert cell.metadata == {}
    assert cell.execution_count == cell.outputs[1].execution_count == 1
    assert [output.get("text") for output in cell.outputs] == ["12\n", None]
