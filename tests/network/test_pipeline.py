"""The example's pipeline, run to its end on a cluster that does what the manifests say."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

import pytest

from tests.network.forge import Forge
from tests.network.gitops import GitOpsCluster
from tests.network.weighing import RARE

# A pipeline takes some seconds, and many more on a machine that is busy.
pytestmark = [
    pytest.mark.network,
    pytest.mark.needs("gitlab-ci-local", "node", "rsync", "git"),
    pytest.mark.timeout(400),
]


@pytest.fixture
def cluster(tmp_path):
    (tmp_path / "programs").mkdir()
    with GitOpsCluster.start(tmp_path / "programs") as running:
        yield running


@pytest.fixture
def forge(cluster, tmp_path):
    (tmp_path / "forge").mkdir()
    return Forge(cluster, tmp_path / "forge")


def as_gitlab_reads_it(file):
    """Cases of a JUnit file by class and name: their status and what the merge request shows.

    After GitLab's ``lib/gitlab/ci/parsers/test/junit.rb``: one ``testsuites``, cases of nested
    suites, the first of ``failure``, ``error`` and ``skipped`` counts, and its content is
    shown with the output; a second case of the same class and name would be dropped.
    """
    root = ET.fromstring(file.read_bytes())
    assert root.tag == "testsuites"
    found = {}
    for case in root.iterfind(".//testsuite/testcase"):
        status, shown = "success", ""
        for tag, meaning in (("failure", "failed"), ("error", "error"), ("skipped", "skipped")):
            if (part := case.find(tag)) is not None:
                said = [part.text, case.findtext("system-out")]
                status, shown = meaning, "\n\n".join(text for text in said if text)
                break
        assert (case.get("classname"), case.get("name")) not in found
        found[case.get("classname"), case.get("name")] = (status, shown)
    return found


def as_gitlab_reads_metrics(text):
    """Metrics by name and labels, values as text: only the first word after the name counts."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split()[:2] for line in lines)


def as_gitlab_reads_dotenv(text):
    """Variables of a dotenv report; GitLab refuses the file for a line of another form."""
    lines = text.splitlines()
    assert len(text) < 5000
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*=\S+", line) for line in lines)
    return dict(line.split("=", 1) for line in lines)


def test_the_whole_story_passes_from_the_first_commit_to_the_promotion(forge, cluster):
    before = forge.run_pipeline()

    assert before.jobs == dict.fromkeys(("deploy", "verify", "testers-entry", "promote"), "PASS")
    assert cluster.pods == ["v1"] * 10
    assert forge.pull() == "Ten pods of v1"

    forge.rollout("start", "--manifests", "i/k8s", "--replicas", "1", "--commit")
    started = forge.git("rev-parse", "HEAD")
    forge.push()
    assert forge.expected()[0].startswith("v1=9,v2=1 ")
    canary = forge.run_pipeline()

    assert canary.jobs == before.jobs, canary.printed
    assert cluster.pods == ["v1"] * 9 + ["v2"]
    message = forge.pull().splitlines()
    assert message[0] == "Promote app to v2 on all 10 pods"
    assert message[2].startswith("PASS: v2 received ")
    assert f"Weighed-Commit: {started}" in message
    assert forge.expected() == [
        "v2=10 (v2 100 %), from Service app",
        "v2 10 replicas Deployment app i/k8s/deploy.yaml:8",
        "v2 0 replicas Deployment app-canary i/k8s/deploy-canary.yaml:8",
    ]
    verdict = as_gitlab_reads_dotenv((canary.folder / "weighbridge/verdict.env").read_text())
    assert verdict["WEIGHBRIDGE_VERDICT"] == "PASS"
    assert verdict["WEIGHBRIDGE_COMMIT"] == started

    after = forge.run_pipeline()

    assert after.jobs == before.jobs, after.printed
    assert cluster.pods == ["v2"] * 10
    assert forge.pull().splitlines() == message


def test_a_canary_that_does_not_get_its_traffic_is_rolled_back(forge, cluster):
    cluster.left_out = {"app-canary"}
    forge.rollout("start", "--manifests", "i/k8s", "--replicas", "1", "--commit")
    forge.push()

    failed = forge.run_pipeline()

    assert failed.jobs == {
        "deploy": "PASS",
        "verify": "FAIL",
        "testers-entry": "PASS",  # the pod itself is well
        "roll-back": "PASS",
    }, failed.printed
    message = forge.pull().splitlines()
    assert message[0] == "Roll app back to v1 on all 10 pods"
    assert message[2].startswith("FAIL: v2 received 0.0 %")
    assert forge.expected()[0] == "v1=10,v2=0 (v1 100 %, v2 0 %), from Service app"

    written = failed.folder / "weighbridge"
    cases = as_gitlab_reads_it(written / "junit.xml")
    assert cases["weighbridge", "unlabelled"] == ("success", "")
    status, shown = cases["weighbridge", "share of v2"]
    assert status == "failed"
    assert "What to do: see the case “split”." in shown
    assert "→" in cases["weighbridge", "split"][1]
    (figure,) = re.findall(r"\[\[ATTACHMENT\|([^\[\]|]+?)\]\]", shown)
    assert (failed.folder / figure).is_file()
    assert figure.startswith("weighbridge/")  # among the artifacts
    (links,) = json.loads((written / "links.json").read_text()).values()
    urls = [each["external_link"]["url"] for each in links]
    assert any(url.endswith("/artifacts/file/weighbridge/report.html") for url in urls)
    metrics = as_gitlab_reads_metrics((written / "metrics.txt").read_text())
    assert metrics['canary_split_observed_ratio{version="v2"}'] == "0.0000"
    assert metrics["canary_split_verdict"] == "1"
    verdict = as_gitlab_reads_dotenv((written / "verdict.env").read_text())
    assert verdict["WEIGHBRIDGE_VERDICT"] == "FAIL"

    assert "roll-back" not in forge.run_pipeline().jobs
    assert cluster.pods == ["v1"] * 10


def test_a_canary_of_which_nothing_is_proven_stays_where_that_was_chosen(forge, cluster):
    pipeline = forge.mine / ".gitlab-ci.yml"
    text = pipeline.read_text()
    assert "      inconclusive: fail\n" in text
    # gitlab-ci-local lets the next stage begin after any failure of such a job, GitLab after
    # the code 3 alone; hence the choice is tried with that code only.
    pipeline.write_text(text.replace("inconclusive: fail", "inconclusive: warn"))
    forge.git("commit", "--quiet", "--all", "--message=Choose")
    forge.rollout("start", "--manifests", "i/k8s", "--replicas", "1", "--commit")
    forge.push()

    # So few connections can prove nothing, whatever they show.
    undecided = forge.run_pipeline(CHECK_OPTIONS=f"--alpha {RARE} --max-samples 5")

    assert undecided.jobs == {
        "deploy": "PASS",
        "verify": "WARN",
        "testers-entry": "PASS",
        "promote": "WARN",
    }, undecided.printed
    assert forge.pull() == "Start the canary of app: 1 of 10 pods on v2"
    assert cluster.pods == ["v1"] * 9 + ["v2"]
