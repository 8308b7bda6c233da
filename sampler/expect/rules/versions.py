"""Which version a pod template stands for, and with which label it answers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sampler.expect.rules.objects import KubeObject, Node

LABELS = ("version", "app.kubernetes.io/version")
"""Labels of a pod that name its version, the first one that is there holds."""

_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_VERSION = re.compile(r"(?!__)\w[\w.-]*", re.ASCII)
_GRAMMAR = "write label:KEY, image-tag, or NAME=VERSION,NAME=VERSION for workloads or Services"


@unique
class VersionFrom(Enum):
    """Where a version is read."""

    AUTO = "auto"
    LABEL = "label"
    IMAGE_TAG = "image-tag"
    NAMES = "names"


@dataclass(frozen=True, slots=True)
class VersionRule:
    """How the version of a pod is found.

    Parameters
    ----------
    kind : VersionFrom, default AUTO
        AUTO takes the labels of `LABELS`, then the tag of the image.
    key : str
        The label, for LABEL.
    names : mapping of str to str
        Version by name of a workload or a Service, for NAMES.
    """

    kind: VersionFrom = VersionFrom.AUTO
    key: str = ""
    names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> VersionRule:
        """Read ``auto``, ``label:track``, ``image-tag`` or ``app=v1,app-canary=v2``.

        Raises
        ------
        ExpectationError
            If the text has another form.

        Examples
        --------
        >>> VersionRule.parse("label:track").key
        'track'
        """
        if text in {"auto", "image-tag"}:
            return cls(VersionFrom(text))
        if text.startswith("label:") and len(text) > len("label:"):
            return cls(VersionFrom.LABEL, key=text.removeprefix("label:"))
        return cls(VersionFrom.NAMES, names=parse_pairs(text, "--version-from", _GRAMMAR))

    def of_template(self, template: Node, owner_name: str) -> str | None:
        """Return the version of a pod template, or None if it names none.

        Parameters
        ----------
        template : Node
            With ``metadata`` and ``spec`` of the pods.
        owner_name : str
            Name of the workload.
        """
        match self.kind:
            case VersionFrom.LABEL:
                labels = template["metadata"]["labels"]
                return _rendered(labels[self.key], labels.texts().get(self.key))
            case VersionFrom.IMAGE_TAG:
                return image_tag(template)
            case VersionFrom.NAMES:
                if owner_name in self.names:
                    return self.names[owner_name]
            case VersionFrom.AUTO:
                pass
        # Live pods are looked at again and again.
        return template.owner.once(_of_pod) if not template.path else _of(template)

    def of_labels(self, labels: Mapping[str, str]) -> str | None:
        """Return the version of pods of which no more is known than some labels that they have."""
        if self.kind is VersionFrom.LABEL:
            return labels.get(self.key)
        if self.kind is VersionFrom.IMAGE_TAG or LABELS[0] not in labels:
            return None  # a label that comes first may be among those that are not known
        return labels[LABELS[0]]

    def of_name(self, name: str) -> str | None:
        """Return the version that a name was given on the command line, if any."""
        return self.names.get(name)


def _of(template: Node) -> str | None:
    return version_label(template) or image_tag(template)


def _of_pod(pod: KubeObject) -> str | None:
    return _of(pod.root)


def version_label(template: Node) -> str | None:
    """Return the version that the labels of `LABELS` name."""
    labels = template["metadata"]["labels"].texts()
    key = next((key for key in LABELS if labels.get(key)), None)
    return None if key is None else _rendered(template["metadata"]["labels"][key], labels[key])


def image_tag(template: Node) -> str | None:
    """Return the tag of the default container's image; None for a digest, or no tag at all."""
    containers = list(template["spec"]["containers"])
    wanted = template["metadata"]["annotations"].texts().get(_DEFAULT_CONTAINER)
    for container in containers:
        if wanted is None or container["name"].text("") == wanted:
            return _rendered(container["image"], tag_of(container["image"].text("")))
    return None


def _rendered(place: Node, version: str | None) -> str | None:
    """Refuse what can be no version, such as a placeholder that nobody has replaced."""
    if version and not _VERSION.fullmatch(version):
        raise ExpectationError(
            f"{place.where}: {place.owner}: {place.dotted} is not rendered: {version!r} is no "
            "value of a label, nor the tag of an image",
            hint="replace its placeholders first, then: … | weighbridge expect --manifests - …",
        )
    return version


def tag_of(image: str) -> str | None:
    """Return the tag of an image's name.

    Examples
    --------
    >>> tag_of("registry:5000/shop/app:v2@sha256:0123")
    'v2'
    """
    path = image.partition("@")[0].rpartition("/")[2]
    return path.partition(":")[2] or None


def parse_pairs(text: str, option: str, hint: str) -> dict[str, str]:
    """Read ``A=B,C=D``.

    Raises
    ------
    ExpectationError
        If the text has another form, or gives a name twice.
    """
    pairs: dict[str, str] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*([^=\s]+)\s*=\s*([^=\s]+)\s*", part)
        if match is None:
            raise ExpectationError(f"{option} {text}: expected A=B, got {part!r}", hint=hint)
        if pairs.setdefault(match[1], match[2]) != match[2]:
            raise ExpectationError(
                f"{option} {text}: {match[1]} is both {pairs[match[1]]} and {match[2]}", hint=hint
            )
    return pairs
