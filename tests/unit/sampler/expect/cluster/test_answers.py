"""What an API server may say, and what a proxy between may make of it."""

from __future__ import annotations

import pytest

from sampler.base.errors import ClusterError
from sampler.expect.cluster.answers import GoneError, event_of, items_of
from sampler.expect.cluster.resources import PODS

POD = PODS[2]


def test_an_event_has_its_kind():
    kind, body = event_of(b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}', POD)

    assert (kind, body["kind"], body["metadata"]) == ("ADDED", "Pod", {"name": "a"})


@pytest.mark.parametrize(
    "line",
    [
        b"<html>",
        b"\xef\xbb\xbf{}",
        b"{}",
        b"[]",
        b"null",
        b'{"type":"MODIFIED","object":null}',
        b'{"type":"MODIFIED","object":[]}',
        b'{"type":"MODIFIED","object":{"metadata":"x"}}',
        b'{"type":"RENAMED","object":{"metadata":{"name":"a"}}}',
        b'{"type":["ADDED"],"object":{"metadata":{"name":"a"}}}',
        b'{"type":"ERROR","object":null}',
        b'{"type":"ERROR","object":{"code":"410"}}',
        b'{"type":"MODIFIED","object":{"metadata":{"na',
    ],
)
def test_what_is_no_event_is_an_error_of_the_server(line):
    with pytest.raises(ClusterError):
        event_of(line, POD)


def test_a_watch_that_is_too_old_says_so():
    with pytest.raises(GoneError):
        event_of(b'{"type":"ERROR","object":{"code":410,"message":"too old"}}', POD)


@pytest.mark.parametrize(
    "page", [{"items": "x"}, {"items": [None]}, {"items": [{}]}, {"items": [], "metadata": "x"}]
)
def test_what_is_no_list_is_an_error_of_the_server(page):
    with pytest.raises(ClusterError):
        items_of(page, POD)


def test_a_list_without_items_is_empty():
    assert items_of({"items": None, "metadata": {"resourceVersion": "7"}}, POD) == ([], "7", "")
