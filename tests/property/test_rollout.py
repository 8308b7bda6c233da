"""However somebody wrote the manifests, a step changes the values that it means, and no other."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from hypothesis import event, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sampler.base.errors import WeighbridgeError
from sampler.rollout import Names, Worktree, promote, rollback, start
from sampler.rollout.worktree import write

VERSIONS = st.sampled_from(
    ["v1", "v2", "1.10", "1.2.3", "on", "y", "null", "2024-05-01", "010", "1e3", "0x1F", "9f3c2ab"]
)
REFUSED = re.compile(
    "is an anchor that is also used elsewhere|has no containers named|is the tag of its image"
    "|is already running|has one pod|--replicas|cannot be told apart"
)
"""Of what is generated here, nothing else is refused: not what could not be edited rightly."""
REMARKS = st.sampled_from(["", "", "  # a remark", "   #replicas: 7", "\t# tab"])
PODS = st.integers(0, 3)
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "shop"},
    "spec": {"replicas": 5, "selector": {"app": "shop"}, "version": "v1"},
}
"""With keys that a step must not take for its own."""


@st.composite
def deployments(draw, name, version, replicas):
    """A Deployment, with what a step must leave alone."""
    track = "canary" if name.endswith("-canary") else "stable"
    container = {"name": draw(st.sampled_from(["web", "app"])), "image": f"r:5000/shop:{version}"}
    containers = [
        container,
        {"name": "proxy", "image": "proxy:7", "args": [version, "replicas: 3"]},
    ]
    if draw(st.booleans()):
        containers.pop()
    labels = {
        "app": "shop",
        "track": track,
        **({"version": version} if draw(st.booleans()) else {}),
    }
    spec = {
        "selector": {"matchLabels": {"app": "shop", "track": track}},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        "replicas": replicas,
    }
    if replicas == 1 and draw(st.booleans()):
        draw(st.sampled_from([lambda: spec.pop("replicas"), lambda: spec.update(replicas=None)]))()
    order = draw(st.permutations(sorted(spec)))
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "annotations": {"replicas": "10", "version": version}},
        "spec": {key: spec[key] for key in order},
    }


class Writer:
    """Writes a value as one of many people would."""

    def __init__(self, draw):
        self.draw = draw

    def scalar(self, value):
        if value is None:
            return self.draw(st.sampled_from(["", "null", "~"]))
        if isinstance(value, int):
            return str(value)
        needs_quotes = not re.fullmatch(r"[a-z][a-z0-9:/.-]*[a-z0-9]", value) or value in {
            "on",
            "null",
        }
        quotes = ["'{}'", '"{}"'] if needs_quotes else ["{}", "'{}'", '"{}"']
        return self.draw(st.sampled_from(quotes)).format(value)

    def flow(self, value):
        if isinstance(value, dict):
            pairs = (f"{key}: {self.flow(each) or 'null'}" for key, each in value.items())
            return "{" + self.draw(st.sampled_from([", ", " , "])).join(pairs) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(self.flow(each) for each in value) + "]"
        return self.scalar(value)

    def block(self, value, indent):
        """Yield lines; collections are sometimes in flow style."""
        for key, each in value.items():
            remark = self.draw(REMARKS)
            if not isinstance(each, dict | list) or not each or self.draw(st.integers(0, 4)) == 0:
                yield f"{indent}{key}: {self.flow(each)}{remark}"
            elif isinstance(each, dict):
                yield f"{indent}{key}:{remark}"
                yield from self.block(each, indent + "  ")
            else:
                yield f"{indent}{key}:{remark}"
                for item in each:
                    if isinstance(item, dict):
                        first, *rest = self.block(item, indent + "  ")
                        yield f"{indent}- {first.lstrip()}"
                        yield from rest
                    else:
                        yield f"{indent}- {self.scalar(item)}"


def with_anchor(draw, lines):
    """Anchor the selector's labels, or the replicas, whose alias is somewhere that counts not."""
    kind = draw(
        st.sampled_from(["none", "none", "unused", "unused", "labels", "labels", "replicas"])
    )
    pattern = {"labels": r"( +matchLabels:) (\{.*\})", "none": "($^)()"}.get(
        kind, r"( +replicas:) (\d+)"
    )
    out: list[str] = []
    for line in lines:
        anchored = re.sub(pattern, r"\1 &a \2", line) if "&a" not in "".join(out) else line
        out.append(anchored)
    if kind in {"labels", "replicas"} and "&a " in "".join(out):
        out.append("x-also: *a")
    return out


