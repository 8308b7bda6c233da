"""Findings of the rules about objects, with stable codes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum, unique
from itertools import islice
from typing import TYPE_CHECKING

from sampler.base.errors import ExpectationError

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_NAMED = 3
_PLACE = re.compile(r"(.+?:\d+): (.+)", re.DOTALL)
"""What begins with its place."""


@unique
class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@unique
class FindingCode(StrEnum):
    """Stable codes of findings, documented in ``docs/expectations.md``."""

    ABORTED = "aborted"
    ANNOTATION_REJECTED = "annotation_rejected"
    API_REMOVED = "api_removed"
    AUTOSCALED = "autoscaled"
    BACKEND_MISSING = "backend_missing"
    CANARY_INEFFECTIVE = "canary_ineffective"
    CANARY_SHARED = "canary_shared"
    DECLARED_DIFFERS = "declared_differs"
    DEFAULT_WEIGHTS = "default_weights"
    DUPLICATE_OBJECT = "duplicate_object"
    FORBIDDEN = "forbidden"
    HALF_ROLLED = "half_rolled"
    HEADLESS = "headless"
    HOOK = "hook"
    HOST_MISMATCH = "host_mismatch"
    LOCAL_TRAFFIC_POLICY = "local_traffic_policy"
    NAMESPACE_OPEN = "namespace_open"
    NOT_AN_OBJECT = "not_an_object"
    NOT_EXPECTED = "not_expected"
    NOT_LISTED = "not_listed"
    NOT_READY = "not_ready"
    NOT_RENDERED = "not_rendered"
    PORT_MISSING = "port_missing"
    REFERENCE_NOT_GRANTED = "reference_not_granted"
    REFERENCE_UNREAD = "reference_unread"
    REPLICAS_UNKNOWN = "replicas_unknown"
    ROLLOUT_HAS_STEPS = "rollout_has_steps"
    ROLLOUT_SERVICES = "rollout_services"
    ROUTE_DECIDES = "route_decides"
    ROUTE_NOT_ACCEPTED = "route_not_accepted"
    ROUTE_OVERLAPS = "route_overlaps"
    ROUTE_TAKEN = "route_taken"
    RUNNING_DIFFERS = "running_differs"
    SELECTS_NOTHING = "selects_nothing"
    SESSION_AFFINITY = "session_affinity"
    STICKY = "sticky"
    TRAFFIC_UNREAD = "traffic_unread"
    UNACHIEVABLE_WEIGHT = "unachievable_weight"
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_WORKLOAD = "unknown_workload"
    UNREAD = "unread"
    VERSION_MISSING = "version_missing"
    VERSIONS_ALIKE = "versions_alike"
    WEIGHT_CLAMPED = "weight_clamped"
    WEIGHT_SKIPPED = "weight_skipped"
    WEIGHT_TOTAL_IGNORED = "weight_total_ignored"
    WEIGHT_WITHOUT_PODS = "weight_without_pods"
    ZONE_HINTS = "zone_hints"


_SEVERITIES = {
    FindingCode.AUTOSCALED: Severity.WARNING,
    FindingCode.CANARY_SHARED: Severity.WARNING,
    FindingCode.DEFAULT_WEIGHTS: Severity.WARNING,
    FindingCode.DUPLICATE_OBJECT: Severity.WARNING,
    FindingCode.HALF_ROLLED: Severity.WARNING,
    FindingCode.HEADLESS: Severity.WARNING,
    FindingCode.HOOK: Severity.INFO,
    FindingCode.LOCAL_TRAFFIC_POLICY: Severity.WARNING,
    FindingCode.NAMESPACE_OPEN: Severity.WARNING,
    FindingCode.NOT_AN_OBJECT: Severity.INFO,
    FindingCode.NOT_LISTED: Severity.INFO,
    FindingCode.NOT_READY: Severity.WARNING,
    FindingCode.REFERENCE_UNREAD: Severity.WARNING,
    FindingCode.ROLLOUT_HAS_STEPS: Severity.INFO,
    FindingCode.ROLLOUT_SERVICES: Severity.WARNING,
    FindingCode.ROUTE_DECIDES: Severity.WARNING,
    FindingCode.API_REMOVED: Severity.WARNING,
    FindingCode.ROUTE_OVERLAPS: Severity.WARNING,
    FindingCode.STICKY: Severity.WARNING,
    FindingCode.UNKNOWN_KIND: Severity.INFO,
    FindingCode.UNREAD: Severity.WARNING,
    FindingCode.WEIGHT_CLAMPED: Severity.WARNING,
    FindingCode.WEIGHT_SKIPPED: Severity.WARNING,
    FindingCode.WEIGHT_TOTAL_IGNORED: Severity.WARNING,
    FindingCode.ZONE_HINTS: Severity.WARNING,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Parameters
    ----------
    code : FindingCode
        Stable identifier.
    message : str
        One sentence that names the object.
    remedy : str
        What to do.
    where : str
        The place.
    """

    code: FindingCode
    message: str
    remedy: str
    where: str

    @property
    def severity(self) -> Severity:
        """ERROR unless the code is known to be milder."""
        return _SEVERITIES.get(self.code, Severity.ERROR)


class FoundError(ExpectationError):
    """A finding with which there is no expectation.

    Parameters
    ----------
    finding : Finding
        Told as it is where findings are listed.
    """

    def __init__(self, finding: Finding) -> None:
        where = f"{finding.where}: " if finding.where else ""
        super().__init__(f"{where}{finding.message}", hint=finding.remedy)
        self.finding = finding


def unknown(message: str, remedy: str, where: str, *, is_asked: bool) -> ExpectationError:
    """Make the error for what is in no manifest: a warning, unless it is what was asked about."""
    found = FoundError(Finding(FindingCode.REFERENCE_UNREAD, message, remedy, where))
    return ExpectationError(str(found), hint=remedy) if is_asked else found


def refusal(
    error: ExpectationError, place: str, code: FindingCode = FindingCode.NOT_EXPECTED
) -> Finding:
    """Turn the refusal of an expectation into a finding, at the place that it begins with."""
    if isinstance(error, FoundError):
        return error.finding
    named = _PLACE.fullmatch(str(error))
    where, message = (place, str(error)) if named is None else named.groups()
    return Finding(code, message, error.hint or "", where)


def first_few(found: Iterable[object]) -> str:
    """Name the first few, and that there are others; no more are looked for."""
    names = [str(each) for each in islice(found, _MOST_NAMED + 1)]
    more = " and others" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def once(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return each finding once: a refusal only where no other one says the same, with its place."""
    each_once = dict.fromkeys(findings)
    refusals = [each for each in each_once if each.code is FindingCode.NOT_EXPECTED]
    told = {each.message for each in each_once if each.code is not FindingCode.NOT_EXPECTED}
    placed = {each.message: each for each in sorted(refusals, key=lambda each: bool(each.where))}
    return tuple(
        each
        for each in each_once
        if each.code is not FindingCode.NOT_EXPECTED
        or (each is placed[each.message] and each.message not in told)
    )
