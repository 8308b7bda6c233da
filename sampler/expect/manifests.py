"""Reads manifests: the only file access of this package.

Files hold several YAML documents; kustomize and ``kubectl get -o yaml`` write such streams
too, with lists inside. Each object keeps its file, and the line of each of its values.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sampler.base.errors import ExpectationError
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.objects import Inventory, KubeObject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sampler.expect.rules.objects import Locate
    from sampler.expect.rules.objects import Path as KeyPath

_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_MOST_FILES = 10_000
MOST_BYTES = 16 << 20
"""Bytes of all manifests together."""
MOST_NODES = 1_000_000
"""Values, keys and containers of all manifests together, with aliases written out."""
MOST_DEPTH = 200
"""Containers inside of each other; the schemas of CustomResourceDefinitions have 60."""
_CHANGES = (
    "components",
    "configurations",
    "helmCharts",
    "images",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "patches",
    "patchesJson6902",
    "patchesStrategicMerge",
    "replacements",
    "replicas",
    "transformers",
)
"""Fields of a kustomization that change numbers, versions or names of what it lists."""


def read_manifests(path: str, namespace: str = "") -> tuple[Inventory, tuple[Finding, ...]]:
    """Read a file, a folder with everything below it, or stdin.

    Parameters
    ----------
    path : str
        ``-`` is stdin. In folders, files named ``*.yaml``, ``*.yml`` and ``*.json`` are
        read; hidden ones are not.
    namespace : str
        Of objects that name none.

    Returns
    -------
    inventory : Inventory
    findings : tuple of Finding
        Documents that are no objects, and objects that stand there twice.

    Raises
    ------
    ExpectationError
        If something cannot be read, is no YAML (with file and line), is larger than
        `MOST_BYTES`, `MOST_NODES` or `MOST_DEPTH`, or declares the same object in two ways (with
        both places).
    """
    findings: list[Finding] = []
    objects: list[KubeObject] = []
    nodes = 0
    for name, text in _texts(path):
        for document in _documents(name, text):
            nodes += _size(document, name)
            if nodes > MOST_NODES:
                raise _too_much(name, f"more than {MOST_NODES} values, its aliases written out")
            objects += _objects(document, name, namespace, findings)
    if not objects:
        raise ExpectationError(
            f"--manifests {path}: expected Kubernetes objects, found none",
            hint="give a folder or a file of YAML, or '-' for the output of kustomize build",
        )
    return Inventory(_unique(objects, findings)), tuple(findings)


def _texts(path: str) -> Iterator[tuple[str, str]]:
    if path == "-":
        with _readable("stdin"):
            text = sys.stdin.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise _too_much("stdin", f"more than {MOST_BYTES >> 20} MB")
        yield "stdin", text
        return
    root = Path(path)
    with _readable(f"--manifests {path}"):
        files = [root] if root.is_file() else _files(root)
    left = MOST_BYTES
    for file in files:
        with _readable(_shown(file)), file.open("rb") as opened:
            data = opened.read(left + 1)
            text = data.decode("utf-8-sig")
        if len(data) > left:
            raise _too_much(_shown(file), f"more than {MOST_BYTES >> 20} MB, with those before it")
        left -= len(data)
        yield _shown(file), text


def _too_much(name: str, what: str) -> ExpectationError:
    return ExpectationError(f"{name} holds {what}", hint="give the folder of one application")


def _size(document: Any, name: str) -> int:
    """Count the nodes of a document, an alias as all that it stands for, each node once visited.

    Raises
    ------
    ExpectationError
        If a container holds itself.
    """
    sizes: dict[int, int | None] = {}  # None while what it holds is counted
    pending = [document]
    while pending:
        node = pending[-1]
        parts = _parts(node)
        if id(node) not in sizes:
            sizes[id(node)] = None
            for part in parts:
                if isinstance(part, dict | list):
                    if sizes.get(id(part), 0) is None:
                        raise ExpectationError(f"{name}: an alias stands inside of what it names")
                    if id(part) not in sizes:
                        pending.append(part)
            continue
        pending.pop()
        sizes[id(node)] = 1 + sum(sizes.get(id(part)) or 1 for part in parts)
    return sizes[id(document)] or 1


def _parts(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return [part for pair in node.items() for part in pair]
    return list(node) if isinstance(node, list) else []


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Return the error for what cannot be read, and why."""
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ExpectationError(f"{name} cannot be read: {reason}") from error


