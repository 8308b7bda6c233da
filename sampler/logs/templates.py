"""Lines of text that a configuration describes: nginx's ``log_format``, Apache's ``LogFormat``.

Sources: nginx.org, ``ngx_http_log_module``; httpd.apache.org, ``mod_log_config`` (directives,
and how values are escaped: both keep a quote inside a value apart from one that ends it).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sampler.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Template = tuple[Callable[[str], re.Match[str] | None], tuple[str, ...]]

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
# %>s, %!200,304{User-Agent}i, %{msec}t, %^FU: modifiers, an argument, the directive.
_ONE = re.compile(r"%(?:!?\d{3}(?:,\d{3})*)?[<>]?(?:\{([^}]*)\})?(\^F[UB]|[A-Za-z%])")
_APACHE = {
    "t": "time", "s": "status", "D": "took_us", "h": "client", "a": "client", "r": "request",
    "k": "keepalives", "P": "pid", "L": "log_id", "X": "connection_status",
}  # fmt: skip
_TAKES = {"us": "took_us", "ms": "took_ms", "s": "took_s"}
_CLOCKS = {
    "sec": "seconds", "msec": "msec", "usec": "usec", "begin:sec": "seconds",
    "begin:msec": "msec", "begin:usec": "usec", "end:sec": "end_seconds", "end:msec": "end_msec",
    "end:usec": "end_usec",
}  # fmt: skip
_KINDS = {"i": "request_", "o": "response_", "C": "cookie_", "n": "note_", "e": "env_"}


def compile_template(text: str) -> Template:
    """Make a reader of lines out of nginx's ``log_format`` or Apache's ``LogFormat``.

    Parameters
    ----------
    text : str
        As in the configuration, without the quotes around its parts.

    Returns
    -------
    tuple
        The reader, with a group for each variable, and the names of the variables.

    Raises
    ------
    UsageError
        If it has no variables, or two without anything between them.
    """
    return _compile(text.strip(), is_apache=is_apache(text))


def is_apache(text: str) -> bool:
    """Whether a format is in Apache's notation."""
    return _VARIABLE.search(text) is None and _ONE.search(text) is not None


def _compile(text: str, *, is_apache: bool) -> Template:
    if is_apache:
        text = text.replace('\\"', '"')
    pattern, end, names = "", 0, list[str]()
    for name, start, stop in _directives(text) if is_apache else _variables(text):
        follower = text[stop : stop + 1]
        if names and start == end:
            raise UsageError(
                f"--log-format: nothing separates {text[start:stop]} from the variable before it",
                hint="put a space between them in the configuration",
            )
        value = f"({_value(name, follower, is_apache=is_apache)})"
        if is_apache and name == "time":
            value = rf"\[{value}\]"  # %t writes them itself
        pattern += re.escape(text[end:start]) + value
        names.append(name)
        end = stop
    if not names:
        raise UsageError(
            f"--log-format {text}: neither a $variable of nginx nor a %directive of Apache is "
            "in it",
            hint="give the log_format from nginx's configuration, or the LogFormat from Apache's",
        )
    return re.compile(pattern + re.escape(text[end:])).fullmatch, tuple(names)


def _value(name: str, follower: str, *, is_apache: bool) -> str:
    if name == ("time" if is_apache else "time_local"):
        return r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
    if not follower:
        return ".*"
    if is_apache:
        return r'(?:[^"\\]|\\.)*' if follower == '"' else f"[^{re.escape(follower)}]*"
    if name.startswith("upstream_") and follower == " ":
        return r"[^ ,]+(?:(?:, | : )[^ ,]+)*"
    # nginx writes quotes inside a value as \x22, so that a value ends at the next one.
    return f"[^{re.escape(follower)}]*"


def _variables(text: str) -> Iterator[tuple[str, int, int]]:
    for match in _VARIABLE.finditer(text):
        yield match[1] or match[2], match.start(), match.end()


def directive(text: str) -> str:
    """Return the name of one of Apache's directives; any other text is a name already."""
    return next((name for name, *_ in _directives(text)), text)


def _directives(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield Apache's directives, by names that say what they are."""
    seen: dict[str, int] = {}
    for match in _ONE.finditer(text):
        argument, kind = match[1], match[2]
        if kind == "%":
            continue
        if argument is None:
            name = "took_s" if kind == "T" else _APACHE.get(kind, kind)
        elif kind == "T":
            name = _TAKES.get(argument, "took_s")
        elif kind == "t":
            name = _CLOCKS.get(argument) or ("ended" if argument.startswith("end:") else "begun")
        else:
            name = _KINDS.get(kind, "") + argument.lower().replace("-", "_")
        seen[name] = seen.get(name, 0) + 1
        yield name if seen[name] == 1 else f"{name}_{seen[name]}", match.start(), match.end()
