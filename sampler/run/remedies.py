"""Why the first requests gave no label, and what to do about it."""

from __future__ import annotations

import re
from shlex import quote
from typing import TYPE_CHECKING

from analysis import Outcome
from analysis.data.report import Reason, ReasonCode
from analysis.render.printable import visible
from analysis.text.wording import quoted
from sampler.base.redaction import without_secrets
from sampler.exchange.failure import FailureCode
from sampler.labels.missing import coding_of, place_of
from sampler.labels.parts import SET_COOKIE, fields
from sampler.labels.rule import RuleKind
from sampler.plan.target import SAFE_METHODS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis import Tally
    from sampler.exchange.failure import Failure
    from sampler.labels.rule import LabelRule
    from sampler.plan.load import Limits, Load
    from sampler.plan.run import RunPlan
    from sampler.plan.target import Target


_LONGEST, _SEARCHED, _PAGE = 200, 2_000, 64_000

CLIENT_CERTIFICATE = (
    "the server wants a client certificate: give it with --cert FILE, and its key with --key FILE"
)
_UNTRUSTED = (
    "trust the CA that signed it with --cacert FILE, or use the host name in the "
    "certificate; --insecure accepts any certificate"
)
_OTHER_NAME = (
    "use a host name that is in the certificate, with --resolve NAME:PORT:ADDRESS if it has no "
    "address of its own; --insecure accepts any certificate"
)
CERTIFICATES = {
    "9": "the certificate is not valid yet: check the clocks of both machines",
    "10": "the certificate has expired: renew it, or check the clock of this machine; --insecure "
    "accepts any certificate",
    "23": "the certificate was revoked: the server needs a new one",
    "62": _OTHER_NAME,
    "64": _OTHER_NAME,
}
"""Remedies by OpenSSL's number for what is wrong with a certificate (X509_V_ERR_…)."""

ALERTS = {
    "UNRECOGNIZED_NAME": "the server wants to be asked by a name that it has (SNI); a Host header "
    "is not enough: https://NAME:{port}/ with --resolve NAME:{port}:{host}",
    "CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_(EXPIRED|REVOKED|UNKNOWN)|"
    "UNSUPPORTED_CERTIFICATE|ACCESS_DENIED|DECRYPT_ERROR": CLIENT_CERTIFICATE,
    "PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|WRONG_SSL_VERSION|NO_PROTOCOLS_AVAILABLE": "client and "
    "server have no version of TLS in common: TLS 1.2 and 1.3 are offered here, as far as OpenSSL "
    "is configured for them; see {probe}",
    "NO_APPLICATION_PROTOCOL": "the server does not offer HTTP/1.1 on this port (ALPN), which is "
    "all that is spoken here: use a port or listener that does; HTTP/2 alone, as for gRPC, is not "
    "enough",
    "KEY_TOO_SMALL|TOO_WEAK|LEGACY_SIGALG": "the server's key or signature is too weak for the "
    "OpenSSL of this machine, as that of TLS 1.1 and older is: it needs a stronger one, or TLS 1.2 "
    "or 1.3; see {probe}",
    "HANDSHAKE_FAILURE|INTERNAL_ERROR|INSUFFICIENT_SECURITY|ILLEGAL_PARAMETER": "the server does "
    "not say why: it may want to be asked by a name (https://NAME:{port}/ with --resolve "
    "NAME:{port}:{host}), a client certificate (--cert, --key), or other ciphers; see {probe}",
}
"""Remedies by OpenSSL's name for an alert, or for what it found itself; the first match counts."""

STARTS = {
    r"\\x00\\x00.{1,4}\\x04\\x00": "this port speaks HTTP/2 alone, as for gRPC, and "
    "HTTP/1.1 is all that is spoken here: use a port or listener that serves it",
    r"\\x15\\x03": "this port speaks TLS: use https://",
    "SSH-": "an SSH server listens on this port: use that of the Service",
}
"""Remedies by how what is no HTTP/1 begins, as it is quoted: a frame of SETTINGS (RFC 9113 section
6.5), an alert of TLS (RFC 8446 section 6)."""