@st.composite
def folders(draw, pods=PODS):
    """Files by name, with two Deployments and a Service in them."""
    versions = draw(st.lists(VERSIONS, min_size=2, max_size=2, unique=True))
    stable = draw(deployments("shop", versions[0], draw(st.integers(1, 10))))
    canary = draw(deployments("shop-canary", versions[1], draw(pods)))
    objects = list(draw(st.permutations([stable, canary, SERVICE])))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    writer = Writer(draw)
    split = draw(st.integers(0, 3))
    files = {}
    for name, group in (("a", objects[:split]), ("b", objects[split:])):
        if not group:
            continue
        form = draw(st.sampled_from(["yaml", "yaml", "json", "list", "lines", "concatenated"]))
        listed = {"apiVersion": "v1", "kind": "List", "items": group}
        if form == "yaml":
            documents = [with_anchor(draw, list(writer.block(each, ""))) for each in group]
            files[f"{name}.yaml"] = (
                f"{end}---{end}".join(end.join(each) for each in documents) + end
            )
        elif form == "list":
            files[f"{name}.yml"] = end.join(writer.block(listed, "")) + end
        elif form == "json":
            files[f"{name}.json"] = json.dumps(
                listed, indent=draw(st.sampled_from([None, 2, "\t"]))
            )
        elif form == "lines":
            files[f"{name}.json"] = end.join(json.dumps(each) for each in group)
        else:
            files[f"{name}.json"] = "".join(
                json.dumps(each, separators=(",", ":")) for each in group
            )
    mark = draw(st.sampled_from(["", "", "\ufeff"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-16-le"]))
    mark = "\ufeff" if encoding != "utf-8" else mark
    return {name: (mark + text).encode(encoding) for name, text in files.items()}


def texts(folder):
    return {
        path.name: path.read_bytes().decode(
            "utf-16" if path.read_bytes()[:1] == b"\xff" else "utf-8"
        )
        for path in sorted(folder.iterdir())
    }


def said(texts, version):
    """Read all files as a reader of one version of YAML does; only tabs are taken out."""
    reader = YAML(typ="safe", pure=True)
    reader.version = version
    found = {}
    for name, text in texts.items():
        left, bodies = text.removeprefix("\ufeff"), []
        while name.endswith(".json") and left.strip():
            body, at = json.JSONDecoder().raw_decode(left.lstrip())
            bodies.append(body)
            left = left.lstrip()[at:]
        for body in bodies or list(reader.load_all(left.replace("\t#", " #"))):
            for each in body.get("items", [body]):
                found[each["metadata"]["name"], each["kind"]] = each
    return found


def changed(before, after, path=()):
    """Yield the paths at which two values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            yield from changed(before.get(key), after.get(key), (*path, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for at, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from changed(one, other, (*path, at))
    elif type(before) is not type(after) or before != after:
        yield path


def may_change(path, promoted):
    labels = ("spec", "template", "metadata", "labels", "version")
    return path == ("spec", "replicas") or (
        promoted and (path == labels or path[-1] == "image" or path[-2:-1] == ("args",))
    )


@st.composite
def steps(draw):
    """A step, and manifests on which it mostly can be taken."""
    name = draw(st.sampled_from(sorted(STEPS)))
    pods = st.integers(1, 3) if name in {"promote", "rollback"} else st.integers(0, 1)
    return name, draw(folders(pods))


STEPS = {
    "start": start,
    "image": lambda pair, n: start(pair, n, "r:5000/shop:off"),
    "version": lambda pair, n: start(pair, n, "r:5000/shop:x", "1.20"),
    "promote": lambda pair, _: promote(pair),
    "rollback": lambda pair, _: rollback(pair),
}


@settings(max_examples=60)
@given(drawn=steps(), replicas=st.integers(1, 3))
def test_a_step_changes_what_it_means_and_nothing_else(drawn, replicas):
    name, files = drawn
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for file, data in files.items():
            (folder / file).write_bytes(data)
        before = texts(folder)
        refused, step = "", None
        try:
            tree = Worktree.read(place, Names())
            step = STEPS[name](tree.pair, replicas)
            write(tree.apply(step))
        except WeighbridgeError as error:
            refused = str(error)
        if step is None or refused:
            event(f"{name} refused: {re.sub(r'[^ ]*[0-9/][^ ]*', '', refused)[:60]}")
            assert texts(folder) == before
            assert REFUSED.search(refused), refused
            return
        after = texts(folder)
        pair = Worktree.read(place, Names()).pair

        assert [(pair.stable.replicas, pair.stable.version)] == [step.stable]
        assert [(pair.canary.replicas, pair.canary.version)] == [step.canary]
        for version in ((1, 1), (1, 2)):
            one, other = said(before, version), said(after, version)
            assert list(one) == list(other)
            for key, body in one.items():
                side = key[0] == {"promote": "shop", "start": "", "rollback": ""}.get(
                    name, "shop-canary"
                )
                paths = list(changed(body, other[key]))
                assert key[1] == "Deployment" or paths == []
                assert [path for path in paths if not may_change(path, side)] == []
        event(f"{name} taken")
        if name == "promote":
            templates = [side.template["spec"]["containers"] for side in (pair.stable, pair.canary)]
            images = [next(iter(each))["image"].value for each in templates]
            assert images[0] == images[1]
        remarks = [[text.count("#") for text in each.values()] for each in (before, after)]
        assert remarks[0] == remarks[1]


@settings(max_examples=25)
@given(files=folders(), replicas=st.integers(1, 9))
def test_a_start_and_a_rollback_leave_every_byte_as_it_was(files, replicas):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for file, data in files.items():
            (folder / file).write_bytes(data)
        before = texts(folder)
        try:
            tree = Worktree.read(place, Names())
            if (
                tree.pair.canary.replicas
                or "replicas" not in tree.pair.stable.deployment["spec"].value
            ):
                return
            write(tree.apply(start(tree.pair, replicas)))
        except WeighbridgeError:
            return
        tree = Worktree.read(place, Names())
        write(tree.apply(rollback(tree.pair)))

        assert {name: text.split() for name, text in texts(folder).items()} == {
            name: text.split() for name, text in before.items()
        }
