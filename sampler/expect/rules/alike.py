"""What answers with one label although it is not one version: nothing can be told apart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sampler.expect.rules.findings import Finding, FindingCode, FoundError
from sampler.expect.rules.model import Quantity
from sampler.expect.rules.services import services_of
from sampler.expect.rules.versions import VersionFrom, image_tag, version_label
from sampler.expect.rules.workloads import WORKLOADS, workload

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sampler.expect.rules.model import Mixture, Number, Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node
    from sampler.expect.rules.workloads import Workload

_DIGIT = re.compile(r"[0-9]")
"""What the tag of a version has, and latest, stable or alpine have not."""
_IMAGES = ("image",)
"""What tells pods apart whose label says that they are one version."""
_PODS = ("image", "command", "args", "env", "envFrom", "volumes")
"""What tells pods apart of which an image tag alone says it."""


def alike(mixture: Mixture) -> Finding | None:
    """Return the finding that all branches of a route answer with one label, if they do.

    Then every split between them looks the same, and a check passes whatever happens.
    """
    labels = [label for label, weight in mixture.weights.items() if weight]
    if len(labels) != 1:
        return None
    divided: dict[tuple[str, str], list[Number]] = {}
    for number in mixture.numbers:
        if number.value and number.quantity is Quantity.WEIGHT:
            divided.setdefault((number.kind, number.name), []).append(number)
    # One Service by several ports is one backend.
    branches = next(
        (each for each in divided.values() if len({one.towards for one in each}) > 1), None
    )
    if branches is None:
        return None
    those = ", ".join(f"{each.towards} ({each.where})" for each in branches)
    names = [each.towards.rpartition(" ")[2] for each in branches]  # also of a subset
    return Finding(
        FindingCode.VERSIONS_ALIKE,
        f"all traffic goes to one label, {labels[0]}, which {those} share: they cannot be told "
        f"apart, and any split between them would pass{_same_pods(mixture)}",
        _how_to_tell_apart(mixture, names),
        branches[0].where,
    )


def _managed(mixture: Mixture) -> str:
    """Name the Rollout among what was looked at, which tells its pods apart by a hash."""
    rollouts = {each.name for each in mixture.objects if each.kind == "Rollout"}
    is_asked = any(each.kind == "Rollout" for each in mixture.numbers)
    return rollouts.pop() if len(rollouts) == 1 and not is_asked else ""


def _same_pods(mixture: Mixture) -> str:
    return "; the Services select the same pods" if _managed(mixture) else ""


def _how_to_tell_apart(mixture: Mixture, names: Sequence[str]) -> str:
    named = ",".join(f"{name}=v{i}" for i, name in enumerate(dict.fromkeys(names), 1))
    if rollout := _managed(mixture):
        return (
            "Argo adds a hash to their selectors, which no manifest holds: ask the Rollout, "
            f"--route Rollout/{rollout} --step N, or name the versions: --version-from {named}"
        )
    pods = [each for each in mixture.objects if each["spec"]["template"].exists]
    tags = {image_tag(each["spec"]["template"]) for each in pods}
    if None not in tags and len(tags) == len(pods) > 1:
        return "the tags of their images differ: --version-from image-tag"
    return (
        f"label the pod templates (version: v1), name the versions: --version-from {named}, or, "
        "where a sidecar comes first, annotate kubectl.kubernetes.io/default-container"
    )


def require_told_apart(
    owners: Iterable[KubeObject], inventory: Inventory, question: Question
) -> None:
    """Refuse workloads that run different pods under one version, unless somebody named it.

    Raises
    ------
    ExpectationError
        With both places, and names for their versions.
    """
    those = tuple(dict.fromkeys(each for each in owners if each.kind in WORKLOADS))
    finding = inventory.once(those, question, lambda: _alike_among(those, inventory, question))
    if finding is not None:
        raise FoundError(finding)


def _alike_among(
    owners: Iterable[KubeObject], inventory: Inventory, question: Question
) -> Finding | None:
    """Return the finding that two of some workloads cannot be told apart, if they cannot."""
    found: dict[str, Workload] = {}
    for each in (workload(owner, inventory) for owner in owners):
        name, versions = _name_of(each.owner), question.versions
        is_named = name in versions.names or versions.kind is VersionFrom.LABEL
        version = versions.of_template(each.template, name)
        if not each.replicas or not version or is_named:
            continue
        if versions.names and any(
            versions.of_name(one.name)
            for one in services_of(each.labels, each.owner.namespace, inventory)
        ):
            continue
        first = found.setdefault(version, each)
        if first is each:
            continue
        keys = _IMAGES if version_label(each.template) == version else _PODS
        is_floating = version == image_tag(each.template) and not _DIGIT.search(version)
        is_other = _what_runs(first.template, keys) != _what_runs(each.template, keys)
        if is_other or is_floating:
            what = "run different pods" if is_other else "have an image tag that names no version"
            return Finding(
                FindingCode.VERSIONS_ALIKE,
                f"{first.owner} ({first.template.where}) and {each.owner} "
                f"({each.template.where}) {what}, and both have the version "
                f"{version}: they cannot be told apart",
                "name the versions as they answer: --version-from "
                f"{_name_of(first.owner)}=v1,{name}=v2; or label the pod templates "
                "(version: v1)",
                first.owner.place,
            )
    return None


def _name_of(owner: KubeObject) -> str:
    """Return the name that versions are given: of a pod, that of its controller."""
    for reference in owner["metadata"]["ownerReferences"] if owner.kind == "Pod" else ():
        if reference["controller"].value is True:
            return reference["name"].text()
    return owner.name


def _what_runs(template: Node, keys: Iterable[str]) -> list[object]:
    """Return what makes pods answer as they do: images, commands, environment and files."""
    spec = template["spec"]
    containers = [[container[key].value for key in keys] for container in spec["containers"]]
    # Each pod of a cluster has a volume of its own for the token of its account.
    volumes = [
        each.value
        for each in spec["volumes"]
        if "volumes" in keys and not each["name"].text("").startswith("kube-api-access-")
    ]
    return [containers, volumes]
