"""Foreign logs are read row by row, within bounds, and never by guessing."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from analysis.batch import ABSENT
from sampler import logs
from sampler.errors import UsageError
from sampler.logs import Columns, ForeignLog, instant_ns, open_record


def read(path, columns=None, kind="auto"):
    log = ForeignLog(str(path), columns or Columns(), kind)
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
    with pytest.raises(ValueError, match="no time"):
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
    assert "no UTF-8" in log.quality.named[2]


def test_a_line_without_end_is_one_bad_line(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "_LONGEST_LINE", 100)
    path = tmp_path / "log.csv"
    path.write_text("label\nv1\n" + "x" * 1050 + "\nv2\n", encoding="utf-8")

    log, batches = read(path, Columns(time=None))

    assert labels_of(batches) == ["v1", None, "v2"]
    assert "too long" in log.quality.named[0]


def test_rows_of_one_connection_are_numbered_and_forgotten_ones_start_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "REMEMBERED", 2)
    path = tmp_path / "log.csv"
    keys = ["a", "b", "a", "c", "b"]
    rows = (f"{i},v1,{key}" for i, key in enumerate(keys))
    path.write_text("time,label,connection\n" + "\n".join(rows), encoding="utf-8")

    log, (batch,) = read(path)

    # c takes the place of b, which was used longest ago.
    assert batch.ordinal.tolist() == [0, 0, 1, 0, 0]
    assert log.quality.repeated == 1
    assert len(set(batch.connection.tolist())) == 4


def test_json_lines_without_a_label_have_none_and_without_a_time_are_bad(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"time":1,"label":7}\n{"time":2}\n{"label":"v1"}\n[]\n{', encoding="utf-8")

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
        open_record(str(tmp_path / "none.csv"), Columns())
    with pytest.raises(UsageError, match="folder of a run"):
        open_record(str(tmp_path), Columns())


def test_memory_does_not_grow_with_the_log(tmp_path):
    def peak(rows):
        path = tmp_path / f"{rows}.csv"
        path.write_text("time,label\n" + "".join(f"{i},v1\n" for i in range(rows)), "utf-8")
        tracemalloc.start()
        seen = sum(len(batch) for batch in ForeignLog(str(path), Columns()).batches())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert seen == rows
        return most

    peak(5_000)
    assert peak(40_000) < 1.2 * peak(10_000)


def test_times_that_stand_still_are_in_order(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("time,label\n1,v1\n1,v2\n1,v1\n", encoding="utf-8")

    _, (batch,) = read(path)

    assert np.all(batch.sent_ns == 0)
