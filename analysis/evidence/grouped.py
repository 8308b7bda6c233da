"""What is known of a run whose connections have several answers, beside its `Evidence`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.bets.means import MeanScales
from analysis.data.connections import Assembly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.bets.hypotheses import Null
    from analysis.bets.means import Stakes
    from analysis.data.policy import Policy
    from analysis.data.split import Band

Results = Counter[tuple[int, int, int]]
"""How many connections had so many answers with a label, so many that could have had any, and
so many in all: in any order they give the same evidence against any edge."""


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """What is known of a run whose connections have several answers, beside `Evidence`.

    Parameters
    ----------
    scales : MeanScales
        The compiled hypotheses.
    assembly : Assembly
        Connections that are not complete, and those that wait for them.
    stakes : Stakes
        What the bets have become.
    answers, firsts : (k,) tuple of int
        Answers of the judged connections by arm, and first answers.
    results : (k,) tuple of Results
        What the judged connections came to, by arm.
    at_peaks : (2A,) tuple of Results
        What they came to when the evidence against each hypothesis was highest.
    silent : float
        Sum of the parts of what was planned that came without a label.
    shorts : int
        Judged connections that ended early.
    first_from : int or None
        Connections after which first answers are judged, because too many had ended early.
    labels : tuple of str
        Meaning of the codes of labels.
    """

    scales: MeanScales
    assembly: Assembly
    stakes: Stakes
    answers: tuple[int, ...]
    firsts: tuple[int, ...]
    results: tuple[Results, ...]
    at_peaks: tuple[Results, ...]
    silent: float = 0.0
    shorts: int = 0
    first_from: int | None = None
    labels: tuple[str, ...] = ()

    @classmethod
    def start(
        cls,
        arms: int,
        tested: Sequence[int],
        bands: Sequence[Band],
        policy: Policy,
        budget: int,
        clean: Null | None,
    ) -> Grouped:
        """Begin a run.

        Parameters
        ----------
        arms : int
            Number of arms, k.
        tested, bands
            Indices of the A tested arms whose share is neither 0 nor 1, and their bands.
        policy : Policy
            Error rates and the like.
        budget : int
            Connections after which the run ends.
        clean : Null or None
            The hypothesis about shares of 0 and 1.
        """
        scales = MeanScales.of(
            tested,
            bands,
            policy.inner,
            budget,
            policy.missing_ratio,
            policy.per_connection,
            clean,
        )
        return cls(
            scales=scales,
            assembly=Assembly.start(arms),
            stakes=scales.start,
            answers=(0,) * arms,
            firsts=(0,) * arms,
            results=(Counter(),) * arms,
            at_peaks=(Counter(),) * (2 * len(tested)),
        )
