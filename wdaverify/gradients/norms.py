"""Dual norms of exact gradients, rounded to a side."""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._types import Norm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import Vector

_BITS = 128
"""Bits of the integer square root: far more than a float64 holds."""


def dual_norm_ends(numerators: Sequence[int], denominator: int, norm: Norm) -> tuple[float, float]:
    """The dual norm of a rational gradient between two neighbouring floats (or one, where it is a float).

    Beyond the range of floats the ends are the largest one and infinity.

    Parameters
    ----------
    numerators, denominator
        The gradient (n,), over one positive denominator.
    norm
        Of the inputs.

    Examples
    --------
    >>> dual_norm_ends([3, -4], 1, Norm.L2), dual_norm_ends([3, -4], 2, Norm.LINF)
    ((5.0, 5.0), (3.5, 3.5))
    >>> low, high = dual_norm_ends([1, 1], 1, Norm.L2)
    >>> high == math.nextafter(low, 2.0), Fraction(low) ** 2 < 2 < Fraction(high) ** 2
    (True, True)
    """
    sizes = [abs(v) for v in numerators]
    if norm is not Norm.L2:
        value = Fraction(sum(sizes) if norm is Norm.LINF else max(sizes, default=0), denominator)
        return _down(value), _up(value)
    square = Fraction(sum(v * v for v in sizes), denominator * denominator)
    low = _root_down(square)
    return low, low if Fraction(low) ** 2 == square else math.nextafter(low, math.inf)


def float_norms(vectors: Vector, norm: Norm) -> Vector:
    """The dual norms (...) of float vectors (..., n), each within ``gamma_(n+8)`` of itself plus the smallest normal float.

    No square over- or underflows: vectors are scaled by powers of two.

    Examples
    --------
    >>> float_norms(np.array([[3e-200, -4e-200], [0.0, 0.0]]), Norm.L2).tolist()
    [5e-200, 0.0]
    """
    if norm is not Norm.L2:
        sizes: Vector = np.linalg.norm(vectors, ord=norm.dual.order, axis=-1)
        return sizes
    exponents = np.frexp(np.abs(vectors).max(axis=-1, initial=0.0))[1]
    return np.asarray(np.ldexp(np.linalg.norm(np.ldexp(vectors, -exponents[..., None]), axis=-1), exponents))


def _down(value: Fraction) -> float:
    nearest = _nearest(value)
    return nearest if nearest <= value else math.nextafter(nearest, -math.inf)


def _up(value: Fraction) -> float:
    nearest = _nearest(value)
    return nearest if nearest >= value else math.nextafter(nearest, math.inf)


def _nearest(value: Fraction) -> float:
    """The nearest float to a nonnegative rational, the largest one beyond their range."""
    try:
        return float(value)
    except OverflowError:
        return sys.float_info.max


def _root_down(square: Fraction) -> float:
    """The largest float that is at most the square root of a nonnegative rational."""
    shift = _BITS - square.numerator.bit_length() // 2 + square.denominator.bit_length() // 2
    shift = max(shift, 0)
    scaled = (square.numerator << (2 * shift)) // square.denominator
    low = _down(Fraction(math.isqrt(scaled), 1 << shift))
    above = math.nextafter(low, math.inf)
    return above if math.isfinite(above) and Fraction(above) ** 2 <= square else low
