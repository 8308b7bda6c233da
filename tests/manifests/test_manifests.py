"""Each folder is a rule: manifests, what is asked of them, and what should come of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sampler.cli import main

FOLDERS = sorted(path.parent for path in Path(__file__).parent.glob("*/input.yaml"))


def place_of(finding):
    return f"{finding['severity']} {finding['code']} {finding['where']}"


def place_of_number(number):
    return " ".join(str(number[key]) for key in ("towards", "value", "what", "where"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_manifests_are_read_as_their_folder_says(folder, monkeypatch, capsys):
    wanted = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    monkeypatch.chdir(folder)

    code = main(["expect", "--manifests", "input.yaml", *wanted["arguments"], "--json", "-"])

    printed = capsys.readouterr()
    assert code == wanted["exit"], printed.err
    if "error" in wanted:
        assert printed.out == ""
        assert [part for part in wanted["error"] if part not in printed.err] == [], printed.err
        return
    document = json.loads(printed.out)
    expected = document.get("expected", {})
    assert expected.get("weights") == wanted["weights"]
    assert list(expected.get("weights") or {}) == list(wanted["weights"] or {})
    assert [place_of_number(each) for each in expected.get("numbers", [])] == wanted["numbers"]
    assert [place_of(each) for each in document["findings"]] == wanted["findings"]


def test_every_folder_is_a_rule_of_its_own():
    assert len(FOLDERS) > 70
    sentences = [
        json.loads((folder / "expected.json").read_text(encoding="utf-8"))["about"]
        for folder in FOLDERS
    ]
    assert len(set(sentences)) == len(sentences)
