"""Whom a TLS connection believes, what it shows, and what it is called when that fails."""

from __future__ import annotations

import os
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
        If the file of authorities cannot be read or holds no certificate, or the client's
        certificate and key cannot be used.
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
    if target.cert is not None:
        _show_certificate(context, target.cert, target.key)
    return context


def _show_certificate(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    """Let a server that asks for one have the client's certificate."""
    given = f"--cert {cert}" if key is None else f"--cert {cert} --key {key}"

    def refuse() -> str:  # OpenSSL would ask at the terminal
        raise UsageError(
            f"{given}: the key is encrypted",
            hint="give it decrypted: openssl pkey -in KEY -out FILE",
        )

    try:
        context.load_cert_chain(cert, key, refuse)
    except ssl.SSLError as error:
        reasons = {
            "KEY_VALUES_MISMATCH": "the key is not that of the certificate",
            "KEY_TYPE_MISMATCH": "the key is not that of the certificate",
        }
        raise UsageError(
            f"{given}: {reasons.get(error.reason or '', 'no certificate and key in PEM form')}",
            hint="give the certificate with --cert, and its key with --key if that is another file",
        ) from error
    except OSError as error:
        name = next((file for file in (cert, key) if file and not _is_readable(file)), cert)
        raise UsageError(f"{given}: {name}: {error.strerror}", hint="name PEM files") from error


def _is_readable(file: str) -> bool:
    return os.access(file, os.R_OK)


def handshake_failure(error: ssl.SSLError, host_port: str) -> Failure:
    """Return the failure for an error of the TLS handshake with `host_port`, ``HOST:PORT``."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code, reason = FailureCode.CERTIFICATE, str(error.verify_code)
    elif error.reason == _NOT_TLS:
        code, reason = FailureCode.NOT_TLS, ""
    else:
        code, reason = FailureCode.HANDSHAKE, _reason_of(error)
    return Failure(code, f"connect to {host_port}: {tls_reason(error)}", reason=reason)


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
    return f"TLS: {_reason_of(error)}"


def _reason_of(error: ssl.SSLError) -> str:
    """Return OpenSSL's name for what failed; Python knows those of older versions only."""
    text = str(error).rpartition("] ")[2].partition(" (_ssl.c")[0]
    return error.reason or text.upper().replace(" ", "_")
