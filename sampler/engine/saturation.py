"""Saturation: how late the client itself was, and whether that could have changed a verdict.

Three signs: the event loop wakes up late (a heartbeat), the process uses a whole core while
it sends, and in the open workload requests leave after they were due. ``docs/saturation.md``
says which of them can touch a verdict, and why the others cannot.
"""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis import Outcome
from analysis.data.report import ReasonCode
from analysis.verdict.decision import OF_SHARES
from sampler.base.clock import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from analysis import Batch
    from sampler.base.clock import Clock
    from sampler.plan.load import Load

HEARTBEAT_S = 0.01
"""Time between two beats of the event loop [s]."""
SATURATED_CPU_SHARE = 0.9
"""Share of one core, used while sending, from which on the client counts as saturated."""
SATURATED_LAG_MS = 100.0
"""Lag of the event loop at its 99th percentile from which on it counts as saturated [ms]."""
SHORTEST_S = 0.5
"""Seconds of sending before anything is said: the start of a process is always busy."""

_BEAT_NS = round(HEARTBEAT_S * NS_PER_S)
_WIDTH = 1.05
_SHORTEST_NS = 1_000.0
_LONGEST_NS = 1_000.0 * NS_PER_S
_EDGES = np.geomspace(
    _SHORTEST_NS, _LONGEST_NS, int(np.log(_LONGEST_NS / _SHORTEST_NS) / np.log(_WIDTH)) + 1
)


class Delays:
    """Distribution of delays in bins 5 % wide: constant in memory, however many there are."""

    __slots__ = ("_counts", "longest_ns", "n")

    def __init__(self) -> None:
        self.n = 0
        self.longest_ns = 0
        self._counts = np.zeros(len(_EDGES) + 1, dtype=np.int64)

    def add(self, delays_ns: NDArray[np.int64]) -> None:
        """Take some delays [ns]; negative ones count as none."""
        if not len(delays_ns):
            return
        self.n += len(delays_ns)
        self.longest_ns = max(self.longest_ns, int(delays_ns.max()))
        bins = np.searchsorted(_EDGES, delays_ns, side="left")
        self._counts += np.bincount(bins, minlength=len(self._counts))

    def quantile_ms(self, q: float) -> float:
        """Return the q-quantile, rounded up to the edge of its bin [ms]; 0 without delays."""
        if not self.n:
            return 0.0
        position = int(np.searchsorted(np.cumsum(self._counts), q * self.n))
        edge_ns = _EDGES[position] if position < len(_EDGES) else self.longest_ns
        return float(min(edge_ns, self.longest_ns)) / NS_PER_MS

    def summary_ms(self) -> dict[str, float]:
        """Return median, 99th percentile and maximum [ms]."""
        return {
            "p50": self.quantile_ms(0.5),
            "p99": self.quantile_ms(0.99),
            "max": self.longest_ns / NS_PER_MS,
        }


