"""Secrets, left out of everything that is printed or written.

How it works. A text is read from left to right, once: each rule begins at a mark that it cannot
meet again (``://``, a separator in front of a name), so that the time grows with the length alone,
whatever a server sends. What is over-cautious costs a word of a message; what is not costs a key.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

LEFT_OUT = "***"
"""Stands for a value that was left out; it may stand in a URL, too."""

_SECRET_WORDS = frozenset({
    "apikey", "assertion", "auth", "authorization", "bearer", "cookie", "credential", "csrf", "jwt",
    "key", "otp", "pass", "passphrase", "passwd", "password", "pin", "pw", "pwd", "samlresponse",
    "secret", "session", "sessionid", "sid", "sig", "signature", "ticket", "token", "totp", "xsrf",
})  # fmt: skip
_SECRET_NAMES = frozenset({"code"})
"""Whole names: a ``status_code`` is none, and what OAuth calls ``code`` is one."""
_ENDINGS = (
    "accesskey", "apikey", "passphrase", "passwd", "password", "privatekey", "secret", "secretkey",
    "sessionid", "signature", "token",
)  # fmt: skip
_LONGEST_NAME = 1000
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_BLANK = r"\s'\"<>"
_END = re.compile(rf"[{_BLANK}]")
_NAME = re.compile(rf"[?&;#](?P<name>[^=&;#?{_BLANK}]+)=")
# A piece without a "=" belongs to the value before it.
_VALUE = re.compile(rf"[^&;#{_BLANK}]*(?:;[^=&;#{_BLANK}]*(?=[&;#{_BLANK}]|$))*")
_URL_NAME = re.compile(r"[?&;#](?P<name>[^=&;#?]+)=")
_URL_VALUE = re.compile(r"[^&;#]*(?:;[^=&;#]*(?=[&;#]|$))*")
_MEMBER = re.compile(
    r"\\?(?P<quote>[\"'])(?P<name>[\w.-]{1,100})\\?(?P=quote)\s{0,9}:\s{0,9}\\?[\"']"
)
_TEXT = re.compile(r"[^\"'\\]*(?:\\(?![\"'])[^\"'\\]*)*")
_SCHEME = re.compile(r"\b(Bearer|Basic|Digest|Negotiate)(\s{1,9})[^\s'\"<>,;]{6,}", re.IGNORECASE)
_FIELD = re.compile(
    r"\b((?:proxy-)?authorization|(?:set-)?cookie|[\w-]{0,30}api-?key)(\s{0,9}:\s{0,9})[^\r\n'\"<>]+",
    re.IGNORECASE,
)
_SLIP = re.compile(r"(?:https?:)?(?!//[^/\\])[/\\]*(?![^:@]*://)", re.IGNORECASE)
_PORT = re.compile(r"[^/?#:]*(?::\d*)?(?:[/?#]|$)")


def without_secrets(text: str, *, is_url: bool = False) -> str:
    """Replace what looks like a secret: in URLs, in JSON, and in fields of a header.

    Parameters
    ----------
    text : str
        A URL, or a sentence, a command line or the start of a body that may hold some.
    is_url : bool
        Whether all of it is one URL, in which quotes and blanks are part of a value.

    Returns
    -------
    str
        The same, with `LEFT_OUT` for each value whose name has a word such as ``token``,
        ``key`` or ``signature``, however it is written, for names and passwords before an @, and
        for what follows ``Bearer`` and ``Authorization:``. The time is linear in the length.

    Examples
    --------
    >>> without_secrets("http://shop/?page=2&access_token=abc")
    'http://shop/?page=2&access_token=***'
    """
    if is_url:
        text = _without_user_of_slip(text)
    first, *rest = text.split("://")
    text = "://".join([first, *(_without_user(each, is_url=is_url) for each in rest)])
    if is_url:
        return _without_values(text, _URL_NAME, _URL_VALUE)
    text = _without_values(text, _NAME, _VALUE)
    text = _without_values(text, _MEMBER, _TEXT)
    text = _FIELD.sub(rf"\1\2{LEFT_OUT}", text)
    return _SCHEME.sub(rf"\1\2{LEFT_OUT}", text)


def _without_user_of_slip(text: str) -> str:
    """Take user and password off what was meant as a URL and lacks a slash, or has too many."""
    slip = _SLIP.match(text)
    at = text.rfind("@")
    if slip is None or ":" not in text[slip.end() : max(at, 0)]:
        return text
    return f"{slip[0]}{LEFT_OUT}{text[at:]}"


def _without_user(text: str, *, is_url: bool) -> str:
    """Take the user and the password off what stands after a ``://``."""
    found = None if is_url else _END.search(text)
    end = len(text) if found is None else found.start()
    blob, rest = text[:end], text[end:]
    authority = re.split("[/?#]", blob, maxsplit=1)[0]
    # A colon before anything but a port: the password has a "/" in it.
    if "@" not in authority and (blob.startswith("[") or _PORT.match(blob)):
        return text
    user, at, _ = (authority if "@" in authority else blob).rpartition("@")
    if not at:
        return text
    return f"{LEFT_OUT}@{blob[len(user) + 1 :]}{rest}"


def _without_values(text: str, names: re.Pattern[str], values: re.Pattern[str]) -> str:
    """Replace the values whose name is that of a secret; the others may hold names again."""
    kept: list[str] = []
    done = at = 0
    while (match := names.search(text, at)) is not None:
        at = match.end()
        value = values.match(text, at) if _is_secret(match["name"]) else None
        if value is not None and value.end() > at:
            kept += [text[done:at], LEFT_OUT]
            done = at = value.end()
    return "".join([*kept, text[done:]])


def _is_secret(name: str) -> bool:
    name = unquote_plus(name[-_LONGEST_NAME:])
    words = [word.lower() for word in _PART.findall(name)]
    return name.lower() in _SECRET_NAMES or any(
        word in _SECRET_WORDS
        or word.removesuffix("s") in _SECRET_WORDS
        or word.removesuffix("s").endswith(_ENDINGS)
        for word in words
    )
