"""However a person wrote the manifests, a step changes values and nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from sampler.rollout import Names, Worktree, promote, rollback, start
from sampler.rollout.worktree import write

QUOTES = st.sampled_from(["{}", "'{}'", '"{}"'])
COMMENTS = st.sampled_from(["", "  # a remark", "   #replicas: 7"])


@st.composite
def deployments(draw, name, version, replicas):
    """A Deployment as one of many people would write it."""
    track = "canary" if name.endswith("-canary") else "stable"
    labels = {"app": "shop", "track": track, "version": draw(QUOTES).format(version)}
    pairs = [f"{key}: {value}" for key, value in draw(st.permutations(sorted(labels.items())))]
    image = draw(QUOTES).format(f"registry:5000/shop:{version}")
    lines = [
        *draw(st.sampled_from([[], ["# on top"], ["", "# on top", ""]])),
        "apiVersion: apps/v1",
        "kind: Deployment",
        f"metadata: {{ name: {name} }}",
        f"spec:{draw(COMMENTS)}",
        *draw(
            st.permutations(
                [
                    f"  replicas:{draw(st.sampled_from([' ', '   ']))}{replicas}{draw(COMMENTS)}",
                    f"  selector: {{matchLabels: {{app: shop, track: {track}}}}}",
                ]
            )
        ),
        "  template:",
    ]
    if draw(st.booleans()):
        lines.append("    metadata: {labels: {" + ", ".join(pairs) + "}}" + draw(COMMENTS))
    else:
        lines += ["    metadata:", "      labels:", *(f"        {each}" for each in pairs)]
    indent = draw(st.sampled_from(["    ", "      ", "          "]))
    lines += [
        f"    spec:{draw(COMMENTS)}",
        "      containers:",
        f"{indent}  - name: app",
        f"{indent}    image: {image}{draw(COMMENTS)}",
    ]
    return lines


@st.composite
def folders(draw):
    """Files by name: both Deployments in one of them, or in one each."""
    end = draw(st.sampled_from(["\n", "\r\n"]))
    stable = draw(deployments("shop", "v1", 10))
    canary = draw(deployments("shop-canary", "v2", 0))
    both = draw(st.permutations([stable, canary]))
    if draw(st.booleans()):
        return {"all.yaml": end.join([*both[0], "---", *both[1], ""])}
    return {f"{n}.yml": end.join([*lines, ""]) for n, lines in enumerate(both)}


def read(folder):
    return Worktree.read(str(folder), Names())


def texts(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=25)
@given(files=folders(), replicas=st.integers(1, 9))
def test_a_start_and_a_rollback_leave_every_byte_as_it_was(files, replicas):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in files.items():
            (folder / file).write_bytes(text.encode())
        before = texts(folder)

        tree = read(folder)
        write(tree.apply(start(tree.pair, replicas)))
        tree = read(folder)
        assert (tree.pair.stable.replicas, tree.pair.canary.replicas) == (10 - replicas, replicas)
        assert texts(folder) != before
        write(tree.apply(rollback(tree.pair)))

        assert texts(folder) == before


@settings(max_examples=25)
@given(files=folders())
def test_a_promotion_makes_the_stable_pods_those_of_the_canary(files):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in files.items():
            (folder / file).write_bytes(text.encode())
        tree = read(folder)
        write(tree.apply(start(tree.pair, 1)))

        tree = read(folder)
        step = promote(tree.pair)
        write(tree.apply(step))

        stable, canary = (pair := read(folder).pair).stable, pair.canary
        assert pair.weights == {"v2": 10}
        assert (stable.replicas, canary.replicas) == (10, 0)
        assert stable.template["spec"].value == canary.template["spec"].value
        assert step.left == ()
        expected = {name: text.count("\n") for name, text in files.items()}
        assert {name: text.count(b"\n") for name, text in texts(folder).items()} == expected
