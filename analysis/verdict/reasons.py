"""Reasons: one sentence with the numbers for each way in which a run can end, and a remedy."""

from __future__ import annotations

from functools import partial
from math import ceil, exp, inf, log, log10
from typing import TYPE_CHECKING

from analysis.bets.hypotheses import fail_nulls
from analysis.bets.scales import RESTART_WEIGHT
from analysis.bets.sizing import required_samples, tolerable_missing
from analysis.data.report import Reason, ReasonCode
from analysis.data.split import tested_arms
from analysis.evidence.intervals import shares_with_intervals
from analysis.guards.runs import EXTREME
from analysis.planning.forecast import remaining
from analysis.text.rounding import amount, counted, significant
from analysis.text.wording import accepted, decimals, interval, odds, quoted

if TYPE_CHECKING:
    from analysis.evidence.state import Evidence

ENOUGH = 300.0
"""Log evidence beyond which it is not told apart [nats]."""
SPARE = 1.3
"""Factor on a forecast that a remedy asks for, so that following it usually suffices."""

MOST_TOLD = 3
"""Shares that a sentence tells; of more, it tells the least certain one."""

SPARE_THE_TARGET = (
    "Send less with a lower --max-rate or --concurrency, or wait until the target has "
    "recovered; --no-overload-stop goes on all the same."
)
"""Remedy of a run that was too much for its target."""

_CHECK_WEIGHTS = (
    "Check the weights or replica counts that are in force (or correct --expect), and that "
    "the pods of every version are ready."
)
_FIND_LABELS = (
    "Look at the outcomes for why they gave no label: a slow version needs a longer --timeout "
    "or a lower --concurrency, another place of the label needs --label"
)


def within_tolerance(evidence: Evidence) -> Reason:
    """Give the reason of a PASS."""
    return Reason(
        ReasonCode.WITHIN_TOLERANCE,
        _all_shares(evidence, "All {n} shares are within their tolerance, least surely this one"),
    )


def outside_tolerance(evidence: Evidence) -> Reason:
    """Give the reason of a FAIL by counting."""
    arm = culprit(evidence)
    message = share_sentence(evidence, arm)
    late = _late_departure(evidence, arm)
    if late:
        message = f"{late} Over the whole run, {message}"
    return Reason(ReasonCode.OUTSIDE_TOLERANCE, message, _CHECK_WEIGHTS)


def unexpected_label(evidence: Evidence) -> Reason:
    """Give the reason of a FAIL by one label that should not have come."""
    arms, weights = evidence.split.arms, evidence.split.weights
    foreign = [label for label in evidence.counts if label not in arms]
    n = counted(evidence.judged, "connection")
    if foreign:
        return Reason(
            ReasonCode.UNEXPECTED_LABEL,
            f"{quoted(foreign[0])} answered 1 of {n}; expected was only {', '.join(arms)}.",
            "Find the pod that answers with it: the Service selects it. If it belongs there, "
            "add it to --expect; if it is no version, correct --label.",
        )
    arm = next(a for a, w in zip(arms, weights, strict=True) if not w and evidence.counts[a])
    return Reason(
        ReasonCode.UNEXPECTED_LABEL,
        f"{arm} answered 1 of {n}, although its weight is 0.",
        f"Wait until no pod of {arm} is left behind the Service and the data plane has "
        "followed, and run again; or correct --expect.",
    )


def too_many_unlabelled(evidence: Evidence) -> Reason:
    """Give the reason of a FAIL of a Service that does not answer enough."""
    limit = evidence.policy.max_unlabelled
    return Reason(
        ReasonCode.TOO_MANY_UNLABELLED,
        f"{_missing(evidence)}; at most {limit * 100:.4g} % may.",
        f"{_FIND_LABELS}; or accept more with --max-unlabelled.",
    )


def missing_labels(evidence: Evidence) -> Reason:
    """Give the reason of a run in which missing labels leave no verdict."""
    limit = tolerable_missing(evidence.split, evidence.policy)
    return Reason(
        ReasonCode.MISSING_LABELS,
        f"{_missing(evidence)}; at this rate neither PASS nor FAIL can be reached, whatever they "
        f"were (PASS needs less than {limit * 100:.2g} %). {_some_shares(evidence)}",
        f"{_FIND_LABELS}; or widen --tolerance, or bound how unequally versions lose labels "
        "with --missing-ratio.",
    )


def not_stationary(evidence: Evidence) -> Reason:
    """Give the reason of a run that could have passed, but whose share changed."""
    row = evidence.drift.suspect
    arm = evidence.split.arms[evidence.scales.arms[row]]
    test, change = evidence.drift.arms[row], evidence.drift.change(row)
    places = decimals(evidence.bands[evidence.scales.arms[row]])
    shares = f"{change.before * 100:.{places}f} % before, {change.after * 100:.{places}f} % after"
    return Reason(
        ReasonCode.NOT_STATIONARY,
        f"The share of {arm} was not constant: it changed most near connection "
        f"{amount(change.at)} (between {amount(change.earliest)} and {amount(change.latest)}; "
        f"{shares}). Windows of {amount(evidence.drift.width)} connections scatter "
        f"{test.squares / test.deviates:.1f} times as much as chance would, evidence "
        f"{odds(log(evidence.drift.peak))}. {_all_shares(evidence)}",
        "Wait until the rollout and the data plane have settled, and run again. If it goes on, "
        "look for pods that become ready or unready, or for weights that something changes.",
    )


