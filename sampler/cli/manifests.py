"""Options that read an expectation from manifests, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from sampler.errors import ExpectationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sampler.expect.rules.findings import Finding
    from sampler.expect.rules.model import Expectation, Question
    from sampler.expect.rules.objects import Inventory

_OPTIONS = (
    click.option(
        "--manifests", default=None, metavar="PATH",
        help="Read the expectation from a file or a folder of Kubernetes YAML; '-' is stdin.",
    ),
    click.option(
        "--service", default="", metavar="NAME",
        help="With --manifests: the Service, divided by the replicas behind it.",
    ),
    click.option(
        "--route", default="", metavar="[KIND/]NAME",
        help="With --manifests: HTTPRoute, VirtualService, TraefikService, IngressRoute, Ingress, "
        "Rollout or Canary, divided by its weights.",
    ),
    click.option(
        "--namespace", "-n", default="", metavar="NAMESPACE",
        help="With --manifests: of the object, and of objects that name none.",
    ),
    click.option(
        "--version-from", default="auto", show_default=True, metavar="RULE",
        help="Version of a pod: label:KEY, image-tag, or NAME=VERSION,… for workloads, Services, "
        "stable, primary and canary. auto: label version, app.kubernetes.io/version, image tag.",
    ),
    click.option(
        "--map", "renames", default=None, metavar="VERSION=LABEL,…",
        help="With which label a version answers, where it is another word: v1.2.3=v1.",
    ),
    click.option(
        "--step", type=click.IntRange(min=0), default=None, metavar="N",
        help="Of a Rollout: the current step, from 0. Of a Canary: how often it was raised.",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Read:
    """What was read from manifests.

    Parameters
    ----------
    inventory : Inventory
        All objects.
    question : Question
        What is asked of them.
    findings : tuple of Finding
        Of reading alone.
    """

    inventory: Inventory
    question: Question
    findings: tuple[Finding, ...]


def manifest_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where the expectation is read."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def read(options: dict[str, Any], url: str | None = None, headers: Sequence[str] = ()) -> Read:
    """Read the manifests that the options name.

    Parameters
    ----------
    options : dict
        As `manifest_options` gave them, with ``manifests`` set.
    url : str or None
        What is asked; its host and path choose between rules.
    headers : sequence of str
        As on the command line; a ``Host`` among them is the host that is asked.

    Raises
    ------
    ExpectationError
        If they cannot be read.
    """
    from sampler.expect.rules.model import Question  # noqa: PLC0415 - only who reads them pays
    from sampler.expect.rules.versions import VersionRule, parse_pairs  # noqa: PLC0415
    from sampler.expect.sources import read_manifests  # noqa: PLC0415

    host, path = _asked(url, headers)
    renames = options["renames"]
    question = Question(
        service=options["service"],
        route=options["route"],
        namespace=options["namespace"],
        versions=VersionRule.parse(options["version_from"]),
        renames={} if renames is None else parse_pairs(renames, "--map", "write v1.2.3=v1"),
        step=options["step"],
        host=host,
        path=path,
    )
    inventory, findings = read_manifests(options["manifests"], options["namespace"])
    return Read(inventory, question, findings)


def _asked(url: str | None, headers: Sequence[str]) -> tuple[str | None, str | None]:
    if url is None:
        return None, None
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise UsageError(f"--url {url}: {error}", hint="write http://HOST/PATH") from error
    for header in headers:
        name, _, value = header.partition(":")
        if name.strip().lower() == "host":
            host = value.strip().partition(":")[0]
    return host or None, parts.path or "/"


def expectation_for_check(options: dict[str, Any], url: str, headers: Sequence[str]) -> Expectation:
    """Give the expectation of a check, and say on stderr what its objects bring to light.

    Raises
    ------
    ExpectationError
        If there is none, or pods alone can never make it: to test that would be in vain.
    """
    from sampler.expect.rules.findings import FindingCode, Severity  # noqa: PLC0415 - as above
    from sampler.expect.rules.lint import lint  # noqa: PLC0415
    from sampler.expect.rules.resolve import expect  # noqa: PLC0415

    given = read(options, url, headers)
    expected = expect(given.inventory, given.question)
    findings = dict.fromkeys(
        (
            *given.findings,
            *expected.findings,
            *lint(given.inventory, given.question, expected.objects),
        )
    )
    for finding in expected.findings:
        if finding.code is FindingCode.UNACHIEVABLE_WEIGHT:
            raise ExpectationError(f"{finding.where}: {finding.message}", hint=finding.remedy)
    for finding in findings:
        if finding.severity is not Severity.INFO:
            click.echo(f"{finding.severity}: {finding.where}: {finding.message}", err=True)
            click.echo(f"  → {finding.remedy}", err=True)
    return expected
