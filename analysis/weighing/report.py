"""The report of a run: what its samples came to, and what happened around them.

There is one assembly for every run, wherever its samples come from. What the samples say is in
`Folded`; what was asked is in `Asked`; what no sample says (why sending ended, what the client and
the target suffered, which run it was) is in `Account`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from analysis.data.batch import NO_DRAW, Outcome
from analysis.data.events import ENDPOINTS
from analysis.data.policy import Policy
from analysis.data.report import Check, Observed, Reason, ReasonCode, Report, Source, Verdict, Zone
from analysis.data.tally import addresses_of
from analysis.text.rounding import counted
from analysis.verdict import sections
from analysis.verdict.causes import Surroundings
from analysis.verdict.decision import OF_SHARES, Ended, decide, decided, with_health
from analysis.verdict.reasons import CLIENT_LIMIT_REMEDY
from analysis.verdict.strangers import REMEDY, only_strangers
from analysis.versions.correlation import groups_of, notes_on
from analysis.versions.health import health_of
from analysis.versions.least_request import pace_of
from analysis.versions.replicas import ReplicaCounts, replica_warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from analysis.data.report import Groups, Performance, Run, View
    from analysis.data.split import Split
    from analysis.verdict.decision import Decision
    from analysis.weighing.fold import Folded


_WORST_FIRST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
_SAY_WHERE = frozenset({ReasonCode.ERROR_RATIO, ReasonCode.SLOWDOWN, ReasonCode.VANTAGE_LOST})
"""Reasons that name the zone themselves, where it is one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of a run.

    Parameters
    ----------
    policy : Policy
        Tolerance and error rates of the whole run.
    source : Source
        Where the split was read.
    views : tuple of View
        What else was read of the split.
    replica_counts : mapping of str to int
        Number of replicas of a version, where it is known.
    previous : Split or None
        The split before this one, where it is known.
    is_fresh : bool
        Whether each sample had a connection of its own, so that each is an independent draw.
    is_paced : bool
        Whether requests were sent at a rate of their own.
    """

    policy: Policy = field(default_factory=Policy)
    source: Source = field(default_factory=Source)
    views: tuple[View, ...] = ()
    replica_counts: Mapping[str, int] = field(default_factory=dict)
    previous: Split | None = None
    is_fresh: bool = True
    is_paced: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """What happened around the samples of a run.

    Parameters
    ----------
    performance : Performance
        How the client did.
    run : Run
        Which run this was.
    ended : Ended
        Why no more samples came.
    shed : int
        Arrivals that were due and not sent.
    unmeasurable : Reason or None
        Why nothing could be measured, if so.
    overload : Reason or None
        Why sending stopped before its end, if the target could not take more.
    lost : Reason or None
        Why it saw less than it was to see, if vantages were lost.
    doubt : callable or None
        Takes the reason of a PASS or a FAIL; returns what the client's own delays could have done
        to it, or None.
    zone_doubts : mapping of str to callable
        Like `doubt`, of the clients in a zone.
    remedies : mapping of ReasonCode to str
        Remedies that fit this kind of run better than the usual ones.
    notes : tuple of str
        Sentences of context; they come first.
    """

    performance: Performance
    run: Run
    ended: Ended = Ended.SAMPLES
    shed: int = 0
    unmeasurable: Reason | None = None
    overload: Reason | None = None
    lost: Reason | None = None
    doubt: Callable[[Reason], Reason | None] | None = None
    zone_doubts: Mapping[str, Callable[[Reason], Reason | None]] = field(default_factory=dict)
    remedies: Mapping[ReasonCode, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The part of a report that the decision and the account settle together."""

    verdict: Verdict | None
    reasons: list[Reason]
    checks: list[Check]


def assemble(asked: Asked, folded: Folded, account: Account) -> Report:
    """Return the report of a run.

    Parameters
    ----------
    asked : Asked
        What was asked.
    folded : Folded
        What the samples came to.
    account : Account
        What happened around them.

    Returns
    -------
    Report
        Without a verdict if nothing was judged.
    """
    asked = _in_force(asked, folded)
    unmeasurable = _unmeasurable(folded, account)
    zones = _zones_of(folded, account, unmeasurable, asked.policy.alpha)
    folded = _about_the_worst(folded, zones)
    decision = _decision(asked, folded, account)
    correlation = None if asked.is_fresh else folded.correlation
    groups = None if correlation is None else groups_of(correlation, folded.evidence)
    outcome = _told_of(folded, _outcome(decision, folded, account, unmeasurable))
    if zones:
        outcome = _of_all_zones(outcome, folded.named, zones)
    return Report(
        verdict=outcome.verdict,
        reasons=[_with_remedy(reason, account.remedies) for reason in outcome.reasons],
        expected=None
        if folded.evidence is None
        else sections.expected_of(folded.evidence, asked.source, asked.views),
        observed=replace(
            _observed(asked, folded),
            by_zone=zones,
            zones_differ=None if folded.apart is None else folded.apart.found(asked.policy.alpha),
        ),
        samples=sections.samples_of(folded.tally, folded.evidence, correlation, shed=account.shed),
        decision=None
        if decision is None
        else decided(
            asked.policy,
            decision.decided_after,
            outcome.checks,
            folded.evidence.budget if folded.evidence and asked.policy.calibrated else None,
        ),
        performance=account.performance,
        run=account.run,
        health=None
        if folded.health is None
        else health_of(folded.health, seed=abs(account.run.seed)),
        groups=groups,
        notes=_notes(asked, folded, account, groups, decision),
        events=() if folded.history is None else folded.history.events,
    )


