r"""When nominal + radius * constant is the worst-case risk itself, for every radius, on the whole space.

See docs/theory.md, "The whole space". For order 1, a loss of label y with Lipschitz constant :math:`\Lambda_y` on R^n and slope
:math:`\ell_y` at infinity,

.. math:: \bar E \ell + \varepsilon \max_y \ell_y \le R_1(\varepsilon) \le \bar E \ell + \varepsilon \max_y \Lambda_y,

both maxima over the labels of the data, and the right-hand side is the value for all radii (equally: for arbitrarily large ones)
exactly if the two maxima are equal. The value is a supremum: mass that travels ever farther approaches it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify.bracket import Bracket
    from wdaverify.growth.record import LipschitzConstant


class Exactness(StrEnum):
    """What brackets of a constant and of its slope say about the exactness of the certificate."""

    COINCIDE = "coincide"
    """Equal, as far as the gap of the constant's bracket resolves."""
    DIFFER = "differ"
    """Proved to be different: the slope is smaller."""
    OPEN = "open"
    """The brackets overlap and are too wide."""


_MEANING = {
    Exactness.COINCIDE: "slope and constant coincide: at order 1 the worst expected value is nominal + radius * constant for "
    "every radius (of a loss: where no other label of the data has a larger constant)",
    Exactness.DIFFER: "the slope is smaller than the constant: at order 1 and large radii the worst expected value stays below "
    "nominal + radius * constant",
    Exactness.OPEN: "the brackets do not tell whether slope and constant coincide",
}

_LISTED = 6
"""Most functionals that a sentence names."""


def compare(constant: Bracket, slope: Bracket) -> Exactness:
    """Compare a constant on R^n with its slope, which is never larger.

    Examples
    --------
    >>> from wdaverify.bracket import Bracket
    >>> compare(Bracket(lower=2.0, upper=2.0), Bracket(lower=1.0, upper=1.5)).value
    'differ'
    """
    if slope.upper < constant.lower:
        return Exactness.DIFFER
    close = constant.upper - slope.lower <= constant.gap * max(1.0, abs(constant.upper))
    return Exactness.COINCIDE if close else Exactness.OPEN


def sentences(constants: Sequence[LipschitzConstant]) -> list[str]:
    """What the slopes of constants on R^n mean for certificates, one sentence for each of the three cases."""
    names: dict[Exactness, list[str]] = {case: [] for case in Exactness}
    for constant in constants:
        if constant.slope is not None:
            names[compare(constant.value, constant.slope.value)].append(constant.functional)
    return [f"{_listed(names[case])}: {text}" for case, text in _MEANING.items() if names[case]]


def _listed(names: Sequence[str]) -> str:
    """The names with commas between; of many the first."""
    rest = len(names) - _LISTED
    return ", ".join(names) if rest <= 0 else f"{', '.join(names[:_LISTED])} and {rest} more"