def dependent_connections(evidence: Evidence) -> Reason:
    """Give the reason of a run that could have passed, but whose connections hang together."""
    row, z = _least_alternating(evidence)
    arm = evidence.split.arms[evidence.scales.arms[row]]
    return Reason(
        ReasonCode.DEPENDENT_CONNECTIONS,
        f"Neighbouring connections hang together: {arm} came in "
        f"{counted(evidence.runs.changes[row] + 1, 'run')}, {-z:.1f} standard deviations fewer "
        f"than independent draws make. {_all_shares(evidence)}",
        "Session affinity, a proxy that pools connections, or a cache does this: turn it off for "
        "the check, or send from several client addresses.",
    )


def draw_notes(evidence: Evidence) -> tuple[str, ...]:
    """Say what is known of the draws, where no reason says it: assumptions and dependence."""
    return (*_assumed(evidence), *_neighbours(evidence))


def _assumed(evidence: Evidence) -> tuple[str, ...]:
    """Name the assumption about missing labels, where there are some and it was made."""
    ratio = evidence.policy.missing_ratio
    if not evidence.missing or ratio == inf:
        return ()
    note = (
        f"assumed by --missing-ratio: no version loses its labels more than {ratio:g} times as "
        "often as another"
    )
    return (note,)


def _neighbours(evidence: Evidence) -> tuple[str, ...]:
    """Say how neighbouring connections differ from independent ones."""
    if not evidence.scales.arms or evidence.settled in _SAYS_IT:
        return ()
    row, fewest = _least_alternating(evidence)
    most = max(map(evidence.runs_z_of, range(len(evidence.scales.arms))))
    if fewest < -EXTREME:
        arm = evidence.split.arms[evidence.scales.arms[row]]
        note = (
            f"neighbouring connections hang together ({arm} came in "
            f"{counted(evidence.runs.changes[row] + 1, 'run')}, z = {fewest:.1f}), as with session "
            "affinity or a share that changes: error rates of independent draws do not hold"
        )
        return (note,)
    if most > EXTREME:
        note = (
            f"versions take turns more evenly than chance would (runs z = +{most:.1f}), as with "
            "round robin: harmless, the decision is safer than it claims"
        )
        return (note,)
    return ()


_SAYS_IT = (
    ReasonCode.NOT_STATIONARY,
    ReasonCode.DEPENDENT_CONNECTIONS,
    ReasonCode.OUTSIDE_TOLERANCE,
    ReasonCode.UNEXPECTED_LABEL,
)
"""Reasons beside which nothing more is said about neighbours: they speak for themselves."""


def _least_alternating(evidence: Evidence) -> tuple[int, float]:
    """Row of the scales whose arm came in the fewest runs for its share, and its z."""
    scores = [evidence.runs_z_of(row) for row in range(len(evidence.scales.arms))]
    row = min(range(len(scores)), key=scores.__getitem__)
    return row, scores[row]


def budget_spent(evidence: Evidence) -> Reason:
    """Give the reason of a run that used up its samples."""
    more = _more(evidence)
    remedy = (
        f"Raise --max-samples to about {evidence.judged + more}, or widen --tolerance."
        if more
        else _near_edge(evidence)
    )
    return Reason(
        ReasonCode.BUDGET_SPENT,
        f"{counted(evidence.judged, 'connection')} did not suffice. {_some_shares(evidence)}",
        remedy,
    )


def few_connections(evidence: Evidence) -> Reason:
    """Give the reason of a run whose samples were not all independent draws."""
    return Reason(
        ReasonCode.FEW_CONNECTIONS,
        f"The samples hold only {counted(evidence.judged, 'independent connection')}. "
        f"{_some_shares(evidence)}",
        "A balancer of connections picks once for each connection: use --connection fresh, or "
        "raise --max-samples.",
    )


def time_spent(evidence: Evidence) -> Reason:
    """Give the reason of a run that used up its time."""
    more = _more(evidence)
    remedy = (
        f"Raise --max-time or --concurrency, for about {significant(more, 2)} more connections; "
        "or widen --tolerance."
        if more
        else _near_edge(evidence)
    )
    return Reason(
        ReasonCode.TIME_SPENT,
        f"The time was up after {counted(evidence.judged, 'connection')}. {_some_shares(evidence)}",
        remedy,
    )


def interrupted(evidence: Evidence) -> Reason:
    """Give the reason of a run that was stopped from outside."""
    more = _more(evidence)
    return Reason(
        ReasonCode.INTERRUPTED,
        f"Interrupted after {counted(evidence.judged, 'connection')}. {_some_shares(evidence)}",
        f"Run again and let it end; about {significant(more, 2)} more connections were needed."
        if more
        else "Run again and let it end.",
    )


