"""``weighbridge expect``: the expected split and its places; sends nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sampler.base.errors import ExitCode, ExpectationError, UsageError
from sampler.cli.expectation import View, to_document, to_text
from sampler.cli.manifests import manifest_options, overview_of, read, refuse_cluster_options

if TYPE_CHECKING:
    from sampler.cli.manifests import Read
    from sampler.expect.rules.findings import Finding
    from sampler.expect.rules.model import Expectation


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

    Reads Kubernetes manifests as they stand in Git, or as kustomize and kubectl print them; with
    --cluster, the live objects: what is declared, configured and running, side by side.
    """
    refuse_cluster_options(options)
    if options["is_live"]:
        view, findings, refusal = _look_at_cluster(options, url, is_lint=is_lint)
    elif options["manifests"] is None:
        raise UsageError(
            "expected --manifests PATH or --cluster",
            hint="a folder or a file of YAML, or '-' for stdin; --cluster for the live objects",
        )
    else:
        expected, findings = _look(read(options, url), is_lint=is_lint)
        view, refusal = View(expected), None
    document = to_document(view, findings)
    if json_file == "-":
        click.echo(document, nl=False)
    else:
        # What is refused is said once, at the end.
        told = [each for each in findings if is_lint or each.message != str(refusal)]
        click.echo("\n".join(to_text(view, told, is_lint=is_lint)))
    if json_file not in {None, "-"}:
        _write(Path(str(json_file)), document)
    if refusal is not None and not is_lint:
        raise refusal
    is_bad = any(finding.severity == "error" for finding in findings)
    ctx.exit(ExitCode.FAIL if is_lint and is_bad else ExitCode.PASS)


def _look_at_cluster(
    options: dict[str, Any], url: str | None, *, is_lint: bool
) -> tuple[View, tuple[Finding, ...], ExpectationError | None]:
    """Give the views of a live split, all findings, and why there is nothing to weigh, if so."""
    if not is_lint and bool(options["service"]) == bool(options["route"]):
        raise ExpectationError(
            "expected one of --service and --route",
            hint="--service NAME for endpoints behind a Service, --route NAME for weights",
        )
    overview, found = overview_of(options, url)
    seen = overview.views
    if overview.refusal is not None and not is_lint and seen.observed is None:
        raise overview.refusal
    return (
        View(seen.observed, seen.declared, seen.configured, is_live=True),
        tuple(dict.fromkeys((*found, *overview.findings))),
        overview.refusal,
    )


def _look(given: Read, *, is_lint: bool) -> tuple[Expectation | None, tuple[Finding, ...]]:
    """Give the expectation, if one was asked for, and all findings."""
    from sampler.expect.lint import lint, not_expected  # noqa: PLC0415 - heavy imports wait
    from sampler.expect.resolve import expect  # noqa: PLC0415

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


def _write(file: Path, document: str) -> None:
    try:
        file.write_text(document, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--json {file}: {error.strerror}", hint="give a file in an existing folder"
        ) from error
