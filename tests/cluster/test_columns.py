"""Declared, configured and observed, next to one another in every document of a check."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from jsonschema import Draft202012Validator

from analysis.render import schema
from sampler import read, rejudge
from sampler.cli import main
from sampler.demo.process import EmbeddedService
from tests.clusters import FakeCluster, canary, deployment, endpoint, endpoint_slice, names, service


class Rows(HTMLParser):
    """The rows of all tables, each a list of texts."""

    def __init__(self, text):
        super().__init__()
        self.rows, self._is_cell = [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        self._is_cell = self._is_cell or tag in {"td", "th"}
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag in {"td", "th"}:
            self._is_cell = False

    def handle_data(self, data):
        if self._is_cell:
            self.rows[-1][-1] += data


def declare(folder, stable, new):
    file = folder / "declared.json"
    items = [service(), deployment("app", "v1", stable), deployment("app-canary", "v2", new)]
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return str(file)


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Documents of a check whose canary has one of its two pods ready."""
    folder = tmp_path_factory.mktemp("checked")
    objects = [body for body in canary(8, 2) if body["kind"] != "EndpointSlice"]
    ready = [*names("v1", 8), "v2-0"]
    objects.append(endpoint_slice(map(endpoint, ready)))
    documents = {name: folder / name for name in ("json", "markdown", "html")}
    with (
        pytest.MonkeyPatch.context() as patch,
        FakeCluster(objects) as cluster,
        EmbeddedService({"v1": 8, "v2": 1}, seed=3) as target,
    ):
        patch.setenv("KUBECONFIG", str(cluster.kubeconfig(folder)))
        options = [f"--{name}={file}" for name, file in documents.items()]
        code = main(
            [
                *("check", target.url, "--cluster", "--service", "app"),
                *("--manifests", declare(folder, 8, 2), "--max-samples", "300"),
                *("--alpha", "1e-6"),  # of so few, how the split fares is not asked
                *("--out", str(folder / "runs"), *options),
            ]
        )
    assert code in {0, 3}
    (run,) = (folder / "runs").iterdir()
    return {name: file.read_text("utf-8") for name, file in documents.items()}, read(run)


def test_the_document_has_all_three_with_their_places(checked):
    document = json.loads(checked[0]["json"])

    Draft202012Validator(schema()).validate(document)
    declared, configured, endpoints = document["expected"]["views"]
    assert (declared["name"], configured["name"]) == ("declared", "configured")
    assert endpoints["name"] == "endpoints"
    assert declared["shares"] == configured["shares"] == {"v1": 0.8, "v2": 0.2}
    assert "declared.json:1" in declared["source"]["where"]
    assert "Deployment shop/app-canary, generation 1" in configured["source"]["where"]
    assert document["expected"]["shares"]["v2"] == 0.2
    assert endpoints["shares"]["v2"] == pytest.approx(1 / 9)
    assert document["observed"]["shares"]["v2"] < 0.2


def test_text_markdown_and_page_have_them_as_columns(checked):
    documents, run = checked
    lines = [line for line in run.text().splitlines() if re.match(r" +(label|v2) ", line)]
    assert re.match(r" +label +declared +configured +endpoints +judged +share", lines[0])
    assert re.match(r" +v2 +20 % +20 % +11.11 % +\d+ +\d", lines[1])

    table = [line for line in documents["markdown"].splitlines() if line.startswith("| ")]
    assert table[0].startswith("| label | declared | configured | endpoints | judged | share |")
    assert len({line.count("|") for line in table}) == 1
    assert any(line.startswith("| `v2` | 20 % | 20 % | 11.11 % |") for line in table)

    rows = [row for row in Rows(documents["html"]).rows if row[0] in {"label", "v2"}]
    heading = next(row for row in rows if "declared" in row)
    at = heading.index("declared")
    assert heading[at : at + 4] == ["declared", "configured", "endpoints", "judged"]
    assert any(row[at : at + 3] == ["20 %", "20 %", "11.11 %"] for row in rows)


def test_the_stored_run_keeps_them(checked):
    run = checked[1]

    assert rejudge(run).expected == run.report.expected
    assert len(run.report.expected.views) == 3


def test_a_check_of_one_view_has_no_such_columns(tmp_path):
    with EmbeddedService({"v1": 1}, seed=3) as target:
        file = tmp_path / "report.json"
        assert main(["check", target.url, "--expect", "v1=1", "--json", str(file)]) == 0

    assert json.loads(file.read_text())["expected"]["views"] == []


def test_what_is_declared_and_not_configured_has_a_code_of_its_own(reach, capsys, tmp_path):
    declared = ["--service", "app", "--manifests", declare(tmp_path, 5, 5)]
    with FakeCluster(canary(9, 1)) as cluster:
        reach(cluster)
        linted = main(["expect", "--cluster", *declared, "--lint", "--json", "-"])
        found = json.loads(capsys.readouterr().out)["findings"]
        shown = main(["expect", "--cluster", *declared])
        printed = capsys.readouterr()
        with EmbeddedService({"v1": 9, "v2": 1}, seed=3) as target:
            checked = main(["check", target.url, "--cluster", *declared, "--wait", "0s"])
            said = capsys.readouterr().out
            sent = target.counts().total

    assert (linted, shown, checked) == (1, 2, 3)
    assert sent <= 2
    assert "INCONCLUSIVE" in said
    assert "the declared split is v1=5,v2=5" in said
    (finding,) = [each for each in found if each["severity"] == "error"]
    assert finding["code"] == "declared_differs"
    assert "kubectl diff" in finding["remedy"]
    # All three columns, and the contradiction once.
    assert re.search(r"declared +configured +observed", printed.out)
    assert (printed.out + printed.err).count("the declared split is v1=5,v2=5") == 1
    assert "declared.json:1" in printed.err


def test_a_version_that_does_not_run_has_a_code_of_its_own(reach, capsys):
    objects = [body for body in canary(9, 1) if body["kind"] != "EndpointSlice"]
    with FakeCluster([*objects, endpoint_slice(map(endpoint, names("v1", 9)))]) as cluster:
        reach(cluster)
        code = main(["expect", "--cluster", "--service", "app", "--lint", "--json", "-"])

    document = json.loads(capsys.readouterr().out)
    assert code == 1
    assert "running_differs" in {each["code"] for each in document["findings"]}
