"""The verdict as variables, for ``artifacts:reports:dotenv`` of GitLab.

GitLab refuses a whole file for one value with a line break, a file above 5 KB, or more than
20 variables. Values here are words without blanks or quotes, and there are few of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.render import summary
from analysis.render.printable import as_variable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analysis.data.report import Report


def to_dotenv(report: Report) -> str:
    """Render what a later job of a pipeline may ask for.

    Parameters
    ----------
    report : Report

    Returns
    -------
    str
        ``WEIGHBRIDGE_VERDICT`` (``NONE`` if nothing was judged), ``WEIGHBRIDGE_REASON`` (the
        code of the first reason), ``WEIGHBRIDGE_CONNECTIONS`` (how many were judged),
        ``WEIGHBRIDGE_RUN``, ``WEIGHBRIDGE_INSECURE`` (1 if no certificate was verified) and
        ``WEIGHBRIDGE_COMMIT``, a line each; one without a value is left out.
    """
    return "".join(
        f"WEIGHBRIDGE_{name}={as_variable(value)}\n" for name, value in _variables(report) if value
    )


def _variables(report: Report) -> Iterator[tuple[str, str]]:
    yield "VERDICT", "NONE" if report.verdict is None else report.verdict.value
    yield "REASON", report.reasons[0].code.value if report.reasons else ""
    yield "CONNECTIONS", str(report.samples.independent)
    yield "RUN", report.run.id
    yield "INSECURE", "1" if summary.trust(report) else ""
    yield "COMMIT", report.run.commit
