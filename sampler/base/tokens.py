"""Files of tokens: of those who may call a server of ours, and of those who call one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampler.base.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_MOST_BYTES = 64 << 10


def tokens_of(file: Path) -> list[str]:
    """Return the tokens of a file, one a line; blank lines and those after # are passed over.

    Raises
    ------
    UsageError
        If the file cannot be read, holds no token, or one that no header can carry.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--token-file {file}: {error.strerror}") from error
    if len(data) > _MOST_BYTES:
        raise UsageError(f"--token-file {file} has more than {_MOST_BYTES >> 10} kB")
    lines = (line.strip() for line in data.splitlines())
    tokens = [line for line in lines if line and not line.startswith(b"#")]
    if not tokens:
        raise UsageError(f"--token-file {file} holds no token", hint="write one token a line")
    if not all(0x21 <= byte <= 0x7E for byte in b"".join(tokens)):
        raise UsageError(
            f"--token-file {file}: a token has a blank, or is not ASCII",
            hint="write one token a line: openssl rand -hex 32",
        )
    return [token.decode("ascii") for token in tokens]


def authorization(file: Path | None) -> dict[str, str]:
    """Return the header with the first token of a file (RFC 6750); none without a file.

    Raises
    ------
    UsageError
        As `tokens_of`.
    """
    return {} if file is None else {"Authorization": f"Bearer {tokens_of(file)[0]}"}
