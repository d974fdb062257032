"""Numbers as people read them: few digits, and ends of brackets never rounded inwards.

A float64 counts as the decimal that the JSON writes for it, the shortest that brings the same float64 back: 0.1 is 0.1.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

MISSING = "\u2013"
"""Stands where there is no value."""

_ALL = 17
"""Significant digits that tell every two float64 apart."""

_PLAIN = range(-5, 12)
"""Decimal exponents that are written without a power of ten."""


def shown(value: float | str | None, digits: int = 6) -> str:
    """A number to the nearest of so many significant digits.

    Examples
    --------
    >>> shown(1 / 3), shown(2.0), shown("inf"), shown(None) == MISSING, shown(1e-9), shown(float("nan"))
    ('0.333333', '2', '∞', True, '1e-9', 'not a number')
    """
    return _written(value, digits, ROUND_HALF_EVEN)


def exactly(value: float | str) -> str:
    """A number with all its digits: a statement about a radius does not hold for a larger one.

    >>> exactly(0.123456789), exactly(0.5)
    ('0.123456789', '0.5')
    """
    return _written(value, _ALL, ROUND_HALF_EVEN)


def shown_down(value: float | str | None, digits: int = 9) -> str:
    """A number that is not above the value.

    >>> shown_down(2 / 3, 3), shown_down(-2 / 3, 3)
    ('0.666', '-0.667')
    """
    return _written(value, digits, ROUND_FLOOR)


def shown_up(value: float | str | None, digits: int = 9) -> str:
    """A number that is not below the value.

    >>> shown_up(2 / 3, 3)
    '0.667'
    """
    return _written(value, digits, ROUND_CEILING)


def shown_bracket(lower: float | str, upper: float | str) -> str:
    """Both ends, or one number where they are the same.

    >>> shown_bracket(0.25, 0.25), shown_bracket(0.0, "inf")
    ('0.25', '[0, ∞]')
    """
    ends = shown_down(lower), shown_up(upper)
    return ends[0] if ends[0] == ends[1] else f"[{ends[0]}, {ends[1]}]"


def percent(value: float | str, rounding: str = ROUND_HALF_EVEN) -> str:
    r"""A share in hundredths, with two decimals.

    >>> percent(0.5), percent(2 / 3, ROUND_FLOOR), percent(2 / 3, ROUND_CEILING)
    ('50\xa0%', '66.66\xa0%', '66.67\xa0%')
    """
    number = float(value)
    if not math.isfinite(number):
        return shown(number)
    rounded = (100 * Decimal(repr(number))).quantize(Decimal("0.01"), rounding=rounding)
    return f"{_trimmed(f'{rounded:f}')}\u00a0%"


def percent_bracket(lower: float | str, upper: float | str) -> str:
    r"""A bracket of shares: one number where both round to it, else the ends, rounded outwards.

    >>> percent_bracket(0.76657455, 0.766574584), percent_bracket(0.2, 0.31)
    ('76.66\xa0%', '20\xa0% to 31\xa0%')
    """
    middle = percent(lower)
    if middle == percent(upper) and float(upper) - float(lower) < 1e-4:
        return middle
    return f"{percent(lower, ROUND_FLOOR)} to {percent(upper, ROUND_CEILING)}"


def finite(value: float | str | None) -> float | None:
    """The value if a plot can show it."""
    number = math.nan if value is None else float(value)
    return number if math.isfinite(number) else None


def seconds(value: float) -> str:
    """A duration in words.

    >>> seconds(0.02), seconds(12.34), seconds(75), seconds(7384)
    ('0.02 s', '12.3 s', '1 min 15 s', '2 h 3 min')
    """
    if value < 60:
        return f"{shown(value, 3)} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _written(value: float | str | None, digits: int, rounding: str) -> str:
    """A rounded number without needless zeros."""
    if value is None:
        return MISSING
    number = float(value)
    if math.isnan(number):
        return "not a number"
    if math.isinf(number):
        return "∞" if number > 0 else "-∞"
    rounded = Context(prec=digits, rounding=rounding).plus(Decimal(repr(number)))
    if rounded == 0:
        return "0"
    if rounded.adjusted() in _PLAIN:
        return _trimmed(f"{rounded:f}")
    mantissa, _, exponent = f"{rounded:e}".partition("e")
    return f"{_trimmed(mantissa)}e{int(exponent)}"


def _trimmed(digits: str) -> str:
    """Without zeros at the end of the decimals."""
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
