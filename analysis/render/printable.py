"""Text from strangers, made safe to print and measured in the cells of a terminal.

Labels, hosts and URLs are chosen by whoever answers. A control character in one of them
could clear the screen, colour a FAIL green or turn the line around; an invisible one could
make two labels look the same; a CI that reads the log would obey ``::set-output`` or ``##[error]``.
All of them are shown as escapes instead.

Every medium has its function here, and renderers apply it where text leaves: `visible` (one line
of a terminal, and the first step for all others), `logged` (texts that a CI reads), `in_json`,
`as_markdown` and `as_code`, `as_metric_label`, `as_variable`, `as_command_data`. HTML and XML are
escaped by jinja2 and ElementTree, after `visible`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from itertools import accumulate, takewhile

ELLIPSIS = "…"

# `str.isprintable` refuses the categories Other and Separator, bidi controls included.
# These are letters, marks and symbols by category, yet nothing is drawn for them
# (Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties, and the empty Braille cell).
_DRAWN_AS_NOTHING = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
_MARKS = frozenset({"Mn", "Me"})
_MOST_MARKS = 3  # on one letter; more than a script needs would climb over the lines above
_LONGEST_RAW = 4096
_LONGEST_MESSAGE = 1000

# GitHub takes ``::name`` for a command behind any blanks at the start of a line (actions/runner,
# ActionCommand.TryParseV2). In a text that is wrapped later, each word may become the start.
_COMMAND_WORD = re.compile(r"(?<!\S):(?=:[A-Za-z])")
_COMMAND_LINE = re.compile(r"(?:\A|(?<=[\r\n]))([^\S\r\n]*):(?=:[A-Za-z])")
# ``##[name`` acts anywhere in a line (TryParse), as ``##vso[`` and ``##teamcity[`` do elsewhere; so
# do GitLab's section markers, if their control characters reach the log.
_COMMAND_ANYWHERE = re.compile(r"(?<=#)#(?=\w{0,20}\[)|(?<=section)_(?=(?:start|end):)")
_COLON = r"\u003a"
"""Escapes of this form mean the same in JSON."""


def visible(text: str) -> str:
    r"""Replace everything that would not be drawn, or would move the cursor, by an escape.

    Parameters
    ----------
    text : str
        Any text, lone surrogates included.

    Returns
    -------
    str
        One line: printable characters as they are, others as ``\x1b``, ``\u202e`` or
        ``\U000e0001``. It can be encoded as UTF-8 and consists of characters of XML 1.0.

    Examples
    --------
    >>> visible("v1\x1b[2J")
    'v1\\x1b[2J'
    """
    return _COMMAND_WORD.sub(lambda _: _COLON, _inert(_drawn(text)))


def logged(text: str) -> str:
    """Make a text of several lines safe for the log of a CI, which takes some lines for commands.

    Parameters
    ----------
    text : str
        A document or a message. JSON stays JSON with the same values.
    """
    return _COMMAND_LINE.sub(lambda match: match[1] + _COLON, _inert(text))


def as_lines(text: str) -> str:
    """Make a text of several lines safe for a terminal: ends of lines and tabs stay as they are."""
    return "\n".join(
        "\t".join(_drawn(part) for part in line.removesuffix("\r").split("\t"))
        + ("\r" if line.endswith("\r") else "")
        for line in text.split("\n")
    )


def in_json(text: str) -> str:
    """Escape in a JSON document what is not drawn, or would act; its values stay the same."""
    if not text.isascii():
        text = "".join(
            each if each.isascii() or _is_drawn(each) else json.dumps(each)[1:-1] for each in text
        )
    return _inert(text.replace("\x7f", r"\u007f"))


def _inert(text: str) -> str:
    """Break what a CI takes for a command anywhere in a line."""
    return _COMMAND_ANYWHERE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _drawn(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    parts: list[str] = []
    marks = _MOST_MARKS  # a mark without a letter before it would join whatever stands there
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in _MARKS else 0
        is_drawn = marks <= _MOST_MARKS and _is_drawn(character)
        parts.append(character if is_drawn else _escape(character))
    return "".join(parts)


def _is_drawn(character: str) -> bool:
    return character.isprintable() and not _DRAWN_AS_NOTHING.match(character)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def cells(text: str) -> int:
    """Width of visible text in a terminal [cells]: East Asian wide ones take 2, marks 0."""
    if text.isascii():
        return len(text)
    return sum(map(_cells_of, text))


def _cells_of(character: str) -> int:
    if unicodedata.category(character) in _MARKS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def cut(text: str, room: int) -> str:
    """Shorten visible text to `room` cells >= 1, with an ellipsis where something is missing.

    The ellipsis stands two thirds in: names made by machines often differ at the end.
    """
    if cells(text) <= room:
        return text
    tail_room = (room - 1) // 3
    tail = _head(text[::-1], tail_room)[::-1]
    return _head(text, room - 1 - tail_room) + ELLIPSIS + tail


def _head(text: str, room: int) -> str:
    """Return the longest beginning that fits."""
    fits = takewhile(lambda used: used <= room, accumulate(map(_cells_of, text)))
    return text[: sum(1 for _ in fits)]


def name_of(label: str, room: int) -> str:
    """Show a label in at most `room` cells; in quotes if blanks at its ends matter.

    Parameters
    ----------
    label : str
        As it was read from a response.
    room : int
        Cells, >= 4.
    """
    raw = label
    if len(raw) > _LONGEST_RAW:
        raw = raw[: _LONGEST_RAW // 2] + raw[-_LONGEST_RAW // 2 :]
    text = visible(raw)
    if text != text.strip(" ") or not text:
        return f'"{cut(text, room - 2)}"'
    return cut(text, room)


def message(text: str) -> str:
    """Make an error or a warning safe to print, whoever wrote it; longer than a `sentence`."""
    return cut(visible(text[:_LONGEST_RAW]), _LONGEST_RAW)


def sentence(text: str) -> str:
    """Make a message of the run safe to print, and keep it to a readable length."""
    return cut(visible(text[:_LONGEST_RAW]), _LONGEST_MESSAGE)


def pad(text: str, room: int, *, right: bool = False) -> str:
    """Fill visible text with blanks to `room` cells; with `right`, on its left side."""
    blanks = " " * (room - cells(text))
    return blanks + text if right else text + blanks


# A blank within a number and its unit, the groups of a number, an interval, or ``alpha = 0.01``.
_HELD = re.compile(
    r"(?<=\d) (?=%|pp\b|s\b|ms\b|\d{3}\b)|(?<=[\d.],) (?=[+-]?[\d.]+\])"
    r"|(?<=%) (?=\[\d)|(?<=pp) (?=\[[+-]?\d)"
    r"|(?<=\w) (?==)|(?<==) (?=[\d-])"
)
HOLD = "\N{NO-BREAK SPACE}"
"""A blank at which `wrap` does not break; it prints as a blank."""


def hold(text: str) -> str:
    """Keep a number with its unit, its groups, and an interval together, by blanks that hold."""
    return _HELD.sub(HOLD, text)


def wrap(text: str, room: int, *, taken: int = 0) -> list[str]:
    """Break visible text into lines of at most `room` cells, at blanks where it can.

    A number is not parted from its unit, nor an interval in the middle. The first line has
    `taken` cells less.
    """
    lines: list[str] = []
    line = ""
    left = room - taken
    for word in hold(text).split(" "):
        if line and cells(line) + 1 + cells(word) <= left:
            line += f" {word}"
            continue
        if line:
            lines.append(line)
            left = room
        line = word
        while cells(line) > left:
            # Subtle: at least one character goes, or a wide one in a room of 1 would stay.
            head = _head(line, left) or line[0]
            if line.startswith("::", len(head)) and len(head) > 1:
                head = head[:-1]  # no line may begin a command (`logged`)
            lines.append(head)
            line = line[len(head) :]
            left = room
    return [part.replace(HOLD, " ") for part in (*lines, line) if part]


_JOINER = "\N{WORD JOINER}"
_BAR = "\N{FULLWIDTH VERTICAL LINE}"
_MARKUP = re.compile(r"([\\`*_\[\]#|~$])")
# Only at the beginning of a line: items of a list, underlines of a heading.
_BULLET = re.compile(r"^(?=[-+=])|(?<=^\d)(?=[.)])")
# People, issues, merge requests, labels …; emoji; addresses.
_REFERENCE = re.compile(r"([@#!~%&$](?=[\w\"*])|:(?=//|[a-z0-9_+-]{2,40}:))")
_LINK = re.compile(r"(?i)(www)(?=\.)")
_LONGEST_METRIC_LABEL = 100
_LONGEST_VARIABLE = 200


def as_markdown(text: str) -> str:
    """Make a sentence plain text in Markdown; it stays readable as source.

    Parameters
    ----------
    text : str
        Anything; what would not be drawn must have been replaced (`visible`).
    """
    joined = _LINK.sub(rf"\1{_JOINER}", _REFERENCE.sub(rf"\1{_JOINER}", text))
    # Entities first would be escaped again: the ampersand goes before all others.
    safe = joined.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _BULLET.sub(r"\\", _MARKUP.sub(r"\\\1", safe))


def as_code(text: str) -> str:
    """Return text as a code span of Markdown that also works in a table cell."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    room = " " if "`" in text or text != text.strip() or not text else ""
    return f"{fence}{room}{text.replace('|', _BAR)}{room}{fence}"


def as_metric_label(label: str) -> str:
    """Return the value of a label of OpenMetrics: without blanks, at which GitLab ends the name."""
    text = re.sub(r"\s", "_", visible(label[:_LONGEST_METRIC_LABEL]))
    return text.replace("\\", "\\\\").replace('"', '\\"')


def as_variable(value: str) -> str:
    """Keep what no reader of a dotenv file takes for a quote, a comment or an end of line."""
    return re.sub(r"[^A-Za-z0-9._:/+-]", "_", _inert(value))[:_LONGEST_VARIABLE]


def as_command_data(text: str) -> str:
    """Escape the message of a workflow command of GitHub."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def as_command_property(text: str) -> str:
    """Escape the value of a property of a workflow command of GitHub."""
    return as_command_data(text).replace(":", "%3A").replace(",", "%2C")
