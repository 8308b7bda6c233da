"""Health: the canary's errors and times against the stable version's, apart from the split.

A fold over the samples in the order of sending, like the evidence on the split. The first
response of each connection counts if it carried a label: a request that failed without one
cannot be attributed to a version. The result does not depend on how the samples were cut into
batches: failures are weighed by blocks of `BLOCK` responses, times by pairs, both counted from
the start of the run.

It decides only where a limit was set, and then only by proof: a FAIL proves that the limit is
exceeded; a PASS does not prove that it is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf, log
from numbers import Real
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from analysis.data.batch import ABSENT, Outcome
from analysis.data.errors import InputError, is_a
from analysis.data.health import Health, HealthArm, HealthErrors, HealthTimes
from analysis.data.report import Check, Reason, ReasonCode, Verdict
from analysis.guards.drift import uniform
from analysis.versions.twosample import (
    BINS,
    BLOCK,
    bins_of,
    block_log_evidence,
    fisher_p_value,
    quantile_difference_s,
    quantile_s,
    sign_log_evidence,
    smoothed_rate,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from analysis.data.batch import Batch
    from analysis.data.split import Split

QUANTILES = {"p50": 0.5, "p95": 0.95}
"""Quantiles of the response times that are shown."""
CONFIDENCE = 0.95
"""Of the intervals of their differences."""
_OK = int(Outcome.OK)  # an int is compared faster than a member is
_LOTS = 1 << 20
"""Tells the lots of pairs from the other random numbers of a run."""

_Number = TypeVar("_Number", int, float)

Count = tuple[int, int]
"""Responses, and the failures among them."""


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """Which versions are compared, and how much worse the canary may be.

    Parameters
    ----------
    max_error_ratio : float or None
        Error rate of the canary, as a multiple of the stable one's, beyond which the run
        fails, >= 1; None only reports it.
    max_slowdown : float or None
        Time of the canary, as a multiple of the stable one's, beyond which the run fails,
        >= 1; None only reports it.
    error_status : int
        Statuses from this one on are errors, in [100, 599].
    canary, stable : str or None
        Labels; None takes the smallest and the largest positive share.

    Raises
    ------
    InputError
        If a number lies outside its range, or is not a number.
    """

    max_error_ratio: float | None = None
    max_slowdown: float | None = None
    error_status: int = 500
    canary: str | None = None
    stable: str | None = None

    def __post_init__(self) -> None:
        for name in ("max_error_ratio", "max_slowdown"):
            value = getattr(self, name)
            if value is not None and not (is_a(value, Real) and 1 <= value < inf):
                raise InputError(f"{name} must be a factor of at least 1, got {value!r}")
        if not is_a(self.error_status, Real) or not 100 <= self.error_status <= 599:
            raise InputError(f"error_status must lie in [100, 599], got {self.error_status!r}")

    @property
    def gates(self) -> bool:
        """Whether a limit was set."""
        return self.max_error_ratio is not None or self.max_slowdown is not None


def compared_arms(
    split: Split, policy: HealthPolicy, zones: Iterable[Split] = ()
) -> tuple[str, str] | None:
    """Name canary and stable version: the smallest and the largest positive share.

    Of equal shares the one whose name sorts last is the canary, the first one the stable version.
    Where zones have splits of their own, their mean counts, whichever zone `split` is that of.

    Returns
    -------
    (str, str) or None
        None if fewer than two arms have a share, and none were named.

    Raises
    ------
    InputError
        If a named label is not expected, both are the same one, or a limit was set
        and there is nothing to compare.
    """
    splits = [*zones] or [split]
    shares = {arm: sum(each.share(arm) for each in splits) for each in splits for arm in each.arms}
    shared = sorted(arm for arm, share in shares.items() if share)
    for name, label in (("canary", policy.canary), ("stable", policy.stable)):
        if label is not None and label not in shared:
            raise InputError(
                f"{name} must be one of the labels with a weight, {', '.join(shared)}; "
                f"got {label!r}"
            )
    candidates = [arm for arm in reversed(shared) if arm != policy.stable]
    canary = policy.canary or min(candidates, key=shares.__getitem__, default=None)
    rest = [arm for arm in shared if arm != canary]
    stable = policy.stable or max(rest, key=shares.__getitem__, default=None)
    if canary is None or stable is None or canary == stable:
        if policy.gates or policy.canary or policy.stable:
            raise InputError(
                f"there is nothing to compare in {'; '.join(map(str, splits))}: canary and stable "
                "version must be two labels with a weight above 0"
            )
        return None
    return canary, stable


@dataclass(frozen=True, slots=True)
class Failures:
    """Evidence that the canary fails more often, by blocks of responses.

    Parameters
    ----------
    bounds : tuple of float
        Ratios of failure rates that are tested.
    canary, stable : Count
        Of the whole blocks.
    open_canary, open_stable : Count
        Of the block that has begun.
    log_evidence, peaks : tuple of float
        Against each bound, after the last whole block and at its highest [nats].
    """

    bounds: tuple[float, ...]
    canary: Count = (0, 0)
    stable: Count = (0, 0)
    open_canary: Count = (0, 0)
    open_stable: Count = (0, 0)
    log_evidence: tuple[float, ...] = ()
    peaks: tuple[float, ...] = ()

    def observe(self, is_canary: NDArray[np.bool_], failed: NDArray[np.bool_]) -> Failures:
        """Count responses in the order of sending, and weigh each block that fills up."""
        if not len(failed):
            return self
        room = BLOCK - self.open_canary[0] - self.open_stable[0]
        starts = [0, *range(room, len(failed), BLOCK)]
        kinds = np.stack([is_canary, is_canary & failed, ~is_canary, ~is_canary & failed])
        canary, stable = self.canary, self.stable
        open_canary, open_stable = self.open_canary, self.open_stable
        now = self.log_evidence or (0.0,) * len(self.bounds)
        peaks = self.peaks or now
        for n_c, k_c, n_s, k_s in np.add.reduceat(kinds, starts, axis=1, dtype=np.int64).T.tolist():
            open_canary = _plus(open_canary, (n_c, k_c))
            open_stable = _plus(open_stable, (n_s, k_s))
            if open_canary[0] + open_stable[0] == BLOCK:
                # The rates come from earlier blocks only: a bet must not see its own outcome.
                rates = smoothed_rate(*canary), smoothed_rate(*stable)
                now = tuple(
                    nats + block_log_evidence(open_canary, open_stable, rates, bound)
                    for nats, bound in zip(now, self.bounds, strict=True)
                )
                peaks = tuple(map(max, peaks, now))
                canary, stable = _plus(canary, open_canary), _plus(stable, open_stable)
                open_canary = open_stable = (0, 0)
        return Failures(self.bounds, canary, stable, open_canary, open_stable, now, peaks)

    def totals(self) -> tuple[Count, Count]:
        """Count canary and stable over all responses, the open block included."""
        return _plus(self.canary, self.open_canary), _plus(self.stable, self.open_stable)


@dataclass(frozen=True, slots=True)
class Times:
    """Evidence that the canary is slower, by disjoint pairs of neighbouring responses.

    A pair stands where the version changes from one response to the next. Two such places in a
    row, where the one that answers less often comes and where it goes, make one pair: which of
    them is drawn by lot. So the canary is the later one of its pair in half of them, and a
    latency that rises or falls for both versions alike is no evidence against it.

    Parameters
    ----------
    bounds : tuple of float
        Factors: for each one, a pair counts if the canary took more than that many times as
        long.
    seed : int, default 0
        Of the lots.
    last : (bool, int) or None
        The last response: whether it is the canary's, and its time [ns].
    is_used : bool
        Whether `last` is a part of a pair that was weighed.
    entered : (int, int) or None
        The canary's and the stable version's time where the version changed last, if the place
        where it changes back has not come yet [ns].
    weighed : int
        Pairs so far.
    slower : tuple of int
        For each bound: pairs in which the canary took longer; a tie is none.
    peaks : tuple of float
        Highest log evidence against each bound [nats].
    canary, stable : (BINS,) int64
        Histograms of all times.
    """

    bounds: tuple[float, ...]
    seed: int = 0
    last: tuple[bool, int] | None = None
    is_used: bool = False
    entered: tuple[int, int] | None = None
    weighed: int = 0
    slower: tuple[int, ...] = ()
    peaks: tuple[float, ...] = ()
    canary: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(BINS, dtype=np.int64), repr=False, compare=False
    )
    stable: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(BINS, dtype=np.int64), repr=False, compare=False
    )

    def observe(self, is_canary: NDArray[np.bool_], times_ns: NDArray[np.int64]) -> Times:
        """Take the next responses, in the order of sending."""
        if not len(is_canary):
            return self
        bins = bins_of(times_ns) + BINS * is_canary
        stable, canary = np.bincount(bins, minlength=2 * BINS).reshape(2, BINS)
        if self.last is not None:
            is_canary = np.concatenate(([self.last[0]], is_canary))
            times_ns = np.concatenate(([self.last[1]], times_ns))
        pairs, entered, used = self._paired(is_canary, times_ns)
        after = replace(
            self,
            last=(bool(is_canary[-1]), int(times_ns[-1])),
            is_used=used == len(is_canary) - 1,
            entered=entered,
            canary=self.canary + canary,
            stable=self.stable + stable,
        )
        return _bet(after, pairs) if pairs.size else after

    def _paired(
        self, is_canary: NDArray[np.bool_], times_ns: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], tuple[int, int] | None, int]:
        """Return the pairs (2, m), the one that is open, and the last response used."""
        changes = np.flatnonzero(is_canary[1:] != is_canary[:-1]) + 1
        either = np.stack([times_ns[changes], times_ns[changes - 1]])
        either = np.where(is_canary[changes], either, either[::-1])  # canary, stable
        if self.entered is not None:
            either = np.column_stack([self.entered, either])
        comes: list[int] = [] if self.entered is None else [0]
        goes: list[int] = []
        used = 0 if self.is_used else -1
        for place, at in enumerate(changes.tolist(), len(comes)):
            if len(comes) > len(goes):
                goes.append(place)
                used = at
            elif at - 1 > used:
                comes.append(place)
        lots = uniform(self.seed, _LOTS, self.weighed + np.arange(len(goes)))
        drawn = np.where(lots < 1 / 2, comes[: len(goes)], goes).astype(np.intp)
        entered = tuple(either[:, comes[-1]].tolist()) if len(comes) > len(goes) else None
        return either[:, drawn], entered, used


@dataclass(frozen=True, slots=True)
class HealthEvidence:
    """What is known about the canary's health. A value: `observe` makes the next one.

    Parameters
    ----------
    canary, stable : str
        Labels.
    policy : HealthPolicy
        Limits.
    failures : Failures
    times : Times
    zone : str
        Where all of this was seen; empty for the whole run.
    """

    canary: str
    stable: str
    policy: HealthPolicy
    failures: Failures
    times: Times
    zone: str = ""

    @classmethod
    def start(
        cls, split: Split, policy: HealthPolicy, seed: int = 0, zones: Iterable[Split] = ()
    ) -> HealthEvidence | None:
        """Begin a run; None if the split leaves nothing to compare.

        Parameters
        ----------
        split, policy
            What is compared, and how.
        seed : int, default 0
            Draws which neighbours are compared.
        zones : iterable of Split
            As of `compared_arms`.

        Raises
        ------
        ValueError
            As `compared_arms`.
        """
        arms = compared_arms(split, policy, zones)
        if arms is None:
            return None
        return cls(
            *arms,
            policy,
            Failures((1.0, *_given(policy.max_error_ratio))),
            Times((1.0, *_given(policy.max_slowdown)), seed),
        )

    def within(self, zone: str, split: Split) -> HealthEvidence | None:
        """Begin the same comparison in one zone; None if its split lacks one of the versions."""
        is_there = split.share(self.canary) > 0 < split.share(self.stable)
        return replace(self, zone=zone) if is_there else None

    def observe(self, batch: Batch, among: NDArray[np.bool_] | None = None) -> HealthEvidence:
        """Take the next samples, in the order of sending: one step of the fold.

        Parameters
        ----------
        batch : Batch
        among : (n,) bool or None
            Which of its samples; None is all.
        """
        roles = np.full(len(batch.labels) + 1, -1)
        for number, label in enumerate((self.stable, self.canary)):
            if label in batch.labels:
                roles[batch.labels.index(label)] = number
        role = roles[batch.label]
        seen = (role >= 0) & (batch.ordinal == 0) & (batch.outcome == _OK)
        seen &= batch.done_ns != ABSENT
        if among is not None:
            seen &= among
        if not seen.any():
            return self
        rows = slice(None) if seen.all() else seen
        is_canary = role[rows] == 1
        return replace(
            self,
            failures=self.failures.observe(
                is_canary, batch.status[rows] >= self.policy.error_status
            ),
            times=self.times.observe(is_canary, batch.done_ns[rows] - batch.sent_ns[rows]),
        )

    def exceeded(self, alpha: float) -> dict[ReasonCode, float]:
        """Return the evidence [nats] of each limit that is proven to be exceeded at level alpha."""
        threshold = -log(alpha)
        codes = {}
        for code, limit, peaks in (
            (ReasonCode.ERROR_RATIO, self.policy.max_error_ratio, self.failures.peaks),
            (ReasonCode.SLOWDOWN, self.policy.max_slowdown, self.times.peaks),
        ):
            if limit is not None and peaks and peaks[1] >= threshold:
                codes[code] = peaks[1]
        return codes


def is_exceeded(compared: Sequence[HealthEvidence], alpha: float) -> bool:
    """Whether a limit is proven to be exceeded, over all zones or in one: they share alpha."""
    return any(each.exceeded(alpha / len(compared)) for each in compared)


def reasons_of(evidence: HealthEvidence, alpha: float) -> tuple[Reason, ...]:
    """Return a reason for each limit that is proven to be exceeded, at level alpha."""
    explain = {ReasonCode.ERROR_RATIO: _error_ratio, ReasonCode.SLOWDOWN: _slowdown}
    found = (explain[code](evidence) for code in evidence.exceeded(alpha))
    if not evidence.zone:
        return tuple(found)
    return tuple(
        replace(each, message=f"In zone {evidence.zone}: {each.message}") for each in found
    )


def checks_of(evidence: HealthEvidence, alpha: float) -> tuple[Check, ...]:
    """Return a check for each limit that was set: FAIL where it is proven to be exceeded.

    INCONCLUSIVE without at least one response of each version.
    """
    exceeded = evidence.exceeded(alpha)
    (n_c, _), (n_s, _) = evidence.failures.totals()
    unproven = Verdict.PASS if n_c and n_s else Verdict.INCONCLUSIVE
    checks = []
    for name, code, limit, sentence in (
        ("errors", ReasonCode.ERROR_RATIO, evidence.policy.max_error_ratio, _errors_sentence),
        ("response times", ReasonCode.SLOWDOWN, evidence.policy.max_slowdown, _times_sentence),
    ):
        if limit is None:
            continue
        is_proven = code in exceeded
        verdict = Verdict.FAIL if is_proven else unproven
        known = "proven" if is_proven else "not proven"
        where = f" in zone {evidence.zone}" if evidence.zone else ""
        message = f"{sentence(evidence)}; {known} to exceed {limit:g} times."
        checks.append(Check(f"{name}{where}", verdict, message))
    return tuple(checks)


def health_of(evidence: HealthEvidence, *, seed: int) -> Health:
    """Summarise for the report.

    Parameters
    ----------
    evidence : HealthEvidence
    seed : int
        Of the resampling behind the intervals, >= 0.
    """
    failures, times = evidence.failures, evidence.times
    counts = failures.totals()
    differences = {
        name: interval
        for name, level in QUANTILES.items()
        if (
            interval := quantile_difference_s(
                times.canary, times.stable, level, confidence=CONFIDENCE, seed=seed
            )
        )
    }
    return Health(
        canary=_arm(evidence.canary, counts[0], times.canary),
        stable=_arm(evidence.stable, counts[1], times.stable),
        errors=HealthErrors(
            status=evidence.policy.error_status,
            log_evidence=_at(failures.peaks, 0),
            p_value=fisher_p_value(*counts),
            max_ratio=evidence.policy.max_error_ratio,
            log_evidence_beyond=_beyond(evidence.policy.max_error_ratio, failures.peaks),
        ),
        times=HealthTimes(
            pairs=times.weighed,
            slower=_at(times.slower, 0),
            log_evidence=_at(times.peaks, 0),
            differences_s=differences,
            confidence=CONFIDENCE,
            max_slowdown=evidence.policy.max_slowdown,
            log_evidence_beyond=_beyond(evidence.policy.max_slowdown, times.peaks),
        ),
    )


def _bet(times: Times, pairs: NDArray[np.int64]) -> Times:
    """Weigh further pairs (2, m) of the canary's and the stable version's times [ns]."""
    slower, peaks = [], []
    none = (0,) * len(times.bounds)
    n = times.weighed + np.arange(1, pairs.shape[1] + 1)
    for bound, k, peak in zip(
        times.bounds, times.slower or none, times.peaks or (0.0,) * len(none), strict=True
    ):
        took_longer = pairs[0] > bound * pairs[1]
        heights = sign_log_evidence(n, k + np.cumsum(took_longer))
        slower.append(k + int(np.count_nonzero(took_longer)))
        peaks.append(max(peak, float(heights.max(initial=0.0))))
    return replace(times, weighed=int(n[-1]), slower=tuple(slower), peaks=tuple(peaks))


def _arm(label: str, count: Count, times: NDArray[np.int64]) -> HealthArm:
    quantiles = (
        {name: quantile_s(times, level) for name, level in QUANTILES.items()} if count[0] else {}
    )
    return HealthArm(label, *count, times_s=quantiles)


def _error_ratio(evidence: HealthEvidence) -> Reason:
    limit = evidence.policy.max_error_ratio
    often = "more often" if limit == 1 else f"more than {limit:g} times as often"
    return Reason(
        ReasonCode.ERROR_RATIO,
        f"{_errors_sentence(evidence)}: {evidence.canary} is proven to fail {often}.",
        f"Look for these responses in the logs of {evidence.canary}'s pods; do not send it more "
        "traffic. If that many errors are acceptable, raise --max-error-ratio.",
    )


def _slowdown(evidence: HealthEvidence) -> Reason:
    return Reason(
        ReasonCode.SLOWDOWN,
        f"{_times_sentence(evidence)}; at most half of the pairs are accepted.",
        f"Find out what {evidence.canary} waits for, and whether its pods are short of CPU or "
        "still warming up. If it may be that slow, raise --max-slowdown.",
    )


def _errors_sentence(evidence: HealthEvidence) -> str:
    (n_c, k_c), (n_s, k_s) = evidence.failures.totals()
    return (
        f"{k_c} of {n_c} answers of {evidence.canary} had a status of "
        f"{evidence.policy.error_status} or above{_percent(n_c, k_c)}, "
        f"{k_s} of {n_s} of {evidence.stable}{_percent(n_s, k_s)}"
    )


def _times_sentence(evidence: HealthEvidence) -> str:
    limit = evidence.policy.max_slowdown or 1.0
    row = len(evidence.times.bounds) - 1
    longer = "longer than" if limit == 1 else f"more than {limit:g} times as long as"
    return (
        f"{evidence.canary} took {longer} {evidence.stable} in {_at(evidence.times.slower, row)} "
        f"of {evidence.times.weighed} pairs of answers{_medians(evidence.times)}"
    )


def _medians(times: Times) -> str:
    if not (times.canary.any() and times.stable.any()):
        return ""
    canary, stable = (1e3 * quantile_s(counts, 0.5) for counts in (times.canary, times.stable))
    return f" (medians {canary:.3g} ms and {stable:.3g} ms)"


def _percent(n: int, k: int) -> str:
    return f" ({k / n * 100:.2g} %)" if n else ""


def _given(limit: float | None) -> tuple[float, ...]:
    return () if limit is None else (limit,)


def _at(values: tuple[_Number, ...], row: int) -> _Number:
    return values[row] if values else 0


def _beyond(limit: float | None, peaks: tuple[float, ...]) -> float | None:
    return None if limit is None else _at(peaks, 1)


def _plus(left: Count, right: Count) -> Count:
    return left[0] + right[0], left[1] + right[1]
