"""weighbridge: weighs traffic before the gate opens.

``check`` samples a target until it is decided whether every version carries its share;
``sample`` measures only. Both are coroutines; the command line is `sampler.cli`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from sampler.base.version import __version__

if TYPE_CHECKING:
    from sampler.base.errors import SamplingError, UsageError, WeighbridgeError
    from sampler.plan.load import ConnectionLife, Limits, Load, TransportKind
    from sampler.plan.target import Target
    from sampler.run.door import check, sample
    from sampler.run.judging import rejudge
    from sampler.show.stored import read

_HOMES = {
    "ConnectionLife": "sampler.plan.load",
    "Limits": "sampler.plan.load",
    "Load": "sampler.plan.load",
    "SamplingError": "sampler.base.errors",
    "Target": "sampler.plan.target",
    "TransportKind": "sampler.plan.load",
    "UsageError": "sampler.base.errors",
    "WeighbridgeError": "sampler.base.errors",
    "check": "sampler.run.door",
    "read": "sampler.show.stored",
    "rejudge": "sampler.run.judging",
    "sample": "sampler.run.door",
}

__all__ = [
    "ConnectionLife",
    "Limits",
    "Load",
    "SamplingError",
    "Target",
    "TransportKind",
    "UsageError",
    "WeighbridgeError",
    "__version__",
    "check",
    "read",
    "rejudge",
    "sample",
]


def __getattr__(name: str) -> object:
    # Lazily: `weighbridge --help` must not wait for NumPy.
    if name == "store":
        return import_module("sampler.store")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
