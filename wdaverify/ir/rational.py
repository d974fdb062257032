"""Arrays of rationals as integers over one common denominator.

A float64 is ``m * 2^e``. Scaling a whole array by one power of two turns it into Python integers, on which NumPy's
object arrays compute exactly and without the gcd that makes `fractions.Fraction` slow.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from wdaverify._types import ObjectArray, Vector

_MANTISSA_BITS = 53


def dyadic(arrays: Sequence[Vector]) -> tuple[list[ObjectArray], int]:
    """Write finite float64 arrays as integers over one common power of two.

    Returns
    -------
    numerators, denominator
        With ``arrays[k] == numerators[k] / denominator`` exactly; the denominator is a power of two, at least 1.

    Examples
    --------
    >>> numerators, denominator = dyadic([np.array([0.75, -2.0])])
    >>> numerators[0].tolist(), denominator
    ([3, -8], 4)
    """
    split = [np.frexp(np.asarray(a, dtype=np.float64)) for a in arrays]
    mantissas = [np.ldexp(m, _MANTISSA_BITS).astype(np.int64) for m, _ in split]
    exponents = [e.astype(np.int64) - _MANTISSA_BITS for _, e in split]
    for m, e in zip(mantissas, exponents, strict=True):
        _strip_trailing_zeros(m, e)
    lowest = min((int(e[m != 0].min()) for m, e in zip(mantissas, exponents, strict=True) if np.any(m != 0)), default=0)
    lowest = min(lowest, 0)
    numerators = []
    for m, e in zip(mantissas, exponents, strict=True):
        shift = np.where(m != 0, e - lowest, 0)
        numerators.append(
            np.array([int(a) << int(s) for a, s in zip(m.flat, shift.flat, strict=True)], dtype=object).reshape(m.shape)
        )
    return numerators, 1 << -lowest


def _strip_trailing_zeros(mantissa: np.ndarray, exponent: np.ndarray) -> None:
    """Make each nonzero mantissa odd, in place: the common denominator is then as small as it can be."""
    for bits in (32, 16, 8, 4, 2, 1):
        even = (mantissa != 0) & (mantissa & ((1 << bits) - 1) == 0)
        mantissa[even] >>= bits
        exponent[even] += bits


def common_denominator(groups: Sequence[Sequence[Fraction]], *, most_bits: float = math.inf) -> tuple[list[ObjectArray], int]:
    """Write groups of fractions as integers over their least common denominator.

    Raises
    ------
    OverflowError
        If the integers might take more than `most_bits`: the denominator's bits for each.
    """
    denominator, count = 1, sum(map(len, groups))
    for other in {q.denominator for group in groups for q in group}:
        denominator = math.lcm(denominator, other)
        if denominator.bit_length() * count > most_bits:
            raise OverflowError("the common denominator is too large")
    return [
        np.array([q.numerator * (denominator // q.denominator) for q in group], dtype=object) for group in groups
    ], denominator


def quotients(numerators: ObjectArray, denominators: ObjectArray | int) -> Vector:
    """The nearest float64 to each quotient of integers; infinite beyond the range of floats.

    Examples
    --------
    >>> quotients(np.array([1, -(10**400)], dtype=object), 4).tolist()
    [0.25, -inf]
    """
    return np.asarray(_quotient(numerators, denominators), dtype=np.float64)


def _nearest(numerator: int, denominator: int) -> float:
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf if (numerator > 0) == (denominator > 0) else -math.inf


_quotient = np.frompyfunc(_nearest, 2, 1)
