"""The product on a Service of the real kind: kube-proxy's rules in front of nginx pods."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from pyarrow.parquet import read_table

from tests.network.weighing import RARELY_WRONG

pytestmark = pytest.mark.network

CHECK = ("check", "--expect", "v1=9,v2=1", "--json", "-", *RARELY_WRONG)


def seen_by(cluster):
    """Requests by label as the pods counted them, without the labels that nobody asked."""
    return {label: count for label, count in cluster.counts().items() if count}


def test_nine_to_one_passes_where_nine_to_one_is_expected(cluster, weighbridge):
    done = weighbridge(*CHECK, cluster.url, prefix=cluster.prefix)

    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["verdict"] == "PASS"
    low, high = report["observed"]["intervals"]["v2"]
    assert low < 0.1 < high


def test_five_to_five_fails_where_nine_to_one_is_expected(cluster, weighbridge):
    cluster.apply({"v1": 5, "v2": 5})

    done = weighbridge(*CHECK, cluster.url, prefix=cluster.prefix)

    assert done.returncode == 1, done.stdout + done.stderr
    assert json.loads(done.stdout)["verdict"] == "FAIL"


@pytest.mark.parametrize("transport", ["fast", "full"])
@pytest.mark.parametrize("connection", ["fresh", "reuse"])
def test_a_sample_counts_what_the_pods_counted(cluster, weighbridge, transport, connection):
    done = weighbridge(
        *("sample", cluster.url, "--max-samples", "1500", "--concurrency", "32", "--json", "-"),
        *("--transport", transport, "--connection", connection),
        prefix=cluster.prefix,
    )

    report = json.loads(done.stdout)
    assert report["observed"]["counts"] == seen_by(cluster)

    samples = report["samples"]
    assert samples["launched"] == samples["outcomes"]["ok"] == samples["labelled"] == 1500
    assert samples["connections"] == cluster.connections().total()


@pytest.mark.parametrize("transport", ["fast", "full"])
def test_a_check_keeps_every_request_that_the_pods_counted(
    cluster, weighbridge, transport, tmp_path
):
    done = weighbridge(
        *(*CHECK, cluster.url, "--transport", transport, "--concurrency", "32"),
        prefix=cluster.prefix,
    )

    report = json.loads(done.stdout)
    table = read_table(tmp_path / report["run"]["path"] / "samples.parquet")
    assert Counter(table["label"].to_pylist()) == seen_by(cluster)

    # What was still in flight when the decision fell is kept, but not judged.
    samples = report["samples"]
    judged = sum(report["observed"]["counts"].values())
    assert judged == report["decision"]["decided_after"] <= samples["launched"]
    assert samples["launched"] == sum(samples["outcomes"].values()) == table.num_rows
    assert samples["connections"] == cluster.connections().total() == table.num_rows


def test_kept_connections_are_counted_as_the_few_draws_that_they_are(cluster, weighbridge):
    done = weighbridge(
        *(*CHECK, cluster.url, "--max-samples", "2000"),
        *("--connection", "reuse", "--concurrency", "8"),
        prefix=cluster.prefix,
    )

    assert done.returncode == 3, done.stdout + done.stderr
    samples = json.loads(done.stdout)["samples"]
    assert samples["launched"] == cluster.counts().total() == 2000
    assert samples["connections"] == cluster.connections().total()
    assert 1 <= samples["independent"] <= samples["connections"] <= 8


def test_a_port_without_a_listener_cannot_be_measured(cluster, weighbridge):
    closed = f"http://{cluster.gateway}:81/"

    done = weighbridge("check", closed, "--expect", "v1=9,v2=1", prefix=cluster.prefix)

    assert done.returncode == 4, done.stdout + done.stderr
    assert cluster.counts().total() == 0
