"""Secrets in URLs, left out of everything that is printed or written."""

from __future__ import annotations

import re

LEFT_OUT = "***"
"""Stands for a value that was left out; it may stand in a URL, too."""

_SECRET_WORDS = frozenset({
    "apikey", "auth", "authorization", "bearer", "credential", "credentials", "jwt", "key", "pass",
    "passphrase", "passwd", "password", "pwd", "secret", "session", "sessionid", "sid", "sig",
    "signature", "token",
})  # fmt: skip
_ENDINGS = ("apikey", "password", "secret", "signature", "token")
_FIELD = re.compile(r"(?P<before>[?&;#])(?P<name>[^=&;#?\s'\"]{1,200})=(?P<value>[^&;#\s'\"]+)")
_USER = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/@\s'\"]+@")
_PART = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+")


def without_secrets(text: str) -> str:
    """Replace the values of fields of URLs that look like secrets, and their user parts.

    Parameters
    ----------
    text : str
        A URL, or a sentence or a command line that may hold some.

    Returns
    -------
    str
        The same, with `LEFT_OUT` for each value whose name has a word such as ``token``,
        ``key`` or ``signature``, however it is written, and for names and passwords before an @.

    Examples
    --------
    >>> without_secrets("http://shop/?page=2&access_token=abc")
    'http://shop/?page=2&access_token=***'
    """
    return _FIELD.sub(_field, _USER.sub(rf"\g<scheme>{LEFT_OUT}@", text))


def _field(match: re.Match[str]) -> str:
    if not _is_secret(match["name"]):
        return match[0]
    return f"{match['before']}{match['name']}={LEFT_OUT}"


def _is_secret(name: str) -> bool:
    words = [word.lower() for word in _PART.findall(name)]
    return any(word in _SECRET_WORDS or word.endswith(_ENDINGS) for word in words)
