"""Pure statistics of a traffic split: functions of their arguments, no I/O.

`Batch` comes in from the sampler; `Tally` is what is shown, `Evidence` is what is decided
on, `Report` is what is rendered.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.data.batch import ABSENT, Batch, Outcome
    from analysis.data.policy import Policy
    from analysis.data.report import Report, Verdict
    from analysis.data.split import Band, Split, Tolerance
    from analysis.data.tally import Tally
    from analysis.evidence.fold import finish, weigh
    from analysis.evidence.state import Evidence
    from analysis.verdict.decision import Decision, decide
    from analysis.weighing.judging import judge, verdict_of

_HOMES = {
    "ABSENT": "analysis.data.batch",
    "Band": "analysis.data.split",
    "Batch": "analysis.data.batch",
    "Decision": "analysis.verdict.decision",
    "Evidence": "analysis.evidence.state",
    "Outcome": "analysis.data.batch",
    "Policy": "analysis.data.policy",
    "Report": "analysis.data.report",
    "Split": "analysis.data.split",
    "Tally": "analysis.data.tally",
    "Tolerance": "analysis.data.split",
    "Verdict": "analysis.data.report",
    "decide": "analysis.verdict.decision",
    "finish": "analysis.evidence.fold",
    "judge": "analysis.weighing.judging",
    "verdict_of": "analysis.weighing.judging",
    "weigh": "analysis.evidence.fold",
}

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


def __getattr__(name: str) -> object:
    # Lazily: the command line imports the errors of `analysis.data` and must not wait for NumPy.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return __all__
