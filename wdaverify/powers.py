"""Powers of rationals, exact where that is possible and between directed roundings otherwise."""

from __future__ import annotations

import decimal
import math
from fractions import Fraction

MAX_EXACT_ORDER = 64
"""Integer orders up to this one are computed without any rounding; the numbers stay below a few thousand digits."""

_DIGITS = 60
"""Decimal digits of other powers: far beyond float64, so that only an exact tie could notice the rounding."""

_RELATIVE = Fraction(1, 10 ** (_DIGITS - 2))
"""More than the relative error of one correctly rounded operation at that precision."""

_LARGEST_EXPONENT = 5000
"""Powers beyond ``e^5000`` or below ``e^-5000`` are replaced by a bound: no float64 mass can pay for the first."""


def power_bracket(base: Fraction, order: float | Fraction) -> tuple[Fraction, Fraction | None]:
    """Bracket ``base ** order`` between rationals.

    Parameters
    ----------
    base
        Positive.
    order
        Positive and finite.

    Returns
    -------
    low, high
        ``low <= base ** order <= high``; ``high`` is ``None`` where the power exceeds ``e^5000``. Both ends are exact
        for integer orders up to `MAX_EXACT_ORDER`. Otherwise ``exp(order * ln(base))`` is computed in decimal
        arithmetic of 60 digits, whose `ln` and `exp` are correctly rounded, and widened by a bound of the error.

    Examples
    --------
    >>> power_bracket(Fraction(2, 3), 3.0)
    (Fraction(8, 27), Fraction(8, 27))
    >>> low, high = power_bracket(Fraction(2), 1.5)
    >>> low ** 2 < 8 < high ** 2, high - low < Fraction(1, 10 ** 50)
    (True, True)
    """
    if base == 1:
        return Fraction(1), Fraction(1)
    if order == math.floor(order) and order <= MAX_EXACT_ORDER:
        exact = base ** int(order)
        return exact, exact
    context = decimal.Context(prec=_DIGITS, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[decimal.InvalidOperation])
    quotient = context.divide(decimal.Decimal(base.numerator), decimal.Decimal(base.denominator))
    logarithm, exact_order = Fraction(context.ln(quotient)), Fraction(order)
    # The quotient is off by a factor 1 + e, |e| <= 10^-59, its logarithm by e + 10^-59 |ln|.
    error = exact_order * (1 + abs(logarithm)) * _RELATIVE
    exponent = exact_order * logarithm
    high = _exp(min(max(exponent + error, Fraction(-_LARGEST_EXPONENT)), Fraction(_LARGEST_EXPONENT)), context) * (1 + _RELATIVE)
    low = _exp(min(exponent - error, Fraction(_LARGEST_EXPONENT)), context) * (1 - _RELATIVE)
    return low, None if exponent + error > _LARGEST_EXPONENT else high


def _exp(exponent: Fraction, context: decimal.Context) -> Fraction:
    """``exp`` to a relative error below `_RELATIVE`; 0 below the smallest exponent."""
    if exponent < -_LARGEST_EXPONENT:
        return Fraction(0)
    # The argument is below 5000 in size: rounding it to 60 digits would move exp by up to 10^-56, more than `_RELATIVE`.
    wide = context.copy()
    wide.prec = _DIGITS + 8
    argument = wide.divide(decimal.Decimal(exponent.numerator), decimal.Decimal(exponent.denominator))
    return Fraction(wide.exp(argument))
