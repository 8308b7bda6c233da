"""A Service that draws at random has a seed and serves one test."""

from __future__ import annotations

import pytest

from sampler.demo.pods import Faults
from sampler.demo.process import EmbeddedService
from tests.processes import REPOSITORY

pytest_plugins = ("pytester",)

SHARED = """
import pytest
from sampler.demo.process import EmbeddedService

@pytest.fixture(scope="module")
def many():
    with EmbeddedService({"v1": 1, "v2": 1}, seed=1) as service:
        yield service

@pytest.fixture(scope="module")
def one():
    with EmbeddedService({"v1": 2, "v2": 0}) as service:
        yield service

@pytest.fixture(scope="module")
def counted():
    with EmbeddedService({"v1": 1, "v2": 1}, seed=1) as service:
        return service.counts().total

@pytest.fixture
def own():
    with EmbeddedService({"v1": 1, "v2": 1}, seed=1) as service:
        yield service

def test_refused(many): ...
def test_changed(one): one.configure({"v1": 1, "v2": 1}, seed=1)
def test_kept(one): one.configure({"v2": 1})
def test_ended(counted): ...
def test_own(own): own.configure({"v1": 2, "v2": 1})
"""


@pytest.mark.parametrize("settings", [({"v1": 9, "v2": 1},), ({"v1": 1}, {"v1": Faults(drop=0.5)})])
def test_draws_that_nothing_repeats_are_refused(settings):
    with pytest.raises(pytest.fail.Exception, match="no seed"):
        EmbeddedService(*settings)

    with EmbeddedService({"v1": 1}) as service:
        with pytest.raises(pytest.fail.Exception, match="no seed"):
            service.configure(*settings)
        service.configure(*settings, seed=1)


def test_a_fixture_that_several_tests_share_keeps_no_service_that_draws(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeconftest("""
        from tests.repeatable import Repeatable
        def pytest_configure(config): config.pluginmanager.register(Repeatable())
    """)
    pytester.makepyfile(SHARED)

    ended = pytester.runpytest_subprocess("-p", "no:kmock", "-p", "no:randomly", "-rfE")

    ended.assert_outcomes(passed=3, failed=1, errors=1)
    ended.stdout.fnmatch_lines_random(["ERROR *::test_refused*", "FAILED *::test_changed*"])
