"""Manifests as they were seen in public repositories and bug reports, each with its right values.

A folder is ``seen/KIND/CASE``: `input.yaml` or `input/`, and `expected.json` with the commands
and, for each of them, the alternatives of which any is right:

exit         : codes
weights      : the split, up to a common factor; null where there must be none
says         : patterns that must all occur in what is printed, codes of findings included
deployments  : replicas, image and label `version` that the files declare after the command
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from math import gcd
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from sampler.cli import main
from tests.processes import WEIGHBRIDGE, completed

SEEN = Path(__file__).parent / "seen"
FOLDERS = sorted(path.parent for path in SEEN.glob("*/*/expected.json"))
PLACE = re.compile(r"^(?:\S+:\d+: )+")


def run(command, capsys):
    """Return the exit code, what was printed, and the document of an `expect`."""
    if "<(" in command:  # only a shell knows it
        line = f"{shlex.join(WEIGHBRIDGE)} {command} --json -"
        done = completed(["bash", "-c", line], Path.cwd())
        code, out, err = done.returncode, done.stdout, done.stderr
    else:
        arguments = shlex.split(command)
        if arguments[0] == "expect":
            arguments += ["--json", "-"]
        code = main(arguments)
        out, err = capsys.readouterr()
    document = json.loads(out) if command.startswith("expect") and out else {}
    return code, out + err, document


def share(weights):
    if weights is None:
        return None
    divisor = gcd(*weights.values()) or 1
    return {label: weight // divisor for label, weight in weights.items()}


def declared(folder):
    """Read replicas, image and version of each Deployment, alike with YAML 1.1 and 1.2."""
    read = []
    for version in ((1, 1), (1, 2)):
        reader = YAML(typ="safe", pure=True)
        reader.version = version
        found = {}
        for path in sorted(folder.iterdir()):
            text = path.read_text(encoding="utf-8")
            documents = (
                [json.loads(text)]
                if path.suffix == ".json"
                else list(reader.load_all(no_tabs(text)))
            )
            for document in documents:
                for each in document.get("items", [document]):
                    if each.get("kind") != "Deployment":
                        continue
                    spec, pods = each["spec"], each["spec"]["template"]
                    found[each["metadata"]["name"]] = [
                        spec["replicas"],
                        pods["spec"]["containers"][0]["image"],
                        pods["metadata"]["labels"].get("version"),
                    ]
        read.append(found)
    assert read[0] == read[1]
    return read[0]


def no_tabs(text):
    """Kubernetes' reader takes a tab in front of a comment; those of Python do not."""
    return text.replace("\t#", " #")


def is_right(right, code, printed, document, folder):
    wanted = right["exit"]
    return (
        code in (wanted if isinstance(wanted, list) else [wanted])
        and (
            "weights" not in right
            or share(document.get("expected", {}).get("weights")) == share(right["weights"])
        )
        and all(re.search(each, printed, re.IGNORECASE) for each in right.get("says", ()))
        and ("deployments" not in right or declared(folder) == right["deployments"])
    )


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda each: f"{each.parent.name}-{each.name}")
def test_manifests_that_were_seen_are_read_rightly(folder, tmp_path, monkeypatch, capsys):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for step in json.loads((folder / "expected.json").read_text(encoding="utf-8"))["steps"]:
        command = step["command"]
        here = tmp_path / "input" if command.startswith("rollout") else tmp_path
        monkeypatch.chdir(here)

        code, printed, document = run(command, capsys)

        assert code in {0, 1, 2}, printed
        rights = step["any_of"]
        assert not rights or any(
            is_right(each, code, printed, document, here) for each in rights
        ), f"{command}: exit {code}\n{printed}\nexpected one of {json.dumps(rights, indent=1)}"
        told = [PLACE.sub("", each["message"]) for each in document.get("findings", ())]
        assert len(set(told)) == len(told), f"told more than once:\n{printed}"
