"""Messages on stderr, in one form: what is wrong, and what to do about it."""

from __future__ import annotations

from sampler.cli.streams import say


def say_error(problem: str, hint: str | None = None) -> None:
    """Print why a command ends, and what to do."""
    _say("error", problem, hint)


def say_warning(problem: str, hint: str | None = None, *, severity: str = "warning") -> None:
    """Print what is likely to go wrong, and what to do."""
    _say(severity, problem, hint)


def say_line(text: str) -> None:
    """Print what was done, or what to do next."""
    from analysis.render.printable import message  # noqa: PLC0415 - as below

    say(message(text), err=True)


def closest(name: str, names: list[str]) -> str | None:
    """Return a hint that names what was probably meant; None if nothing is close enough."""
    from difflib import get_close_matches  # noqa: PLC0415 - for a slip alone

    near = get_close_matches(name, names, 1)
    return f"did you mean {near[0]}?" if near else None


def _say(severity: str, problem: str, hint: str | None) -> None:
    from analysis.render.printable import message  # noqa: PLC0415 - not for --help

    # Errors quote hosts, headers, names of files and what servers say.
    say(f"{severity}: {message(problem)}", err=True)
    if hint:
        say(f"hint: {message(hint)}", err=True)
