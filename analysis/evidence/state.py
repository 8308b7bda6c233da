"""Evidence: what is decided on. A value, made of the samples in the order of their sending.

`analysis.evidence.fold` makes the next one of it and a batch, and ends the run by the rules
of `analysis.evidence.rules`. The counts alone decide almost everything; the order matters for the
running maxima of the PASS side, for the restarted part of the FAIL side, and for the connection at
which the verdict falls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, log
from typing import TYPE_CHECKING

from analysis.bets.calibrated import factors_of
from analysis.bets.hypotheses import certain_tolerance, clean_connections, clean_null, is_certain
from analysis.bets.mixture import Bets
from analysis.bets.sizing import required_samples
from analysis.data.split import tested_arms
from analysis.evidence.several_answers import SeveralAnswers
from analysis.guards.drift import Drift
from analysis.guards.runs import Runs, log_tails, runs_z

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.bets.hypotheses import Null
    from analysis.bets.mixture import Carry
    from analysis.data.policy import Policy
    from analysis.data.report import ReasonCode
    from analysis.data.split import Band, Split

_ENDLESS = 2**62
"""More connections than there will be."""
LOSSES_ROOM = 5
"""Times a clean run's need that a run with shares of 0 or 1 may take, so that one missing label
or two cost connections and not the verdict."""


@dataclass(frozen=True, slots=True)
class Peak:
    """Where the evidence against one hypothesis has been highest.

    Parameters
    ----------
    log_evidence : float
        Its logarithm [nats]; 0 before the first connection.
    n : int
        Connections then.
    x, missing : int or float
        Those with the label, and those without any; where connections have several answers,
        the sums of their parts.
    """

    log_evidence: float = 0.0
    n: int = 0
    x: float = 0
    missing: float = 0


@dataclass(frozen=True)
class Evidence:
    """Everything that the decision knows about a run. A value: `analysis.weigh` makes the next one.

    Parameters
    ----------
    split : Split
        The expectation.
    policy : Policy
        Tolerance and error rates.
    bands : tuple of Band
        Accepted bands, in the order of ``split.arms``.
    budget : int
        Connections after which the run ends undecided.
    clean_needed : int
        Connections without one contradiction that shares of 0 and 1 take to PASS; 0 where
        no tested arm has such a share.
    clean_tolerance : float
        The smallest tolerance of such a share; inf where there is none.
    clean : Null or None
        The hypothesis that such a share is contradicted that often.
    bets : Bets
        The compiled hypotheses about the other tested arms.
    counts : dict of str to int
        Judged connections by label: each expected one, then an unexpected one if it came.
    judged : int
        Connections judged, those without a label included.
    missing : int or float
        Those without a label; where connections have several answers, the sum of the parts
        of them that could have had any, because they have no label or did not come.
    peaks : tuple of Peak
        By hypothesis, in the order of the rows of `bets`.
    clean_peak : Peak
        Against `clean`.
    carry : Carry
        State of the restarted part.
    fail_by_arm : tuple of float
        FAIL evidence of each arm of `bets`; the decision looks at their average.
    drift : Drift
        Whether the shares of the arms of `bets` changed: a guard of PASS.
    runs : Runs
        Whether neighbours knew of each other: the other guard.
    settled : ReasonCode or None
        Why the fold came to its end, or None. Nothing is judged after that.
    is_endless : bool
        Whether there is no budget: the FAIL side is an e-detector (`analysis.bets.restarted`),
        whose false alarms are 1/alpha connections apart on average, and a PASS ends nothing.
    passed_after : int or None
        Connections after which an endless one passed.
    lost : tuple of float
        Of an endless one, R of each bet on missing labels (`analysis.bets.losses`).
    groups : SeveralAnswers or None
        What there is besides, where connections have several answers; `counts` are then sums
        of the parts of connections that met each arm.
    """

    split: Split
    policy: Policy
    bands: tuple[Band, ...]
    budget: int
    clean_needed: int
    clean_tolerance: float
    clean: Null | None = field(repr=False)
    bets: Bets = field(repr=False, compare=False)
    counts: dict[str, float]
    judged: int
    missing: float
    peaks: tuple[Peak, ...]
    clean_peak: Peak
    carry: Carry = field(repr=False, compare=False)
    fail_by_arm: tuple[float, ...]
    drift: Drift = field(repr=False)
    runs: Runs = field(repr=False)
    settled: ReasonCode | None = None
    is_endless: bool = False
    passed_after: int | None = None
    lost: tuple[float, ...] = ()
    groups: SeveralAnswers | None = field(default=None, repr=False, compare=False)

    @classmethod
    def start(
        cls, split: Split, policy: Policy, seed: int = 0, *, is_endless: bool = False
    ) -> Evidence:
        """Begin a run: nothing judged yet.

        Parameters
        ----------
        split, policy
            The expectation, and what is asked of it.
        seed : int, default 0
            Breaks ties in the drift guard; it touches nothing else.
        is_endless : bool, default False
            Whether there is no budget, whatever the policy says.

        Raises
        ------
        ValueError
            If the tolerance does not fit the split, or no thresholds can be calibrated for it.
        """
        bands = policy.tolerance.bands(split)
        tested = tested_arms(split)
        tightest = min(
            (certain_tolerance(bands[arm]) for arm in tested if is_certain(bands[arm])),
            default=inf,
        )
        needed = clean_connections(tightest, policy.beta) if tightest < inf else 0
        budget = _ENDLESS if is_endless else policy.max_samples
        if budget is None:
            budget = max(required_samples(split, policy).q99, LOSSES_ROOM * needed)
        uncertain = [arm for arm in tested if not is_certain(bands[arm])]
        clean = clean_null(tightest, policy.beta, policy.missing_ratio) if needed else None
        bets = Bets.of(
            uncertain,
            [bands[arm] for arm in uncertain],
            policy.inner,
            None if is_endless else budget,
            policy.missing_ratio,
            policy.per_connection,
            clean,
            None if is_endless else factors_of(split, policy, budget),
        )
        # Whether the share moves within its band is no question where departures are waited for.
        steady = [] if is_endless else uncertain
        return cls(
            split=split,
            policy=policy,
            bands=bands,
            budget=budget,
            clean_needed=needed,
            clean_tolerance=tightest,
            clean=clean,
            bets=bets,
            counts=dict.fromkeys(split.arms, 0),
            judged=0,
            missing=0,
            peaks=(Peak(),) * (2 * len(uncertain)),
            clean_peak=Peak(),
            carry=bets.start,
            fail_by_arm=(1.0,) * len(uncertain),
            drift=Drift.start(
                [bands[arm].expected for arm in steady],
                budget,
                seed,
                _ranks([split.arms[arm] for arm in steady]),
            ),
            runs=Runs.start(len(uncertain)),
            is_endless=is_endless,
            groups=None
            if policy.per_connection == 1
            else SeveralAnswers.start(len(split.arms), len(uncertain)),
        )

    @property
    def log_fail(self) -> float:
        """Log of the evidence that FAIL looks at [nats]; -inf where one label decides."""
        if not self.fail_by_arm:
            return -inf
        return log(sum(self.fail_by_arm) / len(self.fail_by_arm))

    @property
    def labelled(self) -> float:
        """Judged connections with a label, or the sum of the parts of them that have one."""
        return self.judged - self.missing

    @property
    def silent(self) -> float:
        """Judged connections without a label, or the sum of the parts of them without one."""
        return self.missing if self.groups is None else self.groups.silent

    @property
    def answers(self) -> dict[str, int]:
        """Answers by label that the judged connections gave: what is shown as counts."""
        if self.groups is None:
            return {label: int(count) for label, count in self.counts.items()}
        of_arms = dict(zip(self.split.arms, self.groups.answers, strict=True))
        return {label: of_arms.get(label, 1) for label in self.counts}

    def least_and_most(self, arm: str) -> tuple[float, float]:
        """Share of the judged connections, missing labels counted as the PASS side counts them.

        Of an arm whose share is neither 0 nor 1; at least one connection must be judged.
        """
        row = self.bets.arms.index(self.split.arms.index(arm))
        x, lost = self.counts[arm], self.bets.lost
        return (
            (x + lost[row] * self.missing) / self.judged,
            (x + lost[row + len(self.bets.arms)] * self.missing) / self.judged,
        )

    @property
    def departed(self) -> float:
        """Share of the judged connections that count as contradicting a share of 0 or 1."""
        return self.clean.lost * self.missing / self.judged if self.clean is not None else 0.0

    def runs_z_of(self, row: int) -> float:
        """Standardised number of runs of an arm, by its row of `bets` (`runs_z`)."""
        return runs_z(*self._runs_of(row))

    def runs_tails_of(self, row: int) -> tuple[float, float]:
        """Return the log chances of as few and of as many runs of an arm, by its row of `bets`."""
        return log_tails(*self._runs_of(row))

    def _runs_of(self, row: int) -> tuple[int, int, int]:
        """Return the runs of an arm, the connections they are made of, and those that met it."""
        arm, runs = self.bets.arms[row], self.runs.changes[row] + 1
        if self.groups is not None:
            return runs, sum(self.groups.firsts), self.groups.firsts[arm]
        return runs, int(self.labelled), int(self.counts[self.split.arms[arm]])

    def peaks_of(self, arm: str) -> tuple[Peak, Peak]:
        """Peaks of the evidence against "too low" and "too high".

        Raises
        ------
        ValueError
            If the arm is not tested by counting, because its share is 0 or 1 or follows
            from the other arm's.
        """
        row = self.bets.arms.index(self.split.arms.index(arm))
        return self.peaks[row], self.peaks[row + len(self.bets.arms)]


def _ranks(labels: Sequence[str]) -> list[int]:
    """Return the place of each label among all in the order of names: not that of the split."""
    return [sorted(labels).index(label) for label in labels]
