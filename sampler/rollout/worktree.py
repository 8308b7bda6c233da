"""The manifests of a work tree: read, changed, shown as a diff, committed."""

from __future__ import annotations

import copy
import difflib
import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sampler.base.errors import ExpectationError, UsageError, WeighbridgeError
from sampler.base.repository import Repository
from sampler.expect.manifests import read_manifests
from sampler.expect.routes.istio import destination_rules
from sampler.expect.rules.model import Question
from sampler.expect.rules.objects import selects
from sampler.expect.rules.services import behind_service, services_of
from sampler.rollout.pair import State, find_pair
from sampler.rollout.steps import promote
from sampler.rollout.text import Change, ManifestFile, change

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sampler.expect.rules.findings import Finding
    from sampler.expect.rules.objects import Inventory, KubeObject, Origin
    from sampler.rollout.pair import Names, Pair
    from sampler.rollout.steps import Setting, Step


@dataclass(frozen=True, slots=True)
class Worktree:
    """The manifests of one canary, as they lie on the disk.

    Parameters
    ----------
    path : Path
        Folder or file that was read.
    names : Names
        Which Deployments were asked for.
    inventory : Inventory
        All that was read.
    pair : Pair
        The two Deployments.
    findings : tuple of Finding
        Of reading.
    repository : Repository or None
        That the files lie in.
    trouble : str
        Why git does not read the repository, if there is one.
    texts : mapping of Path to str
        What is read instead of what the disk has: what a step would write.
    """

    path: Path
    names: Names
    inventory: Inventory
    pair: Pair
    findings: tuple[Finding, ...]
    repository: Repository | None
    trouble: str = ""
    texts: Mapping[Path, str] = field(default_factory=dict)

    @classmethod
    def read(cls, manifests: str, names: Names) -> Worktree:
        """Read the manifests and find the pair.

        Raises
        ------
        ExpectationError
            If they cannot be read, or hold no such pair.
        """
        here = Path(manifests)
        if manifests == "-" or (here.exists() and not here.is_file() and not here.is_dir()):
            raise ExpectationError(
                f"--manifests {manifests}: a stream cannot be edited", hint="give the folder"
            )
        inventory, findings = read_manifests(manifests, names.namespace, are_rendered=False)
        pair = find_pair(inventory, names)
        read = (here, names, inventory, pair, findings)
        try:
            return cls(*read, Repository.around(here))
        except UsageError as error:
            return cls(*read, None, str(error))

    @property
    def files(self) -> list[Path]:
        """Files of the two Deployments, each once."""
        sides = (self.pair.stable, self.pair.canary)
        return list(dict.fromkeys(_origin(side.deployment).file for side in sides))

    @property
    def changed(self) -> list[str]:
        """Those of `files` that differ from the commit; empty outside of Git.

        Raises
        ------
        UsageError
            If one of them is a link that leaves the repository.
        """
        if self.repository is None:
            return []
        for file in self.files:
            self._require_inside(file)
        return self.repository.changed(self.files)

    def apply(self, step: Step) -> list[ManifestFile]:
        """Return the files after a step, read again; nothing is written.

        Raises
        ------
        UsageError
            If a value cannot be changed in its place, its file is a link that leaves the
            repository (or, outside of Git, the folder that was read), the manifests would not
            declare what the step means, or the canary that it starts could not be promoted or
            would get no traffic.
        """
        files = self._changed(step)
        after = self._after(step, files)
        if after.pair.state is State.CANARY:
            _require_reached(after.inventory, after.pair)
            try:
                promotion = promote(after.pair)
                after._after(promotion, after._changed(promotion))  # noqa: SLF001 - one of its kind
            except UsageError as error:
                raise UsageError(
                    f"this canary could not be promoted: {error}", hint=error.hint
                ) from error
        return files

    def _changed(self, step: Step) -> list[ManifestFile]:
        changes: dict[Path, list[Change]] = {}
        for each in dict.fromkeys(step.settings):
            origin = _origin(each.deployment)
            self._require_inside(origin.file)
            path = (*origin.path, *each.path)
            changes.setdefault(origin.file, []).append(Change(origin.document, path, each.value))
        return [change(file, wanted, self.texts.get(file)) for file, wanted in changes.items()]

    def _after(self, step: Step, files: Sequence[ManifestFile]) -> Worktree:
        """Read what would be written, and compare it with what the step means.

        Raises
        ------
        UsageError
            If they differ.
        """
        texts = {**self.texts, **{each.path: each.after for each in files}}
        try:
            inventory, _ = read_manifests(
                str(self.path), self.names.namespace, are_rendered=False, instead=texts
            )
            pair = find_pair(inventory, self.names)
        except WeighbridgeError as error:
            raise _unmeant(f"the manifests could not be read afterwards: {error}") from error
        for side, meant in ((pair.stable, step.stable), (pair.canary, step.canary)):
            if (side.replicas, side.version) != meant:
                raise _unmeant(
                    f"{side.deployment} would have {side.replicas} pods of {side.version} "
                    f"({side.where}), and should have {meant[0]} of {meant[1]}"
                )
        bodies = [_with(each, step.settings) for each in self.inventory.objects]
        for old, new in zip(bodies, inventory.objects, strict=True):
            if json.dumps(old, sort_keys=True) != json.dumps(new.body, sort_keys=True):
                raise _unmeant(f"{new} ({new.place}) would change in another way, too")
        before, after = _selected(self.inventory, self.pair), _selected(inventory, pair)
        for name, selected in after.items():
            if before.get(name) != selected:
                raise _unmeant(
                    f"{name} would select other Deployments than before, because its selector "
                    "contains the version"
                )
        return replace(self, inventory=inventory, pair=pair, texts=texts)

    def commit(self, files: Sequence[ManifestFile], message: str) -> str:
        """Write and commit these files, or leave everything as it was; return the commit's name.

        Raises
        ------
        UsageError
            If there is no repository, a file cannot be written, or git refuses the commit.
        """
        repository = self.require_repository()
        write(files)
        try:
            return repository.commit([each.path for each in files], message)
        except BaseException as error:
            write([replace(each, before=each.after, after=each.before) for each in files])
            if isinstance(error, UsageError):
                raise UsageError(f"{error}; the files are as before", hint=error.hint) from error
            raise

    def _require_inside(self, file: Path) -> None:
        """Refuse a file that really lies elsewhere: nobody meant that one to be changed."""
        target = file.resolve()
        folder = self.path if self.path.is_dir() else self.path.parent
        root = (folder if self.repository is None else self.repository.root).resolve()
        if not target.is_relative_to(root) or ".git" in target.relative_to(root).parts:
            raise UsageError(
                f"{file} leads to {target}, which is outside of {root}",
                hint="change that file where it belongs, or put a copy here",
            )

    def require_repository(self) -> Repository:
        """Return the repository.

        Raises
        ------
        UsageError
            If there is none.
        """
        if self.repository is None:
            raise UsageError(
                self.trouble or f"{self.path} is not in a Git repository",
                hint="see what git status says there, or leave out --commit",
            )
        return self.repository


