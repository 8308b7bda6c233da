"""``weighbridge expect``: the expected split, and where it was read; sends nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sampler.base.errors import ExitCode, ExpectationError, UsageError
from sampler.cli.documents import write_document
from sampler.cli.expectation import View, parts, to_document
from sampler.cli.manifests import complete_cluster_options, manifest_options, overview_of, read
from sampler.cli.screen import show
from sampler.cli.streams import deliver

if TYPE_CHECKING:
    from sampler.cli.manifests import Read
    from sampler.expect.rules.findings import Finding
    from sampler.expect.rules.model import Expectation


@click.command(
    name="expect",
    short_help="Show the expected split and where it was read; sends nothing.",
    epilog="Example: weighbridge expect --manifests i/k8s --service app",
)
@manifest_options
@click.option(
    "--url", default=None, metavar="URL",
    help="URL of the check; its host and path select among the rules of a route.",
)  # fmt: skip
@click.option(
    "--lint", "is_lint", is_flag=True,
    help="Report known problems; exits with 1 if one is an error. Without --service and --route, "
    "all objects are examined.",
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
    """Print the expected split, where each number was read, and anything odd about them.

    Reads Kubernetes manifests as they are in Git, or as kustomize and kubectl print them. With
    --cluster, reads the live objects: declared, configured and observed, side by side.
    """
    complete_cluster_options(options)
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
        deliver(document)
    else:
        # What is refused is said once, at the end.
        told = [each for each in findings if is_lint or each.message != str(refusal)]
        show(lambda **_: parts(view, told, is_lint=is_lint), is_dense=True)
    if json_file not in {None, "-"}:
        write_document("json", Path(str(json_file)), document)
    if refusal is not None and not is_lint:
        raise refusal
    is_bad = any(finding.severity == "error" for finding in findings)
    ctx.exit(ExitCode.FAIL if is_lint and is_bad else ExitCode.PASS)


def _look_at_cluster(
    options: dict[str, Any], url: str | None, *, is_lint: bool
) -> tuple[View, tuple[Finding, ...], ExpectationError | None]:
    """Return the views of a live split, all findings, and why there is none to check, if so."""
    if not is_lint and bool(options["service"]) == bool(options["route"]):
        raise ExpectationError(
            "expected either --service or --route",
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
    """Return the expectation, if one was asked for, and all findings."""
    from sampler.expect.lint import lint  # noqa: PLC0415 - heavy imports wait
    from sampler.expect.resolve import expect  # noqa: PLC0415
    from sampler.expect.rules.findings import once, refusal  # noqa: PLC0415

    question = given.question
    expected = None
    found = list(given.findings)
    if question.service or question.route or not is_lint:
        try:
            expected = expect(given.inventory, question)
        except ExpectationError as error:
            if not is_lint or not (question.service or question.route):
                raise
            found.append(refusal(error, ""))
    if expected is not None:
        found += expected.findings
    found += lint(given.inventory, question, None if expected is None else expected.objects)
    return expected, once(found)
