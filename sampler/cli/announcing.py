"""What a run is about to do, and what is likely to go wrong with it: said before it sends."""

from __future__ import annotations

import re
import sys
from math import ceil, inf
from typing import TYPE_CHECKING

from analysis.bets.sizing import required_samples
from analysis.render.printable import visible, wrap
from analysis.text.rounding import amount, counted, duration, significant
from sampler.cli.messages import say_warning
from sampler.cli.screen import is_terminal, width_of
from sampler.cli.streams import say

if TYPE_CHECKING:
    from analysis import Policy, Split
    from sampler.plan.load import Load
    from sampler.plan.run import RunPlan

MANY = 10_000
"""Connections from which on a tolerance that is a part of the share is asked about."""

_GROUPED = 1000


def announce(plan: RunPlan) -> None:
    """Print on stderr what will be sent, and warnings about the plan."""
    from sampler.store.writer import folder_name  # noqa: PLC0415 - Arrow, which a plan has no use for

    text = in_words(plan)
    lines = wrap(text, width_of(sys.stderr)) if is_terminal(sys.stderr) else [text]
    say("\n".join(lines), err=True)
    if plan.target.insecure:
        say_warning("--insecure: certificates are not verified, so anybody may be answering")
    if (named := folder_name(plan.name)) != plan.name:
        say_warning(f"--name {plan.name!r} becomes {named!r} in the run's folder")
    if plan.split is not None:
        for problem, hint in (*doubts(plan.split, plan.deciding_policy), *_too_little(plan)):
            say_warning(problem, hint)


def in_words(plan: RunPlan) -> str:
    """Return what will be sent, and when it will end, in one line."""
    load, limits = plan.load, plan.limits
    pace = "as answers come" if load.rate is None else f"arrivals at {_per_second(load.rate)}"
    connection = {
        "fresh": "a fresh connection each",
        "reuse": "connections reused",
        "auto": "connections as a pilot finds",
    }.get(str(load.connection), f"{load.connection} requests per connection")
    ends = [] if plan.split is None else ["decided"]
    if limits.max_samples is not None:
        ends.append(counted(limits.max_samples, "request"))
    if limits.max_time_s is not None:
        ends.append(f"{limits.max_time_s:g} s")
    cap = "no cap on the rate" if load.max_rate is None else f"at most {_per_second(load.max_rate)}"
    wait = f"wait up to {plan.wait_for_s:g} s for an answer, then " if plan.wait_for_s else ""
    return (
        f"{wait}{plan.target.method} {visible(plan.target.shown)}: {pace}, {cap}, "
        f"at most {load.concurrency} in flight, {connection}, "
        f"until {' or '.join(ends)}{_cost(plan)}{_missing_limit(plan)}"
    )


def doubts(split: Split, policy: Policy) -> list[tuple[str, str]]:
    """Return a problem and a hint if a tolerance may have been meant in percentage points.

    Parameters
    ----------
    split : Split
    policy : Policy
        ``--tolerance 5%`` is 5 % of each share, and needs far more connections than ``5pp``.
    """
    written = str(policy.tolerance)
    need = required_samples(split, policy).mean
    if "%" not in written or need < MANY:
        return []
    meant = re.sub("%", "pp", written)
    problem = (
        f"--tolerance {written} is a part of each share, not percentage points: a correct split "
        f"takes about {significant(need, 2)} connections to pass"
    )
    return [(problem, f"if percentage points are meant, write --tolerance {meant}")]


def _too_little(plan: RunPlan) -> list[tuple[str, str]]:
    """Return a problem and a hint if a correct split is not likely to pass within the limits."""
    if plan.split is None:
        return []
    load, limits, each = plan.load, plan.limits, _requests_each(plan.load)
    need = required_samples(plan.split, plan.deciding_policy)
    if each is None:
        if need.mean <= load.concurrency:
            return []
        problem = (
            f"a correct split takes about {significant(need.mean, 2)} connections to pass, and at "
            f"most {load.concurrency} are opened if they are kept: expect INCONCLUSIVE"
        )
        return [(problem, "leave out --connection reuse, or give --connection 10:30")]
    rate = load.rate or load.max_rate or inf
    fits = min(limits.max_samples or inf, rate * (limits.max_time_s or inf)) / each
    if need.mean <= fits:
        return []
    most = ceil(need.q95 * each)
    if fits * each < (limits.max_samples or inf):
        how = "--max-time or " + ("--rate" if load.rate else "--max-rate")
        enough = f"--max-time {ceil(most / rate)}s"
    else:
        how, enough = "--max-samples", f"--max-samples {most}"
    problem = (
        f"a correct split takes about {significant(need.mean, 2)} connections to pass, and at most "
        f"{amount(int(fits))} fit: expect INCONCLUSIVE; {enough} is enough for 95 %"
    )
    return [(problem, f"raise {how}, or widen --tolerance")]


def _requests_each(load: Load) -> float | None:
    """Return the requests of a connection, on average; None if it is kept without end."""
    life = load.connection
    if life.shortest is None or life.longest is None:
        return None
    return (life.shortest + life.longest) / 2


def _cost(plan: RunPlan) -> str:
    """Return what a correct split takes: connections, and seconds at the highest rate."""
    if plan.split is None:
        return ""
    need, each = required_samples(plan.split, plan.deciding_policy), _requests_each(plan.load)
    rate = plan.load.rate or plan.load.max_rate
    seconds = ""
    if rate is not None and each is not None:
        at_least = "" if plan.load.rate else "at least "
        seconds = (
            f", {at_least}{duration(need.mean * each / rate)} ({duration(need.q95 * each / rate)})"
        )
    # What calibrated thresholds spare is known after their recursion only.
    most = "less than " if plan.deciding_policy.calibrated else ""
    return (
        f"; a correct split takes {most}{significant(need.mean, 2)} connections to pass on average "
        f"(95 %: {significant(need.q95, 2)}){seconds}"
    )


def _per_second(rate: float) -> str:
    return f"{amount(rate) if rate >= _GROUPED else f'{rate:g}'}/s"


def _missing_limit(plan: RunPlan) -> str:
    """Return from which rate of missing labels on PASS is impossible, if FAIL begins later."""
    if plan.split is None:
        return ""
    from analysis.bets.sizing import tolerable_missing  # noqa: PLC0415 - as above

    limit = tolerable_missing(plan.split, plan.deciding_policy)
    if limit >= plan.policy.max_unlabelled:
        return ""
    return f"; PASS needs less than {limit * 100:.2g} % without a label"
