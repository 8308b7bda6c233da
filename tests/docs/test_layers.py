"""The layers that the pages show are those of the import contracts."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.processes import REPOSITORY

PAGE = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMES_WIDTH = 26
"""Columns in which a block of layers names modules."""


def contracts():
    """Give the layers of each package, from the top down."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    return {
        contract["containers"][0]: [layer.split(" | ") for layer in contract["layers"]]
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers" and "containers" in contract
    }


def shown(package):
    """Give the layers that the page shows; a row of names that goes on ends with a comma."""
    section = PAGE.partition(f"## Layers of `{package}`\n")[2].partition("\n## ")[0]
    rows = [
        line[4 : 4 + NAMES_WIDTH].strip() for line in re.findall(r"^    .*", section, re.MULTILINE)
    ]
    joined = "\n".join(filter(None, rows)).replace(",\n", ", ")
    return [sorted(row.split(", ")) for row in joined.split("\n")]


@pytest.mark.parametrize("package", ["analysis", "sampler"])
def test_the_page_shows_every_layer_in_its_order(package):
    private = {"_version"}
    layers = [sorted(set(layer) - private) for layer in contracts()[package]]

    assert shown(package) == layers
