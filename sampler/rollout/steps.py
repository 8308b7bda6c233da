"""The steps of a canary, each a list of values to change: pure functions of the manifests.

start     10 x v1 + 0          → 9 x v1 + 1 x v2
promote   9 x v1 + 1 x v2      → 10 x v2 + 0
rollback  9 x v1 + 1 x v2      → 10 x v1 + 0
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sampler.base.errors import UsageError
from sampler.expect.rules.versions import LABELS, image_tag, tag_of, version_label
from sampler.rollout.differences import Difference, differences, leaves, unmatched_containers
from sampler.rollout.pair import Pair, Side, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sampler.expect.rules.objects import KubeObject, Node
    from sampler.expect.rules.objects import Path as KeyPath

_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_VERSION = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]*")


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of one Deployment that is to become another.

    Parameters
    ----------
    deployment : KubeObject
        Whose value it is.
    path : tuple of str or int
        From the object's root.
    value : str or int
        What it is to be.
    """

    deployment: KubeObject
    path: KeyPath
    value: str | int


@dataclass(frozen=True, slots=True)
class Step:
    """What a step changes.

    Parameters
    ----------
    subject : str
        First line of a commit message; at most 72 characters where the names are short.
    settings : tuple of Setting
        Empty where everything is so already.
    stable, canary : tuple of int and str
        Pods and version that the two are to have afterwards.
    left : tuple of Difference
        What the canary's pods have, and the promoted ones will not.
    """

    subject: str
    settings: tuple[Setting, ...]
    stable: tuple[int, str]
    canary: tuple[int, str]
    left: tuple[Difference, ...] = ()


_BY_SIDECAR = (
    f"where a sidecar comes first, annotate the pod templates: {_DEFAULT_CONTAINER}, or label "
    "them (version: v1)"
)


def start(pair: Pair, replicas: int, image: str | None = None, version: str | None = None) -> Step:
    """Move pods to the canary, and take as many from the stable Deployment.

    A canary that runs already is made larger or smaller; it keeps its version.

    Parameters
    ----------
    pair : Pair
    replicas : int
        Of the canary, at least 1 and fewer than both have together.
    image : str or None
        What the canary is to run; None leaves it.
    version : str or None
        That its pods are to carry; None takes the tag of `image`, if that is given.

    Raises
    ------
    UsageError
        If the step makes no canary.
    """
    if not 1 <= replicas < pair.total:
        raise UsageError(
            f"--replicas {replicas}: expected 1 to {pair.total - 1} of the {pair.total} pods of "
            f"{pair.stable.name} and {pair.canary.name}"
            if pair.total > 1
            else f"{pair.stable.name} has one pod, and a canary needs a second one",
            hint="the canary takes its pods from the stable Deployment: raise its replicas first",
        )
    settings = list(_renewed(pair, image, version))
    new = _version_after(pair.canary, image, version)
    if new == pair.stable.version:
        raise UsageError(
            f"{pair.canary.name} is {new}, as {pair.stable.name} is, so they cannot be told "
            f"apart: {pair.canary.template.where}",
            hint="name what the canary runs: --image IMAGE:TAG, or --set-version VERSION"
            + (
                f"; {_BY_SIDECAR}"
                if len(list(pair.canary.template["spec"]["containers"])) > 1
                else ""
            ),
        )
    _require_promotable(pair, new)
    settings += _replicas(pair, pair.total - replicas, replicas)
    verb = "Start" if pair.state is State.STABLE else "Resize"
    subject = f"{verb} the canary of {pair.stable.name}: {replicas} of {pair.total} pods on {new}"
    stable = (pair.total - replicas, pair.stable.version)
    return Step(subject, tuple(settings), stable, (replicas, new))