def write(files: Sequence[ManifestFile]) -> None:
    """Write all of them, or none: each appears whole, and keeps its mode.

    Raises
    ------
    UsageError
        If one of them cannot be written.
    """
    drafts: list[Path] = []
    replaced: list[ManifestFile] = []
    try:
        for each in files:
            target = each.path.resolve()
            draft = target.with_name(f".{target.name}.{os.getpid()}.weighbridge")
            with draft.open("xb") as file:  # new: a link of that name is not followed
                drafts.append(draft)
                file.write(each.after.encode(each.encoding))
            shutil.copymode(target, draft)
        for draft, each in zip(drafts, files, strict=True):
            draft.replace(each.path.resolve())
            replaced.append(each)
    except OSError as error:
        for draft in drafts:
            draft.unlink(missing_ok=True)
        for each in replaced:
            with suppress(OSError):
                each.path.write_bytes(each.before.encode(each.encoding))
        raise UsageError(f"{error.filename} cannot be written: {error.strerror}") from error


def diff(files: Sequence[ManifestFile]) -> str:
    """Return the changes as a unified diff that ``git apply`` and ``patch -p1`` read."""
    return "".join(_diff(each) for each in files)


def _diff(file: ManifestFile) -> str:
    name = file.path.as_posix().removeprefix("/")
    lines = difflib.unified_diff(
        file.before.splitlines(keepends=True),
        file.after.splitlines(keepends=True),
        f"a/{name}",
        f"b/{name}",
    )
    missing = "\n\\ No newline at end of file\n"
    return "".join(line if line.endswith("\n") else line + missing for line in lines)


def _origin(deployment: KubeObject) -> Origin:
    """Return where a Deployment was read; only files are read here."""
    if deployment.origin is None:
        raise UsageError(f"{deployment.place}: {deployment} is in no file that can be edited")
    return deployment.origin


def _with(each: KubeObject, settings: Sequence[Setting]) -> Any:
    """Return an object's body after its settings."""
    body: Any = each.body
    for setting in settings:
        if setting.deployment is each:
            body = copy.deepcopy(body) if body is each.body else body
            *way, last = setting.path
            here = body
            for key in way:
                here = here[key]
            here[last] = setting.value
    return body


def _require_reached(inventory: Inventory, pair: Pair) -> None:
    """Refuse a canary whose pods lack the port that a Service of both sends traffic to."""
    canary, labels = pair.canary.deployment, pair.canary.template["metadata"]["labels"].texts()
    for service in services_of(labels, canary.namespace, inventory):
        try:
            numbers = behind_service(service, inventory, Question()).numbers
        except ExpectationError:
            continue  # of other pods: nothing of these two
        counts = {each.name: each.value for each in numbers}
        if counts.get(canary.full_name) == 0 and counts.get(pair.stable.deployment.full_name):
            raise UsageError(
                f"{canary} would get no traffic: its pods have no port of the name to which "
                f"{service} sends it ({service['spec']['ports'].where})",
                hint="name that port in its containers, as the stable Deployment does",
            )


def _selected(inventory: Inventory, pair: Pair) -> dict[str, list[str]]:
    """Return which of the two Deployments each selector of another object selects."""
    return {
        name: [
            side.name
            for side in (pair.stable, pair.canary)
            if side.deployment.namespace == namespace
            and selects(selector, side.template["metadata"]["labels"].texts())
        ]
        for name, namespace, selector in _selectors(inventory)
    }


def _selectors(inventory: Inventory) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield what selects pods: its name, its namespace and the labels."""
    for service in inventory.of("Service"):
        own = service["spec"]["selector"].texts()
        yield str(service), service.namespace, own
        for rule in destination_rules(service.name, service.namespace, inventory):
            for subset in rule["spec"]["subsets"]:
                name = f"subset {subset['name'].text()} of {service} in {rule}"
                yield name, service.namespace, own | subset["labels"].texts()
    for kind, key in (("NetworkPolicy", "podSelector"), ("PodDisruptionBudget", "selector")):
        for each in inventory.of(kind):
            yield str(each), each.namespace, each["spec"][key]["matchLabels"].texts()


def _unmeant(what: str) -> UsageError:
    return UsageError(
        f"{what}; nothing was written", hint="edit the manifests by hand, and commit them"
    )
