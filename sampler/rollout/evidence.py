"""Which reports exist on a commit, and what the newest one decided."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING, ClassVar

from analysis.data.report import Verdict
from analysis.render import from_json
from sampler.base.errors import ExitCode, UsageError, WeighbridgeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from analysis import Report

REPORT = "report.json"
_MOST_RUNS = 1000


class UnprovenError(WeighbridgeError):
    """There is no evidence that the canary gets its share, or not enough."""

    exit_code: ClassVar[ExitCode] = ExitCode.INCONCLUSIVE


class DisprovenError(WeighbridgeError):
    """The newest verdict on this commit is FAIL."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAIL


@dataclass(frozen=True, slots=True)
class Weighed:
    """A report, and the file that it was read from.

    Parameters
    ----------
    file : Path
    report : Report
        With a verdict.
    """

    file: Path
    report: Report

    def __str__(self) -> str:
        report = self.report
        return f"{report.verdict} ({self.file}, {report.run.started_at})"

    @property
    def why(self) -> str:
        """First reason of the verdict."""
        return self.report.reasons[0].message if self.report.reasons else ""


def read_reports(places: Sequence[Path]) -> list[Weighed]:
    """Read the judged reports at some places, newest first.

    Parameters
    ----------
    places : sequence of Path
        JSON reports, runs, or folders of runs; of those, the newest thousand are read.

    Raises
    ------
    UsageError
        If a file that was named is no report. What lies in a folder may be anything.
    """
    found: list[Weighed] = []
    for place in places:
        for file in [place] if place.is_file() else _files(place):
            report = _read(file, is_named=file == place)
            if report is not None and report.verdict is not None:
                found.append(Weighed(file, report))
    return sorted(found, key=lambda each: each.report.run.started_at, reverse=True)


def newest(reports: Sequence[Weighed], commit: str, weights: Mapping[str, int]) -> Weighed | None:
    """Return the newest report of this commit on this split; None if there is none."""
    wanted = _ratio(weights)
    for each in reports:
        expected = each.report.expected
        if expected is None or each.report.run.commit != commit:
            continue
        if _ratio(expected.weights) == wanted:
            return each
    return None


def demand_pass(reports: Sequence[Weighed], commit: str, weights: Mapping[str, int]) -> Weighed:
    """Return the newest report of this commit on this split if it is a PASS.

    Raises
    ------
    UnprovenError
        If there is no such report, or it is INCONCLUSIVE.
    DisprovenError
        If it is a FAIL.
    """
    found = newest(reports, commit, weights)
    if found is None:
        split = ",".join(f"{label}={n}" for label, n in weights.items())
        raise UnprovenError(
            f"no check was recorded for commit {commit[:12]} with {split}{_nearest(reports)}",
            hint=f"weighbridge check URL --expect {split}, on this commit, without changes to it; "
            "--report names its report, --map VERSION=LABEL the labels that the pods answer with, "
            "--force promotes without a PASS",
        )
    if found.report.verdict is Verdict.PASS:
        return found
    remedy = found.report.reasons[0].remedy if found.report.reasons else ""
    kind = DisprovenError if found.report.verdict is Verdict.FAIL else UnprovenError
    raise kind(
        f"the newest verdict on commit {commit[:12]} is {found}: {found.why}",
        hint="weighbridge rollout rollback removes the canary"
        if kind is DisprovenError
        else remedy or "check again",
    )


def _nearest(reports: Sequence[Weighed]) -> str:
    """Describe what the newest report covers, where that is not what was asked for."""
    if not reports:
        return ": no report was found"
    run, expected = reports[0].report.run, reports[0].report.expected
    split = (
        ""
        if expected is None
        else " with " + ",".join(f"{label}={n}" for label, n in expected.weights.items())
    )
    commit, dash, _ = run.commit.partition("-")
    of = (
        f"of commit {commit[:12]}{', changed since,' if dash else ''}" if commit else "of no commit"
    )
    return f": the newest report, {reports[0]}, is {of}{split}"


def _ratio(weights: Mapping[str, int]) -> dict[str, int]:
    """Return the weights above zero in lowest terms."""
    some = {label: n for label, n in weights.items() if n}
    divisor = gcd(*some.values()) or 1
    return {label: n // divisor for label, n in some.items()}


def _files(folder: Path) -> Iterator[Path]:
    if (folder / REPORT).is_file():
        yield folder / REPORT
        return
    # The names of runs begin with their time.
    yield from sorted(folder.glob(f"*/{REPORT}"), reverse=True)[:_MOST_RUNS]


def _read(file: Path, *, is_named: bool) -> Report | None:
    try:
        return from_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        if not is_named:
            return None
        raise UsageError(
            f"--report {file}: expected a report: {error}",
            hint="give what weighbridge check --json FILE wrote, or its folder in reports/",
        ) from error
