"""Foreign logs are read row by row, within bounds, and never by guessing."""

from __future__ import annotations

import gzip
import json
import tracemalloc

import numpy as np
import pytest

from analysis import Split
from analysis.data.batch import ABSENT, judged_rows
from sampler.base.errors import UsageError
from sampler.labels.rule import LabelRule
from sampler.logs import (
    Columns,
    ForeignLog,
    Reading,
    instant_ns,
    names,
    open_record,
    rows,
    shapes,
    source,
)
from sampler.run.judging import Judging, judge


def read(path, columns=None, **reading):
    log = ForeignLog(str(path), Reading(columns=columns or Columns(), **reading))
    return log, list(log.batches())


def labels_of(batches):
    return [
        None if code == ABSENT else batch.labels[code]
        for batch in batches
        for code in batch.label.tolist()
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12.5", 12_500_000_000),
        (3, 3_000_000_000),
        ("1970-01-01T00:00:01.000001Z", 1_000_001_000),
        ("1970-01-01T01:00:01+01:00", 1_000_000_000),
        ("1970-01-01 00:00:02", 2_000_000_000),
    ],
)
def test_times_are_seconds_or_rfc_3339(value, expected):
    assert instant_ns(value) == expected


@pytest.mark.parametrize("value", ["", "nan", "inf", "yesterday", True, None, [1]])
def test_what_is_no_time_is_refused(value):
    with pytest.raises(ValueError, match=r"is not a (?:plausible )?time"):
        instant_ns(value)


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_delimiters_quotes_byte_order_marks_and_repeated_headers(tmp_path, delimiter):
    header = delimiter.join(["time", "label"])
    rows = [header, f'1{delimiter}"v{delimiter}1"', "", header, f"2{delimiter}", f"3{delimiter}v2"]
    path = tmp_path / "log.csv"
    path.write_text("\ufeff" + "\r\n".join(rows), encoding="utf-8")

    log, batches = read(path)

    assert labels_of(batches) == [f"v{delimiter}1", None, "v2"]
    assert (log.quality.rows, log.quality.bad) == (3, 0)
    assert batches[0].sent_ns.tolist() == [0, 1_000_000_000, 2_000_000_000]


def test_each_kind_of_bad_line_is_named_and_spoils_no_other(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b'label,x\nv1,1\n"v1,1\nv1\n\xff,1\nv\x00,1\nv2,1\n')

    log, batches = read(path, Columns(time=None))

    assert labels_of(batches) == ["v1", None, None, None, None, "v2"]
    assert log.quality.bad == 4
    assert "line 3" in log.quality.named[0]
    assert "expected 2 columns, got 1" in log.quality.named[1]
    assert "it is not UTF-8" in log.quality.named[2]


def test_a_line_without_end_is_one_bad_line(tmp_path, monkeypatch):
    for module in (source, shapes):
        monkeypatch.setattr(module, "LONGEST_LINE", 100)
    monkeypatch.setattr(source, "_BLOCK", 150)
    monkeypatch.setattr(source, "_HEAD", 20)
    path = tmp_path / "log.csv"
    path.write_text("label\nv1\n" + "x" * 1050 + "\nv2\n", encoding="utf-8")

    log, batches = read(path, Columns(time=None))

    assert labels_of(batches) == ["v1", None, "v2"]
    assert "too long" in log.quality.named[0]


def test_rows_of_one_connection_are_numbered_and_forgotten_ones_start_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(names, "REMEMBERED", 2)
    path = tmp_path / "log.csv"
    keys = ["a", "b", "a", "c", "b", "d", "e", "a"]
    lines = (f"{i},v1,{key}" for i, key in enumerate(keys))
    path.write_text("time,label,connection\n" + "\n".join(lines), encoding="utf-8")

    log, (batch,) = read(path)

    # The two that were used last are known again, and a was used before b, d and e.
    assert batch.ordinal.tolist() == [0, 0, 1, 0, 1, 0, 0, 0]
    assert log.quality.repeated == 2
    assert len(set(batch.connection.tolist())) == 6