@dataclass(frozen=True, slots=True)
class Strain:
    """How hard the client had to work.

    Parameters
    ----------
    sending_s : float
        Length of the time of sending [s].
    cpu_share : float
        CPU time of the process in that time, user and system, over its length: 1 is one core.
    lag : Delays
        Of the event loop.
    lateness : Delays or None
        Of the launches; None in a closed workload, which has no schedule.
    launched, shed, late : int
        Requests launched; arrivals that were due and not launched; requests launched later
        than the timeout after they were due.
    timeout_s : float
        Shortest timeout of an exchange [s].
    """

    sending_s: float
    cpu_share: float
    lag: Delays
    lateness: Delays | None
    launched: int
    shed: int
    late: int
    timeout_s: float

    @property
    def is_saturated(self) -> bool:
        """Whether the client was the bottleneck."""
        return self.sending_s >= SHORTEST_S and (
            self.cpu_share >= SATURATED_CPU_SHARE or self.lag.quantile_ms(0.99) >= SATURATED_LAG_MS
        )

    @property
    def lost_share(self) -> float:
        """Share of the arrivals that were shed, or launched later than the timeout."""
        arrivals = self.launched + self.shed
        return (self.shed + self.late) / arrivals if arrivals else 0.0

    def doubt(
        self, code: ReasonCode, outcomes: Mapping[Outcome, int], most_lost: float
    ) -> str | None:
        """Return how the client's lateness could have changed a verdict; None if it could not.

        Parameters
        ----------
        code : ReasonCode
            Why the verdict is what it is.
        outcomes : mapping of Outcome to int
            How the exchanges ended.
        most_lost : float
            Share of requests that the policy lets go without a label, in (0, 1].
        """
        if not self.is_saturated or code not in OF_SHARES:
            return None
        if self.lateness is not None and self.lost_share > most_lost:
            return (
                f"the client was saturated and lost {self.lost_share * 100:.1f} % of the "
                "arrivals that it was to send"
            )
        timeouts = outcomes.get(Outcome.TIMEOUT, 0) + outcomes.get(Outcome.CONNECT_TIMEOUT, 0)
        lag_s = self.lag.longest_ns / NS_PER_S
        if code is ReasonCode.TOO_MANY_UNLABELLED and timeouts and 2 * lag_s >= self.timeout_s:
            return (
                f"the client was saturated, and its own delays of up to {lag_s:.1f} s may have "
                f"made the {timeouts} timeouts"
            )
        return None


class Gauge:
    """Measures the client while it sends: lag of the loop, lateness of launches, CPU time.

    Parameters
    ----------
    load : Load
        Says whether there is a schedule to be late for, and what too late is.
    clock : Clock
        Of the samples.
    """

    __slots__ = ("_beat_ns", "_clock", "_cpu_s", "_heart", "_lag", "_lags", "_late", "_lateness",
                 "_load")  # fmt: skip

    def __init__(self, load: Load, clock: Clock) -> None:
        self._load = load
        self._clock = clock
        self._lag = Delays()
        self._lags: list[int] = []
        self._lateness = None if load.rate is None else Delays()
        self._late = 0
        self._beat_ns = 0
        self._heart: asyncio.TimerHandle | None = None
        self._cpu_s = 0.0

    def start(self) -> None:
        """Begin; sending begins, too."""
        self._cpu_s = -cpu_s()
        self._beat()

    def stop(self) -> None:
        """End, once; sending has ended."""
        if self._heart is not None:
            self._heart.cancel()
            self._heart = None
            self._cpu_s += cpu_s()

    def take(self, batch: Batch | None) -> None:
        """Take what was measured since the last time, and the next samples."""
        if self._lags:
            self._lag.add(np.array(self._lags, dtype=np.int64))
            self._lags.clear()
        if batch is not None and self._lateness is not None:
            lateness = batch.sent_ns - batch.scheduled_ns
            self._lateness.add(lateness)
            self._late += int(np.count_nonzero(lateness > self._load.timeout_s * NS_PER_S))

    def strain(self, *, sending_ns: int, launched: int, shed: int) -> Strain:
        """Return how hard the client had to work; after `stop`."""
        self.take(None)
        sending_s = max(sending_ns / NS_PER_S, 1e-9)
        return Strain(
            sending_s=sending_s,
            cpu_share=max(self._cpu_s, 0.0) / sending_s,
            lag=self._lag,
            lateness=self._lateness,
            launched=launched,
            shed=shed,
            late=self._late,
            timeout_s=min(self._load.timeout_s, self._load.connect_timeout_s),
        )

    def _beat(self) -> None:
        now = self._clock()
        if self._heart is not None:
            self._lags.append(now - self._beat_ns)
        self._beat_ns = now + _BEAT_NS
        self._heart = asyncio.get_running_loop().call_later(HEARTBEAT_S, self._beat)


def cpu_s() -> float:
    """CPU time that this process has used so far, user and system [s]."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
