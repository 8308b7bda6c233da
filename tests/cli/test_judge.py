"""``weighbridge judge`` as a user meets it: the stop, the verdict, bad lines, documents."""

from __future__ import annotations

import hashlib
import json
from xml.etree import ElementTree as ET

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.render import schema
from sampler.cli.entry import main
from sampler.demo.pods import Faults
from sampler.demo.process import EmbeddedService
from tests.recordings.make import HERE as RECORDINGS

pytestmark = pytest.mark.in_process

TEN_PERCENT = ("--expect", "v1=9,v2=1", "--tolerance", "2pp")


def stream(seed, share, n):
    """Label i is v2 iff the first 8 bytes of SHA-256("seed:i"), as a fraction, are below share."""
    digests = (hashlib.sha256(f"{seed}:{i}".encode()).digest() for i in range(1, n + 1))
    return ["v2" if int.from_bytes(d[:8], "big") / 2**64 < share else "v1" for d in digests]


def write_csv(path, labels, header="time,label,connection"):
    rows = (f"{i / 1000},{label},{i}" for i, label in enumerate(labels))
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return str(path)


def report_of(done):
    document = json.loads(done.stdout)
    jsonschema.validate(document, schema())
    return document


@pytest.mark.parametrize(
    ("seed", "share", "level", "n", "code", "after", "x"),
    [
        ("a", 0.1, "0.01", 20000, 0, 3899, 406),
        ("c", 0.1, "0.05", 20000, 0, 2038, 208),
        ("e", 0.0, "0.01", 1000, 1, 86, 0),
        ("f", 0.5, "0.01", 1000, 1, 33, 14),
        ("h", 0.12, "0.01", 6000, 3, 6000, 698),
    ],
)
def test_a_log_is_decided_on_the_very_connection_of_the_formulas(
    weighbridge, tmp_path, seed, share, level, n, code, after, x
):
    log = write_csv(tmp_path / "log.csv", stream(seed, share, n))

    done = weighbridge(
        "judge", log, *TEN_PERCENT, "--alpha", level, "--beta", level,
        "--max-samples", str(n), "--json", "-",
    )  # fmt: skip

    report = report_of(done)
    assert done.returncode == code
    assert (report["decision"]["decided_after"], report["observed"]["counts"]["v2"]) == (after, x)
    assert report["samples"]["launched"] == n


