"""Which rights reading a cluster takes: as a manifest, and as the hint of a refusal."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sampler.expect.cluster.resources import CONTEXT, EXTENSIONS, PODS, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ACCOUNT = "weighbridge"
VERBS = ("list", "watch")
_SERVICE_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Rights:
    """What a manifest grants.

    Parameters
    ----------
    namespace : str
        Where objects are read; empty leaves it to ``kubectl apply -n``.
    account : str
        Who is granted it, as the API server names accounts; empty makes a service account.
    """

    namespace: str = ""
    account: str = ""

    def manifest(self) -> str:
        """Return the YAML of a Role and its binding, and of the account if it is a new one."""
        documents = [] if self.account else [self._head("v1", "ServiceAccount")]
        role = [self._head("rbac.authorization.k8s.io/v1", "Role"), "rules:"]
        for comment, resources in _RULES:
            role.append(f"  # {comment}")
            for groups, plurals in _merged(resources):
                role += [
                    f"  - apiGroups: {json.dumps(groups)}",
                    f"    resources: {json.dumps(plurals)}",
                    f"    verbs: {json.dumps(VERBS)}",
                ]
        # Each account has a binding of its own: applying one takes nothing from another.
        suffix = re.sub(r"[^a-z0-9]+", "-", self.account.lower()).strip("-")
        binding = [
            self._head("rbac.authorization.k8s.io/v1", "RoleBinding", suffix),
            "roleRef:",
            "  apiGroup: rbac.authorization.k8s.io",
            "  kind: Role",
            f"  name: {ACCOUNT}",
            "subjects:",
            *self._subject(),
        ]
        documents += ["\n".join(role), "\n".join(binding)]
        return "\n---\n".join([_ABOUT + documents[0], *documents[1:]]) + "\n"

    def _head(self, version: str, kind: str, suffix: str = "") -> str:
        name = f"{ACCOUNT}-{suffix}" if suffix else ACCOUNT
        lines = [f"apiVersion: {version}", f"kind: {kind}", "metadata:", f"  name: {name}"]
        if self.namespace:
            lines.append(f"  namespace: {json.dumps(self.namespace)}")
        return "\n".join(lines)

    def _subject(self) -> Iterator[str]:
        name, namespace = self.account or ACCOUNT, self.namespace
        if name.startswith(_SERVICE_ACCOUNT):
            namespace, _, name = name.removeprefix(_SERVICE_ACCOUNT).partition(":")
        elif self.account:
            yield "  - kind: User"
            yield "    apiGroup: rbac.authorization.k8s.io"
            yield f"    name: {json.dumps(name)}"
            return
        yield "  - kind: ServiceAccount"
        yield f"    name: {json.dumps(name)}"
        if namespace:  # otherwise that of the binding
            yield f"    namespace: {json.dumps(namespace)}"


def grant(namespace: str = "", account: str = "") -> str:
    """Return the command that grants an account what is missing."""
    words = ["weighbridge", "rbac"]
    words += ["-n", namespace] if namespace else []
    words += ["--account", account] if account else []
    return f"{shlex.join(words)} | kubectl apply -f -"


_ABOUT = """\
# What weighbridge asks of a cluster with --cluster: to list and watch, and nothing else. Secrets,
# ConfigMaps and logs are never read. Rules for extensions that are not installed do no harm.
"""

_RULES = (
    ("Without these no split can be read.", [(each.group, each.plural) for each in PODS]),
    ("What is configured, to compare with what runs.",
     [(each.group, each.plural) for each in WORKLOADS]),
    ("What moves or divides the traffic, for the findings.",
     [(each.group, each.plural) for each in CONTEXT]),
    ("Routes and deliveries.",
     [(group, plural) for group, kinds in EXTENSIONS.items() for plural in kinds]),
)  # fmt: skip


def _merged(resources: Iterable[tuple[str, str]]) -> list[tuple[list[str], list[str]]]:
    """Write groups with the same resources as one rule."""
    of_group: dict[str, list[str]] = {}
    for group, plural in resources:
        of_group.setdefault(group, []).append(plural)
    groups_of: dict[tuple[str, ...], list[str]] = {}
    for group, plurals in of_group.items():
        groups_of.setdefault(tuple(plurals), []).append(group)
    return [(groups, list(plurals)) for plurals, groups in groups_of.items()]
