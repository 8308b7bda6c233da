"""Label rules: where in a response a name is read, as people write it."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from enum import Enum, unique

from sampler.base.errors import UsageError, is_a
from sampler.labels.pointer import parse_pointer

_WRITE_RULE = "write LabelRule.parse('/label'), 'header:NAME', 'regex:EXPR' or 'status'"


@unique
class RuleKind(Enum):
    """Part of the response that holds the name."""

    POINTER = "pointer"
    HEADER = "header"
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
        JSON pointer (RFC 6901), header name, or regular expression; empty for the status.

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
            case RuleKind.HEADER:
                if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", self.argument):
                    raise UsageError(f"expected header:NAME, got header:{self.argument}")
            case RuleKind.REGEX:
                compile_expression(self.argument)
            case RuleKind.STATUS:
                pass
            case _:
                raise UsageError(f"expected a RuleKind, got {self.kind!r}", hint=_WRITE_RULE)

    @classmethod
    def parse(cls, text: str) -> LabelRule:
        """Read ``/pointer``, ``header:NAME``, ``regex:EXPR`` or ``status``.

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
        if colon and kind in {"header", "regex"}:
            return cls(RuleKind(kind), argument)
        raise UsageError(
            f"expected a JSON pointer such as /label, header:NAME, regex:EXPR or status, "
            f"got {text!r}"
        )

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
            case RuleKind.HEADER | RuleKind.REGEX:
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
