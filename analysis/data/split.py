"""The expected split, and how far a share may depart from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, unique
from math import sqrt
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from analysis.data.errors import InputError, is_a
from analysis.data.weights import ARM, WRITE_SPLIT, parse_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUMBER = r"\d+(?:\.\d+)?\s*(?:pp|%)"
_AMOUNT = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>pp|%)")
_TWO_SIDED = re.compile(rf"-\s*(?P<below>{_NUMBER})\s*\+\s*(?P<above>{_NUMBER})")

_BEYOND = 10**15
"""Weights lie below it, so that sums of them stay exact, also as floats."""
_WRITE_TOLERANCE = "write Tolerance.parse('4pp'), '10%' (of the share) or 'auto'"

CERTAIN_SHARE_TOLERANCE = 0.01
"""Automatic tolerance where the expected share is 0 or 1."""


@dataclass(frozen=True, slots=True)
class Split:
    """The share that each version should carry, kept as the integers that were declared.

    Parameters
    ----------
    arms : tuple of str
        Labels of the k >= 1 expected versions, distinct and not empty.
    weights : tuple of int
        Their weights, >= 0, not all zero. Zero means: must not answer at all.

    Raises
    ------
    InputError
        If labels repeat, are empty or are no text, the lengths differ, or a weight is not a
        non-negative integer, or all are zero.

    Examples
    --------
    >>> Split(("v1", "v2"), (9, 1)).share("v2")
    0.1
    """

    arms: tuple[str, ...]
    weights: tuple[int, ...]

    def __post_init__(self) -> None:
        for given in (self.arms, self.weights):
            if not is_a(given, tuple, list):
                raise InputError(f"expected a tuple, got {given!r}", hint=WRITE_SPLIT)
        if not self.arms or len(self.arms) != len(self.weights):
            raise InputError(
                f"expected one weight for each label, got labels {self.arms!r} "
                f"and weights {self.weights!r}"
            )
        for arm in self.arms:
            if not is_a(arm, str):
                raise InputError(
                    f"a label must be text, got {arm!r}", hint=f'write it as text: "{arm}"'
                )
        if any(not arm for arm in self.arms):
            raise InputError(f"a label must not be empty, got {self.arms!r}")
        repeated = sorted({arm for arm in self.arms if self.arms.count(arm) > 1})
        if repeated:
            raise InputError(f"each label may be expected once, got {', '.join(repeated)} twice")
        for arm, weight in zip(self.arms, self.weights, strict=True):
            _require_whole(arm, weight)
        if not any(self.weights):
            raise InputError("at least one weight must be above zero")

    @classmethod
    def parse(cls, text: str) -> Split:
        """Read ``v1=9,v2=1``; also shares that add up to one, and JSON (`parse_weights`).

        Raises
        ------
        InputError
            If the text has another form; the message says which part.

        Examples
        --------
        >>> Split.parse("v1=9,v2=1").weights, Split.parse("v1=95%,v2=5%").weights
        ((9, 1), (95, 5))
        """
        if not is_a(text, str):
            raise InputError(f"expected a split as text, got {text!r}", hint=WRITE_SPLIT)
        arms, weights = parse_weights(text)
        return cls(arms, weights)

    @classmethod
    def of(cls, weights: Mapping[str, int]) -> Split:
        """Make a split of weights by label, in their order; the opposite of `weight_of`.

        Raises
        ------
        InputError
            If `weights` is no mapping, or no split can be made of it.
        """
        if not is_a(weights, Mapping):
            raise InputError(f"expected weights by label, got {weights!r}", hint=WRITE_SPLIT)
        return cls(tuple(weights), tuple(weights.values()))

    @property
    def weight_of(self) -> dict[str, int]:
        """Weights by label, in the order of `arms`."""
        return dict(zip(self.arms, self.weights, strict=True))

    @property
    def total(self) -> int:
        """Sum of the weights."""
        return sum(self.weights)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Expected shares, (k,) in [0, 1], in the order of `arms`."""
        return np.array(self.weights, dtype=np.float64) / self.total

    def share(self, arm: str) -> float:
        """Return the expected share of one arm; 0 for a label that is not expected."""
        if arm not in self.arms:
            return 0.0
        return self.weights[self.arms.index(arm)] / self.total

    def __str__(self) -> str:
        return ",".join(
            f"{arm}={weight}" for arm, weight in zip(self.arms, self.weights, strict=True)
        )


