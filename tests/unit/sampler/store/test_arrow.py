import importlib.util
import sys
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from analysis import Tally
from analysis.data.batch import COLUMNS
from analysis.review.classical import classical_test
from sampler.base.errors import UsageError
from sampler.show.stored import read
from sampler.store.arrow import (
    grouped,
    parse_width,
    sample_schema,
    strings_of,
    to_arrow,
    to_batch,
    windows_of,
)
from sampler.store.writer import RunWriter
from tests.processes import REPOSITORY, completed
from tests.recorded import recorded


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    batch, report = recorded(["v1", "v2"], [9, 1], n=2000, lost=0.01)
    writer = RunWriter(tmp_path_factory.mktemp("runs"), "made", datetime.now(UTC))
    writer.write(batch)
    writer.finish(report, Tally.of(batch))
    return read(writer.path), batch


def test_what_was_written_is_read_back_as_the_same_batch(run):
    stored, batch = run

    back = stored.batch

    for name in COLUMNS:
        written = getattr(batch, name)
        if name in {"label", "replica"}:
            continue  # codes may change; what they mean may not
        np.testing.assert_array_equal(getattr(back, name), written, err_msg=name)
        assert getattr(back, name).dtype == written.dtype
    assert Tally.of(back) == Tally.of(batch)


def test_chunks_with_dictionaries_of_their_own_keep_their_labels():
    one, _ = recorded(["a", "b"], [1, 1], n=50)
    other, _ = recorded(["c", "a"], [1, 1], n=50)

    back = to_batch(pa.Table.from_batches([to_arrow(one), to_arrow(other)], sample_schema()))

    assert Tally.of(back).labels == Tally.of(one).labels + Tally.of(other).labels


def test_an_empty_table_is_an_empty_batch():
    assert len(to_batch(sample_schema().empty_table())) == 0


def test_a_table_without_a_column_is_refused_by_name():
    with pytest.raises(ValueError, match="lack the columns sent_ns"):
        to_batch(sample_schema().empty_table().drop_columns(["sent_ns"]))


def test_windows_count_every_sample_once(run):
    stored, batch = run

    rows = stored.windows("100ms").to_pylist()

    assert sum(row["count"] for row in rows) == len(batch)
    first = [row for row in rows if row["start_s"] == 0]
    in_first = batch.sent_ns < 100_000_000
    assert sum(row["count"] for row in first) == np.count_nonzero(in_first)
    assert sum(row["share"] or 0 for row in first) == pytest.approx(1)
    assert {row["label"] for row in rows} == {"v1", "v2", None}
    assert all((row["share"] is None) == (row["label"] is None) for row in rows)


def test_windows_of_one_width_add_up_to_wider_ones(run):
    _, batch = run
    narrow, wide = windows_of(batch, 10**8), windows_of(batch, 10**9)

    assert sum(narrow["count"].to_pylist()) == sum(wide["count"].to_pylist())
    assert set(wide["start_s"].to_pylist()) == {0.0, 1.0}


def test_windows_may_lie_years_apart():
    batch, _ = recorded(["v1", "v2"], [1, 1], n=3)
    sent = np.array([0, 1, (1 << 63) - 1], dtype=np.int64)
    batch = replace(batch, sent_ns=sent)

    rows = windows_of(batch, 1).to_pylist()

    assert [row["count"] for row in rows] == [1, 1, 1]
    assert [row["start_s"] for row in rows] == [0.0, 1e-9, pytest.approx(9.223372036854775e9)]


def test_groups_have_counts_and_quantiles(run):
    stored, batch = run

    rows = stored.by("label").to_pylist()

    assert [row["label"] for row in rows] == ["v1", "v2", None]
    took_ms = (batch.done_ns - batch.scheduled_ns)[batch.label == 1] / 1e6
    assert rows[1]["count"] == len(took_ms)
    middle = np.sort(took_ms)[(len(took_ms) - 1) // 2]  # half of the times do not exceed it
    assert rows[1]["p50_ms"] == pytest.approx(middle)


def test_what_was_never_answered_has_no_quantiles(run):
    rows = {row["outcome"]: row for row in run[0].by("outcome").to_pylist()}

    assert rows["timeout"]["p50_ms"] is None
    assert rows["ok"]["p99_ms"] > rows["ok"]["p50_ms"]


def test_only_categories_can_be_grouped(run):
    with pytest.raises(ValueError, match="expected one of label, replica"):
        grouped(run[0].table, "sent_ns")


@pytest.mark.parametrize(
    ("text", "width"), [("1s", 10**9), ("100ms", 10**8), (" 0.5 s", 5 * 10**8), ("2m", 12 * 10**10)]
)
def test_a_width_is_read_with_its_unit(text, width):
    assert parse_width(text) == width


@pytest.mark.parametrize("text", ["", "1", "s", "0s", "-1s", "1 h", "0.0000000001ms"])
def test_a_width_of_another_form_is_refused(text):
    with pytest.raises(ValueError, match="expected a width such as 1s"):
        parse_width(text)


@pytest.mark.parametrize("name", ["split", "replicas", "times", "connections"])
def test_a_run_draws_its_figures(run, name):
    assert run[0].figure(name).axes


def test_a_figure_that_does_not_exist_is_refused(run):
    with pytest.raises(ValueError, match="times or connections"):
        run[0].figure("pie")


def test_a_notebook_shows_verdict_and_figure(run):
    cell = run[0]._repr_html_()

    assert "<strong>" in cell
    assert "<svg" in cell
    assert f"<summary>Classical test</summary>{classical_test(run[0].report)}" in cell
    assert "<script" not in cell


def test_a_notebook_shows_a_run_without_a_report_as_such(tmp_path):
    (tmp_path / "samples.arrows").touch()

    cell = read(tmp_path)._repr_html_()

    assert "the run was cut off" in cell
    with pytest.raises(UsageError, match="cut off"):
        read(tmp_path).figure()


@pytest.mark.parametrize("names", [[], ["v1"], ["v1", None, "", "é", "v" * 300], [None, None]])
def test_names_are_the_arrow_strings_that_they_were(names):
    made = strings_of(names)

    made.validate(full=True)
    assert made.equals(pa.array(names, pa.string()))


def test_a_run_is_written_without_pandas_even_where_it_is_installed(tmp_path):
    code = (
        "import sys\n"
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n"
        "from analysis import Batch, Tally\n"
        "from sampler.store.writer import RunWriter\n"
        "from tests.recorded import recorded\n"
        "batch, report = recorded(['v1', 'v2'], [9, 1], n=100, lost=0.1)\n"
        "writer = RunWriter(Path(sys.argv[1]), 'made', datetime.now(UTC))\n"
        "writer.open_stream()\n"
        "writer.write(batch)\n"
        "writer.finish(report, Tally.of(batch))\n"
        "print('pandas' in sys.modules)\n"
    )

    done = completed([sys.executable, "-c", code, str(tmp_path)], REPOSITORY)

    assert done.stdout == "False\n", done.stderr
    assert importlib.util.find_spec("pandas") is not None
