"""Pure statistics of a traffic split: functions of their arguments, no I/O.

`Batch` comes in from the sampler; `Tally` is what is shown, `Evidence` is what is decided
on, `Report` is what is rendered.
"""

from __future__ import annotations

from analysis.data.batch import ABSENT, Batch, Outcome
from analysis.data.policy import Policy
from analysis.data.report import Report, Verdict
from analysis.data.split import Band, Split, Tolerance
from analysis.data.tally import Tally
from analysis.evidence.fold import finish, weigh
from analysis.evidence.state import Evidence
from analysis.verdict.decision import Decision, decide
from analysis.weighing.judging import judge, verdict_of

__all__ = [
    "ABSENT",
    "Band",
    "Batch",
    "Decision",
    "Evidence",
    "Outcome",
    "Policy",
    "Report",
    "Split",
    "Tally",
    "Tolerance",
    "Verdict",
    "decide",
    "finish",
    "judge",
    "verdict_of",
    "weigh",
]