_LOGIN = (
    "the target wants a login: send what it accepts with --header 'Authorization: …' or --header "
    "'Cookie: …', or use an address that is not behind the login"
)
_TO_LOGIN = re.compile(r"(?i)\b(?:log-?in|sign-?in|sso|saml2?|oauth2?|oidc|auth|authorize)\b")
_LOGIN_PAGE = re.compile(rb"(?i)<input\b[^>]{0,200}\btype=[\"']?password")

STATUSES = {
    401: "if it needs credentials, send them with --header 'Authorization: …'",
    403: "if it needs credentials, send them with --header 'Authorization: …'; or the path, the "
    "method or this machine's address is not allowed",
    404: "check the path and the host name (--header 'Host: …')",
    407: "a proxy in front of the target wants credentials: ask past it",
    408: "the target gave up waiting for the request: look at what is in front of it",
    421: "the server does not serve this host name on this connection: use https://NAME/ with "
    "--resolve NAME:PORT:ADDRESS, so that TLS and the Host header name the same host",
    429: "the target limits the rate of requests: wait until it accepts some again, and lower "
    "--max-rate and --concurrency",
    431: "the request's header is too large for the target: send fewer or shorter --header",
    495: CLIENT_CERTIFICATE,
    496: CLIENT_CERTIFICATE,
}
"""Remedies by status, for those that say it all."""


