r"""The report as JSON, and back: the document ``weighbridge.report/1``.

How it works. The classes of `analysis.data.report` mirror the document, so msgspec turns one
into the other and checks every type on the way back. The text itself is made by the
standard library: a label may hold a lone surrogate (a response may say ``"\ud800"``), which
has no UTF-8 form, and only there can it be written as the escape that it came from.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from math import isfinite
from typing import Any, NoReturn

import msgspec

from analysis.data.report import SCHEMA, Report
from analysis.render.printable import in_json

_FAMILY, _, _VERSION = SCHEMA.partition("/")
_SHARE_OF = "share of "
_JUDGED = ("verdict", "expected", "decision")
_LONGEST_QUOTE = 60
_HINT = "give the report.json of a run"


def schema(document: str = "report") -> dict[str, Any]:
    """Load the JSON Schema (draft 2020-12) of a document, a new one at each call.

    Parameters
    ----------
    document : str, default "report"
        ``report``, or ``plan`` for that of `analysis.render.plan`.
    """
    file = files("analysis.render").joinpath(f"{document}.schema.json")
    text = file.read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def to_json(report: Report) -> str:
    """Render a report as JSON.

    Parameters
    ----------
    report : Report
        With a verdict, an expectation and a decision; or, from `sample`, with none of them.

    Returns
    -------
    str
        An object with ``schema`` first, indented by two blanks, ended by a newline. Equal
        reports render to equal texts. It can be encoded as UTF-8, whatever the labels.
        ``classical`` follows from the rest of the report (`analysis.review.classical`).

    Raises
    ------
    ValueError
        If a number is not finite, or some of verdict, expectation and decision are missing.
    """
    from analysis.review.classical import classical_test  # noqa: PLC0415 - not before a verdict

    document: dict[str, Any] = {"schema": report.schema}
    document |= msgspec.to_builtins(report)
    document["classical"] = msgspec.to_builtins(classical_test(report))
    _require_whole(report)
    if report.verdict is None:
        left_out = _JUDGED if report.reasons else (*_JUDGED, "reasons")
        document = {key: value for key, value in document.items() if key not in left_out}
    _require_finite(document, "report")
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return in_json(text) + "\n"


def _require_whole(report: Report) -> None:
    has = {key: getattr(report, key) is not None for key in _JUDGED}
    if len(set(has.values())) > 1:
        missing = ", ".join(key for key, present in has.items() if not present)
        raise ValueError(
            f"a report has a verdict, an expectation and a decision, or none of them; "
            f"this one lacks {missing}"
        )


def _require_finite(part: object, where: str) -> None:
    match part:
        case float() if not isfinite(part):
            raise ValueError(f"a report holds finite numbers only, got {part} at {where}")
        case dict():
            for key, value in part.items():
                _require_finite(value, f"{where}.{key}")
        case list() | tuple():
            for position, value in enumerate(part):
                _require_finite(value, f"{where}[{position}]")


def from_json(text: str) -> Report:
    """Read a report back.

    Parameters
    ----------
    text : str
        What `to_json` gave. Fields that this version does not know are ignored: a later
        version may add some without a new number in ``schema``.

    Returns
    -------
    Report
        Equal to the one that was rendered.

    Raises
    ------
    ValueError
        If it is not JSON, another document, a newer version of this one, or does not have
        its shape; the message says what was expected, what came and what to do.
    """
    document = _load(text)
    _require_schema(document)
    present = [key for key in _JUDGED if key in document]
    if present and len(present) < len(_JUDGED):
        missing = ", ".join(key for key in _JUDGED if key not in document)
        raise ValueError(
            f"the document has {', '.join(present)}, but lacks {missing}: it is no longer the "
            f"{SCHEMA} that was written; {_HINT} that was not edited"
        )
    if not present:
        document = {"reasons": [], **document, **dict.fromkeys(_JUDGED)}
    elif any(document[key] is None for key in _JUDGED):
        raise ValueError(
            f"{', '.join(_JUDGED)} of {SCHEMA} must not be null; {_HINT} that was not edited"
        )
    _name_labels_of_checks(document)
    try:
        return msgspec.convert(document, Report)
    except msgspec.ValidationError as error:
        raise ValueError(
            f"the document says {SCHEMA}, but does not have its shape: {error}; it was edited, "
            f"or written by a newer weighbridge ({_writer(document)}) than this one"
        ) from error


def _name_labels_of_checks(document: dict[str, Any]) -> None:
    """Add what earlier versions said in the names of checks alone, which are documented."""
    decision = document["decision"]
    checks = decision.get("checks") if isinstance(decision, dict) else None
    for check in checks if isinstance(checks, list) else ():
        name = check.get("name") if isinstance(check, dict) else None
        if isinstance(name, str) and name.startswith(_SHARE_OF):
            check.setdefault("label", name.removeprefix(_SHARE_OF))


def _load(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError(f"expected {SCHEMA}, got JSON nested too deeply; {_HINT}") from error
    except ValueError as error:
        raise ValueError(f"expected {SCHEMA}, got no JSON: {error}; {_HINT}") from error
    if not isinstance(document, dict):
        raise ValueError(  # noqa: TRY004 - the text is wrong, not the type of the argument
            f"expected {SCHEMA}, a JSON object, got {_quote(document)}; {_HINT}"
        )
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON (RFC 8259 section 6)")


def _require_schema(document: dict[str, Any]) -> None:
    got = document.get("schema")
    if got == SCHEMA:
        return
    if got is None:
        raise ValueError(f"expected {SCHEMA}, got an object without a schema; {_HINT}")
    match = (
        re.fullmatch(rf"{re.escape(_FAMILY)}/([0-9]{{1,9}})", got)
        if (isinstance(got, str))
        else None
    )
    if match is not None and int(match[1]) > int(_VERSION):
        raise ValueError(
            f"expected {SCHEMA}, got {got}, written by a newer weighbridge "
            f"({_writer(document)}); update weighbridge to read it"
        )
    raise ValueError(f"expected {SCHEMA}, got the schema {_quote(got)}; {_HINT}")


def _writer(document: dict[str, Any]) -> str:
    run = document.get("run")
    return _quote(run.get("version")) if isinstance(run, dict) else "version unknown"


def _quote(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[: _LONGEST_QUOTE - 1]}…"
