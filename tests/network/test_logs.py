"""``weighbridge judge`` on what nginx writes here and now."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.recordings.make import ask, hey, service

pytestmark = pytest.mark.needs("nginx", "hey")

REQUESTS = 600


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of nginx's access logs."""
    folder = tmp_path_factory.mktemp("logs")
    with service(folder) as made:
        # hey keeps four connections; the others carry three requests each.
        hey(made.url, REQUESTS)
        ask(made.front, connections=100, each=3)
    return folder


@pytest.mark.parametrize("name", ["nginx-weighbridge.log", "nginx-weighbridge.json.log"])
def test_what_nginx_logs_is_judged_by_connection_and_every_line_is_counted(
    weighbridge, written, name
):
    lines = [
        line.split() for line in (written / "nginx-weighbridge.log").read_text("utf-8").splitlines()
    ]
    versions = Counter(line[-1].strip('"') for line in lines)

    done = weighbridge("judge", str(written / name), "--expect", "v1=16,v2=3", "--json", "-")
    report = json.loads(done.stdout)

    assert len(lines) == REQUESTS + 300
    assert report["samples"]["launched"] == len(lines)
    assert report["samples"]["labelled"] == versions["v1"] + versions["v2"]
    assert report["samples"]["outcomes"].get("unlabelled", 0) == versions["-"]
    assert report["samples"]["connections"] == len({line[2] for line in lines})
    assert report["performance"]["transport"] == "recorded"