def _files(root: Path) -> list[Path]:
    if not root.is_dir():
        raise ExpectationError(
            f"--manifests {root}: no such file or folder", hint="give a path, or '-' for stdin"
        )
    found = sorted(
        file
        for file in root.rglob("*")
        if file.suffix in _SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(root).parts)
        and file.is_file()
    )
    if len(found) > _MOST_FILES:
        raise ExpectationError(
            f"--manifests {root}: {len(found)} files are more than {_MOST_FILES}",
            hint="give the folder of one application",
        )
    return found


def _shown(file: Path) -> str:
    """Return the file's name as it can be copied: relative where it lies below."""
    try:
        return str(file.relative_to(Path.cwd()))
    except ValueError:
        return str(file)


def _documents(name: str, text: str) -> Iterator[Any]:
    from ruamel.yaml import YAML  # noqa: PLC0415 - only who reads manifests pays for it
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    yaml = YAML(typ="rt")
    yaml.max_depth = MOST_DEPTH
    try:
        yield from yaml.load_all(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = name if mark is None else f"{name}:{mark.line + 1}"
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise ExpectationError(
            f"{place}: this is not YAML: {problem}",
            hint="render templates first: helm template …, kustomize build …"
            if "{{" in text
            else "see that line and the one before it",
        ) from error
    except (RecursionError, ValueError) as error:
        raise ExpectationError(f"{name}: this YAML cannot be read: {error}") from error


def _objects(
    document: Any, name: str, namespace: str, findings: list[Finding]
) -> Iterator[KubeObject]:
    """Yield the objects of a document; lists are taken apart."""
    if document is None:
        return
    pending: list[tuple[Any, KeyPath]] = [(document, ())]
    while pending:
        body, base = pending.pop(0)
        locate = _locator(document, name, base)
        if not isinstance(body, dict) or not isinstance(body.get("kind"), str):
            findings.append(
                Finding(
                    FindingCode.NOT_AN_OBJECT,
                    f"{name} holds a document without a kind; it was ignored",
                    "keep other YAML out of the folder, or name the files to read",
                    locate(()),
                )
            )
        elif body["kind"].endswith("List") and isinstance(body.get("items"), list):
            pending += [(item, (*base, "items", i)) for i, item in enumerate(body["items"])]
        elif body["kind"] in {"Kustomization", "Component"} and _is_kustomize(body):
            findings += _not_rendered(body, locate)
        else:
            yield KubeObject(body, locate, namespace)


def _is_kustomize(body: dict[str, Any]) -> bool:
    return str(body.get("apiVersion", "")).startswith("kustomize.config.k8s.io/")


def _not_rendered(body: dict[str, Any], locate: Locate) -> Iterator[Finding]:
    changes = [key for key in _CHANGES if body.get(key)]
    if changes:
        yield Finding(
            FindingCode.NOT_RENDERED,
            f"the {', '.join(changes)} of a kustomization change what it lists, "
            "and were not applied",
            "render it: kustomize build DIR | weighbridge expect --manifests - …",
            locate((changes[0],)),
        )


def _locator(document: Any, name: str, base: KeyPath) -> Locate:
    """Return a function from a path to ``file:line``, exact as far as the path exists."""

    def locate(path: KeyPath) -> str:
        line = _line_of(document)
        here = document
        for key in (*base, *path):
            marks = getattr(getattr(here, "lc", None), "data", None) or {}
            if key not in marks:
                break
            line = marks[key][0]
            here = here[key]
        return f"{name}:{line + 1}"

    return locate


def _line_of(document: Any) -> int:
    marks = getattr(document, "lc", None)
    return getattr(marks, "line", None) or 0


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
        path = _difference(first.body, each.body)
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
        return None if first == second else ()
    for key, one, other in pairs:
        path = _difference(one, other)
        if path is not None:
            return (key, *path)
    return None
