"""No bytes make the reading of a log end in anything but rows or a clear refusal."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampler.base.errors import UsageError
from sampler.logs import KINDS, Columns, ForeignLog, Reading
from tests.recordings.make import HERE

LINES = {
    "nginx": ["nginx-weighbridge.log", "nginx-weighbridge.json.log", "nginx-combined.log"],
    "envoy": ["envoy.log", "envoy.json.log"],
    "traefik": ["traefik.log", "traefik.json.log"],
    "k6": ["k6.json.gz", "k6.csv.gz"],
    "hey": ["hey.csv"],
}


VEGETA = (
    b'{"attack":"","seq":1,"code":200,"timestamp":"2026-01-31T12:00:00.1Z","latency":1500000,'
    b'"bytes_out":0,"bytes_in":14,"error":"","body":"eyJsYWJlbCI6InYxIn0=","method":"GET",'
    b'"url":"http://127.0.0.1/","headers":{"X-Version":["v1"]}}\n'
)


def first_lines(name):
    data = (HERE / name).read_bytes()
    data = gzip.decompress(data) if name.endswith(".gz") else data
    return data.splitlines(keepends=True)[:20]


@st.composite
def spoilt(draw, lines):
    """Some lines, with a few bytes of them replaced, removed or repeated."""
    text = bytearray(b"".join(draw(st.lists(st.sampled_from(lines), min_size=1, max_size=6))))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, max(len(text) - 1, 0)))
        length = draw(st.integers(0, 12))
        text[at : at + length] = draw(
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from([b'"', b"\n", b"9" * 25, b"-", b"null", b"{}", b"[1]", b"NaN"]),
            )
        )
    return bytes(text)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "parquet"])
@settings(max_examples=60)
@given(data=st.data())
def test_any_bytes_are_rows_bad_lines_or_refused(kind, data):
    names = LINES.get(kind, ["hey.csv", "envoy.json.log"])
    lines = [VEGETA, *(line for name in names for line in first_lines(name))]
    columns = data.draw(
        st.sampled_from(
            [Columns(), Columns(label="status-code", time="offset"), Columns(label="status"),
             Columns(label="/data/tags/label", time=None)]
        )
    )  # fmt: skip
    content = data.draw(st.one_of(st.binary(max_size=200), spoilt(lines)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(content)
        log = ForeignLog(str(path), Reading(kind=kind, columns=columns, renames=(("v*", "v"),)))
        rows = 0
        try:
            for batch in log.batches():
                rows += len(batch)
        except UsageError:
            return  # a refusal is fine, whatever it says here
        assert rows == log.quality.rows
        assert log.quality.bad <= rows
