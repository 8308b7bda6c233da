"""Kubernetes objects as plain mappings that know where each of their values was read.

Whoever reads an object (a file, a cluster) says with `locate` where a path in it stands. The
rules walk it as `Node`, which checks types on the way: a manifest is text that a person
wrote, and ``replicas: "nine"`` must be refused with its line.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from sampler.base.errors import ExpectationError
from sampler.expect.rules.groups import DIVIDERS, GROUPS, OTHERS
from sampler.expect.rules.placeholders import rendered_by

T = TypeVar("T")
Path = tuple[str | int, ...]
Locate = Callable[[Path], str]
Keys = Callable[["KubeObject"], Iterable[Hashable]]


class UnknownNameError(ExpectationError):
    """No object has the name that was asked for."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an object was read, for those who edit it.

    Parameters
    ----------
    file : pathlib.Path
    document : int
        Which one of the file, from 0.
    path : tuple of str or int
        From the document's root to the object, where it is an item of a list.
    """

    file: Any
    document: int
    path: Path


@dataclass(frozen=True, eq=False)  # no slots: its identity is read often, and kept
class KubeObject:
    """One object.

    Parameters
    ----------
    body : mapping
        As in YAML or JSON.
    locate : callable
        Gives the place of a path in `body`: ``deploy.yaml:9``, or ``generation 4``.
    default_namespace : str
        Of objects that name none; empty if not given.
    origin : Origin or None
        Its file; None if it has none.
    """

    body: Mapping[str, Any]
    locate: Locate = field(repr=False)
    default_namespace: str = ""
    origin: Origin | None = None
    _made: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def root(self) -> Node:
        """The whole object as a node."""
        return Node(self, (), self.body)

    def __getitem__(self, key: str) -> Node:
        return self.root[key]

    @cached_property
    def kind(self) -> str:
        """Its kind; ``KIND.GROUP``, as kubectl writes it, where the bare kind means another one.

        A Service of Knative and a Rollout of OpenKruise are not what their kind alone says.
        """
        kind, version = self["kind"].text(""), self.body.get("apiVersion")
        if not isinstance(version, str):
            return kind  # refused where the group matters
        is_plain = not self.group or self.group in GROUPS.get(kind, (self.group,))
        return kind if is_plain else f"{kind}.{self.group}"

    @cached_property
    def group(self) -> str:
        """The group of its ``apiVersion``; empty for the core group."""
        group, slash, _ = self["apiVersion"].text("").partition("/")
        return group if slash else ""

    @cached_property
    def name(self) -> str:
        """Its name."""
        return self["metadata"]["name"].text("")

    @cached_property
    def namespace(self) -> str:
        """Its namespace, or the default one."""
        return self["metadata"]["namespace"].text("") or self.default_namespace

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return self["metadata"]["labels"].texts()

    @cached_property
    def annotations(self) -> Mapping[str, str]:
        """Its annotations."""
        return self["metadata"]["annotations"].texts()

    def once(self, make: Callable[[KubeObject], T]) -> T:
        """Return what a function makes of this object alone, made only once."""
        if make not in self._made:
            self._made[make] = make(self)
        return self._made[make]  # type: ignore[no-any-return]

    @cached_property
    def full_name(self) -> str:
        """``namespace/name``, or the name alone where no namespace is known."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def place(self) -> str:
        """Where the object begins."""
        return self.locate(())

    def __str__(self) -> str:
        return f"{self.kind} {self.full_name}"


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value in an object, or its absence (`value` is None, as for ``null``).

    Parameters
    ----------
    owner : KubeObject
        Whose value it is.
    path : tuple of str or int
        Keys and positions from the object's root.
    value : Any
        As it was read.
    """

    owner: KubeObject
    path: Path
    value: Any

    def __getitem__(self, key: str) -> Node:
        mapping = self.mapping()
        return Node(self.owner, (*self.path, key), mapping.get(key))

    def __iter__(self) -> Iterator[Node]:
        """Yield the items of a sequence; nothing if it is absent."""
        for position, item in enumerate(self._of(Sequence, "a list", ())):
            yield Node(self.owner, (*self.path, position), item)

    @property
    def exists(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    @property
    def where(self) -> str:
        """The place of the value, or of what should hold it."""
        return self.owner.locate(self.path)

    @property
    def dotted(self) -> str:
        """The path as people write it: ``spec.rules[0].weight``."""
        parts = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.path)
        return "".join(parts).removeprefix(".")

    def mapping(self) -> Mapping[str, Any]:
        """Return the value as a mapping; an empty one if it is absent."""
        mapping: Mapping[str, Any] = self._of(Mapping, "a mapping", {})
        return mapping

    def text(self, default: str | None = None) -> str:
        """Return the value as text; without a default, it must be there.

        Raises
        ------
        ExpectationError
            If it is something else, or a template that was not rendered; with its place.
        """
        text: str = self._of(str, "text", default)
        hint = rendered_by(text)
        if hint is not None and "annotations" not in self.path:  # they may hold a proxy's variables
            raise ExpectationError(
                f"{self.where}: {self._owner()}: {self.dotted} is not rendered: {text!r}", hint=hint
            )
        return text

    def texts(self) -> dict[str, str]:
        """Return a mapping of text to text, such as labels."""
        return {key: self[key].text() for key in self.mapping()}

    def integer(self, default: int | None = None) -> int:
        """Return the value as an integer; without a default, it must be there.

        Raises
        ------
        ExpectationError
            If it is something else, with its place.
        """
        number: int = self._of(int, "an integer", default)
        if isinstance(self.value, bool):
            self._refuse("an integer")
        return int(number)

    def count(self, default: int | None = None) -> int:
        """Return the value as an integer that is not negative."""
        number = self.integer(default)
        if number < 0:
            self._refuse("an integer >= 0")
        return number

    def _owner(self) -> str:
        """Call the object by what can be read of its name: the name itself may be refused."""
        kind, metadata = self.owner.body.get("kind"), self.owner.body.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        return " ".join(text for text in (kind, name) if isinstance(text, str)) or "an object"

    def _of(self, kind: Any, name: str, default: Any) -> Any:
        if self.value is None:
            if default is None:
                self._refuse(name)
            return default
        if not isinstance(self.value, kind) or (kind is Sequence and isinstance(self.value, str)):
            self._refuse(name)
        return self.value

    def _refuse(self, expected: str) -> None:
        got = "nothing" if self.value is None else repr(self.value)[:60]
        raise ExpectationError(
            f"{self.where}: {self._owner()}: expected {expected} at {self.dotted}, got {got}",
            hint=rendered_by(got)
            or (
                f"quote it: {str(got).lower()} without quotes is no text"
                if expected == "text" and isinstance(self.value, bool | int | float)
                else "kubectl explain shows what belongs there"
            ),
        )


class Inventory:
    """All objects that were read, found by kind, name and namespace.

    Parameters
    ----------
    objects : sequence of KubeObject
        In the order in which they were read; each identity once.
    has_endpoints : bool
        Whether they are live, so that the endpoints of a Service are counted, and not the
        pods that somebody declared.
    unread : iterable of str
        Kinds that may not be read: what is not among the objects may still exist.
    pods : sequence of KubeObject
        Live pods that controllers own, where the objects are what is configured.
    live : iterable of str
        Namespaces of a cluster: a Service of them that is not among the objects does not exist.
    """

    def __init__(
        self,
        objects: Sequence[KubeObject],
        *,
        has_endpoints: bool = False,
        unread: Iterable[str] = (),
        pods: Sequence[KubeObject] = (),
        live: Iterable[str] = (),
    ) -> None:
        self.objects = tuple(objects)
        self.has_endpoints = has_endpoints
        self.unread = frozenset(unread)
        self.pods = tuple(pods)
        self.live = frozenset(live)
        self._by_kind: dict[str, list[KubeObject]] = {}
        for each in self.objects:
            self._by_kind.setdefault(each.kind, []).append(each)
        self._by_name: dict[str, dict[tuple[str, str], KubeObject]] = {}
        self._indexes: dict[tuple[Keys, tuple[str, ...]], dict[Hashable, list[KubeObject]]] = {}
        self._known: dict[Hashable, tuple[object, Any]] = {}

    def by(self, keys: Keys, key: Hashable, *kinds: str) -> list[KubeObject]:
        """All objects of some kinds, or of every kind, that have a key; found without a search.

        Parameters
        ----------
        keys : callable
            The keys of one object. A function of a module: its index is kept.
        key : hashable
            The one that is wanted.
        kinds : str
            None is every kind.
        """
        index = self._indexes.get((keys, kinds))
        if index is None:
            index = self._indexes[keys, kinds] = {}
            for each in self.of(*kinds) if kinds else self.objects:
                for one in dict.fromkeys(keys(each)):
                    index.setdefault(one, []).append(each)
        return index.get(key, [])

    def once(self, key: Hashable, question: object, compute: Callable[[], T]) -> T:
        """Return what `compute` gives for a key and a question, which is told by its identity."""
        known = self._known.get((key, id(question)))
        if known is None:
            known = self._known[key, id(question)] = (question, compute())  # kept: so is its id
        result: T = known[1]
        return result

    def but_unread(self, kinds: Iterable[str]) -> str:
        """Return the end of a sentence about what was not found: of kinds that may not be read."""
        unread = sorted(self.unread.intersection(kinds))
        if not unread:
            return ""
        return f" (this account may not list any {' or '.join(unread)}: weighbridge rbac)"

    def of(self, *kinds: str) -> list[KubeObject]:
        """All objects of some kinds, kind by kind."""
        return [each for kind in kinds for each in self._by_kind.get(kind, ())]

    def has_beside(self, namespace: str, *kinds: str) -> bool:
        """Whether a namespace is live, or has, or may have, an object of some kinds."""
        if namespace in self.live:
            return True
        if not namespace:
            return any(self._by_kind.get(kind) for kind in kinds)
        return any(self.by(namespaces_of, each, *kinds) for each in (namespace, ""))

    def find(self, kind: str, name: str, namespace: str) -> KubeObject | None:
        """Find one object by its identity."""
        known = self._by_name.get(kind)
        if known is None:
            known = self._by_name[kind] = {}
            for each in self.of(kind):
                known.setdefault((each.name, each.namespace), each)
        return known.get((name, namespace))

    def named(self, kinds: Sequence[str], name: str, namespace: str = "") -> KubeObject:
        """Find the one object that a person means.

        Parameters
        ----------
        kinds : sequence of str
            What it may be.
        name : str
            Its name.
        namespace : str
            Empty looks everywhere.

        Raises
        ------
        ExpectationError
            If there is none, or more than one, with the places of two.
        """
        wanted = " or ".join(kinds) if len(kinds) < 4 else "weighted route"
        found = [
            each
            for each in self.of(*kinds)
            if each.name == name and namespace in {"", each.namespace}
        ]
        if not found:
            known = sorted({f"{each.kind}/{each.name}" for each in self.of(*kinds)})
            if other := self._of_another_group(kinds, name, namespace):
                raise ExpectationError(
                    f"{other.place}: {other.full_name} is a {other.kind}, not a {wanted}",
                    hint=f"if that is meant: --route {other.kind}/{name}"
                    if other.kind in OTHERS
                    else f"kinds are {', '.join(kinds)}; declare other splits with --expect",
                )
            raise UnknownNameError(
                f"expected a {wanted} named {name!r}"
                + (f" in namespace {namespace}" if namespace else "")
                + f", found {', '.join(known[:8]) or 'none'}"
                + self.but_unread(kinds),
                hint="check --manifests, -n NAMESPACE and the spelling",
            )
        if len(found) > 1:
            first, second = found[:2]
            raise ExpectationError(
                f"{name!r} can be {first} ({first.place}) or {second} ({second.place})",
                hint="choose one: -n NAMESPACE"
                if first.kind == second.kind
                else f"choose one: --route {first.kind}/{name} or --route {second.kind}/{name}",
            )
        return found[0]

    def _of_another_group(
        self, kinds: Sequence[str], name: str, namespace: str
    ) -> KubeObject | None:
        """Find an object of the name, of another group or of a kind that divides traffic too."""
        words = {kind.partition(".")[0] for kind in kinds}
        for each in self.objects:
            is_named = each.name == name and namespace in {"", each.namespace}
            word = each.kind.partition(".")[0]
            is_alike = word in words or (each.kind in DIVIDERS and "HTTPRoute" in words)
            if is_named and each.kind not in kinds and is_alike:
                return each
        return None


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether every pair of the selector is among the labels; an empty one selects nothing."""
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def in_words(selector: Mapping[str, str]) -> str:
    """Return a selector as kubectl writes it."""
    return ",".join(f"{key}={value}" for key, value in selector.items())


def namespaces_of(each: KubeObject) -> Iterator[Hashable]:
    """Yield the namespace of an object."""
    yield each.namespace


def names_of(each: KubeObject) -> Iterator[Hashable]:
    """Yield the name of an object, under which it is found in any namespace."""
    yield each.name
