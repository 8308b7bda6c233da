"""Which rule of a route a request meets.

A condition is met, is not met, or is open: it depends on the URL and none was given, or on
something that is not evaluated. An open condition never counts as one that is not met.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto, unique
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from sampler.base.errors import ExpectationError
from sampler.expect.rules.findings import Finding, FindingCode
from sampler.expect.rules.model import OWN_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sampler.expect.rules.fields import Fields
    from sampler.expect.rules.model import Question
    from sampler.expect.rules.objects import KubeObject, Node


@unique
class Meets(Enum):
    """Whether a request meets a condition."""

    YES = auto()
    NO = auto()
    NO_URL = auto()
    """It depends on the URL, which was not given."""
    OPEN = auto()
    """It depends on something that is not evaluated."""


@dataclass(frozen=True, slots=True)
class Match:
    """Whether a request meets a condition, and why not, or why that is open.

    Parameters
    ----------
    meets : Meets
    why : str
        For messages; empty for YES.
    """

    meets: Meets
    why: str = ""

    def __invert__(self) -> Match:
        """Turn the condition round."""
        turned = {Meets.YES: Meets.NO, Meets.NO: Meets.YES}
        return Match(turned.get(self.meets, self.meets), self.why or "a condition with !")


MET = Match(Meets.YES)


def no(why: str) -> Match:
    """Make a condition that is not met."""
    return Match(Meets.NO, why)


def when(is_met: bool, why: str) -> Match:  # noqa: FBT001 - it reads like the condition
    """Make a condition that is met, or is not met because of `why`."""
    return MET if is_met else no(why)


def unevaluated(why: str) -> Match:
    """Make a condition that is not evaluated."""
    return Match(Meets.OPEN, why)


NO_URL = Match(Meets.NO_URL, "the URL")


def every(parts: Iterable[Match]) -> Match:
    """Join conditions of which all must be met."""
    return _joined(parts, (Meets.NO, Meets.OPEN, Meets.NO_URL), MET)


def some(parts: Iterable[Match]) -> Match:
    """Join conditions of which one must be met."""
    return _joined(parts, (Meets.YES, Meets.OPEN, Meets.NO_URL), no("no alternative is met"))


def _joined(parts: Iterable[Match], order: Sequence[Meets], otherwise: Match) -> Match:
    """Return the first of the parts that decides; without one, the last, or `otherwise`."""
    found = list(parts)
    for meets in order:
        for each in found:
            if each.meets is meets:
                return each
    return found[-1] if found else otherwise


def fields_of(fields: Fields, node: Node) -> list[Match]:
    """Return an open condition for each field of a match that is not evaluated."""
    return [unevaluated(f"{fields.why(key)} ({node[key].where})") for key in fields.open_ones(node)]


def path_is(question: Question, test: Callable[[str], bool], why: str) -> Match:
    """Return whether the path of the request meets a test."""
    return NO_URL if question.path is None else when(test(question.path), why)


def header_is(
    question: Question, name: str, test: Callable[[str], bool | None], where: str
) -> Match:
    """Return whether a header of the request meets a test; None as its answer is "open".

    A header that nobody gave is not there, unless every request has one.
    """
    key, why = name.lower(), f"the header {name} ({where})"
    if key not in question.headers:
        is_own = key in OWN_HEADERS or key.startswith(":")
        return unevaluated(f"{why}, which every request has") if is_own else no(why)
    answer = test(question.headers[key])
    return unevaluated(why) if answer is None else when(answer, why)


def query_is(
    question: Question, name: str, test: Callable[[str], bool | None], where: str
) -> Match:
    """Return whether a parameter of the query meets a test; None as its answer is "open"."""
    why = f"the query parameter {name} ({where})"
    given = dict(reversed(parse_qsl(question.query, keep_blank_values=True)))
    if name not in given:
        return no(why)
    answer = test(given[name])
    return unevaluated(why) if answer is None else when(answer, why)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a route, or one of its alternatives, and whether the request meets it.

    Parameters
    ----------
    node : Node
        The rule, which alternatives share.
    match : Match
    rank : tuple
        How specific it is; of two that are met, the larger one holds, the first of equals.
    """

    node: Node
    match: Match
    rank: tuple[Any, ...] = ()


