"""Knative: the traffic of a Service of serving.knative.dev among its revisions.

References: Knative Serving, TrafficTarget (percent, revisionName, latestRevision, tag).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from sampler.expect.rules.backends import Branch, require_positive, weighted
from sampler.expect.rules.fields import Fields
from sampler.expect.rules.findings import unknown
from sampler.expect.rules.model import Mixture
from sampler.expect.rules.workloads import label_of

if TYPE_CHECKING:
    from sampler.expect.rules.model import Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

_OLD = "it is of v1alpha1, which Knative serves no longer"
SPEC = Fields(
    "a Service of Knative",
    ("template", "traffic"),
    refused=dict.fromkeys(("configuration", "manual", "pinned", "release", "runLatest"), _OLD),
)
TARGET = Fields(
    "a traffic target",
    ("percent", "revisionName", "latestRevision"),
    beside=("tag", "url"),
    refused={"configurationName": "its latest revision is in no manifest"},
)


def behind_knative_service(
    service: KubeObject, inventory: Inventory, question: Question
) -> Mixture:
    """Return the revisions by label that a Service of Knative sends traffic to.

    Raises
    ------
    ExpectationError
        If a revision is not known by name, by a Revision that was read, or as the present
        template; or if all percentages are 0.
    """
    SPEC.check(service["spec"])
    targets = list(service["spec"]["traffic"])
    branches = []
    for node in targets:
        TARGET.check(node)
        percent = node["percent"].count(0)
        towards, label = _revision(service, node, inventory, question, is_used=percent > 0)
        behind = Mixture({label: Fraction(1)} if label else {})
        branches.append(Branch(percent, node["percent"], "percent", towards, behind))
    if not targets:
        template = service["spec"]["template"]
        label = label_of(template, service, question)
        everything = Mixture({label: Fraction(1)})
        branches.append(
            Branch(
                100, template, "all, to the latest revision", "the latest revision", everything,
                is_derived=True,
            )
        )  # fmt: skip
    require_positive(service, branches, "Knative refuses such a Service")
    return weighted(branches)


def _revision(
    service: KubeObject,
    node: Node,
    inventory: Inventory,
    question: Question,
    *,
    is_used: bool,
) -> tuple[str, str]:
    name, template = node["revisionName"].text(""), service["spec"]["template"]
    if not name or name == template["metadata"]["name"].text(""):
        towards = f"revision {name}" if name else "the latest revision"
        return towards, label_of(template, service, question, owner_name=name)
    towards = f"revision {name}"
    named = question.versions.of_name(name)
    if named is not None:
        return towards, question.renames.get(named, named)
    revision = inventory.find("Revision", name, service.namespace)
    if revision is not None:
        return towards, label_of(revision.root, revision, question)
    if not is_used:
        return towards, ""
    raise unknown(
        f"{service} of Knative sends traffic to the revision {name}, whose version no manifest "
        "names",
        f"name it: --version-from {name}=v1; or read its Revision too: "
        "kubectl get ksvc,revisions -o yaml",
        node.where,
        is_asked=question.is_asked,
    )
