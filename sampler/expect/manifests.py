"""Reads manifests as objects, each of which knows its file and the line of each of its values.

Files hold several documents; kustomize and ``kubectl get -o yaml`` write such streams, too, with
lists inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sampler.base.errors import ExpectationError
from sampler.expect.documents import MOST_NODES, documents, too_much
from sampler.expect.kustomize import changes
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.objects import Inventory, KubeObject, Origin
from sampler.expect.sources import not_rendered, sources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sampler.expect.documents import Document
    from sampler.expect.rules.objects import Locate
    from sampler.expect.rules.objects import Path as KeyPath
    from sampler.expect.sources import Source

_HOOKS = frozenset({"argocd.argoproj.io/hook", "helm.sh/hook"})


def read_manifests(
    path: str,
    namespace: str = "",
    *,
    are_rendered: bool = True,
    instead: Mapping[Path, str] | None = None,
) -> tuple[Inventory, tuple[Finding, ...]]:
    """Read a file, a folder with everything below it, or stdin.

    Parameters
    ----------
    path : str
        ``-`` is stdin. In folders, files named ``*.yaml``, ``*.yml`` and ``*.json`` are
        read; hidden ones are not. Where there is a kustomization, only what it makes is read.
    namespace : str
        Of objects that name none.
    are_rendered, instead
        As in `sources`.

    Returns
    -------
    inventory : Inventory
    findings : tuple of Finding
        Documents that are no objects, files that no kustomization lists, and objects that
        stand there twice.

    Raises
    ------
    ExpectationError
        If something cannot be read or rendered, is not YAML (with file and line), is larger than
        the limits of `sources` and `documents`, or declares the same object in two ways (with both
        places).
    """
    findings: list[Finding] = []
    objects: list[KubeObject] = []
    nodes = 0
    for source in sources(path, findings, are_rendered=are_rendered, instead=instead):
        for number, document in enumerate(documents(source.name, source.text)):
            nodes += document.size
            if nodes > MOST_NODES:
                raise too_much(source.name, MOST_NODES)
            objects += _objects(document, number, source, namespace, findings)
    if not objects:
        raise ExpectationError(
            f"--manifests {path}: expected Kubernetes objects, found none",
            hint=next(
                (each.remedy for each in findings if each.code is FindingCode.NOT_RENDERED),
                "give a folder or a file of YAML, or '-' for the output of kustomize build",
            ),
        )
    return Inventory(_unique(objects, findings)), tuple(findings)


def _objects(
    document: Document, number: int, source: Source, namespace: str, findings: list[Finding]
) -> Iterator[KubeObject]:
    """Yield the objects of a document; lists are taken apart."""
    if document.value is None:
        return
    pending: list[tuple[Any, KeyPath]] = [(document.value, ())]
    while pending:
        body, base = pending.pop(0)
        locate = _locator(document, source.name, base)
        if not isinstance(body, dict) or not isinstance(body.get("kind"), str):
            findings.append(
                Finding(
                    FindingCode.NOT_AN_OBJECT,
                    f"{source.name} holds a document without a kind; it was ignored",
                    "keep other YAML out of the folder, or name the files to read",
                    locate(()),
                )
            )
        elif isinstance(body.get("items"), list) or body["kind"] == "List":  # as kubectl has it
            items = enumerate(body.get("items") or ())
            pending += [(_typed(item, body), (*base, "items", i)) for i, item in items]
        elif body["kind"] in {"Kustomization", "Component"} and _is_kustomize(body):
            if changed := changes(body):
                findings.append(not_rendered(changed, locate((changed[0].partition(" ")[0],))))
        elif body["kind"] == "Template" and isinstance(body.get("objects"), list):
            findings.append(
                Finding(
                    FindingCode.NOT_RENDERED,
                    "the objects of a Template of OpenShift hold its parameters, and were not read",
                    "process it: oc process -f FILE | weighbridge expect --manifests - …",
                    locate(("objects",)),
                )
            )
        elif _is_hook(body):
            findings.append(
                Finding(
                    FindingCode.HOOK,
                    f"the {body['kind']} in {source.name} is a hook, which ends before or apart "
                    "from what is installed; it does not count",
                    "nothing to do",
                    locate(()),
                )
            )
        else:
            origin = None if source.path is None else Origin(source.path, number, base)
            yield KubeObject(body, locate, namespace, origin)


def _typed(item: Any, within: dict[str, Any]) -> Any:
    """Return an item of a list such as DeploymentList with the kind that kubectl fills in."""
    kind = within["kind"].removesuffix("List")
    if not kind or not isinstance(item, dict) or "kind" in item or "apiVersion" in item:
        return item
    return {"apiVersion": within.get("apiVersion"), "kind": kind, **item}


def _is_hook(body: dict[str, Any]) -> bool:
    """Whether Helm or Argo CD runs something to its end, such as the test of a chart."""
    metadata = body.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    return (
        body["kind"] in {"Job", "Pod"}
        and isinstance(annotations, dict)
        and not _HOOKS.isdisjoint(annotations)
    )


def _is_kustomize(body: dict[str, Any]) -> bool:
    return str(body.get("apiVersion", "")).startswith("kustomize.config.k8s.io/")


def _locator(document: Document, name: str, base: KeyPath) -> Locate:
    """Return a function from a path to ``file:line``, exact as far as the path exists."""

    def locate(path: KeyPath) -> str:
        return f"{name}:{document.line((*base, *path))}"

    return locate


def _unique(objects: Sequence[KubeObject], findings: list[Finding]) -> list[KubeObject]:
    """Keep each object once.

    Raises
    ------
    ExpectationError
        If two declarations of one object differ: either could be meant.
    """
    seen: dict[tuple[str, str, str, str], KubeObject] = {}
    for each in objects:
        identity = (each.group, each.kind, each.namespace, each.name)
        first = seen.setdefault(identity, each)
        if first is each:
            continue
        path = None if first.body == each.body else _difference(first.body, each.body)
        if path is not None:
            what = ".".join(map(str, path))
            raise ExpectationError(
                f"{each} is declared twice, and {what} is not the same: "
                f"{first.locate(path)} and {each.locate(path)}",
                hint="give one environment only; render bases and overlays first: "
                "kustomize build DIR | weighbridge expect --manifests - …",
            )
        findings.append(
            Finding(
                FindingCode.DUPLICATE_OBJECT,
                f"{each} is declared twice, at {first.place} and at {each.place}, alike",
                "keep one of them: a change to only one would contradict the other",
                each.place,
            )
        )
    return list(seen.values())


def _difference(first: Any, second: Any) -> KeyPath | None:
    """Return the path of the first value in which two documents differ, or None."""
    if isinstance(first, dict) and isinstance(second, dict):
        keys = [*first, *(key for key in second if key not in first)]
        pairs = [(key, first.get(key), second.get(key)) for key in keys]
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        pairs = [(i, *both) for i, both in enumerate(zip(first, second, strict=True))]
    else:
        return None if type(first) is type(second) and first == second else ()
    for key, one, other in pairs:
        path = _difference(one, other)
        if path is not None:
            return (key, *path)
    return None