def _require_whole(arm: str, weight: float) -> None:
    # Counts of other libraries are numbers, too: 9.0, or an integer of NumPy.
    if not is_a(weight, Real) or not weight >= 0 or weight % 1 != 0:
        raise InputError(
            f"the weight of {arm} must be a whole number >= 0, got {weight!r}",
            hint="write the shares 0.9 and 0.1, or 90% and 10%, as the weights 9 and 1",
        )
    if weight >= _BEYOND:
        raise InputError(
            f"the weight of {arm} must have at most 15 digits, got {weight!r}",
            hint="write the same shares with smaller weights, such as 9 and 1",
        )


@dataclass(frozen=True, slots=True)
class Band:
    """Shares that count as right for one arm.

    Parameters
    ----------
    arm : str
        The label.
    expected : float
        Expected share p0 in [0, 1].
    below, above : float
        Accepted departures, > 0 (the side that cannot exist may be 0). The band is
        ``[expected - below, expected + above]``; `low` may be negative and `high` above 1,
        which means that nothing is claimed on that side.
    """

    arm: str
    expected: float
    below: float
    above: float

    @property
    def low(self) -> float:
        """Lower edge lo = p0 - tol_lo."""
        return self.expected - self.below

    @property
    def high(self) -> float:
        """Upper edge hi = p0 + tol_hi."""
        return self.expected + self.above

    @property
    def clipped(self) -> tuple[float, float]:
        """Both edges within [0, 1], as documents and figures show them."""
        return max(self.low, 0.0), min(self.high, 1.0)


