"""An expectation as text and as its document, ``weighbridge.expectation/1``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analysis.render.grid import Grid
    from sampler.expect.rules.findings import Finding
    from sampler.expect.rules.model import Expectation, Number

SCHEMA = "weighbridge.expectation/1"
_SIGNS = {"error": "✗", "warning": "!", "info": "i"}
_OF_A_FINDING = ("code", "severity", "message", "remedy", "where")
_OF_A_NUMBER = ("towards", "value", "what", "kind", "name", "where")
_COLUMNS = ("declared", "configured", "observed")


@dataclass(frozen=True, slots=True)
class View:
    """What is shown of an expectation.

    Parameters
    ----------
    expected : Expectation or None
        What is weighed; of a cluster, what is observed.
    declared, configured : Expectation or None
        Of a cluster: what manifests say, and what routes and workloads say.
    is_live : bool
        Whether a cluster was asked.
    """

    expected: Expectation | None
    declared: Expectation | None = None
    configured: Expectation | None = None
    is_live: bool = False

    @property
    def columns(self) -> dict[str, Expectation | None]:
        """The views of a cluster by name; empty for manifests alone."""
        if not self.is_live:
            return {}
        every = (self.declared, self.configured, self.expected)
        return dict(zip(_COLUMNS, every, strict=True))


def schema() -> dict[str, Any]:
    """Load the JSON Schema (draft 2020-12) of the document."""
    text = files("sampler.cli").joinpath("expectation.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def parts(view: View, findings: Sequence[Finding], *, is_lint: bool) -> Iterator[str | Grid]:
    """Yield what people read: the split, where its numbers stand, and the findings."""
    from analysis.render.printable import visible  # noqa: PLC0415 - heavy imports wait

    if view.expected is not None:
        split, source = view.expected.split, view.expected.source
        shares = ", ".join(f"{visible(arm)} {split.share(arm) * 100:.4g} %" for arm in split.arms)
        yield f"{visible(str(split))}  ({shares}), from {source.kind} {visible(source.name)}"
    if view.is_live:
        yield from _side_by_side(view)
    elif view.expected is not None:
        yield _numbers(_rows(view.expected.numbers))
    yield "\n".join(line for finding in findings for line in _told(finding))
    if is_lint and not findings:
        yield "no findings"


def _told(finding: Finding) -> Iterator[str]:
    from analysis.render.printable import visible  # noqa: PLC0415 - as above

    where = f"{visible(finding.where)}: " if finding.where else ""
    sign, message = _SIGNS[finding.severity], visible(finding.message)
    yield f"{sign} {finding.severity} {finding.code}: {where}{message}"
    if finding.remedy:
        yield f"    → {visible(finding.remedy)}"


def _side_by_side(view: View) -> Iterator[str | Grid]:
    """Yield a row for each label, a column for each view, and the numbers of each below."""
    from analysis.render.grid import Grid  # noqa: PLC0415 - as above
    from analysis.render.printable import visible  # noqa: PLC0415 - as above

    columns = {name: each for name, each in view.columns.items() if each is not None}
    if not columns:
        return
    labels = dict.fromkeys(arm for each in columns.values() for arm in each.split.arms)
    yield Grid([_shares(label, columns) for label in labels], ("", *columns), indent=2)
    for name, each in columns.items():
        yield f"{name}, from {each.source.kind} {visible(each.source.name)}:"
        rows = _rows(each.numbers)
        # A place in the cluster names the object already.
        yield _numbers(rows if name == "declared" else [(*row[:3], row[4]) for row in rows])


def _numbers(rows: Sequence[tuple[str, ...]]) -> Grid:
    from analysis.render.grid import Grid  # noqa: PLC0415 - as above

    return Grid(rows, right=frozenset({1}), indent=2)


def _shares(label: str, columns: dict[str, Expectation]) -> tuple[str, ...]:
    from analysis.render.printable import visible  # noqa: PLC0415 - as above

    splits = [each.split for each in columns.values()]
    return (
        visible(label),
        *(f"{s.share(label) * 100:.4g} %" if label in s.arms else "-" for s in splits),
    )


def _rows(numbers: Sequence[Number]) -> list[tuple[str, ...]]:
    from analysis.render.printable import visible  # noqa: PLC0415 - as above

    return [
        (
            visible(number.towards),
            str(number.value),
            number.what,
            f"{number.kind} {visible(number.name)}",
            visible(number.where),
        )
        for number in numbers
    ]


def to_document(view: View, findings: Sequence[Finding]) -> str:
    """Return the JSON document, ended by a newline."""
    document: dict[str, Any] = {"schema": SCHEMA}
    if view.expected is not None:
        document["expected"] = _judged(view.expected)
    for name, each in view.columns.items():
        document[name] = None if each is None else _described(each)
    document["findings"] = [_fields(finding, _OF_A_FINDING) for finding in findings]
    from analysis.render.printable import in_json  # noqa: PLC0415 - as above

    return in_json(json.dumps(document, indent=2)) + "\n"


def _judged(expected: Expectation) -> dict[str, Any]:
    """Describe what is weighed, with the automatic tolerance."""
    from analysis import Tolerance  # noqa: PLC0415 - as above

    described = _described(expected)
    numbers = described.pop("numbers")
    bands = Tolerance().bands(expected.split)
    tolerance = {band.arm: band.clipped for band in bands}
    return {**described, "tolerance": tolerance, "numbers": numbers}


def _described(expected: Expectation) -> dict[str, Any]:
    split, source = expected.split, expected.source
    return {
        "source": _fields(source, ("kind", "name", "where")),
        "weights": split.weight_of,
        "shares": {arm: split.share(arm) for arm in split.arms},
        "numbers": [_fields(number, _OF_A_NUMBER) for number in expected.numbers],
    }


def _fields(one: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(one, name) for name in names}
