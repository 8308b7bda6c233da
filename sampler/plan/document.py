"""What a run set out to do, as a document: ``plan.json`` in its folder, written before the start.

A run that is killed has no report; its plan and its samples are enough to make one. Values
of headers and the body, and secrets in the URL, stay out of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self, get_type_hints

import msgspec

from analysis import Policy, Split  # noqa: TC001 - msgspec resolves the fields of a plan
from analysis.data.report import Source
from analysis.versions.health import HealthPolicy
from sampler.base.errors import UsageError
from sampler.labels.rule import LabelRule
from sampler.plan.load import Limits, Load  # noqa: TC001 - as above
from sampler.plan.target import Target

if TYPE_CHECKING:
    from sampler.plan.run import RunPlan

SCHEMA = "weighbridge.run/1"
_READ = (SCHEMA, "weighbridge.plan/1")
"""Names of this document; earlier versions gave it that of `analysis.render.plan`."""
_APART = ("started_at", "target", "label", "replica")
"""Fields whose document is not that of their type."""
_REQUIRED = ("load", "limits", "split", "policy", "seed", "name")


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """The plan of a run, as its folder keeps it.

    Parameters
    ----------
    started_at : str
        RFC 3339, UTC.
    target : Target
        Without the values of headers, the body and secrets.
    label, replica : LabelRule
        Where the version and the pod were read; no replica if None.
    load, limits, split, policy, health, replica_counts, previous, source, zone_of, zone_splits,
    seed, name, command
        As in `sampler.plan.run.RunPlan`; `policy` is the one that decided.
    """

    started_at: str
    target: Target
    label: LabelRule
    replica: LabelRule | None
    load: Load
    limits: Limits
    split: Split | None
    policy: Policy
    seed: int
    name: str
    health: HealthPolicy = field(default_factory=HealthPolicy)
    replica_counts: dict[str, int] = field(default_factory=dict)
    previous: Split | None = None
    source: Source = field(default_factory=Source)
    zone_of: tuple[str, ...] = ()
    zone_splits: dict[str, Split] = field(default_factory=dict)
    command: str = ""

    @classmethod
    def from_document(cls, document: object) -> Self:
        """Read a plan back.

        Raises
        ------
        UsageError
            If it is not the document.
        """
        if not isinstance(document, dict) or document.get("schema") not in _READ:
            raise UsageError(f"expected {SCHEMA}, got another document")
        kinds = get_type_hints(cls)
        try:
            asked, replica = document["target"], document["replica"]
            return cls(
                started_at=str(document["started_at"]),
                target=Target(
                    asked["url"],
                    method=asked["method"],
                    allow_unsafe=True,
                    insecure=asked.get("insecure", False) is True,
                ),
                label=LabelRule.parse(msgspec.convert(document["label"], str)),
                replica=None if replica is None else LabelRule.parse(msgspec.convert(replica, str)),
                **{
                    # Earlier versions wrote less.
                    name: msgspec.convert(document[name], kinds[name])
                    for name in _plain_fields()
                    if name in document or name in _REQUIRED
                },
            )
        # A text that has no UTF-8 form, or values that their type refuses, are ValueErrors.
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"the document says {SCHEMA}, but does not have its shape: {error}"
            ) from error


def _plain_fields() -> list[str]:
    """Return the fields that are written as they are."""
    return [each.name for each in fields(StoredPlan) if each.name not in _APART]


def to_document(plan: RunPlan, started_at: str) -> dict[str, Any]:
    """Return the document of a plan.

    Parameters
    ----------
    plan : RunPlan
    started_at : str
        RFC 3339, UTC.
    """
    target, values = plan.target, {name: getattr(plan, name) for name in _plain_fields()}
    values["policy"] = plan.deciding_policy
    return {
        "schema": SCHEMA,
        "started_at": started_at,
        "target": {
            "method": target.method,
            "url": target.shown,
            "headers": [name for name, _ in target.headers],
            "has_body": bool(target.body),
            "insecure": target.insecure,
        },
        "label": str(plan.label),
        "replica": None if plan.replica is None else str(plan.replica),
        **{name: msgspec.to_builtins(value) for name, value in values.items()},
    }
