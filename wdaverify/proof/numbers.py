"""Numbers as proofs write them: short dyadics, and the roundings of the judge (../shared proof format, "Numbers").

A dyadic is ``m 2^e`` with integers m and e. Every float64 is one, and so is every slope and multiplier of a proof.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROOM, _SHORT = Fraction(1, 1 << 90), 120
"""Relative room and significant bits of `nearby`."""

_DIGITS = 10**17
"""Integers below this are written as such."""


def written(value: Fraction | float) -> int | str:
    """The JSON form of a finite number: an integer, a C hex float without trailing zeros, or ``p/q``.

    Examples
    --------
    >>> written(3.0), written(0.75), written(Fraction(-1, 3))
    (3, '0x1.8p-1', '-1/3')
    """
    number = Fraction(value)
    if number.denominator == 1 and abs(number) < _DIGITS:
        return int(number)
    try:
        nearest = float(number)
    except OverflowError:
        nearest = math.inf
    if math.isfinite(nearest) and Fraction(nearest) == number:
        mantissa, exponent = nearest.hex().split("p")
        return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}p{exponent}"
    return str(number)


def packed(values: Mapping[int, Fraction | float]) -> list[Any]:
    """A packed list ``[q, [id, v, ...]]``, ascending ids: dyadic values are ``v / 2^q`` with integers v, others strings.

    Examples
    --------
    >>> packed({3: 0.75, 1: 2.0})
    [2, [1, 8, 3, 3]]
    >>> packed({0: 0.5, 2: Fraction(1, 3)})
    [1, [0, 1, 2, '1/3']]
    """
    exact = {k: Fraction(values[k]) for k in sorted(values)}
    dyadic = {k for k, v in exact.items() if v.denominator & (v.denominator - 1) == 0}
    bits = max((exact[k].denominator.bit_length() - 1 for k in dyadic), default=0)
    flat: list[Any] = []
    for k, v in exact.items():
        scaled = v.numerator << (bits - v.denominator.bit_length() + 1) if k in dyadic else None
        flat += [k, scaled if scaled is not None and abs(scaled) < 1 << 63 else written(v)]
    return [bits, flat]


def rounded32(value: Fraction, *, up: bool) -> Fraction:
    """The nearest number with 32 significant bits above (or below) a rational.

    Examples
    --------
    >>> rounded32(Fraction(3, 4), up=True) == Fraction(3, 4), rounded32(Fraction(1, 3), up=False) < Fraction(1, 3)
    (True, True)
    """
    return outward(value, 32, up=up)


def outward(value: Fraction, bits: int, *, up: bool) -> Fraction:
    """The nearest number with so many significant bits that is not below (or not above) a rational."""
    p, q = abs(value.numerator), value.denominator
    if p.bit_length() <= bits and q & (q - 1) == 0:
        return value
    shift = p.bit_length() - q.bit_length() - bits
    while True:
        whole, rest = divmod(p << max(-shift, 0), q << max(shift, 0))
        if whole.bit_length() <= bits:
            break
        shift += 1
    if rest and (value > 0) == up:
        whole += 1
    whole = whole if value > 0 else -whole
    return Fraction(whole << shift) if shift >= 0 else Fraction(whole, 1 << -shift)


def nearby(value: Fraction, *, up: bool) -> Fraction:
    """A short number a little above (or below) a real one, with room for what a judge's exponentials lose.

    Examples
    --------
    >>> float(nearby(Fraction(1, 3), up=True)), nearby(Fraction(1), up=False) < 1
    (0.3333333333333333, True)
    """
    moved = value + abs(value) * (_ROOM if up else -_ROOM)
    return outward(moved, _SHORT, up=up)
