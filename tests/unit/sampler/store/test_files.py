"""Files of a folder that may come from anywhere."""

from __future__ import annotations

import os

import pytest

from sampler.base.errors import UsageError
from sampler.store import files
from sampler.store.files import put, read_object, read_text, require_file, whole


@pytest.fixture
def file(tmp_path):
    return tmp_path / "report.json"


def test_what_would_block_or_never_end_is_no_file(file):
    os.mkfifo(file)
    for place in (file, file.parent, type(file)(os.devnull)):
        with pytest.raises(UsageError, match="not a regular file"):
            require_file(place)


def test_a_file_that_is_not_there_is_told_apart(file):
    with pytest.raises(FileNotFoundError):
        read_text(file)


@pytest.mark.parametrize(("size", "is_read"), [(100, True), (101, False)])
def test_a_document_has_a_limit_in_bytes(file, monkeypatch, size, is_read):
    monkeypatch.setattr(files, "MOST_BYTES", 100)
    file.write_text("x" * size)

    if is_read:
        assert read_text(file) == "x" * size
    else:
        with pytest.raises(UsageError, match=r"report\.json cannot be read: it has more than"):
            read_text(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": [{"b": 9223372036854775808}]}', "more than 64 bits"),
        ('{"a": 1e999}', "it holds inf"),
        ('{"a": [1e300]}', r"it holds 1e\+300"),
        ("[" * 100_000, "nested too deeply"),
        ("1", "expected an object, got int"),
        ("{", "cannot be read"),
    ],
)
def test_what_no_run_wrote_is_refused_by_name(file, text, words):
    file.write_text(text)

    with pytest.raises(UsageError, match=rf"report\.json.*{words}"):
        read_object(file, is_finite=True)


def test_numbers_without_a_limit_are_read_where_a_plan_may_hold_them(file):
    file.write_text('{"a": Infinity}')

    assert read_object(file) == {"a": float("inf")}


def test_a_link_is_replaced_and_never_followed(file, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    file.symlink_to(mine)
    (tmp_path / f".report.json.{os.getpid()}.part").symlink_to(mine)

    with whole(file) as part:
        part.write_text("new")

    assert (file.read_text(), file.is_symlink(), mine.read_text()) == ("new", False, "mine")


def test_a_file_of_the_user_is_written_whole_and_keeps_its_place(tmp_path):
    linked, link = tmp_path / "linked", tmp_path / "link"
    linked.write_text("old")
    linked.chmod(0o640)
    link.symlink_to(linked)

    put(link, b"new")

    assert (link.is_symlink(), linked.read_bytes()) == (True, b"new")
    assert linked.stat().st_mode & 0o777 == 0o640
    with pytest.raises(OSError, match="No space"):
        put(type(link)("/dev/full"), b"new")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "linked"]


def test_a_file_of_the_user_that_cannot_be_written_stays_as_it_was(file, monkeypatch):
    file.write_text("old")

    def full(self, _data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(file), "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        put(file, b"new")

    assert file.read_text() == "old"


def test_what_fails_leaves_what_was_there(file):
    file.write_text("old")

    def fail():
        with whole(file) as part:
            part.write_text("half")
            raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        fail()

    assert [each.name for each in file.parent.iterdir()] == ["report.json"]
    assert file.read_text() == "old"
