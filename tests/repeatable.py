"""Refuses an embedded Service whose draws a test cannot repeat; a plugin of pytest.

A Service of several versions, or with a fault that strikes only some requests, draws at random,
and what a check finds is as random: one right run in a hundred does not pass. So it needs a
seed, and one test for itself: of a shared one, a test gets the draws that other tests left.

With ``SHIFT_SEEDS=1000`` in the environment, every seed is another one. Then those tests fail whose
Service answers as they want by luck: there it may be the order of connections, too.
"""

from __future__ import annotations

import os
from dataclasses import astuple
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

from sampler.demo.process import EmbeddedService

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from sampler.demo.pods import Faults


def draws(weights: Mapping[str, int], faults: Mapping[str, Faults] | None = None) -> bool:
    """Whether the answers of such a Service are random."""
    fractions = (each for of in (faults or {}).values() for each in astuple(of)[:4])
    return sum(map(bool, weights.values())) > 1 or any(0 < each < 1 for each in fractions)


class Repeatable:
    """Watches each Service from its start to its end."""

    def __init__(self) -> None:
        self._seeded: set[EmbeddedService] = set()
        self._open: dict[EmbeddedService, bool] = {}  # whether it draws
        self._shared: set[EmbeddedService] = set()
        self._patch = pytest.MonkeyPatch()
        for name, watch in (
            ("__init__", self._set),
            ("configure", self._set),
            ("close", self._end),
        ):
            self._patch.setattr(
                EmbeddedService, name, _told_before(watch, getattr(EmbeddedService, name))
            )

    def pytest_unconfigure(self) -> None:
        """Leave the class as it was."""
        self._patch.undo()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        """Watch what a fixture keeps open for several tests."""
        before = set(self._open)
        result = yield
        if fixturedef.scope != "function":
            kept = set(self._open) - before
            self._shared |= kept
            if any(self._open[each] for each in kept):
                pytest.fail(f"{fixturedef.argname}: several tests share a Service that draws")
        return result

    def _set(
        self,
        service: EmbeddedService,
        weights: Mapping[str, int],
        faults: Mapping[str, Faults] | None = None,
        *,
        port: int = 0,
        seed: int | None = None,
    ) -> None:
        self._open[service] = draws(weights, faults)
        if seed is not None:
            self._seeded.add(service)
        if self._open[service] and service not in self._seeded:
            pytest.fail("a Service that draws has no seed")
        if self._open[service] and service in self._shared:
            pytest.fail("several tests share a Service that draws")

    def _end(self, service: EmbeddedService) -> None:
        self._open.pop(service, None)


def _told_before(watch: Callable[..., None], method: Callable[..., None]) -> Callable[..., None]:
    """Give a method that tells its arguments to `watch`, which may refuse them."""

    @wraps(method)
    def watched(service: EmbeddedService, *positional: Any, **named: Any) -> None:
        watch(service, *positional, **named)
        if named.get("seed") is not None:
            named["seed"] += int(os.environ.get("SHIFT_SEEDS", "0"))
        method(service, *positional, **named)

    return watched
