"""Why the first requests gave no label, and what to do about it."""

from __future__ import annotations

import re
from shlex import quote
from typing import TYPE_CHECKING

from analysis import Outcome
from analysis.data.report import Reason, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis import Tally
    from sampler.plan.load import Limits, Load
    from sampler.plan.target import Target

_NO_ADDRESS = "Cannot assign requested address"
_STATUS = re.compile(r"status (\d{3})")  # as `LabelReader.describe_missing` begins


def explain_unlabelled(
    tally: Tally, target: Target, details: Mapping[Outcome, Sequence[str]]
) -> Reason:
    """Say what happened instead, by the most frequent outcome.

    Parameters
    ----------
    tally : Tally
        At least one sample, none of them labelled.
    target : Target
        What was asked.
    details : mapping of Outcome to sequence of str
        Examples of what went wrong, as the transport or the system worded it.
    """
    outcome, n = tally.outcomes.most_common(1)[0]
    detail = details.get(outcome, [outcome.key])[0]
    return Reason(
        ReasonCode.UNMEASURABLE,
        f"nothing could be measured: of the first {tally.launched} requests to "
        f"{target.shown} none gave a label, {n} ended as {outcome.key} ({detail})",
        _remedy_by_detail(detail) or _remedy_for(outcome, quote(target.shown)),
    )


def explain_nothing_sent(load: Load, limits: Limits) -> Reason:
    """Say why a run ended before its first request: that was not due yet."""
    rate, most_s = load.rate or 0.0, limits.max_time_s or 0.0
    return Reason(
        ReasonCode.UNMEASURABLE,
        f"nothing could be measured: at {rate:g} requests/s none was due within {most_s:g} s",
        "raise --rate or --max-time",
    )


def _remedy_by_detail(detail: str) -> str | None:
    if "certificate: " in detail:
        return (
            "trust the authority that signed it with --cacert FILE, or ask under the name "
            "that the certificate carries; --insecure accepts any certificate"
        )
    if "TLS: WRONG_VERSION_NUMBER" in detail:
        return "this port does not speak TLS: ask it with http://, or ask the right port"
    if _NO_ADDRESS in detail:
        return (
            "no local port is free (ss -s), or this machine has no address of that kind (ip addr)"
        )
    match = _STATUS.match(detail)
    return None if match is None else _remedy_by_status(int(match[1]), detail)


def _remedy_by_status(status: int, detail: str) -> str | None:
    if status == 400 and "HTTPS" in detail:
        return "this port speaks TLS: ask it with https://"
    if 300 <= status < 400:
        return "redirects are not followed: ask the address that answers by itself"
    if status in {401, 403, 407}:
        return "if it wants credentials, send them with --header 'Authorization: …'"
    if status == 404:
        return "check the path, and the name that is asked for (--header 'Host: …')"
    if status >= 500:
        return "the target fails, or nothing stands behind it: see its logs and ready endpoints"
    return None


def _remedy_for(outcome: Outcome, url: str) -> str:
    """Say what to do about a target that gives nothing but `outcome`."""
    match outcome:
        case Outcome.CONNECT_FAILED | Outcome.CONNECT_TIMEOUT:
            return (
                "check host and port, that the Service has ready endpoints, and that this "
                f"machine may reach it: curl -v {url}"
            )
        case Outcome.TIMEOUT:
            return "see whether the target answers at all; a slow one needs a larger --timeout"
        case Outcome.UNLABELLED | Outcome.OK:
            return (
                f"look at the answer with: curl -i {url} and say where its version "
                "is with --label (/pointer, header:NAME, regex:EXPR or status)"
            )
        case Outcome.CLIENT_LIMIT:
            return "this machine has run out of ports or file descriptors: see ulimit -n and ss -s"
        case Outcome.PROTOCOL:
            return "the target must speak HTTP/1; is this the right port, and not https?"
        case Outcome.TOO_LARGE:
            return "ask a path whose answer is smaller: each answer is read as a whole"
        case Outcome.RESET | Outcome.CLOSED | Outcome.STALE | Outcome.ABORTED:
            return "the target breaks connections off: see its logs, and whether it expects https"
