"""How much is sent before the first label: little, until one shows that there are any.

A target that gives no label at all (dead, redirecting, refusing, of another kind) is not worth a
run, and must not get one. So requests go out in rounds until the first label has arrived; from
then on nothing here holds anything back.

1. A round is over when all of its requests have ended, or when none of them has for a while: one
   request that hangs holds up no run. The next round follows, and there are a few at most.
2. The run is given up when most of what the rounds may hold has ended without a label. A target
   that takes its time is given up sooner, once the first requests, in the order of sending, have
   all ended: what comes first is not typical of a target whose failures are quicker than its
   answers.
"""

from __future__ import annotations

from sampler.base.clock import NS_PER_S

ROUND = 16
"""Requests of a round."""
MOST = 4 * ROUND
"""Requests that are sent without a label, at most."""
ENOUGH = 3 * ROUND
"""Requests that have ended without a label when a run is given up, in whatever order."""
SLOW_NS = NS_PER_S
"""Time after which one round, in the order of sending, is enough [ns]."""
STALLED_NS = NS_PER_S // 4
"""Time after which a round is over although some of it has not ended [ns]."""
PATIENCE = 3
"""Timeouts after which any request is enough: with few in flight a round takes many of them."""


class Probing:
    """Decides how far a run goes on that has no label yet.

    Parameters
    ----------
    timeout_s : float
        Of a request [s].
    before : int
        Requests that were sent when no label could be expected; they do not count.

    Attributes
    ----------
    quota : int
        Requests that may be launched before the first label.
    """

    __slots__ = ("_before", "_patience_ns", "_round_ns", "_since_ns", "_uncounted", "quota")

    def __init__(self, timeout_s: float, before: int = 0) -> None:
        self.quota = before + ROUND
        self._uncounted = before
        self._patience_ns = round(PATIENCE * timeout_s * NS_PER_S)
        self._before = 0  # requests before the last pause
        self._since_ns = self._round_ns = 0

    def begin(self, now_ns: int, launched: int) -> None:
        """Ask once more: at the start, and after a pause that the target asked for."""
        self._before = launched
        self._since_ns = now_ns
        self._open_round(now_ns, launched + ROUND)

    def is_hopeless(self, now_ns: int, *, ended: int, in_order: int) -> bool:
        """Whether enough has ended without a label.

        Parameters
        ----------
        now_ns : int
            Now, by the clock of the run [ns].
        ended, in_order : int
            Requests that have ended; of these, the ones before the first that has not.
        """
        if ended <= self._before:
            return False  # what was asked before a pause was asked too early
        waited_ns = now_ns - self._since_ns
        return (
            ended >= self._uncounted + ENOUGH
            or (waited_ns >= SLOW_NS and in_order >= self._before + ROUND)
            or waited_ns >= self._patience_ns
        )

    def look(self, now_ns: int, *, launched: int, ended: int) -> None:
        """Open the next round if this one is over."""
        is_over = ended == launched or now_ns - self._round_ns >= STALLED_NS
        if launched >= self.quota and is_over:
            self._open_round(now_ns, self.quota + ROUND)

    def _open_round(self, now_ns: int, quota: int) -> None:
        self._round_ns = now_ns
        self.quota = min(max(self.quota, quota), self._uncounted + MOST)
