"""Pure statistics of a traffic split: functions of their arguments, no I/O.

`Batch` comes in from the sampler; `Tally` is what is shown, `Evidence` is what is decided
on, `Report` is what is rendered.
"""

from __future__ import annotations

from analysis.batch import ABSENT, Batch, Outcome
from analysis.evidence import Evidence
from analysis.judging import judge, verdict_of
from analysis.policy import Policy
from analysis.report import Report, Verdict
from analysis.split import Band, Split, Tolerance
from analysis.tally import Tally
from analysis.verdict import Decision, decide
from analysis.weighing import finish, weigh

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
