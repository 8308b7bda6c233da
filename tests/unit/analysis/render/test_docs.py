"""The pages about the document name everything that it can hold."""

from __future__ import annotations

import re
from pathlib import Path

from analysis.data.batch import Outcome
from analysis.data.report import ReasonCode
from analysis.render import schema

DOCS = Path(__file__).parents[4] / "docs"


def test_every_reason_has_its_section_and_no_other_has_one():
    page = (DOCS / "reasons.md").read_text(encoding="utf-8")

    assert sorted(re.findall(r"^## (\w+)$", page, re.MULTILINE)) == sorted(ReasonCode)
    assert page.count("**When.**") == page.count("**Remedy.**") == len(ReasonCode)


def test_every_outcome_is_explained():
    page = (DOCS / "report.md").read_text(encoding="utf-8")

    assert [outcome.key for outcome in Outcome] == re.findall(
        r"^\| `(\w+)` \|", page.partition("## Outcomes")[2], re.MULTILINE
    )


def test_every_field_of_the_schema_is_in_the_table():
    page = (DOCS / "report.md").read_text(encoding="utf-8")
    whole = schema()

    wanted = {name for name in whole["properties"] if name in {"schema", "verdict", "notes"}}
    for name in ("expected", "observed", "samples", "decision", "performance", "run", "classical"):
        wanted |= {f"{name}.{field}" for field in whole["$defs"][name]["properties"]}
    wanted |= {f"reasons[].{field}" for field in whole["$defs"]["reason"]["properties"]}

    named = {
        name.removesuffix("[]") for name in re.findall(r"^\| `([\w.\[\]]+)` \|", page, re.MULTILINE)
    }
    assert not wanted - named
