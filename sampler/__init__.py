"""weighbridge: weighs traffic before the gate opens.

``check`` samples a target until it is decided whether every version carries its share;
``sample`` measures only. Both are coroutines; the command line is `sampler.cli`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from sampler._version import __version__

if TYPE_CHECKING:
    from sampler.errors import SamplingError, UsageError, WeighbridgeError
    from sampler.gate import check, sample
    from sampler.judging import rejudge
    from sampler.plan import ConnectionLife, Limits, Load, TransportKind
    from sampler.store import read
    from sampler.target import Target

_HOMES = {
    "ConnectionLife": "sampler.plan",
    "Limits": "sampler.plan",
    "Load": "sampler.plan",
    "SamplingError": "sampler.errors",
    "Target": "sampler.target",
    "TransportKind": "sampler.plan",
    "UsageError": "sampler.errors",
    "WeighbridgeError": "sampler.errors",
    "check": "sampler.gate",
    "read": "sampler.store",
    "rejudge": "sampler.judging",
    "sample": "sampler.gate",
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
