"""Every module has its tests: those that mirror it, or those that the page on testing names."""

from __future__ import annotations

import re
from pathlib import Path

from tests.processes import REPOSITORY

PAGE = (REPOSITORY / "docs" / "testing.md").read_text(encoding="utf-8")
MODULES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for package in ("analysis", "sampler")
    for path in (REPOSITORY / package).rglob("*.py")
    if path.name != "__init__.py"
)


def table():
    """Return the rows of the map: a module, or a folder with a slash, and what tests it."""
    section = PAGE.partition("## Which test belongs to which module\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w/]+(?:\.py|/))` \| (.+) \|$", section, re.MULTILINE)
    return {place: re.findall(r"`(tests/[\w/.]+)`", tests) for place, tests in rows}


def mirror_of(module):
    path = REPOSITORY / "tests" / "unit" / module
    return path.with_name(f"test_{path.name}")


def row_of(module, rows):
    """Return the place in the map that says most of a module, or None."""
    places = [place for place in rows if module == place or module.startswith(place)]
    return max((place for place in places if place.endswith(("/", ".py"))), key=len, default=None)


def test_every_module_is_mirrored_or_has_its_row():
    rows = table()

    assert [
        module
        for module in MODULES
        if not mirror_of(module).exists() and row_of(module, rows) is None
    ] == []


def test_every_row_is_needed():
    """A module that has its mirror, or is gone, leaves the map."""
    rows = table()
    used = {row_of(module, rows) for module in MODULES if not mirror_of(module).exists()}

    assert sorted(set(rows) - used) == []


def test_every_row_names_tests_that_exist():
    rows = table()

    assert len(rows) > 20
    for place, tests in rows.items():
        assert tests, place
        for test in tests:
            assert (REPOSITORY / test).exists(), (place, test)
            assert test.endswith("/") or Path(test).name.startswith("test_"), (place, test)