def _in_force(asked: Asked, folded: Folded) -> Asked:
    """Return what was asked of the last stretch, which the verdict is about."""
    history = folded.history
    if history is None:
        return asked
    if history.previous is None:
        return replace(asked, source=history.last.source)
    # What else was read of the split was about the start.
    return replace(asked, source=history.last.source, previous=history.previous, views=())


def _decision(asked: Asked, folded: Folded, account: Account) -> Decision | None:
    if folded.evidence is None:
        return None
    around = Surroundings(
        _replicas(folded),
        asked.replica_counts,
        asked.previous,
        pace_of(folded.health, account.performance.rate_per_s, asked.policy.alpha),
        is_paced=asked.is_paced,
    )
    is_one = asked.is_fresh and folded.is_uniform and not folded.zones
    seen = folded.tally if is_one else None
    decision = decide(folded.evidence, account.ended, seen, around)
    return with_health(decision, folded.compared, asked.policy.alpha)


def _outcome(
    decision: Decision | None, folded: Folded, account: Account, unmeasurable: Reason | None
) -> _Outcome:
    """Return the verdict, as far as what happened around the samples lets it stand."""
    verdict = None if decision is None else decision.verdict
    if unmeasurable is not None:
        return _undecided(verdict, unmeasurable)
    if decision is None:
        return _Outcome(None, [] if account.overload is None else [account.overload], [])
    reasons, checks = list(decision.reasons), list(decision.checks)
    lost = None if folded.history is None else folded.history.out_of_service()
    if verdict is Verdict.INCONCLUSIVE:
        first = filter(None, (account.lost, _moved(folded), lost))
        return _Outcome(verdict, [*first, *reasons], checks)
    if verdict is Verdict.PASS and lost is not None:
        return _undecided(verdict, lost)
    doubt = _drawn_and_not_sent(folded, reasons[0])
    find = account.zone_doubts.get(folded.named, account.doubt)
    if doubt is None and find is not None:
        doubt = find(reasons[0])
    return _Outcome(verdict, reasons, checks) if doubt is None else _undecided(verdict, doubt)


def _unmeasurable(folded: Folded, account: Account) -> Reason | None:
    """Return why the split is unknown, if so: no zone saw a label that one of them expects."""
    if account.unmeasurable is not None or folded.evidence is None or not folded.is_uniform:
        return account.unmeasurable
    remedy = account.remedies.get(ReasonCode.UNEXPECTED_LABEL, REMEDY)
    splits = [each.split for each in (folded.evidence, *folded.zones.values())]
    found = [only_strangers(split, folded.tally, remedy) for split in splits]
    return found[0] if all(found) else None


def _zones_of(
    folded: Folded, account: Account, unmeasurable: Reason | None, alpha: float
) -> dict[str, Zone]:
    """Return what came of each zone, its own clients considered."""
    zones, compared = {}, {each.zone: replace(each, zone="") for each in folded.zone_health}
    for name, evidence in folded.zones.items():
        health = compared.get(name)
        decision = with_health(
            decide(evidence, account.ended),
            () if health is None else (health,),
            alpha / max(len(folded.compared), 1),
        )
        reason, verdict = decision.reasons[0], decision.verdict
        find = account.zone_doubts.get(name)
        doubt = unmeasurable or _drawn_and_not_sent(folded, reason)
        if doubt is None and find is not None:
            doubt = find(reason)
        if doubt is not None:
            reason, verdict = doubt, Verdict.INCONCLUSIVE
        seen = sections.observed_of(evidence, folded.tally)
        expected = sections.expected_of(evidence, Source())
        zones[name] = Zone(
            verdict, reason.message, seen.counts, seen.shares, seen.intervals, expected.shares,
            expected.tolerance,
            None if health is None else health_of(health, seed=abs(account.run.seed)),
        )  # fmt: skip
    return zones


def _about_the_worst(folded: Folded, zones: Mapping[str, Zone]) -> Folded:
    """Let the report be about a zone that nothing is worse than: a doubt leaves another's proof."""
    rank = {name: _WORST_FIRST.index(zone.verdict) for name, zone in zones.items()}
    if not zones or rank[folded.named] == min(rank.values()):
        return folded
    worst = min(rank, key=rank.__getitem__)
    return replace(folded, named=worst, evidence=folded.zones[worst])