def choose(route: KubeObject, rules: Sequence[Rule], question: Question) -> Node:
    """Return the rule that answers the request.

    Raises
    ------
    ExpectationError
        If it is none, or can be one of several; the message names what it depends on.
    """
    if not rules:
        raise ExpectationError(
            f"{route.place}: {route} has no rule",
            hint="see its spec, and check its kind and apiVersion",
        )
    able = [rule for rule in rules if rule.match.meets is not Meets.NO]
    met = [at for at, rule in enumerate(able) if rule.match.meets is Meets.YES]
    best = max(met, key=lambda at: able[at].rank, default=None)
    if best is not None:
        # What is less specific, or of equals comes later, cannot take the request away.
        rank = able[best].rank
        able = [
            rule
            for at, rule in enumerate(able)
            if rule.rank > rank
            or (rule.rank == rank and at <= best)
            or (rule.match.meets is Meets.NO_URL and rank)
        ]
    if not able:
        raise _none_holds(route, rules, question)
    places = {rule.node.path: rule.node.where for rule in able}  # one line can hold several
    is_sure = any(rule.match.meets is not Meets.OPEN for rule in able)
    for rule in able if len(places) > 1 or not is_sure else ():
        if rule.match.meets is Meets.OPEN:
            raise ExpectationError(
                f"{rule.node.where}: whether this rule of {route} applies is not known: "
                f"{rule.match.why}",
                hint="check through a rule that does not depend on it, or declare the split with "
                "--expect",
            )
    if len(places) > 1:
        raise ExpectationError(
            f"{route} has several rules: {', '.join(places.values())}",
            hint="choose one by the URL that is requested: --url http://HOST/PATH",
        )
    return able[0].node


def _none_holds(route: KubeObject, rules: Sequence[Rule], question: Question) -> ExpectationError:
    asked = "a bare request" if question.path is None else f"the path {question.path}"
    whys = ", ".join(dict.fromkeys(rule.match.why for rule in rules))
    return ExpectationError(
        f"{rules[0].node.where}: no rule of {route} matches {asked} without further conditions "
        f"(not met: {whys}): it is answered with 404",
        hint="check the path of the URL, and rules that need headers or other methods",
    )


class ElsewhereError(ExpectationError):
    """A rule sends requests to no version, which is no mistake by itself."""


def refuse_action(
    rule: Node, what: str, kind: type[ExpectationError] = ElsewhereError
) -> ExpectationError:
    """Make the error for a rule that applies and sends the request to no backend."""
    return kind(
        f"{rule.where}: {rule.owner} {what}: no version answers the request",
        hint="check a path that a version answers, or declare the split with --expect",
    )


def host_matches(pattern: str, host: str, *, is_one_label: bool = False) -> bool:
    """Whether a host name matches a pattern such as ``*.shop.example``.

    Parameters
    ----------
    pattern, host : str
    is_one_label : bool
        Whether ``*`` stands for one label only, as in an Ingress, or for several.
    """
    pattern, host = pattern.lower(), host.lower().rstrip(".")
    if pattern in {"", "*"}:
        return True
    if not pattern.startswith("*."):
        return pattern == host
    suffix = pattern[1:]
    first = host.removesuffix(suffix)
    return host.endswith(suffix) and bool(first) and not (is_one_label and "." in first)


def under_prefix(prefix: str, path: str) -> bool:
    """Whether a path lies under a prefix, by elements: ``/a`` holds ``/a/b``, not ``/ab``."""
    trimmed = prefix.rstrip("/")
    return path == trimmed or path.startswith(trimmed + "/") or not trimmed


def wrong_host(route: KubeObject, hosts: Node, wanted: Sequence[str], host: str) -> Finding:
    """Return the finding that a route is not about the host that is asked."""
    return Finding(
        FindingCode.HOST_MISMATCH,
        f"{route} is for {', '.join(wanted)}, not for {host}: the route does not apply",
        "use that host in the URL, or send it in a header: --header 'Host: NAME'",
        hosts.where,
    )
