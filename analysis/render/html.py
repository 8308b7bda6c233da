"""The report as one HTML page that asks nothing of the network.

Everything that came from a stranger goes through the template's autoescape; the only markup
that is passed through is that of the figures, which is made from values by our own code. The
page's Content Security Policy forbids scripts and everything from elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from analysis.render import rounding, summary
from analysis.render.printable import name_of, sentence, visible
from analysis.report import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Template

    from analysis.report import Report

_TEMPLATE = "report.html.jinja"
_SIGNS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.INCONCLUSIVE: "?", None: "·"}
_CLASSES = {
    Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.INCONCLUSIVE: "open", None: "open",
}  # fmt: skip
_LONGEST_COMMAND = 4000


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure of a page.

    Parameters
    ----------
    name : str
        Its id in the page.
    caption : str
        What is seen, in one sentence.
    svg : str
        An ``<svg>`` element with title and description, passed through as it is.
    """

    name: str
    caption: str
    svg: str


def to_html(report: Report, drawings: Sequence[Drawing] = ()) -> str:
    """Render a report as a page.

    Parameters
    ----------
    report : Report
    drawings : sequence of Drawing
        Figures of the run, in their order; without them the page has tables only.

    Returns
    -------
    str
        HTML 5, encodable as UTF-8.
    """
    from markupsafe import Markup  # noqa: PLC0415 - few runs need it

    return _template().render(
        report=report,
        tag=summary.tag(report),
        identity=visible(report.run.id),
        version=visible(report.run.version),
        sign=_SIGNS[report.verdict],
        kind=_CLASSES[report.verdict],
        why=summary.why(report),
        others=summary.other_reasons(report),
        remedies=summary.remedies(report),
        notes=[sentence(note) for note in report.notes],
        rows=summary.rows(report),
        hidden=summary.hidden_rows(report),
        facts=summary.facts(report),
        checks=summary.checks(report),
        replicas=_replicas(report),
        hidden_replicas=_hidden_replicas(report),
        outcomes=_outcomes(report),
        provenance=summary.provenance(report),
        command=visible(report.run.command[:_LONGEST_COMMAND]),
        # Made by our own code from escaped texts: sampler.drawing.
        drawings=[(each, Markup(each.svg)) for each in drawings],  # noqa: S704
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - few runs need it

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = files("analysis.render").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(text)


def _replicas(report: Report) -> list[tuple[str, str, str, str]]:
    rows = []
    for label, pods in report.observed.replicas.items():
        n = max(sum(pods.values()), 1)
        for replica, count in sorted(pods.items(), key=lambda item: -item[1]):
            share = f"{100 * count / n:.1f} %"
            rows.append((name_of(label, 32), name_of(replica, 64), rounding.amount(count), share))
            if len(rows) >= summary.MOST_REPLICAS:
                return rows
    return rows


def _hidden_replicas(report: Report) -> int:
    every = sum(map(len, report.observed.replicas.values()))
    return max(every - summary.MOST_REPLICAS, 0)


def _outcomes(report: Report) -> list[tuple[str, str, str]]:
    launched = max(report.samples.launched, 1)
    ranked = sorted(report.samples.outcomes.items(), key=lambda item: -item[1])
    return [
        (name_of(key, 32), rounding.amount(n), f"{100 * n / launched:.2f} %") for key, n in ranked
    ]
