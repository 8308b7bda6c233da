"""Messages on stderr, in one form: what is wrong, and what to do about it."""

from __future__ import annotations

import click


def say_error(problem: str, hint: str | None = None) -> None:
    """Print why a command ends, and what to do."""
    _say("error", problem, hint)


def say_warning(problem: str, hint: str | None = None, *, severity: str = "warning") -> None:
    """Print what is likely to go wrong, and what to do."""
    _say(severity, problem, hint)


def closest(name: str, names: list[str]) -> str | None:
    """Return a hint that names what was probably meant; None if nothing is close enough."""
    from difflib import get_close_matches  # noqa: PLC0415 - for a slip alone

    near = get_close_matches(name, names, 1)
    return f"did you mean {near[0]}?" if near else None


def _say(severity: str, problem: str, hint: str | None) -> None:
    click.echo(f"{severity}: {problem}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)
