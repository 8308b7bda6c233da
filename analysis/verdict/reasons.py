"""Reasons: for each way in which a run can end, one sentence with the numbers, and a remedy."""

from __future__ import annotations

from math import ceil, inf, log, log10
from typing import TYPE_CHECKING

from analysis.bets.sizing import required_samples, tolerable_missing
from analysis.data.report import Reason, ReasonCode
from analysis.data.split import tested_arms
from analysis.evidence.intervals import shares_with_intervals
from analysis.guards.runs import log_level
from analysis.planning.forecast import remaining
from analysis.text.rounding import amount, counted, significant
from analysis.text.wording import accepted, decimals, interval, listed, odds, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.evidence.state import Evidence

SPARE = 1.3
"""Factor on the forecast in a remedy, so that following the remedy is usually enough."""

MOST_TOLD = 3
"""Shares that a sentence lists; of more, it names the least certain one."""

CLIENT_LIMIT_REMEDY = (
    "Lower --concurrency, or raise the limits (ulimit -n, net.ipv4.ip_local_port_range)."
)
SPARE_THE_TARGET = (
    "Lower --max-rate or --concurrency, or wait until the target has recovered; "
    "--no-overload-stop keeps sending anyway."
)
"""Remedy of a run that was too much for its target."""

_CHECK_WEIGHTS = (
    "Check the weights or replica counts in force (or correct --expect), and that the pods of "
    "every version are ready."
)
_FIND_LABELS = (
    "The outcomes show why labels are missing: for a slow version, raise --timeout or lower "
    "--concurrency; if the label is elsewhere in the response, set --label"
)


def within_tolerance(evidence: Evidence) -> Reason:
    """Return the reason of a PASS."""
    return Reason(
        ReasonCode.WITHIN_TOLERANCE,
        _all_shares(evidence, "All {n} shares are within tolerance; the least certain one"),
    )


def outside_tolerance(evidence: Evidence) -> Reason:
    """Return the reason of a FAIL by counting."""
    arm = culprit(evidence)
    message = share_sentence(evidence, arm)
    late = _late_departure(evidence, arm)
    if late:
        message = f"{message} {late}"
    return Reason(ReasonCode.OUTSIDE_TOLERANCE, message, _CHECK_WEIGHTS)


def unexpected_label(evidence: Evidence) -> Reason:
    """Return the reason of a FAIL by one label that should not have come."""
    arms, weights = evidence.split.arms, evidence.split.weights
    foreign = [label for label in evidence.counts if label not in arms]
    if foreign:
        return Reason(
            ReasonCode.UNEXPECTED_LABEL,
            f"Unexpected version {quoted(foreign[0])} answered connection "
            f"{amount(evidence.judged)}; expected only {listed(arms)}.",
            "Find the pod that sends this label: the Service selects it. If it belongs there, "
            "add it to --expect; if the label is not a version, correct --label.",
        )
    arm = min(a for a, w in zip(arms, weights, strict=True) if not w and evidence.answers[a])
    return Reason(
        ReasonCode.UNEXPECTED_LABEL,
        f"{arm} answered connection {amount(evidence.judged)}, although its weight is 0.",
        f"Wait until no pod of {arm} is left behind the Service and the data plane has caught "
        "up, then run again; or correct --expect.",
    )


def too_many_unlabelled(evidence: Evidence) -> Reason:
    """Return the reason of a FAIL of a Service that does not answer enough."""
    limit = evidence.policy.max_unlabelled
    return Reason(
        ReasonCode.TOO_MANY_UNLABELLED,
        f"{_missing(evidence)}; {'lately they exceed ' if evidence.is_endless else ''}the limit "
        f"{'of' if evidence.is_endless else 'is'} {limit * 100:.4g} %.",
        f"{_FIND_LABELS}; or raise --max-unlabelled.",
    )


def missing_labels(evidence: Evidence) -> Reason:
    """Return the reason of a run in which missing labels leave no verdict."""
    limit = tolerable_missing(evidence.split, evidence.policy)
    return Reason(
        ReasonCode.MISSING_LABELS,
        f"{_missing(evidence)}; at this rate neither PASS nor FAIL is possible, whichever version "
        f"they came from (PASS needs less than {limit * 100:.2g} %). {_some_shares(evidence)}",
        f"{_FIND_LABELS}; or widen --tolerance, or bound with --missing-ratio how unequally "
        "versions lose labels.",
    )


