"""A short run of the fuzzer, what its corpus comes to, and that it would notice."""

from __future__ import annotations

import tracemalloc

import pytest

from sampler.exchange.http1.response import LimitExceeded, ResponseReader
from tests.fuzz.reading import CORPUS, PIECE, Broken, check, read
from tests.fuzz.run import READERS, fuzz

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_no_input_breaks_the_reader():
    counts, broken = fuzz(READERS["responses"], 20_000, seed=20_261_123)

    assert broken is None
    assert set(counts) == {"response", "protocol", "limit", "incomplete"}


def test_no_input_breaks_the_reader_of_manifests():
    counts, broken = fuzz(READERS["manifests"], 1_000, seed=20_261_130)

    assert broken is None
    assert set(counts) == {"answered", "not expected", "refused"}


@pytest.mark.parametrize(
    ("name", "inputs"), [("logs", 300), ("runs", 150), ("configurations", 100)]
)
def test_no_file_of_others_is_a_bug(name, inputs):
    counts, broken = fuzz(READERS[name], inputs, seed=20_261_130)

    assert broken is None
    assert set(counts) == {"read", "refused"}


def test_the_fuzzer_notices_a_command_that_fails(monkeypatch):
    monkeypatch.setattr("sampler.logs.rows.Builder.__init__", lambda *_a, **_k: 1 // 0)

    _, broken = fuzz(READERS["logs"], 50, seed=1)

    assert broken is not None
    assert "judge ends with 70" in broken[1]


def test_the_fuzzer_notices_a_reader_of_manifests_that_fails(monkeypatch):
    monkeypatch.setattr("sampler.expect.documents.resolve", lambda text: 1 // len(text))

    _, broken = fuzz(READERS["manifests"], 500, seed=1)

    assert broken is not None
    assert "ZeroDivisionError" in broken[1]


@pytest.mark.parametrize("size", [1, PIECE])
@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("length", "response"),
        ("pipelined", "response"),
        ("small-chunks", "response"),
        ("endless-trailer", "limit"),
        ("long-trailer", "limit"),
        ("long-extension", "limit"),
        ("bomb", "limit"),
        ("html", "protocol"),
    ],
)
def test_an_input_of_the_corpus_comes_to_its_end(name, end, size):
    data = (CORPUS / name).read_bytes()
    parts = [data[at : at + size] for at in range(0, len(data), size)]

    assert read(parts, bodyless=False)[0] == end


def test_the_fuzzer_notices_a_reader_that_fails_in_another_way(monkeypatch):
    def fail(_self, _part):
        raise ValueError("a defect")

    monkeypatch.setattr(ResponseReader, "on_status", fail)

    _, broken = fuzz(READERS["responses"], 20, seed=1)

    assert broken is not None


def test_the_fuzzer_notices_a_reader_that_depends_on_the_cuts(monkeypatch):
    real = ResponseReader.on_body
    monkeypatch.setattr(ResponseReader, "on_body", lambda self, part: real(self, part[:7]))

    with pytest.raises(Broken, match="in one piece"):
        check((CORPUS / "length").read_bytes(), 64, bodyless=False)


def test_the_fuzzer_notices_a_reader_that_holds_too_much(monkeypatch):
    monkeypatch.setattr(ResponseReader, "held_bytes", 10_000)

    with pytest.raises(Broken, match="10000 bytes held"):
        check((CORPUS / "length").read_bytes(), 1, bodyless=False)


def test_a_body_in_tiny_chunks_takes_no_more_memory_than_twice_its_limit():
    limit = 100_000
    reader = ResponseReader(bodyless=False, max_header_bytes=65_536, max_body_bytes=limit)
    reader.feed(CHUNKED)
    many = b"1\r\na\r\n" * 1_000
    tracemalloc.start()
    try:
        with pytest.raises(LimitExceeded, match="body"):
            feed_for_ever(reader, many)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 2 * limit + len(many)


def test_a_trailer_without_end_is_over_the_limit_of_the_header():
    reader = ResponseReader(bodyless=False, max_header_bytes=1_000, max_body_bytes=1_000)
    reader.feed(CHUNKED + b"1\r\na\r\n0\r\n")

    with pytest.raises(LimitExceeded, match="trailer"):
        feed_for_ever(reader, b"X: 123\r\n")


def feed_for_ever(reader, data):
    """Feed the same bytes again and again, within reason."""
    for _ in range(10_000):
        reader.feed(data)
