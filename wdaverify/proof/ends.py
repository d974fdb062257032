"""Ends that a proof reaches only to within rounding: the report then states the proved end, if that changes nothing else.

A claim is never rounded towards the wish. Where what can be proved is a little weaker than the reported end, the report is moved
outward to it, as long as an exact bracket stays exact, and any other grows by no more than an exact one may be wide.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from wdaverify.transport import round_down, round_up

if TYPE_CHECKING:
    from fractions import Fraction

    from wdaverify.bracket import Bracket

_SHARES = (0.0, 2.0**-6, 0.9)
"""Parts of the room by which ends are moved when nearer ones cannot be proved."""


def moved_upper(bracket: Bracket, proved: Fraction) -> float | None:
    """The upper end that is proved and reported; ``None`` if what is proved is too far from what was found.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from wdaverify.bracket import Bracket
    >>> moved_upper(Bracket(lower=0.5, upper=0.5), Fraction(1, 2)), moved_upper(Bracket(lower=0.5, upper=0.5), Fraction(1))
    (0.5, None)
    """
    end = max(bracket.upper, round_up(proved))
    return end if _may_grow(bracket, end - bracket.upper) else None


def moved_lower(bracket: Bracket, proved: Fraction) -> float | None:
    """The lower end that is proved and reported, likewise."""
    end = min(bracket.lower, round_down(proved))
    return end if _may_grow(bracket, bracket.lower - end) else None


def _may_grow(bracket: Bracket, growth: float) -> bool:
    """Whether a bracket that grows so much is still called what it was called."""
    if growth == 0.0:
        return True
    return growth <= room(bracket)


def room(bracket: Bracket) -> float:
    """By how much each end may move outward."""
    if not math.isfinite(bracket.upper):
        return bracket.gap
    most = bracket.gap * max(1.0, abs(bracket.upper))
    return 0.49 * (most - bracket.width) if bracket.exact else most


def easier_lower(bracket: Bracket) -> tuple[float, ...]:
    """Lower ends to prove, the reported one first, then weaker ones that would still do."""
    if math.isinf(bracket.lower) or bracket.lower == 0.0:
        return (bracket.lower,)
    return tuple(bracket.lower - share * room(bracket) for share in _SHARES if bracket.lower > share * room(bracket))


def easier_upper(bracket: Bracket) -> tuple[float, ...]:
    """Upper ends to prove, likewise."""
    return tuple(bracket.upper + share * room(bracket) for share in _SHARES)