def not_stationary(evidence: Evidence) -> Reason:
    """Return the reason of a run that could have passed, but whose share changed."""
    row = _least(evidence, [-test.evidence for test in evidence.drift.arms])
    arm = _name_of(evidence, row)
    test, change = evidence.drift.arms[row], evidence.drift.change(row)
    places = decimals(evidence.bands[evidence.bets.arms[row]])
    shares = f"{change.before * 100:.{places}f} % before, {change.after * 100:.{places}f} % after"
    return Reason(
        ReasonCode.NOT_STATIONARY,
        f"The share of {arm} was not constant: it changed most near connection "
        f"{amount(change.at)} (between {amount(change.earliest)} and {amount(change.latest)}; "
        f"{shares}). Windows of {amount(evidence.drift.width)} connections vary "
        f"{test.squares / test.deviates:.1f} times as much as chance explains (evidence "
        f"{odds(log(evidence.drift.peak))}). {_all_shares(evidence)}",
        "Wait until the rollout and the data plane have settled, then run again. If it persists, "
        "look for pods that become ready or unready, or for a controller that changes weights.",
    )


def dependent_connections(evidence: Evidence) -> Reason:
    """Return the reason of a run that could have passed, but whose connections depend."""
    row, fewest = _rarest_runs(evidence, 0)
    return Reason(
        ReasonCode.DEPENDENT_CONNECTIONS,
        f"Consecutive connections are not independent: {_runs(evidence, row)} (odds against so "
        f"few in independent draws: {odds(-fewest)}). {_all_shares(evidence)}",
        "Session affinity, a proxy that pools connections, or a cache causes this: turn it off "
        "for the check, or send from several client addresses.",
    )


def draw_notes(evidence: Evidence) -> tuple[str, ...]:
    """Return what is known of the draws, where no reason says it: assumptions, dependence."""
    return (*_assumed(evidence), *_neighbours(evidence))


def _assumed(evidence: Evidence) -> tuple[str, ...]:
    """Name the assumption about missing labels, where there are some and it was made."""
    ratio = evidence.policy.missing_ratio
    if not evidence.missing or ratio == inf:
        return ()
    note = (
        f"assumed because of --missing-ratio: no version loses labels more than {ratio:g} times "
        "as often as another"
    )
    return (note,)


def _neighbours(evidence: Evidence) -> tuple[str, ...]:
    """Return how consecutive connections differ from independent ones, if they do."""
    if not evidence.bets.arms or evidence.settled in _SAYS_IT:
        return ()
    row, fewest = _rarest_runs(evidence, 0)
    level = log_level(len(evidence.bets.arms))
    if fewest <= level:
        note = (
            f"consecutive connections are not independent ({_runs(evidence, row)}; odds against so "
            f"few in independent draws: {odds(-fewest)}), as with session affinity or a changing "
            "share: the error rates, which assume independence, do not hold"
        )
        return (note,)
    row, most = _rarest_runs(evidence, 1)
    if most <= level:
        note = (
            f"versions alternate more evenly than chance would ({_runs(evidence, row)}; odds "
            f"against so many in independent draws: {odds(-most)}), as with round robin: "
            "harmless, the error rates are even lower than stated"
        )
        return (note,)
    return ()


def _runs(evidence: Evidence, row: int) -> str:
    arm, runs = _name_of(evidence, row), evidence.runs.changes[row] + 1
    return f"{arm} answered in {counted(runs, 'run')}, z = {evidence.runs_z_of(row):+.1f}"


_SAYS_IT = (
    ReasonCode.NOT_STATIONARY,
    ReasonCode.DEPENDENT_CONNECTIONS,
    ReasonCode.OUTSIDE_TOLERANCE,
    ReasonCode.UNEXPECTED_LABEL,
)
"""Reasons that already tell the user what consecutive connections would."""


