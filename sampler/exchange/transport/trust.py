"""Whom a TLS connection believes, and what it is called when it does not."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from sampler.base.errors import UsageError
from sampler.exchange.failure import Failure, FailureCode

if TYPE_CHECKING:
    from sampler.plan.target import Target


_NOT_TLS = "WRONG_VERSION_NUMBER"  # what OpenSSL calls bytes that are no record of TLS


def client_context(target: Target) -> ssl.SSLContext:
    """Make the TLS settings for a target.

    Certificate and host name are verified (RFC 6125) against the authorities of the system,
    or against those of ``target.cacert`` alone, unless ``target.insecure``. HTTP/1.1 is all
    that is offered in ALPN (RFC 7301), because it is all that is spoken here.

    Raises
    ------
    UsageError
        If the file of authorities cannot be read or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=target.cacert)
    except (OSError, ssl.SSLError) as error:
        # Subtle: SSLError is an OSError too, and says nothing of use about a file of nonsense.
        reason = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise UsageError(
            f"--cacert {target.cacert}: {reason}",
            hint="give the certificates of the authorities to trust as a PEM file",
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    if target.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def handshake_failure(error: ssl.SSLError, host_port: str) -> Failure:
    """Return the failure for an error of the TLS handshake with `host_port`, ``HOST:PORT``."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code = FailureCode.CERTIFICATE
    elif error.reason == _NOT_TLS:
        code = FailureCode.NOT_TLS
    else:
        code = FailureCode.HANDSHAKE
    return Failure(code, f"connect to {host_port}: {tls_reason(error)}")


def broken_tls(error: ssl.SSLError, host_port: str, *, is_answered: bool) -> Failure:
    """Return the failure for an error of TLS after the handshake with `host_port`.

    With TLS 1.3 a server that refuses us, for want of a certificate, says so by an alert after the
    handshake, before it has answered anything.
    """
    if not is_answered and "ALERT" in (error.reason or ""):
        return handshake_failure(error, host_port)
    return Failure(FailureCode.BROKEN_TLS, tls_reason(error))


def tls_reason(error: ssl.SSLError) -> str:
    """Return in words why TLS failed, with the certificate's own reason where it is that."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    return f"TLS: {error.reason or error.strerror}"