def explain_unlabelled(
    tally: Tally, plan: RunPlan, failures: Mapping[Outcome, Sequence[Failure]]
) -> Reason:
    """Return what happened instead, by the most frequent outcome.

    Parameters
    ----------
    tally : Tally
        At least one sample, none of them labelled.
    plan : RunPlan
        What was asked.
    failures : mapping of Outcome to sequence of Failure
        Examples of what went wrong.
    """
    outcomes = tally.outcomes.most_common()
    # What was given up tells nothing, if anything else ended.
    outcome, n = next((each for each in outcomes if each[0] is not Outcome.ABORTED), outcomes[0])
    failure = next(iter(failures.get(outcome, ())), None)
    told = outcome.key if failure is None else failure.text
    remedy = None if failure is None else _remedy_by_code(failure, plan)
    return Reason(
        ReasonCode.UNMEASURABLE,
        f"nothing could be measured: none of the first {tally.launched} requests to "
        f"{plan.target.shown} gave a label; {n} ended as {outcome.key} ({told})",
        remedy or _remedy_for(outcome, quote(plan.target.shown)),
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


def _remedy_by_code(failure: Failure, plan: RunPlan) -> str | None:
    """Return what to do about a failure that leaves no doubt about it."""
    match failure.code:
        case FailureCode.CERTIFICATE:
            return CERTIFICATES.get(failure.reason, _UNTRUSTED)
        case FailureCode.HANDSHAKE:
            return _remedy_by_alert(failure.reason, plan.target)
        case FailureCode.NOT_TLS:
            return "this port does not speak TLS: use http://, or the TLS port"
        case FailureCode.NO_ADDRESS:
            return "no local port is free (ss -s), or this machine has no such address (ip addr)"
        case FailureCode.NOT_HTTP:
            quotes = re.search(r"begins ['\"](.*)", failure.text)
            begins = quotes[1] if quotes else ""
            return next((STARTS[each] for each in STARTS if re.match(each, begins)), None)
        case FailureCode.HTTPS_EXPECTED:
            return "this port speaks TLS: use https://"
        case FailureCode.TOO_LARGE if not plan.label.reads_body and plan.target.method != "HEAD":
            return (
                f"the label is in the head ({plan.label}): ask without a body, with --method HEAD; "
                "or use a path with a smaller response"
            )
        case FailureCode.NO_LABEL:
            return _remedy_by_answer(failure, plan)
    return None


def _remedy_by_answer(failure: Failure, plan: RunPlan) -> str | None:
    """Return what to do about an answer without a label: by its status, and by what it has."""
    wanted = () if plan.split is None else plan.split.arms
    place = place_of(failure.status, failure.headers, failure.body, wanted)
    by_status = _remedy_by_status(failure)
    if place is not None and (by_status is None or place[1] in wanted):
        return explain_place(*place)
    if by_status is not None:
        return by_status
    if _LOGIN_PAGE.search(failure.body[:_PAGE]):
        return _LOGIN
    if coding_of(failure.headers) and plan.label.reads_body:
        return (
            "turn off the compression for this path (it was not asked for), or read the label "
            "from the head: --label header:NAME"
        )
    if plan.label.kind is RuleKind.HEADER and plan.label.expression is None:
        return _remedy_by_fields(fields(failure.headers, plan.label.name.lower()), plan.label)
    return None


def explain_place(rule: str, name: str) -> str:
    """Return how to read a version that is elsewhere in an answer."""
    return f"this response has {quoted(name)} at another place: --label {quote(rule)}"


def _remedy_by_fields(values: Sequence[str], rule: LabelRule) -> str | None:
    """Return what to do about several fields of one name."""
    if len(values) < 2:
        return None
    if rule.name.lower() == SET_COOKIE:
        return "name the cookie that has the version: --label cookie:NAME"
    return (
        "say which one has the version by an expression for its value: --label "
        f"{quote(f'header:{rule.name}:EXPR')}, such as 'header:{rule.name}:^(v[0-9.]+)'"
    )


def _remedy_by_status(failure: Failure) -> str | None:
    status, headers = failure.status, failure.headers
    if 300 <= status < 400:
        location = without_secrets("".join(fields(headers, "location")[:1]), is_url=True)
        if _TO_LOGIN.search(location):
            return _LOGIN
        to = f": {quote(location[:_LONGEST])}" if location else ""
        return f"redirects are not followed: use the URL that they lead to{to}"
    if status == 400 and b"certificate" in failure.body[:_SEARCHED].lower():
        return CLIENT_CERTIFICATE
    if status == 405:
        allowed = "".join(fields(headers, "allow")[:1])
        of = f" (allowed: {visible(allowed[:_LONGEST])})" if allowed else ""
        is_safe = not allowed or SAFE_METHODS & set(re.findall(r"[A-Z]+", allowed))
        unsafe = "" if is_safe else " --allow-unsafe"
        return f"ask with a method that the path allows{of}: --method NAME{unsafe}"
    if status == 426:
        wanted = "".join(fields(headers, "upgrade")[:1]) or "another protocol"
        return (
            f"the target wants {visible(wanted[:_LONGEST])}: use https:// if that is TLS; HTTP/1.1 "
            "is all that is spoken here, so that another port or listener has to serve it"
        )
    if status >= 500:
        return "the target fails, or has no ready endpoints: look at its logs and endpoints"
    return STATUSES.get(status)


def _remedy_by_alert(reason: str, target: Target) -> str | None:
    """Return what to do about a TLS handshake that failed."""
    alert = next((each for each in ALERTS if re.search(each, reason)), None)
    if alert is None:
        return None
    place = f"{target.host}:{target.port}"
    remedy = ALERTS[alert].format(
        port=target.port, host=target.host, probe=f"openssl s_client -connect {place}"
    )
    if remedy == CLIENT_CERTIFICATE and target.cert is not None:
        return (
            f"the server does not accept the client certificate {target.cert}: is it signed by the "
            "authority that the server trusts, complete, and still valid?"
        )
    return remedy


def _remedy_for(outcome: Outcome, url: str) -> str:
    """Return what to do about a target from which nothing but `outcome` came."""
    match outcome:
        case Outcome.CONNECT_FAILED | Outcome.CONNECT_TIMEOUT:
            return (
                "check host and port, that the Service has ready endpoints (--wait-for 30s waits "
                f"for those that are starting), and that this machine may reach it: curl -v {url}"
            )
        case Outcome.TIMEOUT:
            return "check whether the target responds at all; for a slow one, raise --timeout"
        case Outcome.UNLABELLED | Outcome.OK:
            return (
                f"look at the response (curl -i {url}), and set --label to the place of its "
                "version (/pointer, header:NAME, cookie:NAME, regex:EXPR or status)"
            )
        case Outcome.CLIENT_LIMIT:
            return "this machine ran out of ports or file descriptors: see ulimit -n and ss -s"
        case Outcome.PROTOCOL:
            return "the target must speak HTTP/1; is this the right port, and not https?"
        case Outcome.SURPLUS:
            return "the target must send one answer to each request: look at what is in front of it"
        case Outcome.TOO_LARGE:
            return "use a path with a smaller response: each response is read completely"
        case Outcome.LOST:
            return "all vantages were lost: look at their logs, and at what ended them"
        case Outcome.RESET | Outcome.CLOSED | Outcome.STALE | Outcome.ABORTED:
            return "the target closes connections early: look at its logs; does it expect https?"
