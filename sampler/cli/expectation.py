"""An expectation as text and as its document, ``weighbridge.expectation/1``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sampler.expect.rules.findings import Finding
    from sampler.expect.rules.model import Expectation, Number

SCHEMA = "weighbridge.expectation/1"
_SIGNS = {"error": "✗", "warning": "!", "info": "i"}
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


def to_text(view: View, findings: Sequence[Finding], *, is_lint: bool) -> Iterator[str]:
    """Yield the lines for people."""
    from analysis.render.printable import visible  # noqa: PLC0415 - heavy imports wait

    if view.expected is not None:
        split, source = view.expected.split, view.expected.source
        shares = ", ".join(f"{visible(arm)} {split.share(arm) * 100:.4g} %" for arm in split.arms)
        yield f"{visible(str(split))}  ({shares}), from {source.kind} {visible(source.name)}"
    if view.is_live:
        yield from _side_by_side(view)
    elif view.expected is not None:
        yield from _table(_rows(view.expected.numbers))
    for finding in findings:
        where = f"{visible(finding.where)}: " if finding.where else ""
        yield (
            f"{_SIGNS[finding.severity]} {finding.severity} {finding.code}: "
            f"{where}{visible(finding.message)}"
        )
        if finding.remedy:
            yield f"    → {visible(finding.remedy)}"
    if is_lint and not findings:
        yield "no findings"


def _side_by_side(view: View) -> Iterator[str]:
    """Yield a line for each label, a column for each view, and the numbers of each below."""
    from analysis.render.printable import visible  # noqa: PLC0415 - as above

    columns = {name: each for name, each in view.columns.items() if each is not None}
    if not columns:
        return
    labels = dict.fromkeys(arm for each in columns.values() for arm in each.split.arms)
    yield from _table([("", *columns), *(_shares(label, columns) for label in labels)], counts=0)
    for name, each in columns.items():
        yield f"{name}, from {each.source.kind} {visible(each.source.name)}:"
        rows = _rows(each.numbers)
        # A place in the cluster names the object already.
        yield from _table(rows if name == "declared" else [(*row[:3], row[4]) for row in rows])


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


def _table(rows: Sequence[tuple[str, ...]], counts: int = 1) -> Iterator[str]:
    """Yield aligned lines; the column `counts` holds numbers."""
    from analysis.render.printable import cells, pad  # noqa: PLC0415 - as above

    width = range(len(rows[0]) if rows else 0)
    widths = [max(cells(row[column]) for row in rows) for column in width]
    for row in rows:
        filled = [
            pad(text, width, right=column == counts > 0)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield ("  " + "  ".join(filled)).rstrip()


def to_document(view: View, findings: Sequence[Finding]) -> str:
    """Give the JSON document, ended by a newline."""
    document: dict[str, Any] = {"schema": SCHEMA}
    if view.expected is not None:
        document["expected"] = _judged(view.expected)
    for name, each in view.columns.items():
        document[name] = None if each is None else _described(each)
    document["findings"] = [
        {
            "code": finding.code.value,
            "severity": finding.severity.value,
            "message": finding.message,
            "remedy": finding.remedy,
            "where": finding.where,
        }
        for finding in findings
    ]
    return json.dumps(document, indent=2) + "\n"


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
        "source": {"kind": source.kind, "name": source.name, "where": source.where},
        "weights": split.weight_of,
        "shares": {arm: split.share(arm) for arm in split.arms},
        "numbers": [
            {
                "towards": number.towards,
                "value": number.value,
                "what": number.what,
                "kind": number.kind,
                "name": number.name,
                "where": number.where,
            }
            for number in expected.numbers
        ],
    }
