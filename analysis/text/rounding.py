"""Numbers as people read them: with units, and only the digits that their uncertainty supports."""

from __future__ import annotations

from math import ceil, floor, log10, sqrt

_MOST_DECIMALS = 6
_SLACK = 1e-6  # in units of the last digit that is shown


def decimals(half_width: float) -> int:
    """Return the decimals that a number may show.

    Parameters
    ----------
    half_width : float
        Its uncertainty, in the same unit; 0 for an exact number.

    Returns
    -------
    int
        In [0, 6].

    References
    ----------
    .. [1] Particle Data Group, Review of Particle Physics, introduction, section 5.3: two
       digits of the uncertainty if its first three are at most 354, else one.
    """
    if not half_width > 0:
        return 0
    exponent = floor(log10(half_width))
    leading = half_width / 10.0**exponent
    wanted = (1 if leading < 3.55 else 0) - exponent
    return min(max(wanted, 0), _MOST_DECIMALS)


def share_decimals(interval: tuple[float, float] | None, n: int) -> int:
    """Return the decimals of a share in percent.

    Parameters
    ----------
    interval : (float, float) or None
        Of the share, in [0, 1]; None takes two standard errors of a half, ``1 / sqrt(n)``.
    n : int
        Number of samples behind it, >= 0.
    """
    if interval is not None:
        return decimals(50 * (interval[1] - interval[0]))
    return decimals(100 / sqrt(n)) if n else 0


def band_decimals(expected: float, band: tuple[float, float]) -> int:
    """Return the decimals, at least 1, of a percentage that tell shares within a band apart.

    Parameters
    ----------
    expected : float
        Share in [0, 1].
    band : (float, float)
        The accepted shares around it; an end that is clipped onto it does not count.

    Examples
    --------
    >>> band_decimals(0.1, (0.05, 0.15)), band_decimals(0.1, (0.0985, 0.1015))
    (1, 2)
    """
    sides = [side for side in (expected - band[0], band[1] - expected) if side > 0]
    if not sides:
        return 1
    return min(max(1, 1 - floor(log10(100 * min(sides) + _SLACK))), _MOST_DECIMALS)


def percent(share: float, places: int) -> str:
    """Return a share in [0, 1] as percent, without the sign."""
    return f"{100 * share:.{places}f}"


def percent_interval(interval: tuple[float, float], places: int) -> tuple[str, str]:
    """Return an interval as percent, rounded outwards.

    It claims no more than it may, and one that lies inside another still does so in print.
    """
    scale = 10.0**places
    # The slack is for binary fractions: 0.12 is 12.0 %, although its float lies above it.
    low = floor(100 * interval[0] * scale + _SLACK) / scale
    high = ceil(100 * interval[1] * scale - _SLACK) / scale
    # Adding zero turns a rounded -0.0 into 0.0.
    return f"{low + 0.0:.{places}f}", f"{high + 0.0:.{places}f}"


def bracketed(interval: tuple[float, float], places: int) -> str:
    """Return an interval of shares, clipped to [0, 1], as ``[38.0, 56.3]`` in percent."""
    ends = max(interval[0], 0.0), min(interval[1], 1.0)
    return f"[{', '.join(percent_interval(ends, places))}]"


def exact_percent(share: float) -> str:
    """Return a declared share as percent, without needless zeros."""
    return f"{100 * share:.4g}"


def amount(number: float) -> str:
    """Return a count, its digits in groups of three; fractional counts to a tenth.

    Examples
    --------
    >>> amount(14200), amount(20.25), amount(7.0)
    ('14 200', '20.2', '7')
    """
    tenths = round(number, 1)
    return f"{int(tenths) if tenths == int(tenths) else tenths:,}".replace(",", " ")


def counted(number: float, thing: str) -> str:
    """Return a count with its noun.

    Examples
    --------
    >>> counted(1, "connection"), counted(1200, "connection")
    ('1 connection', '1 200 connections')
    """
    return f"{amount(number)} {thing}{'' if number == 1 else 's'}"


def significant(value: float, digits: int) -> str:
    """Round to significant digits, in plain notation.

    Examples
    --------
    >>> significant(2937.4, 3), significant(0.4137, 2)
    ('2 940', '0.41')
    """
    if not value:
        return "0"
    places = digits - 1 - floor(log10(abs(value)))
    rounded = round(value, places)
    return amount(int(rounded)) if places <= 0 else f"{rounded:.{places}f}"


def duration(seconds: float) -> str:
    """Return a duration; two digits of seconds, minutes and seconds from two minutes on."""
    if seconds >= 120:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    return f"{significant(seconds, 2 if seconds < 100 else 3)} s"
