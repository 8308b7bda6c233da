"""The report as OpenMetrics text, for ``artifacts:reports:metrics`` and for scrapers.

GitLab compares the values of two branches as strings: names and label sets are therefore the
same in each run of the same expectation, and values are rounded to fixed places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.render import summary
from analysis.render.printable import as_metric_label

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from analysis.data.report import Report


def to_metrics(report: Report) -> str:
    """Render a report as OpenMetrics 1.0 text.

    Parameters
    ----------
    report : Report

    Returns
    -------
    str
        One gauge a line block, ended by ``# EOF``. Shares are in [0, 1]. Labels that were
        not expected have no series of their own, but are summed in one.
    """
    return "".join(f"{line}\n" for line in (*_lines(report), "# EOF"))


def _lines(report: Report) -> Iterator[str]:
    observed, expected = report.observed, report.expected
    labels = list(observed.counts if expected is None else expected.weights)
    n = max(sum(observed.counts.values()), 1)
    shares = {label: observed.counts.get(label, 0) / n for label in labels}
    yield from _family("observed_ratio", "Share of the labelled connections.", shares)
    if expected is not None:
        yield from _family("expected_ratio", "Share that was expected.", expected.shares)
        foreign = sum(count for label, count in observed.counts.items() if label not in shares)
        yield from _single("unexpected_ratio", "Share of other labels.", f"{foreign / n:.4f}")
    if report.verdict is not None:
        meaning = "0 is PASS, 1 is FAIL, 3 is INCONCLUSIVE."
        yield from _single("verdict", meaning, str(int(report.verdict.exit_code)))
    if report.observed.by_zone:
        by_zone = report.observed.by_zone
        zones = {name: int(zone.verdict.exit_code) for name, zone in by_zone.items()}
        meaning = "Of one zone: 0 is PASS, 1 is FAIL, 3 is INCONCLUSIVE."
        yield from _family("zone_verdict", meaning, zones, label="zone", form="d")
    if summary.trust(report):
        yield from _single("insecure", "1: no certificate was verified.", "1")
    samples = report.samples
    draws = samples.independent if samples.effective is None else round(samples.effective)
    yield from _single("samples_effective", "Independent draws that were judged.", str(draws))
    launched = report.samples.launched
    unlabelled = (launched - report.samples.labelled) / max(launched, 1)
    yield from _single(
        "unlabelled_ratio", "Share of requests without a label.", f"{unlabelled:.4f}"
    )
    rate = f"{report.performance.rate_per_s:.0f}"
    yield from _single("requests_per_second", "Requests launched per second of sending.", rate)


def _family(
    name: str,
    meaning: str,
    values: Mapping[str, float],
    *,
    label: str = "version",
    form: str = ".4f",
) -> Iterator[str]:
    yield from _head(name, meaning)
    taken: set[str] = set()
    for each, value in values.items():
        text = as_metric_label(each)
        while text in taken:
            text += "'"
        taken.add(text)
        yield f'canary_split_{name}{{{label}="{text}"}} {value:{form}}'


def _single(name: str, meaning: str, value: str) -> Iterator[str]:
    yield from _head(name, meaning)
    yield f"canary_split_{name} {value}"


def _head(name: str, meaning: str) -> Iterator[str]:
    yield f"# TYPE canary_split_{name} gauge"
    yield f"# HELP canary_split_{name} {meaning}"
