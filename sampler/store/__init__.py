"""A run on disk: written while it goes on, read back later."""

from sampler.store.store import StoredRun, read

__all__ = ["StoredRun", "read"]
