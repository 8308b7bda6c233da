"""What a watch exports: names, types and labels as they are documented, in both formats."""

from __future__ import annotations

import subprocess

import msgspec
import numpy as np
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from analysis.data.live import LiveLabel
from sampler.watch.metrics import Metrics, exposition
from tests.recorded import recorded
from tests.requirements import path_of
from tests.stories import Story

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
STATE = list(Story().events())[-1].state


@pytest.fixture
def metrics():
    made = Metrics("0.1", "3.11")
    for each in Story().events():
        made.tell(each)
    made.show([STATE])
    return made


def samples(metrics, accept=""):
    body, _ = exposition(metrics, accept)
    read = read_openmetrics if accept else read_text
    return {
        (each.name, frozenset(each.labels.items())): each.value
        for family in read(body.decode())
        for each in family.samples
    }


def value(metrics, name, accept="", **labels):
    return samples(metrics, accept)[name, frozenset(labels.items())]


@pytest.mark.needs("promtool")
def test_promtool_has_no_complaint(metrics):
    metrics.take("shop", recorded(["v1", "v2"], [9, 1], n=200)[0])
    metrics.show([STATE])
    body, _ = exposition(metrics, "")
    checked = subprocess.run(
        [path_of("promtool") or "promtool", "check", "metrics"],
        input=body,
        capture_output=True,
        check=False,
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_the_names_are_those_that_are_documented(metrics, accept):
    both = {"target": "shop"}

    assert value(metrics, "weighbridge_connections_total", accept, label="v2", **both) == 2219
    assert value(metrics, "weighbridge_connections_total", accept, label="none", **both) == 0
    assert value(metrics, "weighbridge_requests_total", accept, outcome="reset", **both) == 2
    assert value(metrics, "weighbridge_expected_ratio", accept, label="v2", **both) == 0.1
    assert value(metrics, "weighbridge_verdict_state", accept, state="PASS", **both) == 1
    assert value(metrics, "weighbridge_verdict_state", accept, state="FAIL", **both) == 0
    assert value(metrics, "weighbridge_state", accept, state="OK", **both) == 1
    assert value(metrics, "weighbridge_evidence_threshold_nats", accept, **both) == 17.77
    assert value(metrics, "weighbridge_alarms_total", accept, kind="outside_tolerance", **both) == 1
    assert value(metrics, "weighbridge_convergence_seconds_bucket", accept, le="1.0", **both) == 1
    assert value(metrics, "weighbridge_build_info", accept, version="0.1", python="3.11") == 1
    assert value(metrics, "process_open_fds", accept) > 0


def test_the_format_follows_the_header(metrics):
    assert exposition(metrics, "")[1].startswith("text/plain")
    body, content_type = exposition(metrics, OPENMETRICS)

    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_one_state_of_each_set_holds(metrics):
    for name in ("weighbridge_state", "weighbridge_verdict_state"):
        held = [value for (each, _), value in samples(metrics).items() if each == name]
        assert sum(held) == 1


def test_a_target_that_is_gone_has_no_series(metrics):
    metrics.take("shop", recorded(["v1", "v2"], [9, 1], n=200)[0])
    metrics.show([])

    assert not any(("target", "shop") in labels for _, labels in samples(metrics))


def test_strangers_make_no_series_and_counts_never_fall(metrics):
    strangers = [LiveLabel(label=f"x{n}", connections=3, total=3) for n in range(40)]
    metrics.show([msgspec.structs.replace(STATE, labels=[*STATE.labels, *strangers])])
    many = samples(metrics)
    # v2 is not expected any more: what it answered is counted on under its name
    labels = [STATE.labels[0], msgspec.structs.replace(STATE.labels[1], expected=None)]
    metrics.show([msgspec.structs.replace(STATE, labels=labels)])

    names = {dict(labels)["label"] for name, labels in many if name.endswith("connections_total")}
    assert names == {"v1", "v2", "other", "none"}
    assert len([1 for name, _ in many if name == "weighbridge_share_ratio"]) == 20
    assert value(metrics, "weighbridge_connections_total", target="shop", label="v2") == 2219


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_no_name_is_taken_for_another_one(accept):
    long = "release-" + 100 * "x"
    names = ["none", "other", long + "1", long + "2", "a\nb", "a\\x0ab", "v1"]
    expected = STATE.labels[0]
    labels = [
        msgspec.structs.replace(expected, label=name, total=n) for n, name in enumerate(names, 1)
    ]
    stray = LiveLabel(label="(other)", total=100)
    state = msgspec.structs.replace(
        STATE, labels=[*labels, stray], unlabelled=1000, connections=sum(range(1, 8)) + 1100
    )
    made = Metrics("0.1", "3")
    made.show([state, msgspec.structs.replace(state, target=long)])
    made.show([state, msgspec.structs.replace(state, target=long + "y")])
    found = [
        (dict(labels), value)
        for (name, labels), value in samples(made, accept).items()
        if name == "weighbridge_connections_total"
    ]
    of_shop = {each["label"]: value for each, value in found if each["target"] == "shop"}

    assert len({each["target"] for each, _ in found}) == 2
    assert sorted(of_shop.values()) == [*range(1, 8), 100, 1000]
    assert (of_shop["other"], of_shop["none"], of_shop["v1"]) == (100, 1000, 7)


def test_counters_never_fall_whatever_becomes_of_a_label():
    made = Metrics("0.1", "3")
    seen: list[dict[tuple[str, frozenset[tuple[str, str]]], float]] = []

    def told(connections, started=0.0, **totals):
        labels = [
            LiveLabel(label=name.strip("_"), total=n, expected=None if name[0] == "_" else 0.5)
            for name, n in totals.items()
        ]
        batch, _ = recorded(["v1", "v2", "v3"], [1, 1, 1], n=30)
        made.take("shop", batch)
        made.show([
            msgspec.structs.replace(
                STATE, labels=labels, connections=connections, unlabelled=0, started=started
            )
        ])  # fmt: skip
        found = samples(made)
        if seen:
            assert all(found[each] >= n for each, n in seen[-1].items() if is_counted(each[0]))
        seen.append(found)

    def is_counted(name):
        return name.startswith(("weighbridge_connections", "weighbridge_request_duration"))

    told(15, v1=10, _v2=5)
    told(20, v1=12, v2=8)  # now expected
    told(30, v1=15, v3=15)  # another one, and v2 among the rest
    told(40, v1=20, v3=20)
    told(6, started=1.0, v1=3, v3=3)  # the same target, weighed from the beginning

    def total(label):
        return seen[-1]["weighbridge_connections_total", frozenset(
            {("target", "shop"), ("label", label)})]  # fmt: skip

    assert (total("v1"), total("v2"), total("v3"), total("other")) == (23, 3, 15, 5)


def test_durations_are_counted_by_label_with_the_run_as_exemplar(metrics):
    batch, _ = recorded(["v1", "v2", "stray"], [8, 1, 1], n=300, lost=0.05)
    metrics.take("shop", batch)
    metrics.show([STATE])
    count = "weighbridge_request_duration_seconds_count"
    labelled = np.array(batch.labels)[batch.label[batch.label >= 0]]

    assert value(metrics, count, target="shop", label="v1") == (labelled == "v1").sum()
    assert value(metrics, count, target="shop", label="other") == (labelled == "stray").sum()
    assert value(metrics, count, target="shop", label="none") > 0
    assert b'# {run="made-watch"}' in exposition(metrics, OPENMETRICS)[0]


def test_names_of_strangers_cannot_break_the_format():
    odd = 'a"b\\c\nd\u202e' + "x" * 500
    label = msgspec.structs.replace(STATE.labels[0], label=odd)
    state = msgspec.structs.replace(STATE, labels=[label], target=odd)
    made = Metrics("0.1", "3")
    made.show([state])
    found = [dict(labels) for name, labels in samples(made) if name == "weighbridge_share_ratio"]

    assert len(found) == 1
    assert len(found[0]["label"]) < 150
    assert found[0]["label"].startswith('a"b\\c\\x0ad\\u202e')


def test_before_a_label_has_come_no_share_is_exported(metrics):
    """A share of 0 is one that was seen; the page says that it is unknown."""
    empty = msgspec.structs.replace(STATE.stretch, connections=3, unlabelled=3.0)
    metrics.show([msgspec.structs.replace(STATE, stretch=empty)])
    names = {name for name, _ in samples(metrics)}

    assert not {name for name in names if name.startswith("weighbridge_share")}
    assert "weighbridge_expected_ratio" in names
