"""The canary's health in words: only where there is something to say."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from analysis.render.printable import name_of
from analysis.text import rounding
from analysis.text.wording import odds

if TYPE_CHECKING:
    from analysis.data.health import Health, HealthArm
    from analysis.data.report import Report

_LABEL_ROOM = 24
_LEVEL = 0.01


@dataclass(frozen=True, slots=True)
class HealthTable:
    """Canary and stable version side by side, in words.

    Parameters
    ----------
    caption, canary, stable : str
        What is compared, and the visible names of both.
    rows : list of tuple of str
        Measure, canary's, stable one's, difference, evidence; empty where there is nothing.
    """

    caption: str
    canary: str
    stable: str
    rows: list[tuple[str, str, str, str, str]]


def table(health: Health | None) -> HealthTable | None:
    """Compare canary and stable version in a table; None where no two have answered."""
    if health is None or not (health.canary.responses or health.stable.responses):
        return None
    canary, stable, errors, times = health.canary, health.stable, health.errors, health.times
    rows = [
        ("answers", rounding.amount(canary.responses), rounding.amount(stable.responses), "", ""),
        (
            f"errors (status {errors.status} or above)", _rate(canary), _rate(stable), "",
            _of_limit(errors.log_evidence, errors.max_ratio, errors.log_evidence_beyond),
        ),
    ]  # fmt: skip
    evidence = _of_limit(times.log_evidence, times.max_slowdown, times.log_evidence_beyond)
    for name in ("p50", "p95"):
        if name in canary.times_s or name in stable.times_s:
            one, other = (
                f"{_milliseconds(arm.times_s[name])} ms" if name in arm.times_s else ""
                for arm in (canary, stable)
            )
            rows.append((f"service time, {name}", one, other, _range(health, name), evidence))
            evidence = ""
    label = name_of(canary.label, _LABEL_ROOM)
    caption = (
        f"First answers of connections. {label} was slower in {rounding.amount(times.slower)} of "
        f"{rounding.counted(times.pairs, 'pair')} of consecutive answers."
    )
    return HealthTable(caption, label, name_of(stable.label, _LABEL_ROOM), rows)


def _rate(arm: HealthArm) -> str:
    rate = f" ({100 * arm.errors / arm.responses:.2g} %)" if arm.errors else ""
    return f"{rounding.amount(arm.errors)}{rate}"


def _range(health: Health, name: str) -> str:
    ends = health.times.differences_s.get(name)
    if ends is None:
        return ""
    return f"{_difference(ends)} ms, {100 * health.times.confidence:g} %"


def _of_limit(evidence: float, limit: float | None, beyond: float | None) -> str:
    """Return how strong the evidence is that the canary is worse, and beyond the limit."""
    told = f"worse: {odds(max(evidence, 0.0))}"
    if limit is None:
        return told
    return f"{told}; beyond {limit:g} times: {odds(max(beyond or 0.0, 0.0))}"


def sentences(report: Report) -> list[str]:
    """Compare canary and stable version in sentences.

    Returns
    -------
    list of str
        One on errors and one on times: where a difference is proven, or a limit was set; of one
        zone only what is proven. None where a reason of the verdict already has it.
    """
    zones = {name: each.health for name, each in report.observed.by_zone.items()}
    family = {name: each for name, each in {"": report.health, **zones}.items() if each is not None}
    alpha = report.decision.alpha if report.decision is not None else _LEVEL
    threshold = -log(alpha / max(len(family), 1))
    return [text for name, health in family.items() for text in _told(name, health, threshold)]


def _told(zone: str, health: Health, threshold: float) -> list[str]:
    told, where = [], f"in zone {name_of(zone, _LABEL_ROOM)}: " if zone else ""
    for text, evidence, limit, beyond in (
        (
            _errors(health),
            health.errors.log_evidence,
            health.errors.max_ratio,
            health.errors.log_evidence_beyond,
        ),
        (
            _times(health),
            health.times.log_evidence,
            health.times.max_slowdown,
            health.times.log_evidence_beyond,
        ),
    ):
        is_told = beyond is not None and beyond >= threshold
        if not is_told and ((limit is not None and not zone) or evidence >= threshold):
            told.append(f"{where}{text}; {_judged(evidence, limit, beyond, threshold)}")
    return told


def _judged(evidence: float, limit: float | None, beyond: float | None, threshold: float) -> str:
    parts = []
    if evidence >= threshold:
        # The highest of the run, which holds whatever the counts are at its end.
        parts.append(f"the evidence against chance reached {odds(evidence)}")
    if limit is not None:
        parts.append(
            f"not proven to exceed {limit:g} times (evidence reached {odds(beyond or 0.0)})"
        )
    return ", ".join(parts)


def _errors(health: Health) -> str:
    return (
        f"{_failed(health.canary)} returned status {health.errors.status} or above, "
        f"{_failed(health.stable)}"
    )


def _failed(arm: HealthArm) -> str:
    answers = f"{rounding.amount(arm.errors)} of {rounding.counted(arm.responses, 'answer')}"
    rate = f" ({100 * arm.errors / arm.responses:.2g} %)" if arm.errors else ""
    return f"{answers} of {name_of(arm.label, _LABEL_ROOM)}{rate}"


def _times(health: Health) -> str:
    if not (health.canary.times_s and health.stable.times_s):
        return "too few answers to compare times"
    parts = [
        _quantile(health, "p50", "at the median"),
        _quantile(health, "p95", "at p95") if "p95" in health.times.differences_s else "",
    ]
    pairs = rounding.counted(health.times.pairs, "pair")
    slower = f"slower in {rounding.amount(health.times.slower)} of {pairs}"
    canary = name_of(health.canary.label, _LABEL_ROOM)
    return f"{canary} took {', '.join(filter(None, parts))}: {slower}"


def _quantile(health: Health, name: str, where: str) -> str:
    canary, stable = (
        _milliseconds(arm.times_s.get(name, 0.0)) for arm in (health.canary, health.stable)
    )
    difference = health.times.differences_s.get(name)
    shown = ""
    if difference is not None:
        shown = f" (difference {_difference(difference)} ms)"
    label = name_of(health.stable.label, _LABEL_ROOM)
    return f"{canary} ms {where}, {label} {stable} ms{shown}"


def _difference(ends: tuple[float, float]) -> str:
    """Return an interval of seconds in milliseconds: ``[-0.11, +0.04]``."""
    places = rounding.decimals(500 * (ends[1] - ends[0]))
    low, high = (f"{1e3 * end:+.{places}f}" for end in ends)
    return f"[{low}, {high}]"


def _milliseconds(seconds: float) -> str:
    return rounding.significant(1e3 * seconds, 3)