def _of_all_zones(outcome: _Outcome, named: str, zones: dict[str, Zone]) -> _Outcome:
    """Return the outcome for all zones: what it says is about the one that is named."""
    verdict = outcome.verdict
    of_zones = [Check(f"zone {name}", each.verdict, each.message) for name, each in zones.items()]
    passed = sum(each.verdict is Verdict.PASS for each in zones.values())
    named_at = f"In zone {named}: "
    if verdict is Verdict.PASS:
        named_at = f"All {len(zones)} zones pass; least certain is {named}: "
    told = [
        each if each.code in _SAY_WHERE else replace(each, message=f"{named_at}{each.message}")
        for each in outcome.reasons
    ]
    if verdict is Verdict.INCONCLUSIVE and passed:
        pass_ = f"({counted(passed, 'zone')} of {len(zones)} pass)"
        told[0] = replace(told[0], message=f"{told[0].message} {pass_}")
    return _Outcome(verdict, told, [*outcome.checks, *of_zones])


def _told_of(folded: Folded, outcome: _Outcome) -> _Outcome:
    """Say in the first reason what the pods' status says, and that little was judged, if so."""
    history, evidence = folded.history, folded.evidence
    if history is None or evidence is None or not outcome.reasons:
        return outcome
    first, *rest = outcome.reasons
    message = first.message
    if history.trouble and outcome.verdict is not Verdict.PASS and history.trouble not in message:
        message = f"{message} The pods' status: {history.trouble}."
    if evidence.judged < history.not_judged and not history.doubt:
        message = (
            f"Only {counted(evidence.judged, 'connection')} were judged, and "
            f"{counted(history.not_judged, 'request')} set aside in {history.aside_s:.1f} s. "
            f"{message}"
        )
    return replace(outcome, reasons=[replace(first, message=message), *rest])


def _drawn_and_not_sent(folded: Folded, reason: Reason) -> Reason | None:
    """Explain that a limit of this machine may have hidden what stands behind one address.

    With one address nothing was drawn when a request could not be sent, so that it is part of no
    share. With several the address had been drawn, and a limit towards one of them leaves out the
    versions behind it.
    """
    tally = folded.tally
    unsent = sum(tally.outcomes[outcome] for outcome in NO_DRAW)
    addresses = addresses_of(tally)
    if not unsent or not addresses or reason.code not in OF_SHARES:
        return None
    return Reason(
        ReasonCode.CLIENT_LIMIT,
        f"Nothing is claimed: {counted(unsent, 'request')} could not be sent, because this machine "
        f"ran out of ports or file descriptors, after one of {len(addresses)} addresses had been "
        f"drawn for each. Without that: {reason.message}",
        CLIENT_LIMIT_REMEDY,
    )


def _undecided(verdict: Verdict | None, reason: Reason) -> _Outcome:
    """Return an outcome that claims nothing, for one reason."""
    if verdict is None:
        return _Outcome(None, [reason], [])
    check = Check("split", Verdict.INCONCLUSIVE, reason.message)
    return _Outcome(Verdict.INCONCLUSIVE, [reason], [check])


def _moved(folded: Folded) -> Reason | None:
    """Explain that nothing could be judged at the end, because the expectation had moved."""
    if folded.history is None or folded.evidence is None or folded.evidence.settled is not None:
        return None
    return folded.history.moved()


def _with_remedy(reason: Reason, remedies: Mapping[ReasonCode, str]) -> Reason:
    return replace(reason, remedy=remedies.get(reason.code, reason.remedy))


def _observed(asked: Asked, folded: Folded) -> Observed:
    if folded.evidence is not None:
        return sections.observed_of(folded.evidence, folded.tally)
    # Intervals hold for independent draws only.
    return sections.observed_unjudged(folded.tally, asked.policy.alpha if asked.is_fresh else None)


def _stale_addresses(folded: Folded) -> list[str]:
    """Name what connections that nobody answered often are after pods have gone."""
    timeouts = folded.tally.outcomes[Outcome.CONNECT_TIMEOUT]
    events = () if folded.history is None else folded.history.events
    if not timeouts or not folded.tally.labelled or all(each.kind != ENDPOINTS for each in events):
        return []
    told = (
        f"{counted(timeouts, 'connection')} timed out after endpoints had changed: addresses of "
        "pods that are gone, which the rules of the proxy still have, or to which the node's "
        "connection tracking (conntrack -L) leads ports that are used again; without an answer "
        "they tell no version"
    )
    return [told]


def _replicas(folded: Folded) -> ReplicaCounts:
    """Return the replicas that answered, if they were the same ones throughout the run."""
    return folded.replicas if folded.is_uniform else ReplicaCounts()


def _notes(
    asked: Asked,
    folded: Folded,
    account: Account,
    groups: Groups | None,
    decision: Decision | None,
) -> list[str]:
    notes = list(account.notes)
    if folded.history is not None:
        notes += folded.history.notes(asked.policy)
        notes += _stale_addresses(folded)
    if groups is not None:
        notes += notes_on(groups, folded.evidence, folded.tally.launched)
    if folded.apart is not None and (found := folded.apart.found(asked.policy.alpha)).proven:
        notes.append(found.message)
    notes += replica_warnings(_replicas(folded), asked.replica_counts, asked.policy.alpha)
    return notes if decision is None else [*notes, *decision.notes]
