"""The GitLab component and its page say the same."""

from __future__ import annotations

import re
import shutil

import pytest
from ruamel.yaml import YAML

from sampler.cli.check import command
from tests.network.forge import preview, run_job
from tests.processes import REPOSITORY

PAGE = (REPOSITORY / "docs" / "gitlab.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def component():
    """Header and jobs of the component."""
    return list(YAML(typ="safe").load_all(REPOSITORY / "templates" / "check.yml"))


def test_the_page_has_a_row_for_each_input_with_its_default(component):
    inputs = component[0]["spec"]["inputs"]

    table = PAGE.partition("## The keywords explained")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*?)\| .* \|$", table, re.MULTILINE))

    assert list(rows) == list(inputs)
    assert [name for name, about in inputs.items() if "default" not in about] == ["url", "image"]
    for name in ("job", "stage", "expectation", "folder", "environment", "inconclusive"):
        assert rows[name].strip() == f"`{inputs[name]['default']}`"


def test_every_input_is_used_and_every_option_exists(component):
    text = (REPOSITORY / "templates" / "check.yml").read_text(encoding="utf-8")
    used = set(re.findall(r"\$\[\[ inputs\.(\w+) \]\]", text))
    assert used == set(component[0]["spec"]["inputs"])

    job = component[1]["$[[ inputs.job ]]"]
    options = set(re.findall(r"--[a-z]+", job["script"][-1]))
    assert options == {"--out", "--json", "--junit", "--metrics", "--dotenv", "--html",
                       "--annotations"}  # fmt: skip
    assert options <= {name for each in command.params for name in each.opts}
    assert set(job["artifacts"]["reports"]) == {"junit", "metrics", "dotenv", "annotations"}


@pytest.mark.needs("gitlab-ci-local", "node", "rsync", "git")
def test_the_example_builds_the_image_that_its_jobs_use(tmp_path):
    example = REPOSITORY / "examples" / "gitops"
    shutil.copytree(example, tmp_path / "shop")
    buildah = tmp_path / "buildah"
    # It reads the password: who writes it to nobody is ended by a signal.
    buildah.write_text(
        '#!/bin/sh\ncase "$*" in *--password-stdin*) cat >/dev/null;; esac\necho "buildah $*"\n',
        encoding="utf-8",
    )
    buildah.chmod(0o755)

    jobs = preview(tmp_path / "shop")
    done = run_job(tmp_path / "shop", "weighbridge-image", tmp_path)

    said = re.findall(r"> buildah (\w+) .*?(\S*/team/shop/weighbridge:ci)", done)
    assert [command for command, _ in said] == ["build", "push"], done
    for name in ("verify", "testers-entry", "promote", "roll-back"):
        assert jobs[name]["image"] == {"name": "$WEIGHBRIDGE_IMAGE", "entrypoint": [""]}
    base = (example / "ci" / "Containerfile").read_text(encoding="utf-8")
    assert re.search(r"\nFROM docker\.io/library/python:[\w.-]+@sha256:[0-9a-f]{64}\n", base)


def test_the_page_names_each_variable_that_later_jobs_get():
    source = (REPOSITORY / "analysis" / "render" / "dotenv.py").read_text(encoding="utf-8")

    written = re.findall(r'yield "([A-Z]+)"', source)

    assert re.findall(r"^\| `WEIGHBRIDGE_([A-Z]+)` \|", PAGE, re.MULTILINE) == written


@pytest.mark.needs("gitlab-ci-local", "node", "git")
def test_the_component_fits_into_stages_and_names_of_others(tmp_path):
    (tmp_path / ".gitlab-ci.yml").write_text("""\
stages: [qa, ship]
include:
  - local: /templates/check.yml
    inputs:
      {job: split, stage: qa, url: http://a/, environment: staging, folder: one, image: ours}
  - local: /templates/check.yml
    inputs:
      job: entry of testers
      stage: ship
      url: http://b/
      expectation: --expect v2=1
      image: python:3.13
      install: python -m pip install wheels/weighbridge-*.whl
      inconclusive: warn
      rules: [{if: $CI_COMMIT_BRANCH}]
      folder: two
split:
  tags: [inside]
""")

    jobs = preview(tmp_path)

    split, entry = jobs["split"], jobs["entry of testers"]
    assert (split["stage"], entry["stage"]) == ("qa", "ship")
    assert split["environment"] == {"name": "staging", "action": "verify"}
    assert split["allow_failure"] is False
    assert split["tags"] == ["inside"]
    assert split["image"] == {"name": "ours", "entrypoint": [""]}
    assert split["artifacts"]["when"] == "always"
    assert split["artifacts"]["reports"] == {
        "junit": "one/junit.xml",
        "metrics": "one/metrics.txt",
        "dotenv": "one/verdict.env",
        "annotations": "one/links.json",
    }
    assert entry["artifacts"]["reports"]["junit"] == "two/junit.xml"
    assert " --expect v2=1 " in entry["script"][-1]
    assert entry["rules"] == [{"if": "$CI_COMMIT_BRANCH"}]
    assert entry["allow_failure"] == {"exit_codes": [3]}
    assert entry["before_script"] == ["python -m pip install wheels/weighbridge-*.whl"]
