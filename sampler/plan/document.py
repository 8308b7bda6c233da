"""What a run set out to do, as a document: ``plan.json`` in its folder, written before the start.

A run that is killed has no report; its plan and its samples are enough to make one. Values
of headers and the body, and secrets in the URL, stay out of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from analysis import Policy, Split
from analysis.data.report import Source
from analysis.versions.health import HealthPolicy
from sampler.base.errors import UsageError
from sampler.labels.rule import LabelRule
from sampler.plan.load import Limits, Load
from sampler.plan.target import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "weighbridge.plan/1"
PARTS: dict[str, Any] = {
    "load": Load,
    "limits": Limits,
    "split": Split | None,
    "policy": Policy,
    "health": HealthPolicy,
    "replica_counts": dict[str, int],
    "previous": Split | None,
    "source": Source,
    "seed": int,
    "name": str,
    "command": str,
}
"""Fields of a plan that are written as they are, and their types."""


def to_document(
    *,
    started_at: str,
    target: Target,
    label: LabelRule,
    replica: LabelRule | None,
    values: Mapping[str, object],
) -> dict[str, Any]:
    """Make the document.

    Parameters
    ----------
    started_at : str
        RFC 3339, UTC.
    target, label, replica
        What is sent, and where the names are read.
    values : mapping of str to object
        The other parts of the plan, by the names in `PARTS`.
    """
    return {
        "schema": SCHEMA,
        "started_at": started_at,
        "target": {
            "method": target.method,
            "url": target.shown,
            "headers": [name for name, _ in target.headers],
            "has_body": bool(target.body),
        },
        "label": str(label),
        "replica": None if replica is None else str(replica),
        **{name: msgspec.to_builtins(value) for name, value in values.items()},
    }


def from_document(document: object) -> dict[str, Any]:
    """Read the parts of the plan back, by their names in `to_document`.

    Raises
    ------
    UsageError
        If it is not the document.
    """
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise UsageError(f"expected {SCHEMA}, got another document")
    try:
        asked = document["target"]
        replica = document["replica"]
        return {
            "target": Target(asked["url"], method=asked["method"], allow_unsafe=True),
            "label": LabelRule.parse(document["label"]),
            "replica": None if replica is None else LabelRule.parse(replica),
            **{name: msgspec.convert(document[name], kind) for name, kind in PARTS.items()},
        }
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise UsageError(f"the document says {SCHEMA}, but does not have its shape: {error}") from (
            error
        )