@unique
class ToleranceKind(Enum):
    """How the accepted departure is given."""

    AUTO = "auto"
    ABSOLUTE = "absolute"
    RELATIVE = "relative"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Departure from a share that is accepted.

    Parameters
    ----------
    kind : ToleranceKind, default AUTO
        ABSOLUTE adds and subtracts `amount`; RELATIVE takes that fraction of the expected
        share; AUTO derives half a pod from the weights (see `bands`).
    amount : float, default 0
        A share in (0, 1); ignored for AUTO.
    below : Tolerance or None
        What is accepted below the share, if that is not the same as above.
    by_arm : tuple of (str, Tolerance)
        What is accepted of some labels instead.

    Raises
    ------
    InputError
        If `amount` lies outside (0, 1) for a kind that uses it, a label comes twice, or a part
        has another type.
    """

    kind: ToleranceKind = ToleranceKind.AUTO
    amount: float = 0.0
    below: Tolerance | None = None
    by_arm: tuple[tuple[str, Tolerance], ...] = ()

    def __post_init__(self) -> None:
        self._require_types()
        if self.kind is not ToleranceKind.AUTO and not 0 < self.amount < 1:
            raise InputError(f"a tolerance must lie between 0 and 100 %, got {self.amount:.6g}")
        arms = [arm for arm, _ in self.by_arm]
        if repeated := sorted({arm for arm in arms if arms.count(arm) > 1}):
            raise InputError(f"{repeated[0]} may have one tolerance, got {arms.count(repeated[0])}")

    def _require_types(self) -> None:
        arms = self.by_arm if is_a(self.by_arm, tuple) else (self.by_arm,)
        parts = [arm[-1] if is_a(arm, tuple) and len(arm) == 2 else arm for arm in arms]
        if self.below is not None:
            parts.append(self.below)
        wanted: list[tuple[object, type]] = [(self.kind, ToleranceKind), (self.amount, Real)]
        for value, kind in (*wanted, *((part, Tolerance) for part in parts)):
            if not is_a(value, kind):
                raise InputError(f"a tolerance cannot be made of {value!r}", hint=_WRITE_TOLERANCE)

    @classmethod
    def parse(cls, text: str) -> Tolerance:
        """Read a tolerance for all labels, or several by label after commas.

        ``auto``, ``4pp`` (percentage points), ``10%`` (of the expected share) and
        ``-2pp+4pp`` (below and above) are tolerances; ``v2=1pp,v3=-2pp+4pp`` names labels,
        and ``v2=1pp,5pp`` adds one for all others, which is ``auto`` if it is left out.

        Raises
        ------
        InputError
            If the text has another form.

        Examples
        --------
        >>> Tolerance.parse("4pp").amount
        0.04
        >>> str(Tolerance.parse("v2=-2pp+4pp,v1=auto"))
        'v2=-2pp+4pp,v1=auto'
        """
        if not is_a(text, str):
            raise InputError(f"expected a tolerance as text, got {text!r}", hint=_WRITE_TOLERANCE)
        named: list[tuple[str, Tolerance]] = []
        general: Tolerance | None = None
        for part in text.split(","):
            match = ARM.fullmatch(part.strip())
            if match is not None:
                named.append((match["label"].strip(), cls._parse_one(match["weight"])))
            elif general is None:
                general = cls._parse_one(part)
            else:
                raise InputError(f"expected one tolerance without a label, got also {part!r}")
        return replace(general or cls(), by_arm=tuple(named))

    @classmethod
    def _parse_one(cls, text: str) -> Tolerance:
        if text.strip() == "auto":
            return cls()
        if sides := _TWO_SIDED.fullmatch(text.strip()):
            return replace(cls._parse_one(sides["above"]), below=cls._parse_one(sides["below"]))
        match = _AMOUNT.fullmatch(text.strip())
        if match is None:
            raise InputError(
                f"expected auto, a number of percentage points such as 4pp, a part of the "
                f"expected share such as 10%, or both sides such as -2pp+4pp, got {text!r}"
            )
        kind = ToleranceKind.ABSOLUTE if match["unit"] == "pp" else ToleranceKind.RELATIVE
        return cls(kind, float(match["number"]) / 100)

    def __str__(self) -> str:
        parts = [f"{arm}={tolerance}" for arm, tolerance in self.by_arm]
        if not parts or self._is_given:
            sides = self._amount if self.below is None else f"-{self.below}+{self._amount}"
            parts.append(sides)
        return ",".join(parts)

    @property
    def _amount(self) -> str:
        match self.kind:
            case ToleranceKind.AUTO:
                return "auto"
            case ToleranceKind.ABSOLUTE:
                return f"{self.amount * 100:.6g}pp"
            case ToleranceKind.RELATIVE:
                return f"{self.amount * 100:.6g}%"

    @property
    def _is_given(self) -> bool:
        """Whether labels without a tolerance of their own have more than the default."""
        return self.kind is not ToleranceKind.AUTO or self.below is not None

    def bands(self, split: Split) -> tuple[Band, ...]:
        """Return the accepted band of each arm, in the order of ``split.arms``.

        Raises
        ------
        InputError
            If an arm that the decision tests (`tested_arms`) could lose all of its
            traffic, or take all, and stay inside its band; or if a label has a tolerance
            and is not expected.

        Notes
        -----
        Of two arms, each one's share follows from the other's, so a tolerance for one of them
        is one for both: that of the arm with the smaller share. Where both have one, or
        neither is the smaller, the narrower holds on each side, so that the order in which
        labels are named makes no difference.

        AUTO: let a version have c of N pods. Half a pod more or fewer is
        ``((c+1)/(N+1) - c/N)/2`` and ``(c/N - (c-1)/(N-1))/2``. The floor, for weights
        that are no replica counts, is ``min(5 pp, 9.5 pp * sqrt(s), s/2)`` with
        ``s = min(p0, 1-p0)``. The larger of the two holds on each side; 1 pp where p0 is
        0 or 1.
        """
        named = dict(self.by_arm)
        if unknown := [arm for arm in named if arm not in split.arms]:
            raise InputError(f"{unknown[0]} is not expected, only {', '.join(split.arms)}")
        bands = tuple(
            _band(named.get(arm, self), arm, weight, split.total)
            for arm, weight in zip(split.arms, split.weights, strict=True)
        )
        if len(bands) == 2:
            bands = self._agreed(bands, split)
        for arm in tested_arms(split):
            _require_refutable(bands[arm])
        return bands

    def _agreed(self, bands: tuple[Band, ...], split: Split) -> tuple[Band, ...]:
        """Return bands of two arms that say the same."""
        tested = tested_arms(split)[0]
        canary, stable = bands[tested], bands[1 - tested]
        mirror = Band(canary.arm, canary.expected, stable.above, stable.below)
        asked = {arm for arm, _ in self.by_arm}
        if not asked or self._is_given:  # the general one is for the canary, or for both of equals
            is_even = canary.expected == stable.expected
            asked |= {canary.arm, stable.arm} if is_even else {canary.arm}
        if asked == {stable.arm}:
            canary = mirror
        elif stable.arm in asked:
            canary = _narrower(canary, mirror)
        mirror = Band(stable.arm, stable.expected, canary.above, canary.below)
        return (canary, mirror) if tested == 0 else (mirror, canary)


def _band(tolerance: Tolerance, arm: str, weight: int, total: int) -> Band:
    above = _even_band(tolerance, arm, weight, total)
    if tolerance.below is None:
        return above
    return replace(above, below=_even_band(tolerance.below, arm, weight, total).below)


def _even_band(tolerance: Tolerance, arm: str, weight: int, total: int) -> Band:
    """Return the band of a tolerance that is the same on both sides."""
    share, amount = weight / total, tolerance.amount
    if tolerance.kind is ToleranceKind.ABSOLUTE:
        return Band(arm, share, amount, amount)
    if share in {0.0, 1.0}:
        return Band(arm, share, CERTAIN_SHARE_TOLERANCE, CERTAIN_SHARE_TOLERANCE)
    if tolerance.kind is ToleranceKind.RELATIVE:
        return Band(arm, share, amount * share, amount * share)
    floor = floor_of(share)
    below, above = half_pod(weight, total)
    return Band(arm, share, max(below, floor), max(above, floor))


def half_pod(weight: int, total: int) -> tuple[float, float]:
    """Return how much half a pod fewer and half a pod more change the share of one version."""
    share = weight / total
    return (share - (weight - 1) / (total - 1)) / 2, ((weight + 1) / (total + 1) - share) / 2


def floor_of(share: float) -> float:
    """Return the least automatic tolerance of a share, for weights that are no replica counts."""
    smaller = min(share, 1 - share)
    return min(0.05, 0.095 * sqrt(smaller), smaller / 2)


def tested_arms(split: Split) -> tuple[int, ...]:
    """Indices of the arms that a decision has to test.

    With two arms, one is the other's complement: only the smaller one is tested, because a
    tolerance is declared for the canary. Of equals it is the one whose name sorts last, so that
    the order in which labels are named makes no difference.
    """
    if len(split.arms) == 2:
        first, second = zip(split.weights, split.arms, strict=True)
        is_first = (first[0], second[1]) < (second[0], first[1])
        return (0,) if is_first else (1,)
    return tuple(range(len(split.arms)))


def _narrower(one: Band, other: Band) -> Band:
    """Accept of one arm what both bands accept."""
    return replace(one, below=min(one.below, other.below), above=min(one.above, other.above))


def _require_refutable(band: Band) -> None:
    """Refuse a band that no traffic at all, or all of it, would satisfy."""
    percent = f"{band.expected * 100:.4g} %"
    if band.expected > 0 and band.low <= 0:
        raise InputError(
            f"a tolerance of {band.below * 100:.4g} pp is not below the share of {band.arm} "
            f"({percent}): {band.arm} could get no traffic at all and pass"
        )
    if band.expected < 1 and band.high >= 1:
        raise InputError(
            f"a tolerance of {band.above * 100:.4g} pp reaches 100 % for {band.arm} ({percent}): "
            f"{band.arm} could get all of the traffic and pass"
        )
