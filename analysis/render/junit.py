"""The report as JUnit XML, in the dialect that GitLab and Jenkins read.

Reports are compared between runs by class and name, so both are free of numbers. Whatever
did not pass is a failure or an error: a gate that could not decide must not look green.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.data.report import Check, Verdict
from analysis.render import summary
from analysis.render.printable import sentence, visible
from analysis.render.text import to_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from analysis.data.report import Report

SUITE = "weighbridge"
"""Name of the suite, and class name of its cases."""

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_LONGEST_NAME = 200
_MARKER = "[[ATTACHMENT|"
_JOINER = "\N{WORD JOINER}"


def to_junit(report: Report, attachment: str = "") -> str:
    """Render a report as JUnit XML.

    Parameters
    ----------
    report : Report
    attachment : str
        Path of an image, relative to the project, that GitLab shows with each case that did not
        pass; it has to be an artifact of the job. Empty for none.

    Returns
    -------
    str
        One ``<testsuites>`` with one suite and a case for each check: FAIL is a
        ``<failure>``, INCONCLUSIVE an ``<error type="inconclusive">``. If no check has the
        verdict, a case named ``verdict`` does. The report as text, and what to do, are in the
        first case that has the verdict; the others refer to it. A report without a verdict
        becomes an ``<error type="not judged">``. Characters that XML 1.0 cannot hold
        appear as escapes.
    """
    from xml.etree.ElementTree import (  # noqa: PLC0415 - not before a verdict
        Element,
        SubElement,
        tostring,
    )

    run, checks = report.run, _checks(report)
    failures = sum(check.verdict is Verdict.FAIL for check in checks)
    passes = sum(check.verdict is Verdict.PASS for check in checks)
    whole = {
        "name": SUITE,
        "tests": str(len(checks)),
        "errors": str(len(checks) - failures - passes),
        "failures": str(failures),
        "skipped": "0",
        "time": str(round(report.performance.duration_s, 3)),
    }
    document = Element("testsuites", whole)
    suite = SubElement(document, "testsuite", whole, timestamp=visible(run.started_at))
    properties = SubElement(suite, "properties")
    told = [(name, getattr(run, name)) for name in ("target", "label", "id", "version", "seed")]
    for name, value in (*told, *(("insecure", each) for each in summary.trust(report))):
        SubElement(properties, "property", name=name, value=visible(str(value)))
    _add_cases(suite, report, checks, attachment)
    return _DECLARATION + tostring(document, encoding="unicode") + "\n"


def _add_cases(suite: Element, report: Report, checks: Sequence[Check], attachment: str) -> None:
    from xml.etree.ElementTree import SubElement  # noqa: PLC0415 - as in to_junit

    # GitLab takes the first marker of a case: none of a stranger's may stand in the text.
    text = to_text(report).replace(_MARKER, f"[[{_JOINER}ATTACHMENT|")
    marker = f"{_MARKER}{attachment}]]\n" if attachment else ""
    # The whole text, and what to do, stand in one case: the others would repeat it.
    names = _names(checks)
    bearer = _explained(report, checks)
    for number, (name, check) in enumerate(zip(names, checks, strict=True)):
        case = SubElement(suite, "testcase", name=name, classname=SUITE)
        if check.verdict is not Verdict.PASS:
            _add_result(case, report, check, "" if number == bearer else names[bearer])
        shown = "" if check.verdict is Verdict.PASS else marker
        if number == bearer or shown:
            SubElement(case, "system-out").text = shown + text if number == bearer else shown


def _explained(report: Report, checks: Sequence[Check]) -> int:
    """Return the place of the check that explains the verdict; the first one if all passed."""
    verdicts = [check.verdict for check in checks]
    wanted = report.verdict if report.verdict in verdicts else Verdict.INCONCLUSIVE
    return verdicts.index(wanted) if wanted in verdicts else 0


def _checks(report: Report) -> Sequence[Check]:
    """Return the parts of the decision; the verdict itself too, if no part repeats it."""
    checks = list(report.decision.checks) if report.decision is not None else []
    if report.verdict is None:
        return [Check("verdict", Verdict.INCONCLUSIVE, "measured without judging")]
    if report.verdict not in {check.verdict for check in checks}:
        why = report.reasons[0].message if report.reasons else report.verdict.value
        checks.append(Check("verdict", report.verdict, why))
    return checks


def _names(checks: Sequence[Check]) -> list[str]:
    """Return printable names; GitLab drops a second case of the same name, so none repeats."""
    names: list[str] = []
    taken: set[str] = set()
    for check in checks:
        name = visible(check.name[:_LONGEST_NAME])
        while name in taken:
            name += "'"
        taken.add(name)
        names.append(name)
    return names


def _add_result(case: Element, report: Report, check: Check, where: str) -> None:
    from xml.etree.ElementTree import SubElement  # noqa: PLC0415 - as in to_junit

    message = sentence(check.message or check.name)
    kind = "inconclusive" if report.verdict is not None else "not judged"
    element, kind = ("failure", "fail") if check.verdict is Verdict.FAIL else ("error", kind)
    result = SubElement(case, element, message=message, type=kind)
    result.text = _explanation(report, check, message, where)


def _explanation(report: Report, check: Check, message: str, where: str) -> str:
    """Return what is wrong and what to do; GitLab shows the content, not the attribute.

    `where` names the case that has what to do, if this one does not.
    """
    lines = [message]
    if report.verdict is Verdict.FAIL and check.verdict is not Verdict.FAIL and report.reasons:
        # What to do is about another part, which decided before this one was settled.
        return f"{message}\nNot settled when the run ended: {sentence(report.reasons[0].message)}"
    if where and report.reasons:
        return f"{message}\nWhat to do: see the case “{where}”."
    for reason in report.reasons:
        why = sentence(reason.message)
        if why not in lines:
            lines.append(why)
        if reason.remedy:
            lines.append(f"→ {sentence(reason.remedy)}")
    return "\n".join(lines)
