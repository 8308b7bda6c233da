"""No test gives up on a process or a server sooner than a machine with other work answers."""

from __future__ import annotations

import ast
import re

import pytest

from tests.processes import REPOSITORY

FILES = [
    path
    for path in sorted((REPOSITORY / "tests").rglob("*.py"))
    if not {"benchmarks", "apps"}.intersection(path.parts)
]
LEAST_S = 60
WAITS = {"communicate", "create_connection", "join", "result", "run", "urlopen", "wait"}
CLIENTS = {"HTTPConnection", "HTTPSConnection"}
AS_FIRST = {"join", "result", "wait"}
"""Take the limit as their first argument, too."""
ABOUT_TIME = {"running.py", "test_connection.py", "test_stalls.py", "waiting.py"}
"""Files whose limits are of one try of many, on a clock of their own, or what is tested."""
SAYS_A_LIMIT = re.compile(r"timeout|\.(join|result|wait)\(\d")


def impatient(tree):
    """Give the lines of calls that have less time than `LEAST_S`."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        if name not in WAITS | CLIENTS:
            continue
        limits = [each.value for each in call.keywords if each.arg in {"timeout", "timeout_s"}]
        limits += call.args[:1] if name in AS_FIRST else []
        for limit in limits:
            value = getattr(limit, "value", None)
            if isinstance(value, int | float) and value < LEAST_S:
                yield call.lineno


@pytest.mark.parametrize(
    ("line", "is_impatient"),
    [
        ("process.communicate(timeout=30)", True),
        ("process.wait(5)", True),
        ("http.client.HTTPConnection(host, timeout=10)", True),
        ("process.wait(60)", False),
        ("process.wait()", False),
        ('" ".join(words)', False),
        ("Load(timeout_s=1)", False),
    ],
)
def test_a_short_limit_is_found(line, is_impatient):
    assert bool(list(impatient(ast.parse(line)))) is is_impatient


def test_no_test_is_impatient():
    texts = {path: path.read_text(encoding="utf-8") for path in FILES}
    found = [
        f"{path.relative_to(REPOSITORY)}:{line}"
        for path, text in texts.items()
        if SAYS_A_LIMIT.search(text) and path.name not in ABOUT_TIME
        for line in impatient(ast.parse(text))
    ]

    assert found == []