def _rarest_runs(evidence: Evidence, tail: int) -> tuple[int, float]:
    """Return the row with the fewest (tail 0) or most (1) runs for its share, and its chance."""
    chances = [evidence.runs_tails_of(row)[tail] for row in range(len(evidence.bets.arms))]
    row = _least(evidence, chances)
    return row, chances[row]


def budget_spent(evidence: Evidence) -> Reason:
    """Return the reason of a run that used up its samples."""
    more = _more(evidence)
    remedy = (
        f"Raise --max-samples to about {evidence.judged + more}, or widen --tolerance."
        if more
        else _near_edge(evidence)
    )
    return Reason(
        ReasonCode.BUDGET_SPENT,
        f"{counted(evidence.judged, 'connection')} {_were(evidence)} not enough to decide. "
        f"{_some_shares(evidence)}",
        remedy,
    )


def few_connections(evidence: Evidence) -> Reason:
    """Return the reason of a run whose samples were not all independent draws."""
    return Reason(
        ReasonCode.FEW_CONNECTIONS,
        f"There {_were(evidence)} only {counted(evidence.judged, 'independent connection')}. "
        f"{_some_shares(evidence)}",
        "A Service picks a pod once per connection: use --connection fresh, or raise "
        "--max-samples.",
    )


def time_spent(evidence: Evidence, *, is_paced: bool = False) -> Reason:
    """Return the reason of a run that used up its time.

    Parameters
    ----------
    evidence : Evidence
    is_paced : bool
        Whether requests arrived at a rate of their own: more concurrency would not help then.
    """
    more = _more(evidence)
    remedy = (
        f"Raise --max-time or {'--rate' if is_paced else '--concurrency'}, for about "
        f"{significant(more, 2)} more connections; or widen --tolerance."
        if more
        else _near_edge(evidence, "--max-time")
    )
    return Reason(
        ReasonCode.TIME_SPENT,
        f"Time ran out after {counted(evidence.judged, 'connection')}. {_some_shares(evidence)}",
        remedy,
    )


def interrupted(evidence: Evidence) -> Reason:
    """Return the reason of a run that was stopped from outside."""
    more = _more(evidence)
    return Reason(
        ReasonCode.INTERRUPTED,
        f"Interrupted after {counted(evidence.judged, 'connection')}. {_some_shares(evidence)}",
        f"Run again and let it finish: about {significant(more, 2)} more connections are needed."
        if more
        else "Run again and let it finish.",
    )


def client_limit(evidence: Evidence) -> Reason:
    """Return the reason of a run that this machine could not carry on."""
    return Reason(
        ReasonCode.CLIENT_LIMIT,
        f"This machine ran out of ports or file descriptors after "
        f"{counted(evidence.judged, 'connection')}. {_some_shares(evidence)}",
        CLIENT_LIMIT_REMEDY,
    )


def target_overloaded(evidence: Evidence) -> Reason:
    """Return the reason of a run that stopped to spare its target."""
    return Reason(
        ReasonCode.TARGET_OVERLOADED,
        f"The target is overloaded; sending stopped after "
        f"{counted(evidence.judged, 'connection')}. {_some_shares(evidence)}",
        SPARE_THE_TARGET,
    )


def undecided(evidence: Evidence) -> Reason:
    """Return the reason of a run that goes on."""
    return Reason(
        ReasonCode.FEW_CONNECTIONS,
        f"Undecided after {counted(evidence.judged, 'connection')}.",
    )


def _were(evidence: Evidence) -> str:
    return "was" if evidence.judged == 1 else "were"


def culprit(evidence: Evidence) -> str:
    """Return the arm with the strongest evidence of a departure; of equals the first name."""
    return _name_of(evidence, _least(evidence, [-each for each in evidence.fail_by_arm]))


def _name_of(evidence: Evidence, row: int) -> str:
    """Return the name of a tested arm, by its row of `Evidence.bets`."""
    return evidence.split.arms[evidence.bets.arms[row]]


def _least(evidence: Evidence, values: Sequence[float]) -> int:
    """Return the row of the least value; of equals the first name, whatever the order of labels."""
    return min(range(len(values)), key=lambda row: (values[row], _name_of(evidence, row)))


