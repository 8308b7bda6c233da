"""The target: the blueprint of every request of a run."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from sampler.base.errors import UsageError, is_a
from sampler.base.redaction import without_secrets
from sampler.base.version import __version__

USER_AGENT = f"weighbridge/{__version__}"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 section 5.5
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")
_KEPT = "/:@!$&'()*+,;=~%-._"
"""What a path may hold as it is (RFC 3986 section 3.3), and what is encoded already."""
_HINT = "give it as http://HOST[:PORT][/PATH]"
_HINT_V6 = "put an address of IPv6 into brackets: http://[::1]:8080/"
_BARE_V6 = re.compile(r"(?i)https?://[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*(?:/|$)")
_HINT_OF = {"url": _HINT, "body": 'write text as bytes: body=b"…"'}
_FILES = ("cacert", "cert", "key")
_LONGEST_SHOWN = 300
_ONE_SLASH = re.compile(r"https?:/(?!/)", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")  # RFC 3986 section 3.1
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Those that change nothing (RFC 9110 section 9.2.1)."""
_OURS = frozenset({"connection", "content-length", "transfer-encoding"})


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """What is asked, of whom.

    Parameters
    ----------
    url : str
        ``http://`` or ``https://`` URL; a missing scheme means http. A fragment is dropped.
    method : str, default "GET"
        Any token; anything but GET, HEAD and OPTIONS may change the target's state and is
        refused unless `allow_unsafe`.
    headers : tuple of (str, str)
        Sent as given, after those that the sampler sets itself. ``Host`` and
        ``User-Agent`` may be replaced; framing headers may not.
    body : bytes
        Sent with every request; needs `allow_unsafe`.
    allow_unsafe : bool, default False
        Permit a body and methods that are not read-only.
    cacert : str or None
        For https: PEM file of the authorities to trust instead of the system's.
    insecure : bool, default False
        For https: accept any certificate of anybody.
    cert, key : str or None
        For https: PEM files of the client's certificate, with those that lead to the authority,
        and of its key; without `key` it is in the first one. The key may not be encrypted.

    Raises
    ------
    UsageError
        If the URL, the method, a header or the combination cannot be sent.
    """

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    allow_unsafe: bool = False
    cacert: str | None = None
    insecure: bool = False
    cert: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        self._require_types()
        if _ONE_SLASH.match(self.url):
            raise UsageError(f"expected two slashes in {self.shown!r}", hint=_HINT)
        if not _SCHEME.match(self.url.lstrip()):
            object.__setattr__(self, "url", f"http://{self.url}")
        _check_url(self.url)
        if not _TOKEN.fullmatch(self.method):
            raise UsageError(f"expected an HTTP method such as GET, got {self.method!r}")
        if (self.body or self.method not in SAFE_METHODS) and not self.allow_unsafe:
            what = "a body" if self.body else f"the method {self.method}"
            raise UsageError(
                f"{what} may change the state of the target with every one of many requests",
                hint="if that is meant, say so with --allow-unsafe",
            )
        for name, value in self.headers:
            if not _TOKEN.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
                # A secret with a blank in the wrong place is wrong, too: only a name is said.
                said = repr(name) if _TOKEN.fullmatch(name) else "another name"
                raise UsageError(
                    f"expected a header NAME: VALUE of visible ASCII, got {said} with a value of "
                    f"{len(value)} characters",
                    hint="a name has no blanks, and a value no line ends and no typographic signs",
                )
            if name.lower() in _OURS:
                raise UsageError(
                    f"the header {name} belongs to the sampler's own framing",
                    hint="choose the connection's life with --connection",
                )

        self._check_trust()

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader of any verdict on this target should know."""
        if not self.insecure:
            return ()
        return ("--insecure: no certificate was verified; the server may be any",)

    def _require_types(self) -> None:
        kinds = dict.fromkeys(("url", "method", "cacert", "cert", "key"), str) | {"body": bytes}
        for name, kind in kinds.items():
            value = getattr(self, name)
            if not is_a(value, kind) and not (name in _FILES and value is None):
                got = type(value).__name__ if name == "body" else repr(value)
                raise UsageError(
                    f"{name} must be {kind.__name__}, got {got}", hint=_HINT_OF.get(name)
                )
        if not is_a(self.headers, tuple, list) or not all(map(_is_pair, self.headers)):
            raise UsageError(
                f"expected pairs of a header's name and value, got {type(self.headers).__name__}",
                hint='write headers=(("X-Canary", "always"),), or tuple(headers.items())',
            )

    def _check_trust(self) -> None:
        given = [name for name in (*_FILES, "insecure") if getattr(self, name) not in {None, False}]
        if given and not self.is_tls:
            raise UsageError(
                f"--{given[0]} is about certificates, and {self.shown} has none",
                hint="ask for https://…, or leave the option out",
            )
        if self.key is not None and self.cert is None:
            raise UsageError(
                "--key is the key of a client certificate, and there is none",
                hint="give the certificate with --cert FILE",
            )
        if self.cacert is not None and self.insecure:
            raise UsageError(
                "--insecure accepts any certificate, and --cacert only some",
                hint="leave --insecure out: --cacert makes a private authority trusted",
            )

    @property
    def shown(self) -> str:
        """The URL as it may be printed and written: without the values of its secrets."""
        return without_secrets(self.url, is_url=True)

    def __repr__(self) -> str:
        # A notebook's cell shows it: values of headers and the body stay out, as in reports.
        headers = "".join(f", {name}: …" for name, _ in self.headers)
        body = f", body of {len(self.body)} bytes" if self.body else ""
        return f"<Target {self.method} {self.shown}{headers}{body}>"

    @property
    def is_tls(self) -> bool:
        """Whether the exchange is encrypted."""
        return urlsplit(self.url).scheme == "https"

    @property
    def host(self) -> str:
        """Name or address to connect to, without brackets; an address may have a zone.

        In a URL the % before the zone is written %25 (RFC 6874), or as it is, as curl has it.
        """
        host = urlsplit(self.url).hostname or ""
        return host.replace("%25", "%") if ":" in host else host

    @property
    def port(self) -> int:
        """Port to connect to."""
        return urlsplit(self.url).port or (443 if self.is_tls else 80)

    @property
    def authority(self) -> str:
        """Value of the ``Host`` header (RFC 9110 section 7.2); a zone is of this machine only."""
        host = f"[{self.host.partition('%')[0]}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"

    @property
    def request_target(self) -> str:
        """Path and query in origin form (RFC 9112 section 3.2.1)."""
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _is_pair(header: tuple[str, ...]) -> bool:
    return (
        is_a(header, tuple, list) and len(header) == 2 and all(is_a(part, str) for part in header)
    )


def _check_url(url: str) -> None:
    shown = without_secrets(url, is_url=True)[:_LONGEST_SHOWN]
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        # Its words quote what stands in place of the port, which may be a part of a password.
        reason = (
            "its port is not a number up to 65535"
            if "ort" in str(error)
            else "its host cannot be read"
        )
        hint = _HINT_V6 if _BARE_V6.match(url) else _HINT
        raise UsageError(f"expected a URL, got {shown!r}: {reason}", hint=hint) from None
    if parts.scheme not in {"http", "https"}:
        raise UsageError(f"expected an http or https URL, got {shown!r}", hint=_HINT)
    if not parts.hostname:
        raise UsageError(f"expected a URL with a host, got {shown!r}", hint=_HINT)
    if port == 0:
        raise UsageError(f"expected a port from 1 to 65535, got {shown!r}", hint=_HINT)
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "credentials in a URL end up in logs and reports",
            hint="send them as a header: --header 'Authorization: …'",
        )
    if not url.isascii() or _UNPRINTABLE.search(url):
        raise UsageError(
            f"expected a URL of printable ASCII, got {shown!r}",
            hint=_in_ascii(url, parts),
        )


def _in_ascii(url: str, parts: SplitResult) -> str:
    """Return how to write a URL that is not of printable ASCII: each part in its own way."""
    told, host, path = [], parts.hostname or "", parts.path.rstrip()
    if url.strip() != url:
        told.append("leave out the blank at its start or end")
    if not path.isascii() or _UNPRINTABLE.search(path):
        told.append(f"percent-encode the path: {quote(path, safe=_KEPT)[:_LONGEST_SHOWN]}")
    query = parts.query.rstrip()
    if not query.isascii() or _UNPRINTABLE.search(query):
        told.append("percent-encode the query")  # whose values may be secrets
    if not host.isascii():
        with suppress(UnicodeError):
            host = host.encode("idna").decode("ascii")
        told.append(f"write the host as {host}" if host.isascii() else "write the host in punycode")
    return "; ".join(told) or "leave out blanks, tabs and line ends"