def promote(pair: Pair) -> Step:
    """Move all pods to the stable Deployment, with the canary's images and version.

    What else differs between their pods is left as it is, and named in `Step.left`.

    Raises
    ------
    UsageError
        If no canary runs, a selector would have to change, or only the label would.
    """
    _expect_canary(pair, "promote")
    _require_promotable(pair, pair.canary.version)
    stable, canary = pair.stable, pair.canary
    settings: list[Setting] = []
    left: list[Difference] = []
    is_another = False
    for each in differences(canary.template, stable.template):
        if each.is_label and each.key in stable.selected_by | canary.selected_by:
            continue  # what keeps the two apart
        if each.can_be_set and (each.is_image or _says_version(each, pair)):
            settings.append(Setting(stable.deployment, each.place.path, each.wanted))
            is_another = is_another or not each.is_label
        elif _is_version_label(each, pair):
            settings.append(Setting(stable.deployment, each.place.path, canary.version))
        else:
            left.append(each)
    if left and not is_another:
        raise UsageError(
            f"{stable.deployment} would be called {canary.version} and run what it runs: it has "
            f"the images of {canary.deployment}, and differs in {', '.join(map(str, left))}",
            hint="a promotion copies images and the version: copy the rest by hand, and commit it",
        )
    settings += _own_labels(stable, canary.version)
    settings += _replicas(pair, pair.total, 0)
    subject = f"Promote {stable.name} to {canary.version} on {_pods(pair.total)}"
    versions = (pair.total, canary.version), (0, canary.version)
    return Step(subject, tuple(settings), *versions, tuple(left))


def rollback(pair: Pair) -> Step:
    """Move all pods back to the stable Deployment; the canary keeps its version, without pods.

    Raises
    ------
    UsageError
        If no canary runs.
    """
    _expect_canary(pair, "roll back")
    subject = f"Roll {pair.stable.name} back to {pair.stable.version} on {_pods(pair.total)}"
    versions = (pair.total, pair.stable.version), (0, pair.canary.version)
    return Step(subject, tuple(_replicas(pair, pair.total, 0)), *versions)


def _expect_canary(pair: Pair, what: str) -> None:
    if pair.state is State.CANARY:
        return
    hint = (
        "undo a promotion with git revert COMMIT"
        if pair.stable.version == pair.canary.version
        else "start one: weighbridge rollout start --replicas 1"
    )
    raise UsageError(
        f"there is no canary to {what}: {pair.canary.name} has no pods ({pair.canary.where})",
        hint=hint,
    )


def _replicas(pair: Pair, stable: int, canary: int) -> Iterator[Setting]:
    for side, count in ((pair.stable, stable), (pair.canary, canary)):
        if side.replicas != count:
            yield Setting(side.deployment, ("spec", "replicas"), count)


def _renewed(pair: Pair, image: str | None, version: str | None) -> Iterator[Setting]:
    """Yield the settings of the canary's new image and version, wherever they are named."""
    if image is None and version is None:
        return
    canary = pair.canary
    if pair.state is State.CANARY:
        raise UsageError(
            f"a canary of {canary.version} is already running ({canary.where})",
            hint="weighbridge rollout rollback or promote first, then start the next one",
        )
    for option, value, pattern in (
        ("--image", image, _IMAGE),
        ("--set-version", version, _VERSION),
    ):
        if value is not None and not pattern.fullmatch(value):
            raise UsageError(
                f"{option} {value}: expected "
                + ("REGISTRY/NAME:TAG" if option == "--image" else "the value of a label")
            )
    new = _version_after(canary, image, version)
    if image is not None:
        yield from _reimaged(canary, image)
    if new == canary.version:
        return
    named = [
        Difference(leaf, new) for leaf in leaves(canary.template) if leaf.value == canary.version
    ]
    if version_label(canary.template) is None and (image is None or tag_of(image) != new):
        raise UsageError(
            f"{canary.template.where}: the version of {canary.deployment} is the tag of its image",
            hint="give --image IMAGE:TAG, and no --set-version",
        )
    for each in named:
        if each.is_label and each.key in canary.selected_by:
            if _names_version(each.key, canary.version):
                raise _fixed_selector(canary, each.place)
            continue
        yield Setting(canary.deployment, each.place.path, new)
    yield from _own_labels(canary, new)


