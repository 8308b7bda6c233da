"""Options that read an expectation from manifests or a cluster, and what they mean."""

from __future__ import annotations

import gc
import os
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from sampler.base.errors import UsageError
from sampler.cli.interrupts import loop_handles_them
from sampler.cli.messages import say_warning
from sampler.cli.sections import with_options
from sampler.cli.values import Count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis import Split
    from analysis.data.report import Source, View
    from sampler.expect.cluster.overview import Overview
    from sampler.expect.cluster.standing import Deciding
    from sampler.expect.cluster.watch import Watch
    from sampler.expect.rules.findings import Finding
    from sampler.expect.rules.model import Expectation, Place, Question
    from sampler.expect.rules.objects import Inventory

ZONE = "WEIGHBRIDGE_ZONE"
"""Variable that a pod is given its zone in, by the downward API."""

manifest_options = with_options(
    click.option(
        "--manifests", default=None, metavar="PATH",
        help="Read the expected split from a file or folder of Kubernetes YAML; '-' is stdin.",
    ),
    click.option(
        "--cluster", "is_live", is_flag=True,
        help="Read the expected split from the live cluster, through kubeconfig or the pod's "
        "service account; needs list and watch only (weighbridge rbac). With --manifests, both "
        "must agree.",
    ),
    click.option(
        "--in-cluster", "in_pod", is_flag=True,
        help="As --cluster, from a pod of that cluster: through its service account alone, whose "
        "namespace is the default, with the node and the zone of NODE_NAME and WEIGHBRIDGE_ZONE.",
    ),
    click.option(
        "--context", default=None, metavar="NAME",
        help="With --cluster: kubeconfig context. Default: the current one.",
    ),
    click.option(
        "--service", default="", metavar="NAME",
        help="A Service; its replicas, or its ready endpoints, give the shares.",
    ),
    click.option(
        "--route", default="", metavar="[KIND/]NAME",
        help="A route, such as an HTTPRoute, VirtualService, Ingress, Rollout or Canary; its "
        "weights give the shares.",
    ),
    click.option(
        "--namespace", "-n", default="", metavar="NAMESPACE",
        help="Namespace of the object, and of manifests without one. Default with --cluster: the "
        "context's.",
    ),
    click.option(
        "--node", default="", metavar="NAME",
        help="With --cluster: node where requests enter, for traffic policies and hints. Default: "
        "found out, where that is possible.",
    ),
    click.option(
        "--zone", default="", metavar="NAME",
        help="With --cluster: zone where requests enter, for hints. Default: the zone of the node.",
    ),
    click.option(
        "--version-from", default="auto", show_default=True, metavar="RULE",
        help="Where a pod's version is: label:KEY, image-tag, or NAME=VERSION,… for workloads, "
        "Services, stable, primary and canary. auto: label version, then "
        "app.kubernetes.io/version, then the image tag.",
    ),
    click.option(
        "--map", "renames", default=None, metavar="VERSION=LABEL,…",
        help="Label with which a version answers, if it differs: v1.2.3=v1.",
    ),
    click.option(
        "--step", type=Count(0), default=None, metavar="N",
        help="Rollout: the current step, from 0. Canary: how often its weight was raised.",
    ),
)  # fmt: skip
"""Where the expectation is read."""


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


@dataclass(frozen=True, slots=True)
class Expected:
    """What a check is told.

    Parameters
    ----------
    url : str
        What is asked: as given, or the Service's own address.
    split : Split
    source : Source
        Where it was read.
    watch : Watch or None
        How changes are noticed during the run; None without a cluster.
    views : tuple of View
        What is declared and configured, where a cluster was asked.
    replicas : mapping of str to int
        The pods of each label, where manifests divide the traffic by pods.
    """

    url: str
    split: Split
    source: Source
    watch: Watch | None = None
    views: tuple[View, ...] = ()
    replicas: Mapping[str, int] = field(default_factory=dict)


