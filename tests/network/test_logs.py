"""``weighbridge judge`` on what nginx and hey write here and now."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.recordings.make import ask, hey, service

pytestmark = pytest.mark.needs("nginx", "hey")

REQUESTS = 600


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of nginx's access logs, and hey's CSV of the same requests."""
    folder = tmp_path_factory.mktemp("logs")
    with service(folder) as made:
        # hey keeps four connections; the others carry three requests each.
        csv = hey(made.url, REQUESTS)
        ask(made.front, connections=100, each=3)
    (folder / "hey.csv").write_text(csv, encoding="utf-8")
    return folder


def judged(weighbridge, *arguments):
    done = weighbridge("judge", *map(str, arguments), "--json", "-")
    assert done.returncode in {0, 1, 3}, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ["nginx-weighbridge.log", "nginx-weighbridge.json.log"])
def test_what_nginx_logs_is_judged_by_connection_and_every_line_is_counted(
    weighbridge, written, name
):
    lines = [
        line.split() for line in (written / "nginx-weighbridge.log").read_text("utf-8").splitlines()
    ]
    versions = Counter(line[-1].strip('"') for line in lines)

    report = judged(weighbridge, written / name, "--expect", "v1=16,v2=3")

    assert len(lines) == REQUESTS + 300
    assert report["samples"]["launched"] == len(lines)
    assert report["samples"]["labelled"] == versions["v1"] + versions["v2"]
    assert report["samples"]["outcomes"].get("unlabelled", 0) == versions["-"]
    assert report["samples"]["connections"] == len({line[2] for line in lines})
    assert report["performance"]["transport"] == "recorded"


def test_a_log_format_of_ones_own_is_read_and_addresses_become_labels(weighbridge, written):
    lines = (written / "nginx-weighbridge.log").read_text("utf-8").splitlines()
    versions = {}
    for line in lines:
        words = line.replace('"', "").split()
        if words[-1] != "-":
            versions[words[-2]] = words[-1]
    (written / "own.log").write_text(
        "\n".join(f"at={line.split()[0]} to={line.split()[-2]}" for line in lines), "utf-8"
    )

    report = judged(
        weighbridge,
        *(written / "own.log", "--expect", "v1=16,v2=3"),
        *("--log-format", 'at=$msec to="$upstream_addr"'),
        *("--map", ",".join(f"{place}={label}" for place, label in versions.items())),
    )

    assert report["samples"]["launched"] == len(lines)
    assert sum(report["samples"]["outcomes"].values()) == len(lines)
    assert any("names no connections" in note for note in report["notes"])


def test_hey_is_read_by_status_and_refused_without_a_label(weighbridge, written):
    rows = (written / "hey.csv").read_text("utf-8").splitlines()[1:]
    statuses = Counter(row.split(",")[6] for row in rows)

    refused = weighbridge("judge", str(written / "hey.csv"), "--expect", "v1=9,v2=1")
    report = judged(
        weighbridge,
        *(written / "hey.csv", "--expect", "200=19,502=1", "--label-column", "status-code"),
    )

    assert refused.returncode == 2
    assert "hey records neither bodies nor headers" in " ".join(refused.stderr.split())
    assert report["samples"]["launched"] == sum(statuses.values()) == REQUESTS