def client_limit(evidence: Evidence) -> Reason:
    """Give the reason of a run that this machine could not carry on."""
    return Reason(
        ReasonCode.CLIENT_LIMIT,
        f"This machine ran out of ports or file descriptors after "
        f"{counted(evidence.judged, 'connection')}. {_some_shares(evidence)}",
        "Lower --concurrency, or raise the limits (ulimit -n, net.ipv4.ip_local_port_range).",
    )


def target_overloaded(evidence: Evidence) -> Reason:
    """Give the reason of a run that stopped to spare its target."""
    return Reason(
        ReasonCode.TARGET_OVERLOADED,
        f"The target is overloaded; sending stopped after "
        f"{counted(evidence.judged, 'connection')}. {_some_shares(evidence)}",
        SPARE_THE_TARGET,
    )


def undecided(evidence: Evidence) -> Reason:
    """Give the reason of a run that goes on."""
    return Reason(
        ReasonCode.FEW_CONNECTIONS,
        f"Undecided after {counted(evidence.judged, 'connection')}.",
    )


def culprit(evidence: Evidence) -> str:
    """Name the arm with the strongest evidence of a departure."""
    strongest = max(range(len(evidence.fail_by_arm)), key=evidence.fail_by_arm.__getitem__)
    return evidence.split.arms[evidence.scales.arms[strongest]]


def share_sentence(evidence: Evidence, arm: str) -> str:
    """Write what one arm received, and what was expected.

    With labels missing it says what answered, not what was received: an arm whose requests
    fail receives more than it answers.
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
    """Write how many gave no label."""
    return f"{_missing(evidence)}."


def _missing(evidence: Evidence) -> str:
    n, missing = evidence.judged, evidence.silent
    rate = f" ({missing / n * 100:.1f} %)" if missing else ""
    text = f"{amount(missing)} of {counted(n, 'connection')}{rate} gave no label"
    undelivered = evidence.missing - missing
    # A sum of parts: a hair of it is rounding.
    return f"{text}, and {amount(undelivered)} did not come" if undelivered > 1e-6 else text


def _all_shares(evidence: Evidence, of_many: str = "The least certain of {n} shares") -> str:
    """Write what every arm received; of many, what the least certain one did."""
    arms = [evidence.split.arms[arm] for arm in tested_arms(evidence.split)]
    if len(arms) <= MOST_TOLD:
        return " ".join(share_sentence(evidence, arm) for arm in arms)
    told = share_sentence(evidence, min(arms, key=partial(_room, evidence)))
    return f"{of_many.format(n=len(arms))}: {told}"


def _room(evidence: Evidence, arm: str) -> float:
    """Room between the interval of an arm and the nearer edge of its band; below 0 beyond it.

    In parts of that band's half, so that arms of different shares compare.
    """
    band = evidence.bands[evidence.split.arms.index(arm)]
    _, low, high = shares_with_intervals(evidence)[arm]
    return min((low - band.low) / band.below, (band.high - high) / band.above)


def _some_shares(evidence: Evidence) -> str:
    return _all_shares(evidence) if evidence.labelled else "No label was seen."


def _more(evidence: Evidence) -> int | None:
    """Further connections to ask for; None if the shares are not heading for PASS.

    First what the planner allows a right split; beyond that the forecast with some to
    spare, to two digits.
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


def _near_edge(evidence: Evidence) -> str:
    if evidence.missing:
        return f"{_FIND_LABELS}; or widen --tolerance."
    return (
        "The share lies outside the tolerance or close to its edge: check the weights, raise "
        "--max-samples for a FAIL, or widen --tolerance."
    )


def _late_departure(evidence: Evidence, arm: str) -> str:
    """Say so, if it took the restarted part to see the departure: it began during the run."""
    if _plain_evidence(evidence) >= 1 / evidence.policy.alpha:
        return ""
    scales, threshold = evidence.scales, -log(evidence.policy.alpha)
    row = scales.arms.index(evidence.split.arms.index(arm))
    every, none = (evidence.carry.clean[position] for position in (row, row + len(scales.arms)))
    if none * scales.extremes.log_factor[row + len(scales.arms)] >= threshold:
        return f"None of the last {amount(none)} connections met {arm}."
    if every * scales.extremes.log_factor[row] >= threshold:
        return f"All of the last {amount(every)} connections met {arm}."
    return f"The share of {arm} was far off in a part of the run."


def _plain_evidence(evidence: Evidence) -> float:
    """FAIL evidence of the counts alone, without what the restarted part has won."""
    if evidence.groups is not None:
        return evidence.groups.scales.plain(evidence.groups.stakes)
    total = 0.0
    for arm in evidence.scales.arms:
        band = evidence.bands[arm]
        x = evidence.counts[band.arm]
        for null in fail_nulls(band, evidence.policy.inner, evidence.policy.missing_ratio):
            total += exp(min(null.log_evidence(evidence.judged, x, evidence.missing), ENOUGH))
    mean = total / (2 * len(evidence.scales.arms))
    return (1 - RESTART_WEIGHT) * mean + RESTART_WEIGHT
