"""A run's folder that is damaged, or was made to harm: a named error, or what is still sound."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis import Split, Tally
from analysis.render import to_json, to_text
from sampler.base.errors import UsageError
from sampler.plan.document import to_document
from sampler.plan.run import RunPlan
from sampler.plan.target import Target
from sampler.run.judging import rejudge
from sampler.run.recovery import report_of
from sampler.show.documents import located, page_of
from sampler.show.stored import read
from sampler.store import files
from sampler.store.arrow import to_arrow, to_batch
from sampler.store.expectation_history import to_document as expectation_document
from sampler.store.layout import EXPECTATION, PLAN, REPORT, SAMPLES, STREAM
from sampler.store.reader import record_batches
from sampler.store.writer import RunWriter
from tests.recorded import recorded

ROWS, PART = 600, 200
DOCUMENTS = (PLAN, REPORT, EXPECTATION)
ODD: tuple[object, ...] = (
    None,
    -1,
    0,
    1e308,
    10**400,
    2**63 - 1,
    "\ud800",
    "",
    [],
    {},
    [[]],
    True,
    "x" * 5000,
)


def written(base, *, is_whole):
    batch, report = recorded(["v1", "v2"], [9, 1], n=ROWS, lost=0.01, per_connection=2)
    plan = RunPlan(Target("http://shop/"), split=Split.parse("v1=9,v2=1"), name="check")
    expected = expectation_document(report.expected, None)
    writer = RunWriter(base, "check", datetime.now(UTC))
    writer.begin(to_document(plan, "2026-01-31T12:00:00Z"), expected)
    for first in range(0, ROWS, PART):
        writer.write(batch[first : first + PART])
        writer.flush(0)
    if is_whole:
        writer.finish(report, Tally.of(batch), expected)
    return writer.path


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    base = tmp_path_factory.mktemp("runs")
    return written(base / "whole", is_whole=True), written(base / "cut-off", is_whole=False)


@pytest.fixture
def whole(runs, tmp_path):
    return shutil.copytree(runs[0], tmp_path / "whole")


@pytest.fixture
def cut_off(runs, tmp_path):
    return shutil.copytree(runs[1], tmp_path / "cut-off")


def flipped(random, data):
    damaged = bytearray(data)
    if random.random() < 0.15:
        return bytes(damaged[: random.randrange(len(damaged))])
    for _ in range(random.choice((1, 1, 2, 6, 30))):
        damaged[random.randrange(len(damaged))] = random.choice((0, 255, random.randrange(256)))
    return bytes(damaged)


def places(part, path=()):
    each = part.items() if isinstance(part, dict) else enumerate(part)
    for key, value in each:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def edited(random, data):
    """Put something odd at some places of a JSON document, or take them out."""
    document = json.loads(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        *way, last = random.choice(list(places(document)))
        part = document
        for key in way:
            part = part[key]
        if random.random() < 0.15:
            del part[last]
        else:
            part[last] = random.choice(ODD)
    return json.dumps(document).encode()


def use(folder):
    """Read all of a run and judge it; give how many of these ended with a named error."""
    run = read(folder)
    refused = 0
    for step in (
        lambda: [show(located(report_of(run), folder)) for show in (to_text, to_json)],
        lambda: rejudge(run),
        lambda: (run.windows("1s"), run.by("outcome")),
    ):
        try:
            step()
        except UsageError:
            refused += 1
    return refused


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", [*DOCUMENTS, SAMPLES, STREAM])
def test_no_damage_ends_otherwise_than_in_a_named_error(runs, tmp_path, name, seed):
    source = runs[name in {STREAM, PLAN}]
    data = (source / name).read_bytes()
    random, refused = Random(f"{name} {seed}"), 0
    for number in range(15):
        folder = shutil.copytree(source, tmp_path / str(number))
        is_edited = name in DOCUMENTS and random.random() < 0.8
        (folder / name).write_bytes((edited if is_edited else flipped)(random, data))
        refused += use(folder)
    assert refused or name in {STREAM, EXPECTATION}


def test_a_damaged_stream_is_read_up_to_the_damage(cut_off):
    data = bytearray((cut_off / STREAM).read_bytes())
    codes = np.zeros(PART, dtype=np.int32).tobytes()
    assert use(cut_off) == 0
    for batch in record_batches(cut_off):
        codes = batch.column("label").indices.buffers()[1].to_pybytes()[: PART * 4]
    at = data.rindex(codes)
    data[at : at + 4] = (38_400).to_bytes(4, "little")  # a label that no dictionary holds

    (cut_off / STREAM).write_bytes(data)

    assert len(read(cut_off).batch) == ROWS - PART
    assert report_of(read(cut_off)).samples.launched == ROWS - PART


def test_a_length_that_is_damaged_takes_no_memory(cut_off):
    data = (cut_off / STREAM).read_bytes()
    with pa.OSFile(str(cut_off / STREAM)) as file:
        message = pa.ipc.read_message(file)
        assert message.type == "schema"
        start = file.tell()
    body = pa.ipc.read_message(pa.BufferReader(data[start:])).body.size
    at = data.index(body.to_bytes(8, "little"), start)

    (cut_off / STREAM).write_bytes(data[:at] + (1 << 45).to_bytes(8, "little") + data[at + 8 :])

    assert len(read(cut_off).batch) == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [("sent_ns", -1), ("done_ns", 1 << 62 | 1), ("connection", 1 << 48), ("status", -5)],
)
def test_samples_that_no_run_can_hold_are_refused_by_column(column, value):
    batch, _ = recorded(["v1"], [1], n=3)
    values = getattr(batch, column).copy()
    values[1] = value
    table = pa.Table.from_batches([to_arrow(replace(batch, **{column: values}))])

    with pytest.raises(ValueError, match=column):
        to_batch(table)


@pytest.mark.parametrize(
    ("column", "kind"), [("sent_ns", pa.list_(pa.int8())), ("label", pa.int8())]
)
def test_a_column_of_another_type_is_refused_by_name(column, kind):
    batch, _ = recorded(["v1"], [1], n=3)
    table = pa.Table.from_batches([to_arrow(batch)])
    place = table.column_names.index(column)
    table = table.set_column(place, column, pa.array([None, None, None], kind))
    filled = table.set_column(
        place, column, pa.array([[1]] * 3 if "list" in str(kind) else [1] * 3, kind)
    )

    with pytest.raises(ValueError, match=column):
        to_batch(filled)


def test_a_flipped_bit_of_a_sample_is_found(whole):
    data = bytearray((whole / SAMPLES).read_bytes())
    pages = pq.ParquetFile(whole / SAMPLES).metadata.row_group(0).column(0)
    data[pages.data_page_offset + pages.total_compressed_size - 1] ^= 1

    (whole / SAMPLES).write_bytes(data)

    with pytest.raises(UsageError, match=rf"{SAMPLES} cannot be read: .*(?i:crc|checksum)"):
        read(whole).table  # noqa: B018


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"[]", "expected an object, got list"),
        (b"\xff{}", "it is not UTF-8"),
        (b'{"a": ' * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 40 + b"}", "more than 64 bits"),
        (b'{"a": ' + b"9" * 5000 + b"}", "digits"),
    ],
)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_is_none_is_named(whole, name, text, words):
    (whole / name).write_bytes(text)
    run = read(whole)
    what = {PLAN: "stored_plan", REPORT: "report", EXPECTATION: "history"}[name]

    with pytest.raises(UsageError, match=rf"{name}.*{words}"):
        getattr(run, what)


def test_a_document_without_end_is_refused(whole, monkeypatch):
    monkeypatch.setattr(files, "MOST_BYTES", 1000)

    with pytest.raises(UsageError, match=f"{REPORT} cannot be read: it has more than"):
        read(whole).report  # noqa: B018


@pytest.mark.parametrize("name", [*DOCUMENTS, SAMPLES])
def test_what_is_no_file_is_not_opened(whole, name):
    (whole / name).unlink()
    os.mkfifo(whole / name)  # whoever opens it waits for ever

    assert use(whole) > 0 or name == PLAN  # without it, the report says enough


def test_a_stream_that_is_no_file_is_not_opened(cut_off):
    (cut_off / STREAM).unlink()
    os.mkfifo(cut_off / STREAM)

    with pytest.raises(UsageError, match=f"{STREAM} cannot be read: it is not a regular file"):
        read(cut_off).batch  # noqa: B018


@pytest.mark.parametrize("name", ["report.html", "split.svg", "split.png"])
def test_nothing_is_written_through_a_link(whole, tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (whole / name).symlink_to(elsewhere)
    (whole / f".{name}.part").symlink_to(elsewhere)

    page_of(located(read(whole).report, whole))

    assert elsewhere.read_text() == "mine"
    assert (whole / name).is_file()
    assert not (whole / name).is_symlink()


def test_a_report_that_expects_no_split_is_named(whole):
    document = json.loads((whole / REPORT).read_text())
    document["expected"]["weights"] = {}
    (whole / REPORT).write_text(json.dumps(document))

    with pytest.raises(UsageError, match=f"{REPORT}: expected one weight"):
        read(whole).report  # noqa: B018
