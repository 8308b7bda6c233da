"""Where a yes-or-no question changes its answer: the root search of the package.

Bisection, because its result is known to lie on the side where the answer is yes: the edge of an
interval is a share that *is* refuted, so an interval never disagrees with the verdict.
`scipy.optimize.brentq` returns a point on either side, and needs both ends to differ in sign
(``docs/decisions/0009-scipy-where-it-serves.md``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HALVINGS = 60
"""Steps in [0, 1] to 1e-18, below the spacing of floats."""


def turning_point(
    no: float, yes: float, holds: Callable[[float], bool], halvings: int = HALVINGS
) -> float:
    """Bisect for the point from which on a property holds.

    Parameters
    ----------
    no, yes : float
        Ends of the search, in either order. The property is taken not to hold at the former and
        to hold at the latter; neither is tried.
    holds : callable
        Whether the property holds at a point; it changes once between the ends.
    halvings : int, default `HALVINGS`
        Most steps; the search ends earlier where floats are used up.

    Returns
    -------
    float
        A point where it holds, as near to the turn as the steps lead; `yes` if it never held.
    """
    for _ in range(halvings):
        middle = (no + yes) / 2
        if middle in {no, yes}:
            break
        no, yes = (no, middle) if holds(middle) else (middle, yes)
    return yes
