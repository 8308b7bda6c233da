"""A plugin of pytest: one fixture and one marker, to assert a split in a test.

    @pytest.mark.weighbridge("http://127.0.0.1:8080/", tolerance="5pp", max_time_s=20)
    def test_the_canary_gets_its_share(assert_split):
        assert_split({"v1": 9, "v2": 1})

pytest imports this module at every start, so it imports nothing but pytest until a test asks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import NoReturn, Unpack

    from weighbridge import (
        HealthPolicy,
        LabelRule,
        Limits,
        Load,
        NotPassedError,
        Policy,
        Report,
        Split,
        Target,
        Tolerance,
    )

MARKER = "weighbridge"
_OUTCOMES = ("fail", "skip", "xfail")
_MAX_TIME_S = 60.0  # a number of samples alone would let a silent target hold up a test
_PASSED_ON = ("health", "load", "label", "replica", "seed", "out")


class Options(TypedDict, total=False):
    """How a split is weighed: of a marker for a test, or of one call.

    Parameters
    ----------
    target : Target or str
        Where requests go.
    tolerance : Tolerance or str
        As in `Policy` or as ``--tolerance`` takes it: ``"5pp"``.
    alpha, beta : float
        As in `Policy`.
    max_time_s, max_samples
        As in `Limits`.
    policy, health, load, label, replica, seed, out
        As in `weighbridge.check`.
    inconclusive : str, default "fail"
        What becomes of the test if the split is proven neither right nor wrong: ``fail``,
        ``skip`` or ``xfail``.
    """

    target: Target | str
    tolerance: Tolerance | str
    alpha: float
    beta: float
    max_time_s: float
    max_samples: int
    policy: Policy
    health: HealthPolicy
    load: Load
    label: LabelRule | str
    replica: LabelRule | str | None
    seed: int
    out: Path | str
    inconclusive: Literal["fail", "skip", "xfail"]


class AssertSplit(Protocol):
    """Type of the fixture `assert_split`."""

    def __call__(
        self, split: Split | Mapping[str, int] | str, **options: Unpack[Options]
    ) -> Report:
        """Weigh a target and return the report of a PASS; fail the test otherwise."""
        ...


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(target, *, tolerance, alpha, beta, max_time_s, max_samples, inconclusive, …): "
        "how the fixture assert_split weighs a split (see docs/library.md of weighbridge)",
    )


@pytest.fixture
def assert_split(request: pytest.FixtureRequest) -> AssertSplit:
    """Weigh the traffic split of a target, and fail the test unless the verdict is PASS."""
    marked = _marked(request.node)

    def assert_here(split: Split | Mapping[str, int] | str, **options: Unpack[Options]) -> Report:
        __tracebackhide__ = True
        return _assert(split, marked | cast("dict[str, Any]", options))

    return assert_here


def _marked(node: pytest.Item) -> dict[str, object]:
    """Return the options of a test's markers; the closest one counts."""
    options: dict[str, object] = {}
    for marker in reversed(list(node.iter_markers(MARKER))):
        if len(marker.args) > 1:
            pytest.fail(f"the marker {MARKER} takes one target, got {marker.args!r}", pytrace=False)
        if marker.args:
            options["target"] = marker.args[0]
        options |= marker.kwargs
    return options


def _assert(split: Split | Mapping[str, int] | str, options: dict[str, Any]) -> Report:
    __tracebackhide__ = True
    from weighbridge import NotPassedError, Verdict, check  # noqa: PLC0415 - as the module says

    _require_known(options)
    rest = {name: options[name] for name in _PASSED_ON if name in options}
    report = check(
        options["target"], split, policy=_policy(options), limits=_limits(options), **rest
    )
    if report.verdict is Verdict.INCONCLUSIVE:
        _end_undecided(NotPassedError(report), options.get("inconclusive", "fail"))
    if not report.passed:
        pytest.fail(str(NotPassedError(report)))
    return report


def _end_undecided(why: NotPassedError, outcome: str) -> NoReturn:
    __tracebackhide__ = True
    match outcome:
        case "skip":
            pytest.skip(str(why.report))
        case "xfail":
            pytest.xfail(str(why.report))
    pytest.fail(f'{why}\n  → If that is no failure here: inconclusive="skip" or "xfail".')


def _require_known(options: dict[str, Any]) -> None:
    from weighbridge import UsageError  # noqa: PLC0415

    if unknown := [name for name in options if name not in Options.__annotations__]:
        raise UsageError(
            f"assert_split and @pytest.mark.{MARKER} take no {unknown[0]!r}",
            hint=f"they take {', '.join(Options.__annotations__)}",
        )
    if "target" not in options:
        raise UsageError(
            "nothing says which target to weigh",
            hint=f'mark the test: @pytest.mark.{MARKER}("http://127.0.0.1:8080/")',
        )
    if options.get("inconclusive", "fail") not in _OUTCOMES:
        raise UsageError(
            f"inconclusive must be one of {', '.join(_OUTCOMES)}, got {options['inconclusive']!r}"
        )


def _policy(options: dict[str, Any]) -> Policy | None:
    """Return the policy with what was given apart from it."""
    from sampler.run.door import part  # noqa: PLC0415
    from weighbridge import Policy, Tolerance  # noqa: PLC0415

    policy = part("policy", options.get("policy"), Policy) or Policy()
    parts = {name: options[name] for name in ("tolerance", "alpha", "beta") if name in options}
    if isinstance(parts.get("tolerance"), str):
        parts["tolerance"] = Tolerance.parse(parts["tolerance"])
    return replace(policy, **parts)


def _limits(options: dict[str, Any]) -> Limits | None:
    """Return the limits; None for those of `check`."""
    from weighbridge import Limits  # noqa: PLC0415

    parts: dict[str, Any] = {
        name: options[name] for name in ("max_time_s", "max_samples") if name in options
    }
    if not parts:
        return None
    parts.setdefault("max_time_s", _MAX_TIME_S)
    return Limits(**parts)
