"""A run on disk: written while it goes on, read back later."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sampler.show.stored import StoredRun, read

__all__ = ["StoredRun", "read"]


def __getattr__(name: str) -> object:
    # The documented door to a stored run; what it shows of itself stands above this room.
    if name in __all__:
        import sampler.show.stored  # noqa: PLC0415

        return getattr(sampler.show.stored, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
