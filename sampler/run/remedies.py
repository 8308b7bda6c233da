"""Why the first requests gave no label, and what to do about it."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from analysis import Outcome
from analysis.data.report import Reason, ReasonCode
from sampler.exchange.failure import FailureCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis import Tally
    from sampler.exchange.failure import Failure
    from sampler.plan.load import Limits, Load
    from sampler.plan.target import Target


def explain_unlabelled(
    tally: Tally, target: Target, failures: Mapping[Outcome, Sequence[Failure]]
) -> Reason:
    """Return what happened instead, by the most frequent outcome.

    Parameters
    ----------
    tally : Tally
        At least one sample, none of them labelled.
    target : Target
        What was asked.
    failures : mapping of Outcome to sequence of Failure
        Examples of what went wrong.
    """
    outcome, n = tally.outcomes.most_common(1)[0]
    failure = next(iter(failures.get(outcome, ())), None)
    told = outcome.key if failure is None else failure.text
    remedy = None if failure is None else _remedy_by_code(failure)
    return Reason(
        ReasonCode.UNMEASURABLE,
        f"nothing could be measured: none of the first {tally.launched} requests to "
        f"{target.shown} gave a label; {n} ended as {outcome.key} ({told})",
        remedy or _remedy_for(outcome, quote(target.shown)),
        failure=None if failure is None else failure.code.key,
    )


def explain_nothing_sent(load: Load, limits: Limits) -> Reason:
    """Return why a run ended before its first request: that was not due yet."""
    rate, most_s = load.rate or 0.0, limits.max_time_s or 0.0
    return Reason(
        ReasonCode.UNMEASURABLE,
        f"nothing could be measured: at {rate:g} requests/s none was due within {most_s:g} s",
        "raise --rate or --max-time",
    )


def _remedy_by_code(failure: Failure) -> str | None:
    """Return what to do about a failure that leaves no doubt about it."""
    match failure.code:
        case FailureCode.CERTIFICATE:
            return (
                "trust the CA that signed it with --cacert FILE, or use the host name in the "
                "certificate; --insecure accepts any certificate"
            )
        case FailureCode.NOT_TLS:
            return "this port does not speak TLS: use http://, or the TLS port"
        case FailureCode.NO_ADDRESS:
            return "no local port is free (ss -s), or this machine has no such address (ip addr)"
        case FailureCode.HTTPS_EXPECTED:
            return "this port speaks TLS: use https://"
        case FailureCode.NO_LABEL:
            return _remedy_by_status(failure.status)
    return None


def _remedy_by_status(status: int) -> str | None:
    if 300 <= status < 400:
        return "redirects are not followed: use the URL that they lead to"
    if status in {401, 403, 407}:
        return "if it needs credentials, send them with --header 'Authorization: …'"
    if status == 404:
        return "check the path and the host name (--header 'Host: …')"
    if status >= 500:
        return "the target fails, or has no ready endpoints: look at its logs and endpoints"
    return None


def _remedy_for(outcome: Outcome, url: str) -> str:
    """Return what to do about a target from which nothing but `outcome` came."""
    match outcome:
        case Outcome.CONNECT_FAILED | Outcome.CONNECT_TIMEOUT:
            return (
                "check host and port, that the Service has ready endpoints, and that this "
                f"machine may reach it: curl -v {url}"
            )
        case Outcome.TIMEOUT:
            return "check whether the target responds at all; for a slow one, raise --timeout"
        case Outcome.UNLABELLED | Outcome.OK:
            return (
                f"look at the response (curl -i {url}), and set --label to the place of its "
                "version (/pointer, header:NAME, regex:EXPR or status)"
            )
        case Outcome.CLIENT_LIMIT:
            return "this machine ran out of ports or file descriptors: see ulimit -n and ss -s"
        case Outcome.PROTOCOL:
            return "the target must speak HTTP/1; is this the right port, and not https?"
        case Outcome.SURPLUS:
            return "the target must send one answer to each request: look at what is in front of it"
        case Outcome.TOO_LARGE:
            return "use a path with a smaller response: each response is read completely"
        case Outcome.RESET | Outcome.CLOSED | Outcome.STALE | Outcome.ABORTED:
            return "the target closes connections early: look at its logs; does it expect https?"
