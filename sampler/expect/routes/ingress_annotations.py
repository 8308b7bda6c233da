"""Annotations of an Ingress: those of a canary, and those that divide traffic otherwise.

References: ingress-nginx, internal/ingress/annotations/canary and parser (``strconv.ParseBool``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError
from sampler.expect.rules.backends import bound_to_pods, sticky
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.matching import ElsewhereError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sampler.expect.rules.model import Question
    from sampler.expect.rules.objects import Inventory, KubeObject, Node

_SWITCH = "/canary"
_DEFAULT_TOTAL = 100
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
"""What ``strconv.ParseBool`` of Go takes for true."""
_CLASS = "kubernetes.io/ingress.class"
_RULES = ("canary-weight", "canary-by-header", "canary-by-header-value",
          "canary-by-header-pattern", "canary-by-cookie")  # fmt: skip
_OTHERS = re.compile(
    r"zalando\.org/(backend-weights|traffic.*|skipper-predicate|skipper-routes)"
    r"|.*/blue-green-.*"
    r"|.*/service-(weights?|match)"
    r"|kubernetes\.io/elb\.canary.*"
    r"|(higress|mse\.ingress)\..*/destination"
    r"|.*/(temporal-redirect|permanent-redirect)"
)
"""Annotations with which other controllers divide traffic, or send it elsewhere."""
_BY_ACTION = "use-annotation"
_ACTION = "alb.ingress.kubernetes.io/actions."
_ANSWER = re.compile(r'"type"\s*:\s*"(redirect|fixed-response)"', re.IGNORECASE)
_SNIPPET = re.compile(r".*/(configuration|server|location|http)-snippets?")
_IN_SNIPPET = re.compile(r"split_clients|proxy_pass|proxy_upstream_name|\b(return|rewrite)\s")


def annotations_of(ingress: KubeObject) -> Mapping[str, str]:
    """Return the annotations of an Ingress."""
    return ingress.annotations


def is_canary(ingress: KubeObject) -> bool:
    """Whether an Ingress is a canary; the prefix of the annotations can be configured."""
    return canary_prefix(ingress) is not None


def canary_prefix(ingress: KubeObject) -> str | None:
    """Return the prefix of the annotations of a canary, None if it is none."""
    for key, value in annotations_of(ingress).items():
        if key.endswith(_SWITCH) and value in _TRUE:
            return key.removesuffix(_SWITCH)
    return None


def is_same_class(one: KubeObject, other: KubeObject) -> bool:
    """Whether one controller can own both; an Ingress without a class can be of any."""
    return not (class_of(one) and class_of(other)) or class_of(one) == class_of(other)


def class_of(ingress: KubeObject) -> str:
    """Return the class of an Ingress; empty if it names none."""
    return ingress.once(_class_of)


def _class_of(ingress: KubeObject) -> str:
    return ingress["spec"]["ingressClassName"].text("") or annotations_of(ingress).get(_CLASS, "")


def is_regex(ingress: KubeObject) -> bool:
    """Whether the paths of an Ingress are regular expressions."""
    return any(
        key.endswith("/rewrite-target") or (key.endswith("/use-regex") and value in _TRUE)
        for key, value in annotations_of(ingress).items()
    )


def dividing(ingress: KubeObject, service: str = "") -> Iterator[Node]:
    """Yield the annotations that divide or divert traffic in a way that is not evaluated.

    Parameters
    ----------
    ingress : KubeObject
    service : str
        The backend that is asked for, which can name an action of the ALB controller; ``*`` is
        any.
    """
    for key, value in annotations_of(ingress).items():
        is_action = key.startswith(_ACTION) and service in {"*", key.removeprefix(_ACTION)}
        is_snippet = bool(_SNIPPET.fullmatch(key) and _IN_SNIPPET.search(value))
        if is_action or is_snippet or _OTHERS.fullmatch(key):
            yield ingress["metadata"]["annotations"][key]


def refuse_others(
    ingress: KubeObject, inventory: Inventory, service: str = "", port: str = ""
) -> None:
    """Refuse an Ingress whose traffic is divided by what is not evaluated; see `dividing`.

    A port of the name `_BY_ACTION` leaves it to an action of the ALB controller; Argo Rollouts
    writes it while a roll-out runs.

    Raises
    ------
    ElsewhereError
        If the proxy answers itself, or a Rollout writes how traffic is divided.
    ExpectationError
        With the annotation.
    """
    for node in dividing(ingress, service):
        raise (ElsewhereError if _is_answered(node) else ExpectationError)(
            f"{node.where}: {ingress} divides or diverts traffic by the annotation "
            f"{node.path[-1]}, which is not evaluated",
            hint="declare the split with --expect",
        )
    if port == _BY_ACTION:
        writers = inventory.by(_written, (ingress.name, ingress.namespace), "Rollout")
        raise (ElsewhereError if writers else ExpectationError)(
            f"{ingress.place}: {ingress} leaves the traffic of {service} to the annotation "
            f"{_ACTION}{service}, which it does not have",
            hint="if a Rollout writes it: --route Rollout/NAME --step N; or declare the split with "
            "--expect",
        )


def _is_answered(node: Node) -> bool:
    """Whether an annotation lets the proxy answer itself: a redirect, or a fixed response."""
    key = str(node.path[-1])
    is_fixed = key.startswith(_ACTION) and _ANSWER.search(node.text())
    return bool(is_fixed) or key.endswith("-redirect")


def _written(rollout: KubeObject) -> Iterator[tuple[str, str]]:
    """Yield name and namespace of each Ingress whose action a Rollout writes."""
    alb = rollout["spec"]["strategy"]["canary"]["trafficRouting"]["alb"]
    for node in [alb["ingress"], *alb["ingresses"]]:
        if node.exists:
            yield node.text(), rollout.namespace


def api_removed(ingress: KubeObject) -> list[Finding]:
    """Return the finding that an Ingress is of an API that Kubernetes has no longer."""
    version = ingress["apiVersion"].text("")
    if not version.endswith("/v1beta1"):
        return []
    return [
        Finding(
            FindingCode.API_REMOVED,
            f"{ingress} is of {version}, which Kubernetes has not served since 1.22",
            "write it as networking.k8s.io/v1",
            ingress["apiVersion"].where,
        )
    ]


def remarks(ingress: KubeObject) -> list[Finding]:
    """Find annotations that are rejected, are ignored, or bind clients."""
    return ingress.once(_remarks)


def _remarks(ingress: KubeObject) -> list[Finding]:
    node = ingress["metadata"]["annotations"]
    findings = api_removed(ingress)
    for key, value in annotations_of(ingress).items():
        prefix, _, name = key.rpartition("/")
        if name == "affinity" and value == "cookie":
            findings += sticky(ingress, node[key])
        if is_canary(ingress):
            continue
        if name in _RULES and value not in {"", "0"}:
            findings.append(
                Finding(
                    FindingCode.ANNOTATION_REJECTED,
                    f'{ingress} has {name}, but not canary: "true": ingress-nginx rejects it, and '
                    "takes the Ingress for a main one",
                    f'add {prefix}{_SWITCH}: "true", or remove {name}',
                    node[key].where,
                )
            )
        elif name == "canary-weight-total":
            findings.append(
                Finding(
                    FindingCode.WEIGHT_TOTAL_IGNORED,
                    f"{ingress} is no canary: canary-weight-total counts on the canary only",
                    "move it to the canary Ingress",
                    node[key].where,
                )
            )
    return findings


def hashed(ingress: KubeObject) -> list[Finding]:
    """Find ``upstream-hash-by``: a request without the value that it names has an empty one."""
    node = ingress["metadata"]["annotations"]
    return [
        bound_to_pods(ingress, node[key], value, is_any=True)
        for key, value in annotations_of(ingress).items()
        if key.endswith("/upstream-hash-by") and value and "$request_id" not in value
    ]


def weight_of(canary: KubeObject, question: Question) -> tuple[int, int, Node, list[Finding]]:
    """Return weight and total in force, where the weight stands, and what is odd about them."""
    prefix = canary_prefix(canary)
    annotations = canary["metadata"]["annotations"]
    findings = []
    total_node = annotations[f"{prefix}/canary-weight-total"]
    total = _number(total_node, _DEFAULT_TOTAL)
    if total_node.exists and total <= _DEFAULT_TOTAL:
        if total < _DEFAULT_TOTAL:
            findings.append(
                Finding(
                    FindingCode.WEIGHT_TOTAL_IGNORED,
                    f"{canary}: canary-weight-total {total} is not above 100 and is ignored",
                    "write the weight out of 100, or set a total above 100",
                    total_node.where,
                )
            )
        total = _DEFAULT_TOTAL
    number = annotations[f"{prefix}/canary-weight"]
    by_header = _by_header(canary, str(prefix), question)
    if by_header is not None:
        is_all, number = by_header
        return total if is_all else 0, total, number, findings
    weight = _number(number, 0)
    if weight > total:
        findings.append(
            Finding(
                FindingCode.WEIGHT_CLAMPED,
                f"{canary}: canary-weight {weight} exceeds its total {total}: "
                "the canary gets everything",
                "raise canary-weight-total, or lower the weight",
                number.where,
            )
        )
    return min(weight, total), total, number, findings


def _by_header(canary: KubeObject, prefix: str, question: Question) -> tuple[bool, Node] | None:
    """Return whether a header of the request sends it to the canary; None leaves it to chance."""
    annotations = canary["metadata"]["annotations"]
    node = annotations[f"{prefix}/canary-by-header"]
    value = question.headers.get(node.text("").lower())
    cookie = annotations[f"{prefix}/canary-by-cookie"]
    is_by_cookie = cookie.exists and f"{cookie.text()}=" in question.headers.get("cookie", "")
    if is_by_cookie or (value and annotations[f"{prefix}/canary-by-header-pattern"].exists):
        raise ExpectationError(
            f"{node.where}: {canary} decides by a cookie or a pattern for a header that the "
            "request has, which is not evaluated",
            hint="check without that header, or declare the split with --expect",
        )
    if value is None:
        return None
    wanted = annotations[f"{prefix}/canary-by-header-value"]
    if wanted.text(""):
        return (True, wanted) if value == wanted.text() else None
    return {"always": (True, node), "never": (False, node)}.get(value)


def _number(node: Node, default: int) -> int:
    text = node.text("")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()):
        raise ExpectationError(
            f"{node.where}: {node.owner}: expected a whole number >= 0 in quotes, got {text!r}",
            hint="annotations are strings: canary-weight: '10'",
        )
    return int(text)
