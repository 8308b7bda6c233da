"""``weighbridge expect``: the expected split and its places; sends nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sampler.cli.manifests import manifest_options, read
from sampler.errors import ExitCode, ExpectationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sampler.cli.manifests import Read
    from sampler.expect.rules.findings import Finding
    from sampler.expect.rules.model import Expectation, Number

SCHEMA = "weighbridge.expectation/1"
_SIGNS = {"error": "✗", "warning": "!", "info": "i"}


@click.command(
    name="expect",
    short_help="The expected split and where it was read; sends nothing.",
    epilog="Example: weighbridge expect --manifests i/k8s --service app",
)
@manifest_options
@click.option(
    "--url", default=None, metavar="URL",
    help="What will be asked: host and path choose between the rules of a route.",
)  # fmt: skip
@click.option(
    "--lint", "is_lint", is_flag=True,
    help="Say what is known to go wrong; ends with 1 if a finding is an error. Without "
    "--service and --route, all objects are looked at.",
)  # fmt: skip
@click.option(
    "--json", "json_file", default=None, metavar="FILE",
    help="Write the expectation and the findings as JSON; '-' is stdout.",
)  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context,
    /,
    url: str | None,
    is_lint: bool,  # noqa: FBT001 - click passes flags by name
    json_file: str | None,
    **options: Any,
) -> None:
    """Print the expected split, the place of each number, and what is odd about them.

    Reads Kubernetes manifests as they stand in Git, or as kustomize and kubectl print them.
    """
    if options["manifests"] is None:
        raise UsageError(
            "expected --manifests PATH", hint="a folder or a file of YAML, or '-' for stdin"
        )
    given = read(options, url)
    expected, findings = _look(given, is_lint=is_lint)
    document = _document(expected, findings)
    if json_file == "-":
        click.echo(document, nl=False)
    else:
        click.echo("\n".join(_text(expected, findings, is_lint=is_lint)))
    if json_file not in {None, "-"}:
        _write(Path(str(json_file)), document)
    is_bad = any(finding.severity == "error" for finding in findings)
    ctx.exit(ExitCode.FAIL if is_lint and is_bad else ExitCode.PASS)


def _look(given: Read, *, is_lint: bool) -> tuple[Expectation | None, tuple[Finding, ...]]:
    """Give the expectation, if one was asked for, and all findings."""
    from sampler.expect.rules.lint import lint, not_expected  # noqa: PLC0415 - heavy imports wait
    from sampler.expect.rules.resolve import expect  # noqa: PLC0415

    question = given.question
    expected = None
    found = list(given.findings)
    if question.service or question.route or not is_lint:
        try:
            expected = expect(given.inventory, question)
        except ExpectationError as error:
            if not is_lint or not (question.service or question.route):
                raise
            found.append(not_expected(error, ""))
    if expected is not None:
        found += expected.findings
    found += lint(given.inventory, question, None if expected is None else expected.objects)
    return expected, tuple(dict.fromkeys(found))


def _text(
    expected: Expectation | None, findings: Sequence[Finding], *, is_lint: bool
) -> Iterator[str]:
    from analysis.render.printable import visible  # noqa: PLC0415 - as above

    if expected is not None:
        split = expected.split
        shares = ", ".join(f"{visible(arm)} {split.share(arm) * 100:.4g} %" for arm in split.arms)
        source = expected.source
        yield f"{visible(str(split))}  ({shares}), from {source.kind} {visible(source.name)}"
        yield from _table(expected.numbers)
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


def _table(numbers: Sequence[Number]) -> Iterator[str]:
    from analysis.render.printable import cells, pad, visible  # noqa: PLC0415 - as above

    rows = [
        (
            visible(number.towards),
            str(number.value),
            number.what,
            f"{number.kind} {visible(number.name)}",
            visible(number.where),
        )
        for number in numbers
    ]
    widths = [max(cells(row[column]) for row in rows) for column in range(5)] if rows else []
    for row in rows:
        filled = [
            pad(text, width, right=column == 1)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield ("  " + "  ".join(filled)).rstrip()


def _document(expected: Expectation | None, findings: Sequence[Finding]) -> str:
    document: dict[str, Any] = {"schema": SCHEMA}
    if expected is not None:
        document["expected"] = _expected(expected)
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


def _expected(expected: Expectation) -> dict[str, Any]:
    from analysis import Tolerance  # noqa: PLC0415 - as above

    split, source = expected.split, expected.source
    return {
        "source": {"kind": source.kind, "name": source.name, "where": source.where},
        "weights": dict(zip(split.arms, split.weights, strict=True)),
        "shares": {arm: split.share(arm) for arm in split.arms},
        "tolerance": {
            band.arm: [max(band.low, 0.0), min(band.high, 1.0)] for band in Tolerance().bands(split)
        },
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


def _write(file: Path, document: str) -> None:
    try:
        file.write_text(document, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--json {file}: {error.strerror}", hint="give a file in an existing folder"
        ) from error