def _reimaged(canary: Side, image: str) -> Iterator[Setting]:
    containers = _containers(canary, image)
    tags = {tag_of(each["image"].text("")) for each in containers}
    if version_label(canary.template) is None and image_tag(canary.template) not in tags:
        raise UsageError(
            f"{canary.template.where}: the version of {canary.deployment} is the tag of another "
            f"container than the one that is to run {image}",
            hint=_BY_SIDECAR,
        )
    for container in containers:
        if container["image"].text("") != image:
            yield Setting(canary.deployment, container["image"].path, image)


def _version_after(side: Side, image: str | None, version: str | None) -> str:
    if version is not None:
        return version
    return (None if image is None else tag_of(image)) or side.version


def _containers(side: Side, image: str) -> list[Node]:
    """Return the containers that are to run another image: the application's, never a sidecar.

    Raises
    ------
    UsageError
        If it is not known which one that is.
    """
    spec, annotations = side.template["spec"], side.template["metadata"]["annotations"].texts()
    wanted = annotations.get(_DEFAULT_CONTAINER)
    found = [each for each in spec["containers"] if wanted in {None, each["name"].text("")}]
    if len(found) > 1:
        found = [
            each for each in found if _repository(each["image"].text("")) == _repository(image)
        ]
    images = {each["image"].text("") for each in found}
    if len(images) != 1:
        named = ", ".join(each["name"].text("") for each in spec["containers"]) or "none"
        raise UsageError(
            f"{side.template.where}: which container of {side.deployment} is to run {image}? "
            f"It has {named}",
            hint=f"name it in an annotation of the pod template: {_DEFAULT_CONTAINER}",
        )
    every = [*spec["initContainers"], *spec["containers"]]  # one image can be run more than once
    return [each for each in every if each["image"].text("") in images]


def _repository(image: str) -> str:
    return re.sub(r"(:[^:/]*)?(@.*)?$", "", image, count=1)


def _says_version(difference: Difference, pair: Pair) -> bool:
    return (difference.wanted, difference.place.value) == (pair.canary.version, pair.stable.version)


def _is_version_label(difference: Difference, pair: Pair) -> bool:
    """Whether only one of the two has a label that names its version."""
    return (
        difference.is_label
        and difference.key in LABELS
        and (difference.wanted, difference.place.value)
        in {(pair.canary.version, None), (None, pair.stable.version)}
    )


def _own_labels(side: Side, version: str) -> Iterator[Setting]:
    """Keep the Deployment's own labels true, where they name the version."""
    for key in LABELS:
        label = side.deployment["metadata"]["labels"][key]
        if label.value == side.version:
            yield Setting(side.deployment, label.path, version)


def _require_promotable(pair: Pair, version: str) -> None:
    """Refuse a pair of which no promotion could make the stable one run the canary's version.

    Raises
    ------
    UsageError
        If a selector contains the version, or containers have no counterpart.
    """
    stable, canary = pair.stable, pair.canary
    labels = stable.template["metadata"]["labels"]
    for key in sorted(stable.selected_by | canary.selected_by):
        if (
            labels[key].value == stable.version
            and canary.template["metadata"]["labels"][key].value in {canary.version, version}
            and _names_version(key, stable.version)
        ):
            raise _fixed_selector(stable, labels[key])
    unmatched = unmatched_containers(canary.template, stable.template)
    if unmatched:
        raise UsageError(
            f"{canary.template.where}: {stable.deployment} has no containers named "
            f"{', '.join(unmatched)}, and others instead, so a promotion could not tell which is "
            f"which: {stable.template.where}",
            hint="give the containers of both Deployments the same names",
        )


def _names_version(key: str, value: str) -> bool:
    """Whether a label of a selector is a version: not ``track: canary`` beside a tag ``canary``."""
    return key in LABELS or any(map(str.isdigit, value))


def _fixed_selector(side: Side, label: Node) -> UsageError:
    return UsageError(
        f"{label.where}: the selector of {side.deployment} contains its version, and "
        "selectors are immutable in Kubernetes",
        hint="select by another label, such as track: stable, and replace the Deployment once",
    )


def _pods(count: int) -> str:
    return "its only pod" if count == 1 else f"all {count} pods"
