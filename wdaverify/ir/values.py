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
    table, codes = distinct(values)
    fractions = np.empty(len(table), dtype=object)
    fractions[:] = [Fraction(v) for v in table.tolist()]
    return fractions[codes]


def distinct(values: Values) -> tuple[Values, IntArray]:
    """The different numbers of an array and where each stands: ``values == table[codes]``.

    The coefficients of a convolution are few numbers at many places, and what is worked out in fractions is worked out
    once for each number. Fractions are told apart by identity, which is fast; equal ones may be in the table twice.

    >>> distinct(np.array([0.5, 2.0, 0.5]))
    (array([0.5, 2. ]), array([0, 1, 0]))
    """
    flat = values.ravel()
    if is_float(values):
        table, codes = np.unique(flat, return_inverse=True)
    else:
        ids = np.fromiter(map(id, flat), dtype=np.int64, count=len(flat))
        _, first, codes = np.unique(ids, return_index=True, return_inverse=True)
        table = flat[first]
    return table, codes.reshape(values.shape)


def simplify(values: Values) -> Values:
    """float64 if that holds every value, unchanged otherwise.

    >>> simplify(np.array([Fraction(1, 2), Fraction(3)])).tolist()
    [0.5, 3.0]
    """
    if is_float(values):
        return values
    table, codes = distinct(values)
    floats = np.empty(len(table))
    for k, value in enumerate(table):
        try:
            floats[k] = float(value)
        except OverflowError:
            return values
        if Fraction(float(floats[k])) != value:
            return values
    return floats[codes]


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
    (a_table, a_codes), (b_table, b_codes) = distinct(a), distinct(b)
    pairs, codes = np.unique(a_codes * len(b_table) + b_codes, return_inverse=True)
    factors = to_fractions(a_table)[pairs // max(len(b_table), 1)], to_fractions(b_table)[pairs % max(len(b_table), 1)]
    products: Values = simplify(factors[0] * factors[1])[codes.reshape(np.broadcast_shapes(a.shape, b.shape))]
    return products


def accumulate(groups: IntArray, values: Values, size: int) -> Values:
    """``result[g] = sum of values[k] over groups[k] == g``, exact.

    >>> accumulate(np.array([0, 2, 2]), np.array([1.0, 0.1, 0.2]), 3)[2] == Fraction(0.1) + Fraction(0.2)
    True
    """
    if not is_float(values):
        return simplify(_accumulate_fractions(groups, values, size))
    total, exact = _pairwise_sums(groups, values, size)
    if exact.all():
        return total
    rounded = np.flatnonzero(~exact)
    number = np.full(size, -1, dtype=np.int64)
    number[rounded] = np.arange(len(rounded))
    here = number[groups] >= 0
    sums = _sums_by_integers(number[groups[here]], values[here], len(rounded))
    floats = simplify(sums)
    if is_float(floats):
        total[rounded] = floats
        return total
    total[rounded] = 0.0
    result = to_fractions(total)
    result[rounded] = sums
    return result


def _pairwise_sums(groups: IntArray, values: Vector, size: int) -> tuple[Vector, BoolArray]:
    """The sums of groups of floats, neighbours first, and where no TwoSum on the way had an error."""
    order = np.argsort(groups, kind="stable")
    groups, values = groups[order], values[order]
    exact = np.ones(size, dtype=bool)
    while True:
        first = np.flatnonzero(np.diff(groups, prepend=-1))
        if len(first) == len(groups):
            break
        rank = np.arange(len(groups)) - np.repeat(first, np.diff(first, append=len(groups)))
        left = np.flatnonzero(rank % 2 == 0)
        paired = np.append(rank, 0)[left + 1] % 2 == 1
        a, b = values[left], np.where(paired, np.append(values, 0.0)[left + 1], 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            total = a + b
            virtual = total - a
            error = (a - (total - virtual)) + (b - virtual)
        groups, values = groups[left], total
        exact[groups[~(error == 0.0)]] = False  # NaN, where a sum overflows, is an error too
    result = np.zeros(size)
    result[groups] = values
    return result, exact


def _sums_by_integers(groups: IntArray, values: Vector, size: int) -> ObjectArray:
    """Sums of floats ``m 2^e`` as fractions: integers over the least ``2^e`` of each group; every group has a member."""
    if not np.isfinite(values).all():
        raise OverflowError("an infinity has no exact sum")
    order = np.argsort(groups, kind="stable")
    groups = groups[order]
    mantissas, exponents = np.frexp(values[order])
    integers = np.ldexp(mantissas, _DOUBLE_DIGITS).astype(np.int64)
    exponents = exponents.astype(np.int64) - _DOUBLE_DIGITS
    starts = np.searchsorted(groups, np.arange(size))
    least = np.minimum(np.minimum.reduceat(exponents, starts), 0)
    shifted = np.empty(len(groups), dtype=object)
    shifted[:] = [m << s for m, s in zip(integers.tolist(), (exponents - least[groups]).tolist(), strict=True)]
    result = np.empty(size, dtype=object)
    result[:] = [Fraction(n, 1 << -e) for n, e in zip(np.add.reduceat(shifted, starts), least.tolist(), strict=True)]
    return result


def _accumulate_fractions(groups: IntArray, values: ObjectArray, size: int) -> ObjectArray:
    result = np.full(size, Fraction(0), dtype=object)
    alone = np.bincount(groups, minlength=size)[groups] == 1
    result[groups[alone]] = values[alone]
    for group, value in zip(groups[~alone].tolist(), values[~alone], strict=True):
        result[group] += value
    return result


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
