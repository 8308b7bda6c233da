"""Runs on disk: readable for ever, and with the tools that people have.

The folders in ``tests/stored`` were written by earlier versions of weighbridge and stay as they
are: ``first`` by the first one, ``first-cut-off`` by the same when it was killed (its samples
have no column ``remote``), ``second`` by the one that added it.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis import Split, Tally, Verdict
from analysis.data.batch import COLUMNS, Outcome
from analysis.data.report import Reason, ReasonCode
from sampler import read
from sampler.base.errors import UsageError
from sampler.logs import open_record
from sampler.plan.document import to_document
from sampler.plan.run import RunPlan
from sampler.plan.target import Target
from sampler.run.judging import Judging, judge, rejudge
from sampler.store.arrow import FORMAT, sample_schema
from sampler.store.layout import SAMPLES
from sampler.store.writer import RunWriter
from tests.processes import completed
from tests.recorded import recorded

STORED = Path(__file__).resolve().parents[1] / "stored"
OLD = ("first", "second", "first-cut-off")
# In a process of its own: at the end of this one, DuckDB would print what it believes is leaked.
DUCKDB = """
import json, sys
import duckdb
asked = (
    "SELECT label, count(*), sum(done_ns - scheduled_ns) FROM read_parquet(?) GROUP BY 1",
    "SELECT outcome, status FROM read_parquet(?) WHERE label = 'v2' LIMIT 1",
)
with duckdb.connect() as connection:
    found, (first,) = (connection.execute(each, sys.argv[1:]).fetchall() for each in asked)
print(json.dumps([found, first], default=int))
"""
INSTANTS = ("scheduled_ns", "sent_ns", "first_byte_ns", "done_ns")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of this version, and the batch and the report that it was made of."""
    batch, report = recorded(["v1", "v2"], [9, 1], n=2000, lost=0.01)
    writer = RunWriter(tmp_path_factory.mktemp("runs"), "made", datetime.now(UTC))
    writer.write(batch)
    writer.finish(report, Tally.of(batch))
    return read(writer.path), batch, report


@pytest.fixture
def expected(run):
    """Samples by label, and the sum of all response times [ns]."""
    _, batch, _ = run
    names = [*batch.labels, None]
    answered = batch.done_ns >= 0
    return (
        Counter(names[code] for code in batch.label.tolist()),
        int((batch.done_ns - batch.scheduled_ns)[answered].sum()),
    )


def test_duckdb_reads_the_samples(run, expected):
    path = run[0].path / SAMPLES

    done = completed([sys.executable, "-c", DUCKDB, str(path)], path.parent)

    assert done.returncode == 0, done.stderr
    found, first = json.loads(done.stdout)
    assert {label: count for label, count, _ in found} == expected[0]
    assert sum(int(took or 0) for _, _, took in found) == expected[1]
    assert first == ["ok", 200]


def test_pandas_reads_the_samples(run, expected):
    frame = pd.read_parquet(run[0].path / SAMPLES)

    counts = frame["label"].value_counts(dropna=False).to_dict()
    assert {None if pd.isna(key) else key: int(n) for key, n in counts.items()} == expected[0]
    assert int((frame["done_ns"] - frame["scheduled_ns"]).sum()) == expected[1]
    assert isinstance(frame["label"].dtype, pd.CategoricalDtype)
    pd.testing.assert_frame_equal(frame, run[0].to_pandas())


def test_polars_reads_the_samples(run, expected):
    frame = pl.scan_parquet(run[0].path / SAMPLES)

    found = frame.group_by("label").len().collect()
    took = frame.select((pl.col("done_ns") - pl.col("scheduled_ns")).sum()).collect().item()
    assert {str(label) if label else None: n for label, n in found.iter_rows()} == expected[0]
    assert took == expected[1]


