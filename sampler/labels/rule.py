"""Label rules: where in a response a name is read, as people write it."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from enum import Enum, unique

from sampler.base.errors import UsageError, is_a
from sampler.labels.pointer import parse_pointer

_WRITE_RULE = (
    "write LabelRule.parse('/label'), 'header:NAME', 'cookie:NAME', 'regex:EXPR' or 'status'"
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2


@unique
class RuleKind(Enum):
    """Part of the response that holds the name."""

    POINTER = "pointer"
    HEADER = "header"
    COOKIE = "cookie"
    REGEX = "regex"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class LabelRule:
    """Where in a response a name is read.

    Parameters
    ----------
    kind : RuleKind
        Part of the response.
    argument : str
        JSON pointer (RFC 6901), regular expression, name of a cookie, name of a header field or
        that, a colon and an expression for its value; empty for the status.

    Raises
    ------
    UsageError
        If the argument is not a valid one of its kind.
    """

    kind: RuleKind
    argument: str = ""

    def __post_init__(self) -> None:
        match self.kind:
            case RuleKind.POINTER:
                parse_pointer(self.argument)
            case RuleKind.HEADER | RuleKind.COOKIE:
                if not _TOKEN.fullmatch(self.name):
                    raise UsageError(f"expected {self.kind.value}:NAME, got {self}")
                if self.expression is not None:
                    compile_expression(self.expression)
            case RuleKind.REGEX:
                compile_expression(self.argument)
            case RuleKind.STATUS:
                pass
            case _:
                raise UsageError(f"expected a RuleKind, got {self.kind!r}", hint=_WRITE_RULE)

    @classmethod
    def parse(cls, text: str) -> LabelRule:
        """Read a rule as ``--label`` takes it.

        Parameters
        ----------
        text : str
            ``/pointer``, ``header:NAME``, ``header:NAME:EXPR``, ``cookie:NAME``, ``regex:EXPR``
            or ``status``.

        Raises
        ------
        UsageError
            If the text has another form.
        """
        if not is_a(text, str):
            raise UsageError(f"expected a label rule as text, got {text!r}", hint=_WRITE_RULE)
        if text == "status":
            return cls(RuleKind.STATUS)
        if text.startswith("/"):
            return cls(RuleKind.POINTER, text)
        kind, colon, argument = text.partition(":")
        if colon and kind in {"header", "cookie", "regex"}:
            return cls(RuleKind(kind), argument)
        raise UsageError(
            f"expected a JSON pointer such as /label, header:NAME, cookie:NAME, regex:EXPR or "
            f"status, got {text!r}"
        )

    @property
    def name(self) -> str:
        """Name of the header field or of the cookie."""
        return self.argument.partition(":")[0] if self.kind is RuleKind.HEADER else self.argument

    @property
    def expression(self) -> str | None:
        """What picks one of several header fields, and the name in it; None takes the field."""
        name, colon, expression = self.argument.partition(":")
        return expression if self.kind is RuleKind.HEADER and name and colon else None

    @property
    def reads_body(self) -> bool:
        """Whether the name depends on the body, and not on the head alone."""
        return self.kind in {RuleKind.POINTER, RuleKind.REGEX}

    def __str__(self) -> str:
        match self.kind:
            case RuleKind.POINTER:
                return self.argument
            case RuleKind.STATUS:
                return "status"
            case RuleKind.HEADER | RuleKind.COOKIE | RuleKind.REGEX:
                return f"{self.kind.value}:{self.argument}"


def compile_expression(expression: str) -> re.Pattern[bytes]:
    """Compile the expression of a label rule, to be searched in bodies.

    Raises
    ------
    UsageError
        If it is none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # what will mean something else
            return re.compile(expression.encode(), re.MULTILINE)
    except (re.error, OverflowError, RecursionError, FutureWarning) as error:
        raise UsageError(
            f"expected a regular expression, got {expression!r}: {error}",
            hint="the first group, if there is one, is the label",
        ) from error