def read(options: dict[str, Any], url: str | None = None) -> Read:
    """Read the manifests that the options name.

    Parameters
    ----------
    options : dict
        As `manifest_options` gave them, with ``manifests`` set; a ``Host`` among ``headers``, if
        there are some, is the host that is asked.
    url : str or None
        What is asked; its host and path choose between rules.

    Raises
    ------
    ExpectationError
        If they cannot be read.
    """
    from sampler.expect.manifests import read_manifests  # noqa: PLC0415 - only who reads them pays

    question = question_of(options, url)
    # All that is read stays to the end: the collector of cycles would look at it again and again.
    gc.disable()
    try:
        inventory, findings = read_manifests(options["manifests"], options["namespace"])
        gc.freeze()
    finally:
        gc.enable()
    return Read(inventory, question, findings)


def question_of(options: dict[str, Any], url: str | None) -> Question:
    """Return what is asked of objects; parameters are those of `read`."""
    from sampler.expect.rules.model import Question  # noqa: PLC0415 - only who reads them pays
    from sampler.expect.rules.versions import VersionRule, parse_pairs  # noqa: PLC0415

    headers = options.get("headers", ())
    host, path, query = _asked(url, headers)
    place = _addressed(url, options.get("pins", ()))
    renames = options["renames"]
    return Question(
        service=options["service"],
        route=options["route"],
        namespace=options["namespace"],
        versions=VersionRule.parse(options["version_from"]),
        renames={} if renames is None else parse_pairs(renames, "--map", "write v1.2.3=v1"),
        step=options["step"],
        host=host,
        path=path,
        query=query,
        method=options.get("method", "GET"),
        headers=_by_name(headers),
        node=options["node"],
        zone=options["zone"],
        place=place,
    )


def overview_of(
    options: dict[str, Any],
    url: str | None,
    *,
    deciding: Deciding | None = None,
    wait_s: float | None = None,
) -> tuple[Overview, tuple[Finding, ...]]:
    """Look at the cluster that the options name, and at the manifests, if some are given.

    Parameters
    ----------
    options, url
        As for `read`.
    deciding : Deciding or None
        Which split is judged, if somebody chose.
    wait_s : float or None
        How long a split to judge is waited for [s]; None takes what is there.

    Returns
    -------
    overview : Overview
    findings : tuple of Finding
        Of the manifests.

    Raises
    ------
    ExpectationError
        If the manifests do not say what is declared.
    UsageError, ClusterError
        If the cluster cannot be asked.
    """
    import asyncio  # noqa: PLC0415 - only who asks a cluster pays

    from sampler.expect.cluster.overview import look  # noqa: PLC0415 - as above
    from sampler.expect.cluster.waiting import look_until_known  # noqa: PLC0415 - as above
    from sampler.expect.resolve import expect  # noqa: PLC0415

    question = question_of(options, url)
    declared = None
    findings: tuple[Finding, ...] = ()
    if options["manifests"] is not None:
        given = read(options, url)
        findings = given.findings
        if question.service or question.route:
            declared = expect(given.inventory, given.question)
            findings = (*findings, *declared.findings)
    look_once = partial(look, question, options["context"], declared, in_pod=options["in_pod"])

    def say(why: str) -> None:
        say_warning(f"nothing is sent yet, because no split is known: {why}")

    with loop_handles_them():
        looking = (
            look_once() if wait_s is None else look_until_known(look_once, deciding, wait_s, say)
        )
        return asyncio.run(looking), findings


def complete_cluster_options(options: dict[str, Any]) -> None:
    """Add what --in-cluster stands for, and refuse what only means something with --cluster.

    Parameters
    ----------
    options : dict
        As `manifest_options` gave them; changed in place.

    Raises
    ------
    UsageError
        If an option is given without the one that it belongs to, or with one that excludes it.
    """
    if options["in_pod"]:
        if options["context"]:
            raise UsageError(
                f"--context {options['context']}: --in-cluster reads no kubeconfig",
                hint="give --cluster with --context, or leave --context out",
            )
        options["is_live"] = True
        options["zone"] = options["zone"] or os.environ.get(ZONE, "")
    for name in ("context", "node", "zone"):
        if options[name] and not options["is_live"]:
            raise UsageError(
                f"--{name} {options[name]} works with --cluster only",
                hint=f"give --cluster, or leave --{name} out",
            )


