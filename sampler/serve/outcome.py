"""What came of a session: as much of a report as callers are told."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Any

from analysis.data.report import ReasonCode, Verdict
from analysis.render.printable import visible
from analysis.render.text import headline
from sampler.base.errors import ExitCode
from sampler.serve.gates import canary_of

if TYPE_CHECKING:
    from analysis import Report
    from sampler.base.errors import WeighbridgeError

LONGEST_LINE = 200
MOST_LABELS = 50
"""Labels that were not expected and are told, the most frequent ones; the report has them all."""
_BLANKS = {ord(each): " " for each in "\u00a0\u2009\u202f"}


@unique
class Kind(StrEnum):
    """Whether something was measured, and whose fault it is if not."""

    MEASURED = "measured"
    UNMEASURABLE = "unmeasurable"
    REFUSED = "refused"
    BUG = "bug"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a session, or how far it is.

    Parameters
    ----------
    verdict : str
        PASS, FAIL, INCONCLUSIVE or PENDING.
    reason : str
        Code of ``docs/reasons.md``, or of ``docs/serve.md``.
    line : str
        One sentence in ASCII, at most `LONGEST_LINE` characters, that begins with the verdict.
    hint : str
        What to do; may be empty.
    kind : Kind
    expected, observed, low, high : dict of str to float
        Shares by label, in [0, 1]; the last two are the ends of their intervals.
    connections : int
        Judged connections.
    elapsed_s : float
        Length of the run [s].
    canary : str
        The version under test; empty where none is known.
    """

    verdict: str
    reason: str
    line: str
    hint: str = ""
    kind: Kind = Kind.MEASURED
    expected: dict[str, float] = field(default_factory=dict)
    observed: dict[str, float] = field(default_factory=dict)
    low: dict[str, float] = field(default_factory=dict)
    high: dict[str, float] = field(default_factory=dict)
    connections: int = 0
    elapsed_s: float = 0.0
    canary: str = ""

    @property
    def exit_code(self) -> ExitCode:
        """What ``weighbridge check`` would have ended with."""
        match self.kind:
            case Kind.UNMEASURABLE:
                return ExitCode.UNMEASURABLE
            case Kind.REFUSED:
                return ExitCode.USAGE
            case Kind.BUG:
                return ExitCode.BUG
        return Verdict(self.verdict).exit_code

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def from_document(cls, document: Any) -> Outcome:
        """Return what `to_document` was made of.

        Raises
        ------
        TypeError, ValueError, KeyError
            If it is something else.
        """
        if not isinstance(document, dict):
            raise TypeError("an outcome is an object")
        known = {each.name for each in fields(cls)}
        given = {name: value for name, value in document.items() if name in known}
        outcome = cls(**{**given, "kind": Kind(given["kind"])})
        if outcome.verdict not in set(Verdict):
            raise ValueError(f"{outcome.verdict!r} is no verdict")
        for name, other in undecided("", "").to_document().items():
            expected = (int, float) if isinstance(other, float) else type(other)
            if not isinstance(getattr(outcome, name), expected):
                raise TypeError(f"{name} of an outcome cannot be {getattr(outcome, name)!r}")
        return outcome


def line_of(verdict: str, sentence: str) -> str:
    """Return the sentence behind a verdict as controllers can show it: short, and in ASCII."""
    text = visible(f"{verdict}: {sentence}".translate(_BLANKS).replace("…", "..."))
    told = text.encode("ascii", "backslashreplace").decode()
    return told if len(told) <= LONGEST_LINE else told[: LONGEST_LINE - 3] + "..."


def outcome_of(report: Report, canary: str = "") -> Outcome:
    """Return what callers are told of a report.

    Parameters
    ----------
    report : Report
        Of a check.
    canary : str
        The version under test, if it is known; otherwise the one with the smallest share.
    """
    verdict = (report.verdict or Verdict.INCONCLUSIVE).value
    shares = {} if report.expected is None else report.expected.shares
    is_unmeasurable = any(each.code is ReasonCode.UNMEASURABLE for each in report.reasons)
    first = report.reasons[0] if report.reasons else None
    observed, intervals = report.observed.shares, report.observed.intervals
    others = sorted(observed.keys() - shares.keys(), key=lambda label: (-observed[label], label))
    labels = {*shares, *others[:MOST_LABELS]}
    return Outcome(
        verdict=verdict,
        reason="" if first is None else first.code.value,
        line=line_of(verdict, headline(report)),
        hint="" if first is None else first.remedy,
        kind=Kind.UNMEASURABLE if is_unmeasurable else Kind.MEASURED,
        expected=dict(shares),
        observed={label: share for label, share in observed.items() if label in labels},
        low={label: low for label, (low, _) in intervals.items() if label in labels},
        high={label: high for label, (_, high) in intervals.items() if label in labels},
        connections=0 if report.decision is None else report.decision.decided_after,
        elapsed_s=report.performance.duration_s,
        canary=canary_of(shares, canary),
    )


def outcome_of_error(error: WeighbridgeError) -> Outcome:
    """Return what callers are told of a check that could not be carried out."""
    kind = Kind.REFUSED if error.exit_code is ExitCode.USAGE else Kind.UNMEASURABLE
    return undecided(str(error), "usage" if kind is Kind.REFUSED else "unmeasurable", kind,
                     error.hint or "")  # fmt: skip


def undecided(sentence: str, reason: str, kind: Kind = Kind.MEASURED, hint: str = "") -> Outcome:
    """Return the end of a session that has no report."""
    verdict = Verdict.INCONCLUSIVE.value
    return Outcome(verdict, reason, line_of(verdict, sentence), hint, kind)
