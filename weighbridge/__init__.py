"""weighbridge: verifies the traffic split of a canary.

`check` samples a target until it is decided whether every version carries its share, `sample`
measures only; `acheck` and `asample` are the same as coroutines. Everything that a program
needs comes from here; `sampler` and `analysis` are the packages behind it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from analysis.data.errors import InputError, UsageError, WeighbridgeError
    from analysis.data.policy import Policy
    from analysis.data.report import NotPassedError, Reason, ReasonCode, Report, Verdict
    from analysis.data.split import Split, Tolerance
    from analysis.versions.health import HealthPolicy
    from sampler.base.errors import SamplingError, StorageError
    from sampler.base.version import __version__
    from sampler.labels.rule import LabelRule
    from sampler.plan.load import ConnectionLife, Limits, Load, TransportKind
    from sampler.plan.pinned_hosts import PinnedHost
    from sampler.plan.target import Target
    from sampler.show.listing import runs
    from sampler.show.stored import StoredRun
    from weighbridge.door import acheck, asample, check, sample
    from weighbridge.stored import judge, read

_HOMES = {
    "ConnectionLife": "sampler.plan.load",
    "HealthPolicy": "analysis.versions.health",
    "InputError": "analysis.data.errors",
    "LabelRule": "sampler.labels.rule",
    "Limits": "sampler.plan.load",
    "Load": "sampler.plan.load",
    "NotPassedError": "analysis.data.report",
    "PinnedHost": "sampler.plan.pinned_hosts",
    "Policy": "analysis.data.policy",
    "Reason": "analysis.data.report",
    "ReasonCode": "analysis.data.report",
    "Report": "analysis.data.report",
    "SamplingError": "sampler.base.errors",
    "Split": "analysis.data.split",
    "StorageError": "sampler.base.errors",
    "StoredRun": "sampler.show.stored",
    "Target": "sampler.plan.target",
    "Tolerance": "analysis.data.split",
    "TransportKind": "sampler.plan.load",
    "UsageError": "analysis.data.errors",
    "Verdict": "analysis.data.report",
    "WeighbridgeError": "analysis.data.errors",
    "__version__": "sampler.base.version",
    "acheck": "weighbridge.door",
    "asample": "weighbridge.door",
    "check": "weighbridge.door",
    "judge": "weighbridge.stored",
    "read": "weighbridge.stored",
    "runs": "sampler.show.listing",
    "sample": "weighbridge.door",
}

__all__ = [
    "ConnectionLife",
    "HealthPolicy",
    "InputError",
    "LabelRule",
    "Limits",
    "Load",
    "NotPassedError",
    "PinnedHost",
    "Policy",
    "Reason",
    "ReasonCode",
    "Report",
    "SamplingError",
    "Split",
    "StorageError",
    "StoredRun",
    "Target",
    "Tolerance",
    "TransportKind",
    "UsageError",
    "Verdict",
    "WeighbridgeError",
    "__version__",
    "acheck",
    "asample",
    "check",
    "judge",
    "read",
    "runs",
    "sample",
]


def __getattr__(name: str) -> object:
    # Lazily: a program that imports weighbridge does not wait for NumPy until it asks for more.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - as above

    from weighbridge.shadows import refuse_shadows  # noqa: PLC0415

    refuse_shadows()
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return __all__