def _by_name(headers: Sequence[str]) -> dict[str, str]:
    pairs = (header.partition(":") for header in headers)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _asked(url: str | None, headers: Sequence[str]) -> tuple[str | None, str | None, str]:
    if url is None:
        return None, None, ""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise UsageError(f"--url {url}: {error}", hint="write http://HOST/PATH") from error
    for header in headers:
        name, _, value = header.partition(":")
        if name.strip().lower() == "host":
            host = value.strip().partition(":")[0]
    return host or None, parts.path or "/", parts.query


def _addressed(url: str | None, pins: Sequence[str]) -> Place:
    """Return what a URL addresses, whatever its ``Host`` header says."""
    from sampler.expect.rules.model import Place  # noqa: PLC0415 - as above
    from sampler.plan.pinned_hosts import PinnedHost  # noqa: PLC0415 - as above

    if url is None:
        return Place()
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    pinned = (each for each in map(PinnedHost.parse, pins) if each.matches(host, port))
    found = next(pinned, None)
    return Place(addresses=frozenset({host, *(found.addresses if found else ())}), port=port)


def expectation_for_check(options: dict[str, Any], url: str | None) -> Expected:
    """Return the expectation of a check, and print the findings about its objects on stderr.

    Parameters
    ----------
    options, url
        As for `read`.

    Raises
    ------
    ExpectationError
        If there is none, if what was read contradicts itself, or if pods alone can never
        achieve it.
    """
    from sampler.expect.lint import lint  # noqa: PLC0415
    from sampler.expect.resolve import expect  # noqa: PLC0415
    from sampler.expect.rules.findings import FindingCode, FoundError  # noqa: PLC0415 - as above

    watch: Watch | None = None
    views: tuple[View, ...] = ()
    replicas: dict[str, int] = {}
    if options["is_live"]:
        from sampler.expect.cluster.standing import Deciding  # noqa: PLC0415 - as above

        deciding = None if options["expected"] is None else Deciding(options["expected"])
        wait_s = min(options["wait"], options["max_time"])
        overview, findings = overview_of(options, url, deciding=deciding, wait_s=wait_s)
        expected = overview.expectation(deciding)
        url = url or overview.address()
        findings += overview.findings
        watch = overview.watch(options["settle"], deciding=deciding, wait_s=options["wait"])
        views = overview.views.for_report(expected)
    else:
        given = read(options, url)
        expected = expect(given.inventory, given.question)
        findings = (
            *given.findings,
            *expected.findings,
            *lint(given.inventory, given.question, expected.objects),
        )
        replicas = _declared_replicas(expected)
    hopeless = {FindingCode.UNACHIEVABLE_WEIGHT, FindingCode.SESSION_AFFINITY}
    for finding in (*expected.findings, *findings):
        if finding.code in hopeless:
            raise FoundError(finding)
    held = None if watch is None or watch.start is None else watch.start
    if held is not None and held.expectation is None:
        findings = tuple(each for each in findings if each.message not in held.text)
        say_warning(f"nothing is judged yet: {held.text}")
    _warn(findings)
    return Expected(str(url), expected.split, expected.source, watch, views, replicas)


def _declared_replicas(expected: Expectation) -> dict[str, int]:
    """Return the pods of each label, where the manifests divide the traffic by pods."""
    from sampler.expect.rules.model import Quantity  # noqa: PLC0415 - as above

    if any(number.quantity is not Quantity.REPLICAS for number in expected.numbers):
        return {}
    counts: Counter[str] = Counter()
    for number in expected.numbers:
        counts[number.towards] += number.value
    return dict(+counts)


def _warn(findings: Sequence[Finding]) -> None:
    for finding in dict.fromkeys(findings):
        if finding.severity != "info":
            where = f"{finding.where}: " if finding.where else ""
            say_warning(f"{where}{finding.message}", finding.remedy, severity=finding.severity)
