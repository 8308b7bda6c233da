"""The analysis reads its arguments and nothing else: what contracts of imports cannot say."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import analysis

MODULES = sorted(Path(analysis.__path__[0]).rglob("*.py"))
FORBIDDEN = {"open", "print", "input", "__import__", "import_module"}
METHODS = {
    "fromfile",
    "genfromtxt",
    "loadtxt",
    "memmap",
    "open",
    "save",
    "savefig",
    "savez",
    "tofile",
}


def impure(source):
    """Give the calls that touch a file, a terminal, or a random state of their own."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Name(id=name) if name in FORBIDDEN:
                found.append(name)
            case ast.Attribute(attr="default_rng") if not node.args and not node.keywords:
                found.append("default_rng")
            case ast.Attribute(attr=name) if name in METHODS:
                found.append(name)
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_touches_nothing_outside(module):
    assert impure(module.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source", ["open('x')", "np.random.default_rng()", "np.save(x, y)", "figure.savefig('x')"]
)
def test_what_touches_something_is_found(source):
    assert impure(source) != []
