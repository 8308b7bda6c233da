"""The outlook of a run, as text and as JSON (``weighbridge.plan/1``)."""

from __future__ import annotations

import json
from math import ceil
from typing import TYPE_CHECKING

from analysis.planning.fates import FOUND, Method
from analysis.render.grid import Grid
from analysis.render.printable import in_json, name_of
from analysis.text import rounding
from analysis.text.wording import accepted, automatic, decimals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analysis.data.split import Band
    from analysis.planning.outlook import Distinction, Outlook, Prospect

PLAN_SCHEMA = "weighbridge.plan/1"

_SEVERAL = 20
"""Rows of the table beyond which only the document holds them all."""
_HEADER = ("true share", "", "PASS", "FAIL", "INCONCLUSIVE", "mean")
_LABEL_ROOM = 24


def plan_to_json(outlook: Outlook, rate: float | None = None) -> str:
    """Render an outlook as JSON.

    Parameters
    ----------
    outlook : Outlook
        What was computed.
    rate : float or None
        Connections per second [1/s], > 0; None leaves the seconds out.

    Returns
    -------
    str
        An object, indented by two blanks, ended by a newline. Shares and chances are rounded
        to nine decimals.
    """
    sizes = {"mean": outlook.samples.mean, "q95": outlook.samples.q95, "q99": outlook.samples.q99}
    split = outlook.split
    document = {
        "schema": PLAN_SCHEMA,
        "expected": {
            "weights": split.weight_of,
            "shares": {arm: split.share(arm) for arm in split.arms},
            "tolerance": {band.arm: band.clipped for band in outlook.bands},
        },
        "alpha": outlook.policy.alpha,
        "beta": outlook.policy.beta,
        "budget": outlook.budget,
        "method": outlook.method.value,
        "rate_per_s": rate,
        "samples": sizes,
        "seconds": None if rate is None else {key: n / rate for key, n in sizes.items()},
        "told_apart": [
            {"label": found.arm, "below": _rounded(found.below), "above": _rounded(found.above)}
            for found in outlook.distinctions
        ],
        "characteristics": [_row(prospect) for prospect in outlook.prospects],
    }
    return in_json(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


def _row(prospect: Prospect) -> dict[str, object]:
    return {
        "label": prospect.arm,
        "share": _rounded(prospect.share),
        "meaning": prospect.meaning,
        "pass": _rounded(prospect.passed),
        "fail": _rounded(prospect.failed),
        "inconclusive": _rounded(prospect.undecided),
        "mean_samples": round(prospect.mean, 1),
    }


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(min(max(share, 0.0), 1.0), 9) + 0.0


def plan_parts(outlook: Outlook, rate: float | None = None) -> Iterator[str | Grid]:
    """Yield the paragraphs of an outlook and its table; parameters as for `plan_to_json`."""
    yield "\n".join(_need(outlook, rate))
    yield "\n".join(_apart(outlook))
    yield _table(outlook)
    yield _how(outlook)


def _need(outlook: Outlook, rate: float | None) -> Iterator[str]:
    samples = outlook.samples
    yield f"A correct split passes after {rounding.counted(samples.mean, 'connection')} on average."
    yield (
        f"95 % of such runs need at most {rounding.amount(samples.q95)}, "
        f"99 % at most {rounding.amount(samples.q99)}."
    )
    if rate is not None:
        mean, q95, q99 = (
            rounding.duration(n / rate) for n in (samples.mean, samples.q95, samples.q99)
        )
        yield f"At {rate:g} connections/s: {mean} on average, {q95} and {q99}."
    yield (
        f"A run ends undecided after {rounding.counted(outlook.budget, 'connection')}; "
        f"alpha = {outlook.policy.alpha:.4g}, beta = {outlook.policy.beta:.4g}."
    )


def _apart(outlook: Outlook) -> Iterator[str]:
    if str(outlook.policy.tolerance) == "auto" and (read := automatic(outlook.split.weight_of)):
        yield f"{read[0].upper()}{read[1:]}."
    for found in outlook.distinctions:
        band = next(band for band in outlook.bands if band.arm == found.arm)
        yield _told_apart(found, band)


def _told_apart(found: Distinction, band: Band) -> str:
    places = decimals(band)
    sides = []
    if found.below is not None:
        # Rounded away from the band: what is printed is told apart, too.
        sides.append(f"{rounding.percent_interval((found.below, 1.0), places)[0]} % or less")
    if found.above is not None:
        sides.append(f"{rounding.percent_interval((0.0, found.above), places)[1]} % or more")
    arm, expected = name_of(band.arm, _LABEL_ROOM), accepted(band)
    if not sides:
        return f"{arm}, expected at {expected}: this budget cannot tell any share apart."
    return (
        f"{arm}, expected at {expected}: a true share of {' or '.join(sides)} ends in FAIL "
        f"with a chance of {FOUND * 100:g} % or more."
    )


def _table(outlook: Outlook) -> Grid:
    bands = {band.arm: band for band in outlook.bands}
    shown = outlook.prospects[:_SEVERAL]
    hidden = len(outlook.prospects) - len(shown)
    return Grid(
        [_cells(prospect, bands[prospect.arm]) for prospect in shown],
        _HEADER,
        right=frozenset(range(2, len(_HEADER))),
        more=f"and {hidden} more rows in the document of --json" if hidden > 0 else "",
    )


def _cells(prospect: Prospect, band: Band) -> tuple[str, ...]:
    share = rounding.percent(prospect.share, decimals(band))
    return (
        f"{name_of(prospect.arm, _LABEL_ROOM)} {share} %",
        prospect.meaning,
        _chance(prospect.passed),
        _chance(prospect.failed),
        _chance(prospect.undecided),
        rounding.amount(round(prospect.mean)),
    )


_EXACT = "; --exact computes them"


def _how(outlook: Outlook) -> str:
    if outlook.method is Method.EXACT:
        most = f" but for restarted bets (up to {100 * outlook.margin:.0f} points of FAIL)"
        but = most if outlook.margin else ""
        return f"Exact{but}, if connections are independent and all carry a label."
    is_drawn = outlook.method is Method.SIMULATION
    how, more = ("Simulated from a fixed seed", "") if is_drawn else ("Closed form", _EXACT)
    margin, mean_margin = ceil(100 * outlook.margin), round(100 * outlook.mean_margin)
    return f"{how}: chances within {margin} points, means within {mean_margin} %{more}."


def _chance(chance: float) -> str:
    """Return a chance in percent; what is neither certain nor impossible never looks it."""
    if chance >= 1 - 1e-9:
        return "100 %"
    if chance <= 1e-9:
        return "0 %"
    if chance < 0.0005:
        return "< 0.1 %"
    if chance > 0.9995:
        return "> 99.9 %"
    return f"{chance * 100:.1f} %"
