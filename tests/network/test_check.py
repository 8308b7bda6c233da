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