def test_other_names_of_columns_and_no_connection_column(weighbridge, tmp_path):
    log = write_csv(tmp_path / "log.csv", stream("a", 0.1, 5000), "at,version,request")

    done = weighbridge(
        "judge", log, *TEN_PERCENT, "--time-column", "at", "--label-column", "version",
        "--max-samples", "20000",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "of 3 899 connections" in done.stdout.splitlines()[0]


def test_only_the_first_row_of_each_connection_is_judged(weighbridge, tmp_path):
    labels = stream("a", 0.1, 5000)
    rows = [f"{i},{label},{i}\n{i},{label},{i}\n" for i, label in enumerate(labels)]
    log = tmp_path / "log.csv"
    log.write_text("time,label,connection\n" + "".join(rows), encoding="utf-8")

    done = weighbridge("judge", str(log), *TEN_PERCENT, "--max-samples", "20000", "--json", "-")

    report = report_of(done)
    assert report["decision"]["decided_after"] == 3899
    assert report["samples"]["connections"] == 5000
    assert any("first answer of each" in note for note in report["notes"])


def test_a_log_is_judged_by_the_means_of_connections_of_a_known_length(weighbridge, tmp_path):
    pattern = (1, 0, 2, 1, 0, 3, 1, 1, 0, 1) * 60
    log = tmp_path / "log.csv"
    rows = [
        f"{10 * number + place},{'v2' if place < count else 'v1'},{number}\n"
        for number, count in enumerate(pattern)
        for place in range(10)
    ]
    log.write_text("time,label,connection\n" + "".join(rows), encoding="utf-8")
    by_two_points = ("--expect", "v1=9,v2=1", "--tolerance", "2pp", "--json", "-")

    means = report_of(weighbridge("judge", str(log), *by_two_points, "--per-connection", "10"))
    firsts = report_of(weighbridge("judge", str(log), *by_two_points))

    assert (means["verdict"], means["decision"]["decided_after"]) == ("PASS", 372)
    assert means["groups"]["judged_by"] == "means"
    assert means["groups"]["picks"] == "request"
    assert means["observed"]["counts"] == {"v1": 3349, "v2": 371}
    assert firsts["groups"]["judged_by"] == "first answers"
    assert firsts["verdict"] == "FAIL"


def test_bad_lines_are_counted_and_named_and_too_many_end_with_2(weighbridge, tmp_path):
    lines = [f"{i},v1,{i}" for i in range(999)]
    lines[500] = "500,v1"
    log = tmp_path / "log.csv"
    log.write_text(
        "\n".join(["time,label,connection", *lines, "soon,v1,999", ""]), encoding="utf-8"
    )
    expect = ("--expect", "v1=10,v2=0")

    passed = weighbridge("judge", str(log), *expect, "--json", "-")
    refused = weighbridge("judge", str(log), *expect, "--max-bad-lines", "0.1%")

    # The bad ones stand behind the 459 that decided.
    assert passed.returncode == 0
    assert "2 of 1000 lines cannot be read" in report_of(passed)["notes"][0]
    assert "line 502: expected 3 columns, got 2" in report_of(passed)["notes"][0]
    assert refused.returncode == 2
    assert "line 502" in refused.stderr
    assert "line 1001: 'soon' is not a time" in refused.stderr
    assert "--max-bad-lines" in refused.stderr


def test_rows_out_of_order_are_sorted_or_refused_because_a_slow_version_would_be_under_counted(
    weighbridge, tmp_path
):
    log = tmp_path / "log.csv"
    log.write_text("time,label\n1,v1\n3,v1\n2,v2\n", encoding="utf-8")

    done = weighbridge("judge", str(log), "--expect", "v1=9,v2=1", "--json", "-")
    refused = weighbridge("judge", str(log), "--expect", "v1=9,v2=1", "--reorder", "0")

    assert done.returncode == 3
    assert "1 row(s) came after later ones" in " ".join(report_of(done)["notes"])
    assert refused.returncode == 2
    assert "line 4" in refused.stderr
    assert "sort the rows" in refused.stderr


def test_json_lines_and_parquet_stop_where_the_csv_does(weighbridge, tmp_path):
    labels = stream("c", 0.1, 4000)
    times = [f"2026-01-31T12:{i // 3600:02}:{i % 3600 / 60:09.6f}Z" for i in range(4000)]
    lines = (
        json.dumps({"time": time, "label": label, "connection": i})
        for i, (time, label) in enumerate(zip(times, labels, strict=True))
    )
    (tmp_path / "log.jsonl").write_text("\n".join(lines), encoding="utf-8")
    pq.write_table(
        pa.table({"time": pa.array(range(4000), pa.timestamp("ms")), "label": labels}),
        tmp_path / "log.parquet",
    )

    for name in ("log.jsonl", "log.parquet"):
        done = weighbridge(
            "judge", str(tmp_path / name), *TEN_PERCENT, "--alpha", "0.05", "--beta", "0.05",
            "--max-samples", "20000",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "of 2 038 connections" in done.stdout


def test_a_run_that_was_written_is_judged_as_it_was_live(weighbridge, tmp_path):
    with EmbeddedService({"v1": 9, "v2": 1}, seed=5) as service:
        live = weighbridge(
            "check", service.url, "--expect", "v1=9,v2=1", "--out", str(tmp_path), "--json", "-"
        )
    (folder,) = tmp_path.glob("*-check")

    again = weighbridge("judge", str(folder), "--json", "-", "--junit", str(tmp_path / "j.xml"))
    file = weighbridge("judge", str(folder / "samples.parquet"), "--json", "-")
    other = weighbridge("judge", str(folder), "--expect", "v1=5,v2=5")

    before, after = json.loads(live.stdout), report_of(again)
    assert live.returncode == again.returncode == 0
    for part in ("verdict", "observed", "decision", "samples", "expected"):
        assert after[part] == before[part]
    assert report_of(file)["decision"] == before["decision"]
    assert other.returncode == 1
    assert ET.parse(tmp_path / "j.xml").getroot().get("failures") == "0"

    (folder / "report.json").unlink()  # as a run that was killed leaves it
    killed = report_of(weighbridge("judge", str(folder), "--json", "-"))
    assert (killed["verdict"], killed["decision"]) == (before["verdict"], before["decision"])
    assert killed["expected"]["weights"] == before["expected"]["weights"]


def test_a_calibrated_run_ends_where_it_ended_live_and_says_what_it_assumes(weighbridge, tmp_path):
    with EmbeddedService({"v1": 9, "v2": 1}, seed=5) as service:
        live = weighbridge(
            "check", service.url, "--expect", "v1=9,v2=1", "--calibrated", "--out", str(tmp_path),
            "--max-samples", "1500", "--json", "-",
        )  # fmt: skip
    (folder,) = tmp_path.glob("*-check")

    again = weighbridge("judge", str(folder), "--json", "-", "--html", str(tmp_path / "j.html"))
    default = report_of(
        weighbridge(
            "judge", str(folder / "samples.parquet"), "--expect", "v1=9,v2=1", "--json", "-"
        )
    )

    before, after = json.loads(live.stdout), report_of(again)
    for part in ("verdict", "observed", "decision", "samples", "expected"):
        assert after[part] == before[part]
    assert before["decision"]["calibrated"] == 1500
    assert before["decision"]["decided_after"] <= default["decision"]["decided_after"]
    assert default["decision"]["calibrated"] in {None, 1500}
    words = " ".join(again.stderr.split())
    assert "calibrated: the error rates hold for independent draws of one share" in words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--expect", "a=8,b=1,c=1"), "two versions, and 3 are expected"),
        (("--expect", "a=9999,b=1"), "up to 50000 connections"),
        (("--expect", "a=9,b=1", "--missing-ratio", "2"), "worst case, got a bound of 2"),
        (("--expect", "a=9,b=1", "--per-connection", "3"), "fresh connection"),
    ],
)
def test_thresholds_that_cannot_be_calibrated_are_refused(weighbridge, tmp_path, options, words):
    log = write_csv(tmp_path / "log.csv", ["a", "b"])

    done = weighbridge("judge", log, "--calibrated", *options)

    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())


