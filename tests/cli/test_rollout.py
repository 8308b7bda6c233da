"""The steps of a canary in Git, as a user meets them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from sampler.cli import main
from sampler.demo.process import EmbeddedService
from tests.processes import REPOSITORY, WEIGHBRIDGE, completed

pytestmark = pytest.mark.needs("git")

EXAMPLE = REPOSITORY / "examples" / "gitops" / "i"
START = ("rollout", "start", "--manifests", "i/k8s", "--replicas", "1")
PROMOTE = ("rollout", "promote", "--manifests", "i/k8s")
ROLLBACK = ("rollout", "rollback", "--manifests", "i/k8s")
# Real chance is at work in a check: these make its verdict the right one.
CERTAIN = ("--alpha", "1e-5", "--beta", "1e-5", "--max-samples", "50000")


def git(*arguments):
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of its own with the example's manifests in its first commit."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A person")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "person@example.org")
    for config in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(config, "/dev/null")
    shutil.copytree(EXAMPLE, tmp_path / "i")
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message=First")
    return tmp_path


@pytest.fixture
def canary(repository):
    """The same with nine pods of v1 and one of v2, committed."""
    assert main([*START, "--commit"]) == 0
    return repository


@pytest.fixture(scope="module")
def passed(tmp_path_factory):
    """The report of a check that passed, as a document."""
    file = tmp_path_factory.mktemp("passed") / "report.json"
    asked = ("--expect", "v1=9,v2=1", "--out", str(file.parent), "--json", str(file), *CERTAIN)
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        done = completed([*WEIGHBRIDGE, "check", service.url, *asked], REPOSITORY)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(file.read_text())


def write_report(passed, file, *, verdict="PASS", commit=None, weights=None, minute=0):
    document = json.loads(json.dumps(passed))
    document["verdict"] = verdict
    document["run"]["commit"] = git("rev-parse", "HEAD") if commit is None else commit
    document["run"]["started_at"] = f"2026-01-01T00:{minute:02}:00.000+00:00"
    if weights is not None:
        document["expected"]["weights"] = weights
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document))


def expected(capsys):
    """The weights that `expect` reads, and the places of the numbers."""
    capsys.readouterr()
    assert main(["expect", "--manifests", "i/k8s", "--service", "app", "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)["expected"]
    return document["weights"], [(each["value"], each["where"]) for each in document["numbers"]]


STABLE, CANARY = "i/k8s/deploy.yaml:8", "i/k8s/deploy-canary.yaml:8"


def test_a_canary_goes_from_ten_and_none_over_nine_and_one_to_ten_of_the_new(
    repository, passed, capsys
):
    assert expected(capsys) == ({"v1": 10, "v2": 0}, [(10, STABLE), (0, CANARY)])

    assert main([*START, "--commit"]) == 0
    assert expected(capsys) == ({"v1": 9, "v2": 1}, [(9, STABLE), (1, CANARY)])

    write_report(passed, repository / "reports" / "run" / "report.json")
    assert main([*PROMOTE, "--commit"]) == 0
    assert expected(capsys) == ({"v2": 10}, [(10, STABLE), (0, CANARY)])
    assert git("log", "--format=%s").splitlines() == [
        "Promote app to v2 on all 10 pods",
        "Start the canary of app: 1 of 10 pods on v2",
        "First",
    ]
    assert git("status", "--porcelain") == "?? reports/"


SELECTORS = {
    "Service x": ("v1", "{selector: {app: app, version: v1}}"),
    "subset one of Service app in DestinationRule x": (
        "networking.istio.io/v1",
        "{host: app, subsets: [{name: one, labels: {version: v1}}]}",
    ),
    "NetworkPolicy x": ("networking.k8s.io/v1", "{podSelector: {matchLabels: {version: v1}}}"),
}


@pytest.mark.parametrize("name", SELECTORS)
def test_a_canary_that_could_not_be_promoted_is_not_started(name, repository, capsys):
    version, spec = SELECTORS[name]
    (repository / "i" / "k8s" / "more.yaml").write_text(
        f"apiVersion: {version}\nkind: {name.split()[-2]}\nmetadata: {{name: x}}\nspec: {spec}\n"
    )
    before = texts(repository)

    assert main([*START]) == 2

    said = capsys.readouterr().err
    assert f"this canary could not be promoted: {name} would select other Deployments" in said
    assert texts(repository) == before


def test_a_canary_without_the_port_that_is_asked_for_is_not_started(repository, capsys):
    file = repository / "i" / "k8s" / "deploy-canary.yaml"
    file.write_text(file.read_text().replace("{name: http, ", "{name: web, "))
    before = texts(repository)

    assert main([*START]) == 2

    said = capsys.readouterr().err
    assert "Deployment app-canary would get no traffic" in said
    assert "i/k8s/service.yaml:" in said
    assert texts(repository) == before


def texts(folder):
    return {path: path.read_bytes() for path in (folder / "i").rglob("*.yaml")}


def test_a_rollback_undoes_a_start_to_the_byte(canary):
    assert main([*ROLLBACK, "--commit"]) == 0

    assert git("diff", "HEAD~2", "HEAD") == ""
    assert git("log", "-1", "--format=%s") == "Roll app back to v1 on all 10 pods"


def test_the_help_lists_the_steps_in_their_order_and_in_full(capsys):
    assert main(["rollout", "--help"]) == 0

    shown = capsys.readouterr().out
    places = [shown.index(f"  {name} ") for name in ("start", "promote", "rollback", "status")]
    assert places == sorted(places)
    assert "..." not in shown.partition("Commands:")[2]


def test_a_rollback_waits_for_no_report(canary, capsys):
    (canary / "broken.json").write_text("{")

    assert main([*ROLLBACK, "--dry-run", "--report", "nowhere"]) == 0
    assert main([*ROLLBACK, "--commit", "--report", "broken.json"]) == 0

    assert "warning: --report broken.json: expected a report" in capsys.readouterr().err
    assert git("log", "-1", "--format=%B") == "Roll app back to v1 on all 10 pods"


def test_the_diff_on_stdout_is_one_that_git_applies(repository, capsys):
    assert main([*START, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert git("status", "--porcelain") == ""

    (repository / "step.diff").write_text(shown)
    git("apply", "step.diff")

    applied = git("diff")
    git("checkout", "--quiet", ".")
    assert main(START) == 0
    assert git("diff") == applied
    assert len([line for line in shown.splitlines() if line.startswith(("+ ", "- "))]) == 4


def test_a_diff_turns_no_line_around(repository, capsys):
    file = next(each for each in Path("i").rglob("*.yaml") if "replicas:" in each.read_text())
    text = file.read_text().replace("replicas: 10", "replicas: 10  # \u202e\u200b")
    file.write_text(text)
    git("commit", "--all", "--quiet", "--message=Second")

    assert main([*START, "--dry-run"]) == 0

    printed = capsys.readouterr().out
    assert "\\u202e\\u200b" in printed
    assert not {"\u202e", "\u200b"} & set(printed)


def test_the_state_on_a_full_disk_is_told_by_its_code(repository, capsys):
    assert main(["rollout", "status", "--manifests", "i", "--json", "/dev/full"]) == 4
    assert "--json /dev/full could not be written: No space left" in capsys.readouterr().err


def test_the_diff_of_a_file_without_a_last_newline_is_one_that_git_applies(repository, capsys):
    file = repository / "i/k8s/deploy.yaml"
    lines = file.read_text().splitlines()
    # The replicas come last, so that the last line changes.
    at = lines.index("  replicas: 10")
    file.write_text("\n".join([*lines[:at], *lines[at + 1 :], lines[at]]))
    git("commit", "--quiet", "--all", "--message=No newline")

    assert main([*START, "--dry-run"]) == 0
    (repository / "step.diff").write_text(capsys.readouterr().out)
    git("apply", "step.diff")

    assert file.read_text().endswith("\n  replicas: 9")


def test_nothing_but_values_changes_in_a_promotion(canary, passed):
    write_report(passed, canary / "reports" / "run" / "report.json")
    assert main(PROMOTE) == 0

    changed = [
        line[1:].strip()
        for line in git("diff", "--unified=0", "--", "i/k8s/deploy.yaml").splitlines()
        if line.startswith("+") and not line.startswith("+++")
    ]
    assert changed == [
        "replicas: 10",
        "labels: {app: app, track: stable, version: v2}",
        "image: registry.example/app:v2",
        "- {name: LABEL, value: v2}",
    ]


def test_a_next_canary_takes_another_image_and_version(canary, capsys):
    assert main([*PROMOTE, "--force", "--commit"]) == 0
    assert "--force" in git("log", "-1", "--format=%B")

    again = main(START)
    assert again == 2
    assert "app-canary is v2, as app is" in capsys.readouterr().err

    assert main([*START, "--image", "registry.example/app:v3"]) == 0
    assert expected(capsys)[0] == {"v2": 9, "v3": 1}
    text = (canary / "i/k8s/deploy-canary.yaml").read_text()
    assert "v2" not in text
    assert text.count("v3") == 3


def test_a_running_canary_is_made_larger(canary, capsys):
    assert main(["rollout", "start", "--manifests", "i/k8s", "--replicas", "5", "--commit"]) == 0

    assert expected(capsys)[0] == {"v1": 5, "v2": 5}
    assert git("log", "-1", "--format=%s").startswith("Resize the canary of app: 5 of 10")


def test_a_check_of_the_commit_is_what_a_promotion_asks_for(canary, weighbridge):
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        asked = ("--manifests", "i/k8s", "--service", "app", *CERTAIN)
        done = weighbridge("check", service.url, *asked)
    assert done.returncode == 0, done.stdout + done.stderr

    done = weighbridge(*PROMOTE, "--commit")

    assert done.returncode == 0, done.stdout + done.stderr
    body = git("log", "-1", "--format=%B").splitlines()
    assert body[2].startswith("PASS: v2 received ")
    assert body[4] == f"Weighed-Commit: {git('rev-parse', 'HEAD~')}"


def test_a_check_of_changed_manifests_says_so_and_does_not_promote(repository, weighbridge):
    assert main(START) == 0
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        asked = ("--manifests", "i/k8s", "--service", "app", "--json", "r.json", *CERTAIN)
        weighbridge("check", service.url, *asked)
    commit = json.loads((repository / "r.json").read_text())["run"]["commit"]
    assert commit == git("rev-parse", "HEAD") + "-dirty"

    refused = weighbridge(*PROMOTE, "--report", "r.json")
    assert refused.returncode == 3
    assert "has changed since commit" in refused.stderr

    git("commit", "--quiet", "--all", "--message=By hand")
    refused = weighbridge(*PROMOTE, "--report", "r.json")
    assert refused.returncode == 3
    assert "changed since" in refused.stderr


@pytest.mark.parametrize(
    ("report", "code", "said"),
    [
        ({}, 0, "Promote app to v2"),
        ({"verdict": "FAIL"}, 1, "the newest verdict on commit"),
        ({"verdict": "INCONCLUSIVE"}, 3, "the newest verdict on commit"),
        ({"commit": "0" * 40}, 3, "is of commit 000000000000"),
        ({"commit": ""}, 3, "is of no commit"),
        ({"weights": {"v2": 1}}, 3, "with v2=1"),
        ({"weights": {"v1": 90, "v2": 10}}, 0, "Promote app to v2"),
    ],
)
def test_a_promotion_needs_a_pass_of_this_commit_on_this_split(
    canary, passed, capsys, report, code, said
):
    write_report(passed, canary / "report.json", **report)

    assert main([*PROMOTE, "--report", "report.json"]) == code

    assert said in capsys.readouterr().err
    assert bool(git("status", "--porcelain", "i")) == (code == 0)


def test_the_newest_verdict_counts_wherever_it_lies(canary, passed, capsys):
    write_report(passed, canary / "reports" / "a" / "report.json", minute=2, verdict="FAIL")
    write_report(passed, canary / "reports" / "b" / "report.json", minute=1)
    (canary / "reports" / "c").mkdir()
    (canary / "reports" / "c" / "report.json").write_text("{")
    assert main(PROMOTE) == 1

    write_report(passed, canary / "reports" / "d" / "report.json", minute=3)
    assert main(PROMOTE) == 0


def test_without_any_report_a_promotion_says_what_to_do(canary, capsys):
    assert main(PROMOTE) == 3

    said = capsys.readouterr().err
    assert "no report was found" in said
    assert "weighbridge check URL --expect v1=9,v2=1" in said


def test_labels_of_another_name_are_mapped(canary, passed):
    write_report(passed, canary / "r.json", weights={"old": 9, "new": 1})

    assert main([*PROMOTE, "--report", "r.json"]) == 3
    assert main([*PROMOTE, "--report", "r.json", "--map", "v1=old,v2=new"]) == 0


def test_a_step_that_cannot_be_taken_is_refused_with_its_place(repository, capsys):
    assert main(PROMOTE) == 2
    assert f"app-canary has no pods ({CANARY})" in capsys.readouterr().err
    assert main(ROLLBACK) == 2
    assert main([*ROLLBACK, "--if-canary"]) == 0
    assert main([*PROMOTE, "--if-canary", "--commit"]) == 0
    assert main([*START[:-1], "10"]) == 2
    assert "expected 1 to 9 of the 10 pods" in capsys.readouterr().err
    assert main([*START, "--set-version", "no version"]) == 2
    assert git("status", "--porcelain") == ""


def test_a_commit_takes_no_changes_of_others_along(repository, capsys):
    file = repository / "i/k8s/deploy.yaml"
    file.write_text(file.read_text() + "# a remark\n")
    assert main([*START, "--commit"]) == 2
    assert "i/k8s/deploy.yaml has uncommitted changes" in capsys.readouterr().err

    git("checkout", "--quiet", ".")
    service = repository / "i/k8s/service.yaml"
    service.write_text(service.read_text() + "# a remark\n")
    git("add", ".")
    assert main([*START, "--commit"]) == 0
    assert git("show", "--name-only", "--format=").splitlines() == [
        "i/k8s/deploy-canary.yaml",
        "i/k8s/deploy.yaml",
    ]


def program_at(file, script):
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    "refuse",
    [
        "exit 1",
        "echo spoilt > i/k8s/deploy.yaml; touch new; git add --all; exit 1",  # as formatters do
    ],
)
def test_a_commit_that_git_refuses_is_said_with_its_words_and_undone(repository, capsys, refuse):
    program_at(repository / ".git/hooks/pre-commit", f"echo not today >&2; {refuse}")

    assert main([*START, "--commit"]) == 2

    assert "not today; the files are as before" in capsys.readouterr().err
    assert git("status", "--porcelain", "--untracked-files=no") == ""
    (repository / ".git/hooks/pre-commit").unlink()
    assert main([*START, "--commit"]) == 0  # nothing stands in the way of a second call


def test_a_signer_that_refuses_leaves_everything_as_it_was(repository, capsys):
    git("config", "commit.gpgSign", "true")
    git("config", "gpg.program", str(program_at(repository / "signer", "exit 1")))

    assert main([*START, "--commit"]) == 2

    assert "failed to sign" in capsys.readouterr().err
    assert git("status", "--porcelain", "--untracked-files=no") == ""


def test_what_is_staged_elsewhere_stays_staged_when_git_refuses(repository):
    service = repository / "i/k8s/service.yaml"
    service.write_text(service.read_text() + "# a remark\n")
    git("add", ".")
    program_at(repository / ".git/hooks/pre-commit", "exit 1")

    assert main([*START, "--commit"]) == 2

    assert git("status", "--porcelain") == "M  i/k8s/service.yaml"


@pytest.mark.parametrize("options", [(), ("--commit",), ("--dry-run",)])
def test_a_link_out_of_the_repository_is_refused_with_its_place(
    repository, tmp_path_factory, capsys, options
):
    outside = tmp_path_factory.mktemp("outside") / "deploy.yaml"
    inside = repository / "i/k8s/deploy.yaml"
    inside.rename(outside)
    inside.symlink_to(outside)
    before = outside.read_text()
    git("add", ".")
    git("commit", "--quiet", "--message=Link")

    assert main([*START, *options]) == 2

    assert f"i/k8s/deploy.yaml leads to {outside}" in capsys.readouterr().err
    assert outside.read_text() == before


def test_a_link_out_of_the_folder_is_refused_outside_of_git(tmp_path, monkeypatch, capsys):
    shutil.copytree(EXAMPLE / "k8s", tmp_path / "i/k8s")
    (tmp_path / "i/k8s/deploy.yaml").rename(tmp_path / "deploy.yaml")
    (tmp_path / "i/k8s/deploy.yaml").symlink_to(tmp_path / "deploy.yaml")
    monkeypatch.chdir(tmp_path)

    assert main([*START]) == 2

    assert "which is outside of" in capsys.readouterr().err


def test_a_link_inside_the_repository_is_followed(repository):
    (repository / "base").mkdir()
    (repository / "i/k8s/deploy.yaml").rename(repository / "base/deploy.yaml")
    (repository / "i/k8s/deploy.yaml").symlink_to("../../base/deploy.yaml")
    git("add", ".")
    git("commit", "--quiet", "--message=Link")

    assert main([*START, "--commit"]) == 0

    assert "base/deploy.yaml" in git("show", "--name-only", "--format=").splitlines()
    assert (repository / "i/k8s/deploy.yaml").is_symlink()


def test_a_file_that_cannot_take_its_new_text_leaves_the_others_as_they_were(
    repository, monkeypatch, capsys
):
    replace = Path.replace

    def fail_at_the_second(self, target):
        if target.name == "deploy-canary.yaml":
            raise OSError(28, "No space left on device", str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail_at_the_second)

    assert main([*START]) == 2

    assert "No space left" in capsys.readouterr().err
    assert git("status", "--porcelain") == ""


def test_outside_of_git_a_step_is_taken_but_nothing_is_proven(tmp_path, monkeypatch, capsys):
    shutil.copytree(EXAMPLE, tmp_path / "i")
    monkeypatch.chdir(tmp_path)

    assert main([*START, "--commit"]) == 2
    assert main(START) == 0
    assert main(PROMOTE) == 3
    assert "is not in a Git repository" in capsys.readouterr().err
    assert main([*PROMOTE, "--force"]) == 0
    assert "not in a Git repository" in said_by_status(capsys)


def test_a_repository_that_git_does_not_read_is_said_in_its_words(tmp_path, monkeypatch, capsys):
    shutil.copytree(EXAMPLE, tmp_path / "i")
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")  # and no commit

    assert "ambiguous argument 'HEAD'" in said_by_status(capsys)
    assert main(START) == 0
    assert main(PROMOTE) == 3
    assert "ambiguous argument 'HEAD'" in capsys.readouterr().err

    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([*ROLLBACK, "--commit"]) == 2
    assert "git rev-parse" in capsys.readouterr().err


def said_by_status(capsys, *options):
    capsys.readouterr()
    main(["rollout", "status", "--manifests", "i/k8s", *options])
    return capsys.readouterr().out


def test_status_says_where_the_rollout_stands(canary, passed, capsys):
    write_report(passed, canary / "reports" / "run" / "report.json")

    lines = said_by_status(capsys).splitlines()
    assert lines[:3] == [
        "canary: 9 + 1 pods",
        f"  stable  app         v1  9  {STABLE}",
        f"  canary  app-canary  v2  1  {CANARY}",
    ]
    assert ": PASS (reports/run/report.json, " in lines[3]

    document = json.loads(said_by_status(capsys, "--json", "-"))
    assert document["state"] == "canary"
    assert document["canary"] == {
        "name": "app-canary", "version": "v2", "replicas": 1, "where": CANARY
    }  # fmt: skip
    assert document["verdict"] == "PASS"
    assert document["commit"] == git("rev-parse", "HEAD")

    asked = ("rollout", "status", "--manifests", "i/k8s", "--is")
    assert main([*asked, "canary"]) == 0
    assert main([*asked, "stable"]) == 1
