"""The token that a server of ours is called with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.base.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def authorization(file: Path | None) -> dict[str, str]:
    """Return the header with the first token of a file (RFC 6750); none without a file.

    Raises
    ------
    UsageError
        If the file cannot be read, or holds no token.
    """
    if file is None:
        return {}
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise UsageError(f"--token-file {file}: {why}") from error
    tokens = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not tokens:
        raise UsageError(f"--token-file {file} holds no token")
    return {"Authorization": f"Bearer {tokens[0]}"}
