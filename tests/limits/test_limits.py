"""Every reader has its limit in bytes: what is larger is refused by name, and not read on.

docs/limits.md lists them; what is not here is tested beside its reader.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis import Batch
from sampler.base.errors import ClusterError, UsageError
from sampler.expect.cluster import answers, api
from sampler.expect.cluster.answers import ForbiddenError
from sampler.expect.cluster.api import Cluster
from sampler.expect.cluster.resources import Resource
from sampler.logs import open_record, source
from sampler.store import files, reader
from sampler.store.arrow import to_arrow
from sampler.store.reader import RunFolder, record_batches, stream_batches

LIMITS = Path(__file__).parents[2] / "docs" / "limits.md"
BATCH = to_arrow(Batch.of_labels(["v1"] * 90 + ["v2"] * 10))
PODS = Resource("", "v1", "pods", "Pod")


@pytest.mark.parametrize("filler", [b"\n", b"\r\n", b"x\n", b"1.0,v1\n"])
def test_a_log_of_gzip_expands_no_further_than_a_log_does(tmp_path, monkeypatch, filler):
    monkeypatch.setattr(source, "EXPANSION_FROM", 1 << 20)
    file = tmp_path / "log.csv.gz"
    file.write_bytes(gzip.compress(b"time,label\n" + filler * 4_000_000))

    with pytest.raises(UsageError, match=r"log\.csv\.gz expands to more than 200 times"):
        list(open_record(str(file)).batches())


def test_a_log_of_gzip_that_differs_line_by_line_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "EXPANSION_FROM", 1_000)
    rows = "".join(f"{1e9 + n / 100:.2f},v{1 + n % 10 // 9}\n" for n in range(20_000))
    file = tmp_path / "log.csv.gz"
    file.write_bytes(gzip.compress(f"time,label\n{rows}".encode()))

    assert sum(len(batch) for batch in open_record(str(file)).batches()) == 20_000


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_a_stream_that_is_packed_is_refused_before_it_is_unpacked(tmp_path, codec):
    file = tmp_path / "samples.arrows"
    for compression in (None, codec):
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with pa.ipc.new_stream(str(file), BATCH.schema, options=options) as stream:
            stream.write_batch(BATCH)
        if compression is None:
            assert sum(batch.num_rows for batch in stream_batches(file)) == 100

    with pytest.raises(UsageError, match=r"samples\.arrows cannot be read: it is compressed"):
        list(stream_batches(file))


def test_a_stream_is_read_up_to_the_most_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "MOST_ROWS", 250)
    with pa.ipc.new_stream(str(tmp_path / "samples.arrows"), BATCH.schema) as stream:
        for _ in range(5):
            stream.write_batch(BATCH)

    assert sum(batch.num_rows for batch in stream_batches(tmp_path / "samples.arrows")) == 200


@pytest.mark.parametrize(
    ("name", "limit", "said"),
    [("MOST_ROWS", 99, "it has 100 rows"), ("MOST_GROUP_BYTES", 10, "unpacks to")],
)
def test_a_table_says_itself_that_it_is_too_large(tmp_path, monkeypatch, name, limit, said):
    monkeypatch.setattr(files, name, limit)
    pq.write_table(pa.Table.from_batches([BATCH]), tmp_path / "samples.parquet")
    own = RunFolder(tmp_path)

    with pytest.raises(UsageError, match=rf"samples\.parquet cannot be read: .*{said}"):
        own.table  # noqa: B018 - it is read when it is asked for
    with pytest.raises(UsageError, match=said):
        list(record_batches(tmp_path))
    with pytest.raises(UsageError, match=said):
        list(open_record(str(tmp_path / "samples.parquet")).batches())


class Content:
    """What came on a connection of aiohttp, in parts."""

    def __init__(self, parts):
        self._parts = iter(parts)
        self.taken = 0

    async def readany(self):
        self.taken += 1
        return next(self._parts, b"")


class Answer:
    """One answer of an API server."""

    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, status, parts):
        self.status, self.content = status, Content(parts)

    def release(self):
        """Do nothing."""

    close = release


class Access:
    """Credentials for nobody."""

    class configuration:  # noqa: N801 - as kubernetes-asyncio has it
        host = "https://cluster"

    class origin:  # noqa: N801 - as above
        is_stale = staticmethod(lambda: False)

        @staticmethod
        async def renew(_configuration):
            """Renew nothing."""

    identity = certificate = staticmethod(lambda: "")


def cluster(*answers):
    """Make a cluster that gives these answers."""
    given = iter(answers)

    class Client:
        async def call_api(self, *_arguments, **_more):
            return next(given)

    made = Cluster(Access())  # type: ignore[arg-type]
    made._client = Client()
    return made


def page(items, more=""):
    document = {"items": items, "metadata": {"continue": more, "resourceVersion": "1"}}
    return [json.dumps(document).encode()]


def test_an_answer_of_the_api_has_a_limit(monkeypatch):
    monkeypatch.setattr(api, "MOST_BYTES", 1 << 20)
    endless = Answer(200, [b'{"items": ["' + b"x" * 100_000] * 1_000)

    with pytest.raises(ClusterError, match="has more than 1 MB"):
        asyncio.run(cluster(endless).get("/api/v1/pods"))
    assert endless.content.taken < 15


def test_a_list_has_a_limit_however_many_pages_it_has(monkeypatch):
    monkeypatch.setattr(api, "MOST_LISTED_BYTES", 1 << 20)
    padding = {"metadata": {"x": "y" * 100_000}}
    pages = [Answer(200, page([padding], more=str(number))) for number in range(50)]

    with pytest.raises(ClusterError, match="all pods in shop has more than 1 MB"):
        asyncio.run(cluster(*pages).list(PODS, "shop"))


def test_a_large_event_is_read_and_one_without_end_is_not(monkeypatch):
    event = (
        json.dumps({"type": "ADDED", "object": {"metadata": {"x": "y" * 400_000}}}).encode() + b"\n"
    )
    parts = [event[at : at + 65_536] for at in range(0, len(event), 65_536)]

    async def follow(*given):
        events = await cluster(Answer(200, given)).watch(PODS, "shop", "1")
        return [kind async for kind, _ in events]

    assert asyncio.run(follow(*parts, event[:-1])) == ["ADDED", "ADDED"]
    monkeypatch.setattr(answers, "MOST_BYTES", 1 << 20)
    with pytest.raises(ClusterError, match="an event of pods in shop has more than 1 MB"):
        asyncio.run(follow(*[b"x" * 100_000] * 50))


@pytest.mark.parametrize("status", [401, 403, 410, 418, 500])
@pytest.mark.parametrize("is_json", [False, True])
def test_what_the_api_says_shows_no_secret_and_ends(status, is_json):
    told = "Authorization: Bearer PSECRET for /api?access_token=PSECRET " + "x" * 100_000
    body = json.dumps({"message": told}).encode() if is_json else told.encode()

    with pytest.raises(Exception, match=r"\*\*\*") as caught:
        asyncio.run(cluster(Answer(status, [body])).get("/api/v1/pods"))
    assert "PSECRET" not in f"{caught.value} {getattr(caught.value, 'hint', '')}"
    assert len(str(caught.value)) < 600
    assert not isinstance(caught.value, ForbiddenError) or status == 403
