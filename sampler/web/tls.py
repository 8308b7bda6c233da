"""TLS of a door: certificate and key are read again when their files change."""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING

from sampler.base.errors import UsageError
from sampler.web.changes import Changes

if TYPE_CHECKING:
    from pathlib import Path

_LOG = logging.getLogger("weighbridge.web")


class Tls:
    """The server's side of TLS.

    Parameters
    ----------
    cert : Path
        PEM file of the certificate, and those that signed it.
    key : Path
        PEM file of its key, without a passphrase.

    Attributes
    ----------
    context : ssl.SSLContext
        What connections are accepted with.

    Raises
    ------
    UsageError
        If they cannot be read, or do not belong together.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert, self._key = cert, key
        self._changes = Changes(cert, key)
        self._changes.seen()
        self.context = self._load()

    def refresh(self) -> None:
        """Take a new certificate for connections that are accepted from now on.

        A pair that cannot be used, such as one that is half written, leaves the old one in place.
        """
        if not self._changes.seen():
            return
        try:
            self._load()
            self.context.load_cert_chain(self._cert, self._key, password=lambda: b"")
        except (UsageError, OSError) as error:
            _LOG.warning("the old certificate stays: %s", error)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # A password is never asked for: nobody may be there to answer.
            context.load_cert_chain(self._cert, self._key, password=lambda: b"")
        except ssl.SSLError as error:
            raise UsageError(
                f"--tls-cert {self._cert} and --tls-key {self._key} are no pair of certificate and "
                f"key without a passphrase: {error.reason or error}"
            ) from error
        except OSError as error:
            raise UsageError(
                f"--tls-cert {self._cert}, --tls-key {self._key}: {error.strerror}"
            ) from error
        return context
