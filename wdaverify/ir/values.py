"""Exact arithmetic on arrays of rationals that are floats wherever possible.

An array of *values* is either float64, and then every float is the number itself, or an object array of
`fractions.Fraction`. The functions here compute in float64 and prove, elementwise, that nothing was rounded:
TwoSum and TwoProduct (Knuth; Dekker 1971, "A floating-point technique for extending the available precision") give the
rounding error of a sum and of a product as floats. Where any error is not zero the operation is done in fractions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wdaverify._types import BoolArray, IntArray, ObjectArray, Vector

Values: TypeAlias = "NDArray[Any]"
"""float64 (exact as it stands) or object (`Fraction`)."""

_DOUBLE_DIGITS = 53
_SPLITTER = 2.0**27 + 1.0
_SAFE_EXPONENT = 450
"""Factors between 2^-450 and 2^450: neither the product nor its error term leaves the normal range."""


def is_float(values: Values) -> bool:
    """Whether the values are held as float64."""
    return bool(values.dtype == np.float64)


def to_fractions(values: Values) -> ObjectArray:
    """The same numbers as an object array of fractions."""
    if not is_float(values):
        return values
    result = np.empty(values.shape, dtype=object)
    result.ravel()[:] = [Fraction(v) for v in values.ravel().tolist()]
    return result


def simplify(values: Values) -> Values:
    """float64 if that holds every value, unchanged otherwise.

    >>> simplify(np.array([Fraction(1, 2), Fraction(3)])).tolist()
    [0.5, 3.0]
    """
    if is_float(values):
        return values
    result = np.empty(values.shape, dtype=np.float64)
    flat = result.ravel()
    for k, value in enumerate(values.ravel()):
        try:
            flat[k] = float(value)
        except OverflowError:
            return values
        if Fraction(float(flat[k])) != value:
            return values
    return result


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """A binary floating-point type: bits of its significand, exponent of its least positive number, largest number."""

    digits: int
    least: int
    largest: float


def rounded(values: Values, target: FloatFormat) -> Values:
    """The nearest numbers of a type, ties to even, infinite beyond its range (IEEE 754-2019, section 4.3.1).

    A number in ``[2^e, 2^(e+1))`` goes to the nearest multiple of its ulp ``2^max(e + 1 - digits, least)``.

    >>> float32 = FloatFormat(24, -149, float(np.finfo(np.float32).max))
    >>> rounded(np.array([1 + 2.0**-30, 1e300]), float32).tolist()
    [1.0, inf]
    """
    if is_float(values):
        if target.digits >= _DOUBLE_DIGITS:
            return values
        ulp = np.maximum(np.frexp(values)[1] - target.digits, target.least)
        with np.errstate(over="ignore"):
            result = np.ldexp(np.rint(np.ldexp(values, -ulp)), ulp)  # scaling by a power of two is exact
    else:
        result = np.array([_nearest(v, target) for v in values.ravel()], dtype=np.float64).reshape(values.shape)
    limited: Values = np.where(np.abs(result) > target.largest, np.copysign(np.inf, result), result)
    return limited


def _nearest(value: Fraction, target: FloatFormat) -> float:
    exponent = abs(value.numerator).bit_length() - value.denominator.bit_length()
    exponent -= abs(value) < Fraction(2) ** exponent  # now 2^exponent <= |value| < 2^(exponent + 1)
    ulp = Fraction(2) ** max(exponent + 1 - target.digits, target.least)
    try:
        return float(round(value / ulp) * ulp)  # Python rounds fractions half to even
    except OverflowError:
        return math.copysign(math.inf, value)


def join(parts: Sequence[Values]) -> Values:
    """Concatenate one-dimensional values."""
    if all(is_float(p) for p in parts):
        return np.concatenate([np.zeros(0), *parts])
    return np.concatenate([to_fractions(p) for p in parts])


def product(a: Values, b: Values) -> Values:
    """``a * b`` with broadcasting, exact."""
    if is_float(a) and is_float(b):
        with np.errstate(over="ignore", under="ignore"):
            result = a * b
        if _exact_products(a, b, result).all():
            return result
    return simplify(to_fractions(a) * to_fractions(b))


def accumulate(groups: IntArray, values: Values, size: int) -> Values:
    """``result[g] = sum of values[k] over groups[k] == g``, exact.

    >>> accumulate(np.array([0, 2, 2]), np.array([1.0, 0.1, 0.2]), 3)[2] == Fraction(0.1) + Fraction(0.2)
    True
    """
    counts = np.bincount(groups, minlength=size)
    if is_float(values) and counts.max(initial=0) <= 1:
        result = np.zeros(size)
        result[groups] = values
        return result
    if is_float(values) and counts.max() == 2:
        return _accumulate_pairs(groups, values, size)
    return _accumulate_fractions(groups, values, size)


def _accumulate_pairs(groups: IntArray, values: Vector, size: int) -> Values:
    """Groups of at most two floats: one TwoSum each."""
    order = np.argsort(groups, kind="stable")
    first = np.ones(len(groups), dtype=bool)
    first[1:] = groups[order][1:] != groups[order][:-1]
    a, b = np.zeros(size), np.zeros(size)
    a[groups[order][first]] = values[order][first]
    b[groups[order][~first]] = values[order][~first]
    with np.errstate(over="ignore", invalid="ignore"):
        total = a + b
        virtual = total - a
        error = (a - (total - virtual)) + (b - virtual)
    if np.isfinite(total).all() and not error.any():
        return total
    return _accumulate_fractions(groups, values, size)


def _accumulate_fractions(groups: IntArray, values: Values, size: int) -> Values:
    result = np.full(size, Fraction(0), dtype=object)
    for group, value in zip(groups.tolist(), to_fractions(values), strict=True):
        result[group] += value
    return simplify(result)


def _exact_products(a: Vector, b: Vector, result: Vector) -> BoolArray:
    """Where TwoProduct proves that ``result = a * b`` was not rounded; zeros are exact."""
    with np.errstate(over="ignore", invalid="ignore"):
        (ah, al), (bh, bl) = _split(a), _split(b)
        error = al * bl - (((result - ah * bh) - al * bh) - ah * bl)
    exact: BoolArray = ((error == 0.0) & _safe(a) & _safe(b)) | (a == 0.0) | (b == 0.0)
    return exact


def _safe(values: Vector) -> BoolArray:
    magnitude = np.abs(values)
    safe: BoolArray = (magnitude > 2.0**-_SAFE_EXPONENT) & (magnitude < 2.0**_SAFE_EXPONENT)
    return safe


def _split(values: Vector) -> tuple[Vector, Vector]:
    """Veltkamp: two halves of at most 26 bits that add up to the value."""
    scaled = _SPLITTER * values
    high = scaled - (scaled - values)
    return high, values - high
