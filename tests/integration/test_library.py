"""`check` and `sample` as a program calls them."""

from __future__ import annotations

import asyncio
import sys

import pytest

import sampler
from analysis import Split, Verdict
from sampler import Limits, Target, check, read, sample
from sampler.demo.process import EmbeddedService
from tests.processes import completed

SPLIT = Split.parse("v1=9,v2=1")


@pytest.fixture
def target():
    with EmbeddedService({"v1": 9, "v2": 1}, seed=1) as service:
        yield Target(service.url)


def test_a_check_keeps_the_name_the_seed_and_the_place_that_it_was_given(target, tmp_path):
    report = asyncio.run(
        check(
            target,
            SPLIT,
            limits=Limits(max_samples=40, max_time_s=30),
            label="/label",
            replica=None,
            seed=7,
            out=tmp_path,
            name="mine",
        )
    )

    (folder,) = tmp_path.iterdir()
    assert folder.name.endswith("-mine")
    assert read(folder).report == report
    assert report.run.seed == 7
    assert report.samples.launched == 40
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.observed.replicas == {}


@pytest.mark.parametrize("split", ["v1=1,v2=9", {"v1": 1, "v2": 9}])
def test_a_check_takes_a_url_weights_and_a_folder_as_they_come_to_hand(target, split, tmp_path):
    report = asyncio.run(check(target.url, split, out=str(tmp_path / "runs")))

    (folder,) = (tmp_path / "runs").iterdir()
    assert report.expected is not None
    assert report.expected.weights == {"v1": 1, "v2": 9}
    assert report.verdict is Verdict.FAIL
    assert str(report) == f"FAIL: {report.reasons[0].message}"
    assert read(folder).report == report


def test_without_limits_a_sample_stops_by_itself(target, monkeypatch):
    monkeypatch.setattr("sampler.run.door.DEFAULT_SAMPLE_TIME_S", 0.1)

    assert asyncio.run(sample(target)).samples.launched > 0


def test_everything_public_is_there_and_shown_to_who_looks():
    assert {"check", "sample", "read", "Load", "Target", "ConnectionLife"} <= set(dir(sampler))
    assert [name for name in dir(sampler) if not hasattr(sampler, name)] == []


def test_the_store_is_there_once_the_package_is_imported(tmp_path):
    python = [
        sys.executable,
        "-c",
        "import sampler; print(sampler.store.read is sampler.read)",
    ]

    assert completed(python, tmp_path).stdout == "True\n"