def test_instants_carry_their_unit_and_names_are_dictionaries(run):
    schema = pq.read_schema(run[0].path / SAMPLES)

    assert schema.names == list(COLUMNS)
    assert schema.metadata[b"format"] == FORMAT.encode()
    for name in INSTANTS:
        assert schema.field(name).metadata[b"unit"] == b"ns"
    for name in ("label", "replica", "remote", "outcome"):
        assert schema.field(name).type == pa.dictionary(pa.int32(), pa.string())
    columns = pq.read_metadata(run[0].path / SAMPLES).row_group(0)
    label = next(
        columns.column(at)
        for at in range(columns.num_columns)
        if columns.column(at).path_in_schema == "label"
    )
    assert label.has_dictionary_page


def test_the_columns_of_the_first_version_are_all_there_and_mean_what_they_meant():
    first = pq.read_schema(STORED / "first" / SAMPLES)

    now = sample_schema()
    for field in first:
        assert now.field(field.name).equals(field, check_metadata=True), field.name


@pytest.mark.parametrize("name", OLD)
def test_an_old_run_is_read_whole(name):
    run = read(STORED / name)
    labels = Counter(run.table["label"].to_pylist())
    sent = run.table["sent_ns"].to_numpy()

    assert Tally.of(run.batch).launched == run.table.num_rows == labels.total()
    assert set(labels) <= {"v1", "v2", None}
    assert np.all(np.diff(sent) >= 0)
    assert set(run.batch.outcome.tolist()) <= {Outcome.OK, Outcome.CLOSED, Outcome.RESET}
    assert run.batch.remotes == (("127.0.0.1",) if name == "second" else ())
    assert sum(row["count"] for row in run.windows("1s").to_pylist()) == len(sent)
    assert {row["label"]: row["count"] for row in run.by("label").to_pylist()} == labels
    assert len(run.to_pandas()) == len(sent)


@pytest.mark.parametrize("name", ["first", "second"])
def test_an_old_report_is_read_and_agrees_with_its_samples(name):
    run = read(STORED / name)
    document = json.loads((STORED / name / "report.json").read_text("utf-8"))

    counts = Counter(run.table["label"].to_pylist())
    assert run.report.observed.counts == {"v1": counts["v1"], "v2": counts["v2"]}
    assert str(run.report.verdict) == document["verdict"]
    assert "<svg" in run._repr_html_()
    assert run.figure("times").axes


@pytest.mark.parametrize("name", OLD)
def test_an_old_run_is_judged_again(name):
    run = read(STORED / name)

    report = judge(open_record(str(STORED / name)), Judging(Split.parse("v1=9,v2=1")))

    assert report.samples.launched == run.table.num_rows
    assert report.samples.labelled == run.table["label"].drop_null().length()


@pytest.mark.parametrize("is_saturated", [False, True])
def test_what_the_samples_do_not_say_is_kept_when_a_run_is_judged_again(tmp_path, is_saturated):
    plan = RunPlan(Target("https://shop/", insecure=True), split=Split.parse("v1=9,v2=1"))
    batch, report = recorded(["v1", "v2"], [9, 1], n=3000)
    late = Reason(ReasonCode.CLIENT_SATURATED, "Nothing is claimed: the client was late.")
    if is_saturated:
        report = replace(report, verdict=Verdict.INCONCLUSIVE, reasons=[late])
    writer = RunWriter(tmp_path, "made", datetime.now(UTC))
    writer.begin(to_document(plan, report.run.started_at), None)
    writer.write(batch)
    writer.finish(report, Tally.of(batch))

    again = rejudge(read(writer.path))

    assert any(note.startswith("--insecure: ") for note in again.notes)
    assert again.verdict is (Verdict.INCONCLUSIVE if is_saturated else Verdict.PASS)


@pytest.mark.parametrize("written", [b"weighbridge.samples/2", None])
def test_a_format_that_is_not_known_is_refused_and_not_guessed(tmp_path, written):
    table = pq.read_table(STORED / "first" / SAMPLES)
    metadata = {} if written is None else {b"format": written}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / SAMPLES)

    with pytest.raises(UsageError, match=r"weighbridge\.samples/1") as caught:
        _ = read(tmp_path).table

    assert "newer weighbridge" in str(caught.value.hint)


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    (tmp_path / SAMPLES).write_bytes(b"PAR1 and no more")

    assert repr(read(tmp_path)) == f"StoredRun({str(tmp_path)!r})"