def test_a_run_is_judged_by_its_own_tolerance_and_limits_where_no_others_are_given(
    weighbridge, tmp_path
):
    asked = ("--tolerance", "v2=1pp,v1=2pp", "--alpha", "0.05", "--max-samples", "400",
             "--max-error-ratio", "2")  # fmt: skip
    with EmbeddedService({"v1": 9, "v2": 1}, {"v2": Faults(error=1.0)}, seed=5) as service:
        live = weighbridge(
            "check", service.url, "--expect", "v1=9,v2=1", *asked,
            "--label", "/label", "--out", str(tmp_path), "--json", "-",
        )  # fmt: skip
    (folder,) = tmp_path.glob("*-check")

    again = report_of(weighbridge("judge", str(folder), "--json", "-"))
    wider = report_of(
        weighbridge("judge", str(folder), "--alpha", "0.01", "--max-samples", "90", "--json", "-")
    )

    before = json.loads(live.stdout)
    for part in ("verdict", "reasons", "decision", "expected"):
        assert again[part] == before[part]
    assert before["decision"]["tolerance"] == "v2=1pp,v1=2pp"
    assert (wider["decision"]["alpha"], wider["decision"]["tolerance"]) == (0.01, "v2=1pp,v1=2pp")


def test_the_page_of_a_run_is_not_replaced_by_that_of_another_judgement(weighbridge, tmp_path):
    with EmbeddedService({"v1": 9, "v2": 1}, seed=5) as service:
        weighbridge("sample", service.url, "--max-samples", "40", "--out", "runs")
    (folder,) = (tmp_path / "runs").iterdir()
    own = folder / "report.html"
    weighbridge("report", str(folder), "--html", "again.html")
    kept = own.read_bytes()

    done = weighbridge("judge", str(folder), "--expect", "v1=1,v2=1", "--html", "judged.html")

    assert done.returncode in {1, 3}, done.stderr
    assert own.read_bytes() == kept != (tmp_path / "judged.html").read_bytes()


def test_a_log_without_an_expectation_is_a_usage_error(weighbridge, tmp_path):
    log = write_csv(tmp_path / "log.csv", ["v1"])

    done = weighbridge("judge", log)

    assert done.returncode == 2
    assert "--expect" in done.stderr


def test_a_gzipped_log_on_stdin_is_recognised(weighbridge, tmp_path):
    labels = stream("a", 0.1, 5000)
    log = tmp_path / "log.jsonl"
    rows = (json.dumps({"time": at, "label": label}) for at, label in enumerate(labels))
    log.write_text("\n".join(rows), encoding="utf-8")

    done = weighbridge(
        *("judge", "-", *TEN_PERCENT, "--max-samples", "20000", "--json", "-"),
        prefix=("sh", "-c", 'gzip -c "$0" | "$@"', str(log)),
    )

    assert report_of(done)["decision"]["decided_after"] == 3899
    assert report_of(done)["run"]["target"] == "record stdin"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--format", "csv", "--metric", "answers"), "--metric is for logs of k6"),
        (("--label-column", "none"), "nothing to judge"),
        (("--map", "v1"), "expected A=B"),
        (("--format", "parquet"), "cannot be read as Parquet"),
        (("--format", "hey"), "--label-column status-code"),
        (("--format", "nginx"), "--log-format"),
        (("--format", "k6"), "holds no rows; 2 line(s) are not of a request"),
    ],
)
def test_a_log_that_cannot_be_read_as_asked_says_what_to_do(capsys, tmp_path, options, words):
    log = write_csv(tmp_path / "log.csv", ["v1"])

    code = main(["judge", log, "--expect", "v1=9,v2=1", *options])

    assert code == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_an_address_in_place_of_a_label_is_told_how_to_become_one(weighbridge):
    log = str(RECORDINGS / "envoy.log")
    hosts = {
        row["upstream_cluster"]: row["upstream_host"]
        for row in map(json.loads, (RECORDINGS / "envoy.json.log").read_text("utf-8").splitlines())
    }
    mapped = ",".join(f"{host}={label}" for label, host in hosts.items())
    expect = ("--expect", "v1=16,v2=3,dead=1")

    failed = weighbridge("judge", log, *expect, "--json", "-")
    told = weighbridge("judge", log, *expect, "--map", mapped, "--json", "-")

    assert failed.returncode == 4
    assert "--map" in report_of(failed)["reasons"][0]["remedy"]
    assert set(report_of(told)["observed"]["counts"]) == {"v1", "v2", "dead"}
    assert report_of(told)["run"]["label"] == "upstream_host (envoy)"
