"""How many requests each connection is opened for: a function of its number.

A function, not a generator, for the same reason as the address: nothing has to be remembered
for a sample, and the recorder can say afterwards what was planned. That the length is drawn
before the first request, and knows nothing of answers, is what lets a connection be judged by
the mean of its answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis import ABSENT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sampler.plan.load import ConnectionLife

_MASK = 2**64 - 1
_STEP, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


class DrawnLengths:
    """Planned lengths of the connections of a run.

    Parameters
    ----------
    life : ConnectionLife
        The range that they are drawn from, uniformly.
    seed : int
        The same seed gives the same lengths.

    References
    ----------
    SplitMix64's finalizer: Steele, Lea and Flood, OOPSLA 2014, figure 17.
    """

    def __init__(self, life: ConnectionLife, seed: int) -> None:
        self._shortest = ABSENT if life.shortest is None else life.shortest
        self._choices = 1 if life.longest is None else life.longest - self._shortest + 1
        self._seed = seed & _MASK

    def of(self, number: int) -> int:
        """Return the length of one connection, >= 1; `ABSENT`, which is below 0, is without end."""
        if self._choices == 1:
            return self._shortest
        return int(self.codes(np.array([number], dtype=np.int64))[0])

    def codes(self, connections: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the lengths (n,) of connections by their numbers (n,)."""
        if self._choices == 1:
            return np.full(len(connections), self._shortest, dtype=np.int32)
        state = connections.astype(np.uint64) * np.uint64(_STEP)
        state += np.uint64((self._seed + _STEP) * _STEP & _MASK)
        state = (state ^ state >> np.uint64(30)) * np.uint64(_FIRST)
        state = (state ^ state >> np.uint64(27)) * np.uint64(_SECOND)
        state ^= state >> np.uint64(31)
        # Of 53 bits: no range that is ever asked for makes this uneven by more than 1e-6.
        fraction = (state >> np.uint64(11)).astype(np.float64) / 2**53
        drawn: NDArray[np.int32] = (self._shortest + fraction * self._choices).astype(np.int32)
        return drawn
