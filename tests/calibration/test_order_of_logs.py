"""A slow canary changes no verdict on a log, whatever the log tells about the order of sending.

Logs of a right split and of a wrong one are made, in which the canary takes a thousand times as
long, in each way to write times, whole and cut out of the traffic. The twin takes rows as they
stand, with the requests in flight: it must fail right splits.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime

import pytest

from analysis import Split, Verdict
from analysis.data.report import ReasonCode
from sampler.logs import Columns, ForeignLog, Reading
from sampler.run.judging import Judging, judge

RUNS = 4
ADDRESS = {"v1": "10.0.0.1:80", "v2": "10.0.0.2:80"}
BY_ADDRESS = (("*10.0.0.1*", "v1"), ("*10.0.0.2*", "v2"))
END_ONLY = '$client [$time_local] "$request" $status $version'
APACHE = '%h %t "%r" %>s %{X-Version}o %D'
CUTS = {"whole": (0.0, 0.0), "its end only": (8.0, 0.0), "its start only": (0.0, 0.5)}


def clf(time):
    return datetime.fromtimestamp(int(time), UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")


def iso(time):
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"


def ingress(sent, took, label, _number):
    return (
        f'1.2.3.4 - - [{clf(sent + took)}] "GET / HTTP/1.1" 200 15 "-" "c" 131 {took:.3f} [p] [] '
        f"{ADDRESS[label]} 15 {took:.3f} 200 abc"
    )


def nginx(sent, took, label, number):
    return f'{sent + took:.3f} {took:.3f} {number} 1 200 "{ADDRESS[label]}" "{label}"'


def ends(sent, took, label, _number):
    return f'1.2.3.4 [{clf(sent + took)}] "GET / HTTP/1.1" 200 {label}'


def apache(sent, took, label, _number):
    return f'1.2.3.4 [{clf(sent)}] "GET / HTTP/1.1" 200 {label} {int(took * 1e6)}'


def envoy(sent, took, label, _number):
    ms = int(took * 1e3)
    return (
        f'[{iso(sent)}] "GET / HTTP/1.1" 200 - 0 29 {ms} {ms} "-" "c" "x" "app" "{ADDRESS[label]}"'
    )


def traefik(sent, took, label, number):
    return (
        f'1.2.3.4 - - [{clf(sent)}] "GET / HTTP/1.1" 200 25 "-" "-" {number + 1} "r@file" '
        f'"http://{ADDRESS[label]}" {int(took * 1e3)}ms'
    )


def unsaid(sent, took, label, _number):
    return json.dumps({"time": round(sent + took, 6), "duration": took, "label": label})


WAYS = {
    ingress: Reading(renames=BY_ADDRESS),
    nginx: Reading(),
    ends: Reading(log_format=END_ONLY, columns=Columns(label="version")),
    apache: Reading(log_format=APACHE),
    envoy: Reading(renames=BY_ADDRESS),
    traefik: Reading(renames=BY_ADDRESS),
    unsaid: Reading(),
}  # fmt: skip


def verdicts(tmp_path, way, reading, share, cut):
    """Judge logs of 6000 requests, 300 in a second, of which the canary answers after 3 s."""
    found = []
    for seed in range(RUNS):
        draw, at, rows = random.Random(seed), 1_796_023_947.37, []
        for number in range(6000):
            at += draw.expovariate(300)
            label = "v2" if draw.random() < share else "v1"
            took = {"v1": 0.003, "v2": 3.0}[label] * draw.uniform(0.9, 1.1)
            rows.append((at, took, label, number))
        first, last = rows[0][0] + cut[0], rows[-1][0] - (cut[1] or -99)
        kept = [row for row in rows if first <= row[0] + row[1] <= last]
        path = tmp_path / "log"
        lines = (way(*row) for row in sorted(kept, key=lambda row: row[0] + row[1]))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        report = judge(ForeignLog(str(path), reading), Judging(Split.parse("v1=9,v2=1")))
        found.append((report.verdict, report.reasons[0].code))
    return found


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_slow_canary_makes_no_verdict_false(tmp_path, way, cut):
    right = verdicts(tmp_path, way, WAYS[way], 0.1, CUTS[cut])
    wrong = verdicts(tmp_path, way, WAYS[way], 0.2, CUTS[cut])

    assert all(verdict is not Verdict.FAIL for verdict, _ in right)
    assert all(verdict is not Verdict.PASS for verdict, _ in wrong)
    if cut == "whole" and way not in {ends, unsaid}:
        assert all(verdict is Verdict.PASS for verdict, _ in right)
        assert all(verdict is Verdict.FAIL for verdict, _ in wrong)


def test_what_cannot_be_known_is_said(tmp_path):
    found = verdicts(tmp_path, ends, WAYS[ends], 0.1, CUTS["whole"])

    assert {code for _, code in found} == {ReasonCode.ORDER_UNKNOWN}


@pytest.mark.parametrize(("way", "reading"), [
    (unsaid, Reading(columns=Columns(duration=None))),
    (envoy, Reading(renames=BY_ADDRESS, columns=Columns(time=None))),
])  # fmt: skip
def test_rows_in_the_order_of_their_ends_would_fail_right_splits(tmp_path, way, reading):
    found = verdicts(tmp_path, way, reading, 0.1, CUTS["whole"])

    assert all(verdict is Verdict.FAIL for verdict, _ in found)