def share_sentence(evidence: Evidence, arm: str) -> str:
    """Return what one arm received, and what was expected, as a sentence.

    If labels are missing, the sentence is about what answered: an arm whose requests fail
    receives more than it answers.
    """
    band = evidence.bands[evidence.split.arms.index(arm)]
    share, low, high = shares_with_intervals(evidence)[arm]
    observed = interval(share, low, high, decimals(band))
    whole = (
        f"{arm} answered {observed} of {counted(evidence.labelled, 'labelled connection')} "
        f"({amount(evidence.missing)} more gave no label)"
        if evidence.missing
        else f"{arm} received {observed} of {counted(evidence.judged, 'connection')}"
    )
    return f"{whole}; {accepted(band)} was expected."


def unlabelled_sentence(evidence: Evidence) -> str:
    """Return how many connections gave no label, as a sentence."""
    return f"{_missing(evidence)}."


def _missing(evidence: Evidence) -> str:
    n, missing = evidence.judged, evidence.silent
    rate = f" ({missing / n * 100:.1f} %)" if missing else ""
    text = f"{amount(missing)} of {counted(n, 'connection')}{rate} gave no label"
    undelivered = evidence.missing - missing
    # A sum of fractions: a tiny rest is rounding.
    return f"{text}, and {amount(undelivered)} never arrived" if undelivered > 1e-6 else text


def _all_shares(evidence: Evidence, of_many: str = "The least certain of {n} shares") -> str:
    """Return what every arm received; of many, what the least certain one did."""
    arms = [evidence.split.arms[arm] for arm in tested_arms(evidence.split)]
    if len(arms) <= MOST_TOLD:
        return " ".join(share_sentence(evidence, arm) for arm in arms)
    told = share_sentence(evidence, min(arms, key=lambda arm: (_room(evidence, arm), arm)))
    return f"{of_many.format(n=len(arms))}: {told}"


def _room(evidence: Evidence, arm: str) -> float:
    """Return the room between an arm's interval and the nearer edge of its band; < 0 beyond it.

    In units of the half band on that side, so that arms of different shares compare.
    """
    band = evidence.bands[evidence.split.arms.index(arm)]
    _, low, high = shares_with_intervals(evidence)[arm]
    return min((low - band.low) / band.below, (band.high - high) / band.above)


def _some_shares(evidence: Evidence) -> str:
    return _all_shares(evidence) if evidence.labelled else "No label was seen."


def _more(evidence: Evidence) -> int | None:
    """Return how many more connections to ask for; None if the shares are not heading for PASS.

    Up to what the planner allows a correct split; beyond that the forecast with a margin,
    to two digits.
    """
    planned = required_samples(evidence.split, evidence.policy).q99
    forecast = remaining(evidence)
    if forecast is None:
        return None
    if evidence.judged < planned:
        return planned - evidence.judged
    more = ceil(forecast * SPARE)
    unit = int(10.0 ** max(int(log10(more)) - 1, 0))
    return ceil(more / unit) * unit


def _near_edge(evidence: Evidence, limit: str = "--max-samples") -> str:
    if evidence.missing:
        return f"{_FIND_LABELS}; or widen --tolerance."
    return (
        "The share is outside the tolerance or close to its edge: check the weights, raise "
        f"{limit} to get a FAIL, or widen --tolerance."
    )


def _late_departure(evidence: Evidence, arm: str) -> str:
    """Return what the end of the run shows, if only the restarted bets saw the departure."""
    if evidence.bets.plain(evidence.carry) >= 1 / evidence.policy.alpha:
        return ""
    bets, threshold = evidence.bets, -log(evidence.policy.alpha)
    row = bets.arms.index(evidence.split.arms.index(arm))
    every, none = (evidence.carry.clean[position] for position in (row, row + len(bets.arms)))
    if none * bets.log_extremes[row + len(bets.arms)] >= threshold:
        return f"The last {counted(none, 'connection')} never reached it."
    if every * bets.log_extremes[row] >= threshold:
        return f"The last {counted(every, 'connection')} all reached it."
    return "The share was far off during a part of the run."
