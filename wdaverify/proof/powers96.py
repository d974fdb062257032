"""Powers of rationals as the judge rounds them: to multiples of 2^-96, by integer roots."""

from __future__ import annotations

from fractions import Fraction

_BITS = 96


def rational_order(order: float) -> Fraction | None:
    """A finite order p as the ratio that the judge can take powers with: denominator up to 64, numerator up to 1024.

    Examples
    --------
    >>> rational_order(1.5), rational_order(0.1)
    (Fraction(3, 2), None)
    """
    exact = Fraction(order)
    return exact if exact.denominator <= 64 and exact >= 1 and exact.numerator <= 1024 else None


def power(base: Fraction, order: Fraction, *, up: bool) -> Fraction:
    """``base ^ order``, rounded down or up to a multiple of 2^-96.

    Examples
    --------
    >>> power(Fraction(9, 4), Fraction(3, 2), up=False)
    Fraction(27, 8)
    """
    p, q = order.numerator, order.denominator
    raised = base**p * (1 << (_BITS * q))
    whole = raised.numerator // raised.denominator
    root = _root(whole, q)
    exact = root**q == whole and whole == raised
    return Fraction(root + (1 if up and not exact else 0), 1 << _BITS)


def _root(n: int, q: int) -> int:
    """The largest r with ``r^q <= n``: Newton's iteration from above."""
    if q == 1 or n < 2:
        return n
    r = 1 << -(-n.bit_length() // q)
    while True:
        better = ((q - 1) * r + n // r ** (q - 1)) // q
        if better >= r:
            return r
        r = better
