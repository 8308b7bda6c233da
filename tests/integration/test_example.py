"""The application of the example says what its environment tells it."""

from __future__ import annotations

import http.client
import json
import runpy
import threading
from pathlib import Path

import pytest
from ruamel.yaml import YAML

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "gitops"


@pytest.fixture
def application(monkeypatch, request):
    """Port of the application, which runs as the version that the test names."""
    monkeypatch.setenv("LABEL", request.param)
    monkeypatch.setenv("HOST", "app-7d4f")
    program = runpy.run_path(str(EXAMPLE / "app" / "app.py"))
    with program["Server"](("127.0.0.1", 0), program["Application"]) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("application", "version"), [("v1", "v1"), ("v2", "v2")], indirect=["application"]
)
def test_the_application_says_its_version_and_its_pod_on_one_connection(application, version):
    connection = http.client.HTTPConnection("127.0.0.1", application, timeout=60)
    answers = []
    for path in ("/", "/any/other?x=1"):
        connection.request("GET", path)
        answers.append(json.load(connection.getresponse()))
        assert connection.sock is not None  # the connection is kept
    connection.close()

    assert answers == [{"label": version, "host": "app-7d4f"}] * 2


def test_the_manifests_give_the_application_what_it_reads():
    for file in ("deploy.yaml", "deploy-canary.yaml"):
        template = YAML(typ="safe").load(EXAMPLE / "i" / "k8s" / file)["spec"]["template"]
        (container,) = template["spec"]["containers"]
        variables = {each["name"]: each.get("value") for each in container["env"]}
        assert variables["LABEL"] == template["metadata"]["labels"]["version"]
        assert "HOST" in variables
        assert container["ports"] == [{"name": "http", "containerPort": 8080}]
