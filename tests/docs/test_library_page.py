"""The Python of the page on the library runs, one block after the other, against a real Service."""

from __future__ import annotations

import re
from pathlib import Path

from analysis import Verdict
from sampler.demo.process import EmbeddedService

PAGE = Path(__file__).resolve().parents[2] / "docs" / "library.md"
URL = "http://127.0.0.1:8080/"


def test_the_page_runs_from_its_first_block_to_its_last(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}

    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        for block in blocks:
            exec(compile(block.replace(URL, service.url), str(PAGE), "exec"), names)

    assert len(blocks) == 6
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{Verdict.PASS}: v2 received ")
    assert last.startswith(f"{Verdict.PASS} Counter(")
    assert len(list((tmp_path / "reports").iterdir())) == 1


def test_the_cells_of_the_start_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = PAGE.parent / "start" / "notebook.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}

    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        for block in blocks:
            exec(compile(block.replace(URL, service.url), str(page), "exec"), names)

    assert len(blocks) == 2
    assert set(names["samples"]["label"].dropna()) == {"v1", "v2"}  # type: ignore[index]