def test_json_lines_without_a_label_have_none_and_without_a_time_are_bad(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"time":1,"label":7}\n{"time":2}\n{"label":"v1"}\n[]\n{\n', encoding="utf-8")

    log, batches = read(path)

    assert labels_of(batches) == ["7", None, None, None, None]
    assert log.quality.bad == 3


def test_a_column_of_request_ids_is_no_column_of_labels(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("label\n" + "\n".join(map(str, range(1500))), encoding="utf-8")

    with pytest.raises(UsageError, match="more than 1000 different labels"):
        read(path, Columns(time=None))


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [("log.csv", "", "empty"), ("log.csv", "time,label\n", "no rows"), ("log.xyz", "", "kind")],
)
def test_what_is_no_log_is_refused(tmp_path, name, content, word):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")

    with pytest.raises(UsageError, match=word):
        read(path)


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        open_record(str(tmp_path / "none.csv"))
    with pytest.raises(UsageError, match="folder of a run"):
        open_record(str(tmp_path))


def peak_of(path, **reading):
    """Most memory that reading a log takes [bytes], and its rows."""
    tracemalloc.start()
    rows_seen = 0
    for batch in ForeignLog(str(path), Reading(**reading)).batches():
        rows_seen += len(batch)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most, rows_seen


def test_memory_does_not_grow_with_the_log(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "_BLOCK", 1 << 14)
    monkeypatch.setattr(source, "_HEAD", 1 << 14)
    monkeypatch.setattr(rows, "_ROWS", 1000)
    peaks = []
    for count in (1_000, 10_000, 50_000):
        path = tmp_path / f"{count}.csv"
        path.write_text("time,label\n" + "".join(f"{i},v1\n" for i in range(count)), "utf-8")
        most, seen = peak_of(path, reorder=1000)
        assert seen == count
        peaks.append(most)

    assert peaks[2] < 1.2 * peaks[1]


@pytest.mark.parametrize(
    ("odd", "lines"), [(0, "801 and 2"), (4_000_000_000, "800 and 801"), (10_000_000, "801 and 2")]
)
def test_a_time_of_another_age_is_judged_within_memory_and_named(tmp_path, odd, lines):
    times = [*range(1_700_000_000, 1_700_000_799), odd]
    path = tmp_path / "log.csv"
    path.write_text("time,label\n" + "".join(f"{at}.5,v1\n" for at in times), "utf-8")
    judging = Judging(Split.parse("v1=9,v2=1"))
    log = ForeignLog(str(path))

    tracemalloc.start()
    report = judge(log, judging)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert report.samples.launched == len(times)
    assert most < 50_000_000
    assert any(f"days lie between the rows of lines {lines}" in note for note in report.notes)


def test_memory_does_not_grow_with_a_line_that_never_ends(tmp_path, monkeypatch):
    for module in (source, shapes):
        monkeypatch.setattr(module, "LONGEST_LINE", 1000)
    monkeypatch.setattr(source, "_BLOCK", 10_000)
    monkeypatch.setattr(source, "_HEAD", 10_000)
    path = tmp_path / "log.csv"
    path.write_bytes(b"time,label\n1,v1\n" + b"x" * 3_000_000 + b"\n")

    most, seen = peak_of(path)

    assert seen == 2
    assert most < 1_000_000


def test_times_that_stand_still_are_in_order(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("time,label\n1,v1\n1,v2\n1,v1\n", encoding="utf-8")

    _, (batch,) = read(path)

    assert np.all(batch.sent_ns == 0)


def test_rows_in_the_order_of_the_answers_are_judged_in_the_order_of_sending(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("time,label,connection\n3,v1,a\n1,v2,b\n2,v2,a\n4,v1,c\n", "utf-8")

    log, (batch,) = read(path)

    assert labels_of([batch]) == ["v2", "v2", "v1", "v1"]
    assert batch.ordinal.tolist() == [0, 0, 1, 0]
    assert batch.sent_ns.tolist() == [0, 10**9, 2 * 10**9, 3 * 10**9]
    assert "2 row(s) came after later ones" in log.quality.notes[-1]


def test_rows_are_sorted_across_chunks_and_one_that_is_too_late_ends_the_reading(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(rows, "_ROWS", 10)
    times = list(range(200))
    times[50], times[60] = times[60], times[50]
    path = tmp_path / "log.csv"
    path.write_text("time,label\n" + "".join(f"{t},v{t}\n" for t in times), "utf-8")

    _, batches = read(path, reorder=15)
    assert labels_of(batches) == [f"v{i}" for i in range(200)]

    times[5], times[150] = times[150], times[5]
    path.write_text("time,label\n" + "".join(f"{t},v{t}\n" for t in times), "utf-8")
    with pytest.raises(UsageError, match=r"line 152: it comes too late by more than 15 rows"):
        read(path, reorder=15)


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        (["1769860800", "1769860801"], "auto"),
        (["1769860800000", "1769860801000"], "auto"),
        (["1769860800000000", "1769860801000000"], "auto"),
        (["1769860800000000000", "1769860801000000000"], "auto"),
        (["7", "1007"], "ms"),
        (["31/Jan/2026:12:59:59 +0100", "31/Jan/2026:07:00:00 -0500"], "auto"),
        (["2026-01-31T12:00:00.9999999999Z", "2026-01-31T12:00:01.999999999+00:00"], "auto"),
    ],
)
def test_times_of_each_tool_are_read_in_their_unit(tmp_path, values, unit):
    path = tmp_path / "log.csv"
    path.write_text("time,label\n" + "".join(f"{v},v1\n" for v in values), "utf-8")

    log, (batch,) = read(path, unit=unit)

    assert log.quality.bad == 0
    assert batch.sent_ns.tolist() == [0, 10**9]


def test_gzip_is_read_by_what_it_is_and_one_that_is_cut_off_is_refused(tmp_path):
    text = "time,label\n" + "".join(f"{i},v{i % 7}\n" for i in range(5000))
    path = tmp_path / "log.csv"
    packed = gzip.compress(text.encode())
    path.write_bytes(packed)

    _, batches = read(path)
    assert len(labels_of(batches)) == 5000

    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(UsageError, match="cannot be read to its end"):
        read(path)


def test_a_log_without_connections_says_what_is_assumed(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("time,label\n1,v1\n", encoding="utf-8")

    log, _ = read(path)
    asked, _ = read(path, Columns(connection=None))

    assert "names no connections" in log.quality.notes[0]
    assert "--connection-column none" in asked.quality.notes[0]


def test_addresses_are_mapped_to_labels_and_the_first_pattern_wins(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("time,label\n1,10.0.0.1:80\n2,10.0.1.7:80\n3,else\n", encoding="utf-8")

    _, batches = read(path, renames=(("10.0.0.*", "v1"), ("10.*", "v2")))

    assert labels_of(batches) == ["v1", "v2", "else"]


def test_a_pointer_reaches_into_nested_json(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"at":{"s":1},"a":[{"v/1":"x"}]}\n{"at":{"s":2},"a":[]}\n', encoding="utf-8")

    log, batches = read(path, Columns(time="/at/s", label="/a/0/v~11"))

    assert labels_of(batches) == ["x", None]
    assert log.quality.bad == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'time,"label\n1,v1\n', "header cannot be read"),
        (b"ti\x00me,label\n1,v1\n", "header cannot be read"),
        ("time,label\n1,v1\n".encode("utf-16"), "is UTF-16"),
    ],
)
def test_a_file_that_is_no_text_is_refused_with_the_reason(tmp_path, content, words):
    path = tmp_path / "log.csv"
    path.write_bytes(content)

    with pytest.raises(UsageError, match=words):
        read(path)


def test_values_without_bounds_are_bad_lines_or_cut(tmp_path):
    path = tmp_path / "log.csv"
    lines = ["time,label,connection", "1,v1,a", f"{10**30},v1,b", "9999-01-01T00:00:00Z,v1,c"]
    lines += ["1e300,v1,d", f"{'9' * 5000},v1,e", f"2,{'w' * 9999},f", f"3,v1,{'k' * 9999}"]
    path.write_text("\n".join(lines), encoding="utf-8")

    log, batches = read(path)

    assert log.quality.bad == 4
    assert labels_of(batches)[-2] == "w" * 200 + "…"


@pytest.mark.parametrize(
    "reading",
    [
        {"metric": "answers"},
        {"rule": LabelRule.parse("/label")},
        {"kind": "csv", "log_format": "$msec"},
        {"kind": "vegeta", "columns": Columns(label="code")},
        {"kind": "unknown"},
        {"unit": "h"},
    ],
)
def test_options_that_the_log_has_no_use_for_are_refused(tmp_path, reading):
    path = tmp_path / "log.csv"
    path.write_text("time,label\n1,v1\n", encoding="utf-8")

    with pytest.raises(UsageError):
        list(ForeignLog(str(path), Reading(**reading)).batches())


def test_a_blank_after_each_delimiter_is_no_part_of_what_follows(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text('time, label, connection\n1, v1, a\n2, "v,2", b\n3,v1,c\n', encoding="utf-8")

    log, batches = read(path)

    assert labels_of(batches) == ["v1", "v,2", "v1"]
    assert log.quality.bad == 0


# How encoding/gob begins: the type that is sent, its name and its fields.
GOB = (
    b"\x7f\x03\x01\x01\x06Result\x01\xff\x80\x00\x01\x0c\x01\x06Attack\x01\x0c\x00\x01\x03Seq\x01\x06"
    b"\x00\x01\x04Code\x01\x06\x00\x01\tTimestamp\x01\xff\x82\x00\x01\x07Latency\x01\x04\x00"
)


@pytest.mark.parametrize(
    ("name", "content", "words", "hint"),
    [
        ("a.csv", b"1.5,v1,c1\n2.5,v2,c2\n", "no column 'time'", "must name the columns"),
        ("a.csv", b"time,label,label\n1,v1,v2\n", "2 columns 'label'", "rename"),
        ("a.csv", "time,label\n1,v1\n".encode("utf-16-le"), "is UTF-16", "iconv -f UTF-16"),
        ("a.csv", "time,label\n1,v1\n".encode("utf-16-be"), "is UTF-16", "iconv -f UTF-16"),
        ("a.csv", "time,label\n1,v1\n".encode("utf-32"), "is UTF-32", "iconv -f UTF-32"),
        ("a.json", b'[{"time": 1, "label": "v1"}]', "one object per line", "jq -c '.[]'"),
        ("a.json", b'{\n "time": 1,\n "label": "v1"\n}\n', "one object per line", "jq -c '.'"),
        ("a.parquet", b"PAR1 and no end", "cannot be read as Parquet", "complete"),
        (
            "hits.csv", b"1700000000000000000,200,1234567,0,15,,eyJ9,,0,GET,http://x/,\n",
            "vegeta in its CSV", "vegeta encode --to json",
        ),
        ("hits.bin", GOB, "vegeta in its gob", "vegeta encode --to json"),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_refused_with_what_to_do(tmp_path, name, content, words, hint):
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(UsageError, match=words) as caught:
        read(path)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    "words",
    [
        "dial tcp: connect: can't assign requested address",
        'transport connection broken: malformed HTTP status code "too many open files"',
    ],
)
def test_no_words_of_an_error_move_a_row_out_of_the_count(tmp_path, words):
    hit = {"attack": "", "seq": 0, "code": 0, "timestamp": "2026-01-31T12:00:00Z", "latency": 1,
           "bytes_out": 0, "bytes_in": 0, "error": words, "body": None, "method": "GET",
           "url": "http://a/", "headers": None}  # fmt: skip
    path = tmp_path / "hits.json"
    good = hit | {"error": "", "code": 200, "headers": {"X-Version": ["v1"]}}
    path.write_text(f"{json.dumps(hit)}\n{json.dumps(good)}\n", encoding="utf-8")

    _, (batch,) = read(path, rule=LabelRule.parse("header:X-Version"))

    assert len(judged_rows(batch)) == 2
