"""Who may call: bearer tokens from a file, compared in constant time, read again on change."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
from hashlib import sha256
from typing import TYPE_CHECKING

from sampler.base.errors import UsageError
from sampler.base.tokens import tokens_of
from sampler.web.changes import Changes

if TYPE_CHECKING:
    from pathlib import Path

_LOG = logging.getLogger("weighbridge.web")


class Tokens:
    """The tokens of a file, one a line; blank lines and those that begin with # are passed over.

    Several lines are several callers, or the old and the new one while they are exchanged. A
    file that cannot be read any more, or has no line, lets nobody in.

    Parameters
    ----------
    file : Path

    Raises
    ------
    UsageError
        If the file cannot be read now, or holds no token.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._changes = Changes(file)
        self._changes.seen()
        self._digests = self._read()

    def allows(self, token: str) -> bool:
        """Whether a token is one of the file's.

        The time depends on the number of tokens alone: digests of one length are compared, all
        of them, and each without an early end.
        """
        if self._changes.seen():
            try:
                self._digests = self._read()
            except UsageError as error:
                self._digests = []
                _LOG.warning("nobody may call: %s", error)
        digest = sha256(token.encode("utf-8", "surrogateescape")).digest()
        matches = [hmac.compare_digest(digest, each) for each in self._digests]
        return any(matches)

    def allows_header(self, header: str) -> bool:
        """Whether an ``Authorization`` header has one of them: as bearer, or as a password.

        Browsers ask people for a password only; the name beside it is not looked at.
        """
        scheme, _, value = header.partition(" ")
        match scheme.lower():
            case "bearer":
                return self.allows(value.strip())
            case "basic":
                try:
                    pair = base64.b64decode(value.strip(), validate=True).decode("utf-8")
                except (binascii.Error, UnicodeDecodeError):
                    return False
                return self.allows(pair.partition(":")[2])
            case _:
                return False

    def _read(self) -> list[bytes]:
        return [sha256(token.encode()).digest() for token in tokens_of(self._file)]
