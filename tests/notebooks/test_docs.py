"""The Python of docs/notebooks.md runs as it stands."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from analysis import Verdict
from sampler.demo.process import EmbeddedService
from tests.processes import REPOSITORY

PAGE = (REPOSITORY / "docs" / "notebooks.md").read_text(encoding="utf-8")
BLOCKS: list[str] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def run_as_a_cell(source: str) -> dict[str, Any]:
    """Run a block as a notebook does: it may await."""
    code = compile(source, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names: dict[str, Any] = {}

    async def cell() -> None:
        result = eval(code, names)
        if inspect.isawaitable(result):
            await result

    asyncio.run(cell())
    return names


def block(with_: str) -> str:
    (found,) = [each for each in BLOCKS if with_ in each]
    return found


def test_a_run_is_read_and_shows_itself():
    folder = REPOSITORY / "notebooks" / "runs" / "first-look"
    source = re.sub(r'read\(".*?"\)', f'read("{folder}")', block("read("))

    run = run_as_a_cell(source)["run"]

    assert "PASS" in run._repr_html_()


def test_a_cell_may_await_a_check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with EmbeddedService({"v1": 5, "v2": 5}, seed=1) as service:
        source = block("await check").replace("http://127.0.0.1:8080/", service.url)
        report = run_as_a_cell(source)["report"]

    assert report.verdict is Verdict.FAIL
    assert [path.name for path in Path("reports").iterdir()] == [report.run.id]


def test_a_hundred_wrong_splits_are_judged():
    verdicts = run_as_a_cell(block("RandomPerConnection"))["verdicts"]

    assert len(verdicts) == 100
    assert verdicts.count(Verdict.FAIL) > 90


@pytest.mark.parametrize(
    "name", sorted((REPOSITORY / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem
)
def test_the_page_names_each_notebook(name):
    assert f"(../notebooks/{name.name})" in PAGE
