"""Constraints on a point that a box cannot say, and the exact decision whether a point satisfies them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from wdaverify._types import BoolArray, Matrix, Vector


@dataclass(frozen=True, slots=True, eq=False)
class Constraints:
    """What a box cannot say about a point of n features.

    Attributes
    ----------
    integer
        Which features are whole numbers, (n,); those of one-hot groups are.
    one_hot
        Disjoint groups of features.
    rows, limits
        ``rows x <= limits``, shapes (R, n) and (R,), finite.
    """

    integer: BoolArray
    one_hot: tuple[tuple[int, ...], ...]
    rows: Matrix
    limits: Vector

    def inequalities(self) -> tuple[Matrix, Vector]:
        """Everything linear as ``G x + h >= 0``: the rows, and of each group that its sum is at most and at least 1; exact."""
        groups = np.zeros((len(self.one_hot), self.rows.shape[1]))
        for k, group in enumerate(self.one_hot):
            groups[k, list(group)] = 1.0
        ones = np.ones(len(groups))
        return np.concatenate([-self.rows, -groups, groups]), np.concatenate([self.limits, ones, -ones])

    def broken(self, point: Vector) -> str | None:
        """The first constraint that a point (n,) breaks, as a phrase; decided exactly."""
        fractional = np.flatnonzero(self.integer & (point != np.floor(point)))
        if len(fractional):
            k = int(fractional[0])
            return f"feature {k} = {float(point[k])!r} is not a whole number"
        for k, group in enumerate(self.one_hot):
            values = point[list(group)]
            if np.count_nonzero(values == 1.0) != 1 or np.count_nonzero(values == 0.0) != len(group) - 1:
                return f"the one-hot group {k} (features {', '.join(map(str, group))}) has the values {values.tolist()}"
        broken = self.broken_row(point)
        if broken is None:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            value = float(np.dot(self.rows[broken], point))
        return f"row {broken} has the value {value!r}, above its limit {float(self.limits[broken])!r}"

    def broken_row(self, point: Vector) -> int | None:
        """The first row above its limit; rational arithmetic decides where floats could err."""
        with np.errstate(over="ignore", invalid="ignore"):
            excess = self.rows @ point - self.limits
            doubt = _DOUBT * (len(point) + 8) * (np.abs(self.rows) @ np.abs(point) + np.abs(self.limits)) + _SMALLEST
            unsure = np.flatnonzero(~(excess < -doubt))
        for k in unsure.tolist():
            support = np.flatnonzero(self.rows[k])
            if self.breaks_row(k, point[support]):
                return k
        return None

    def breaks_row(self, k: int, values: Vector) -> bool:
        """Whether the features with a coefficient in row k, at these values, exceed its limit; in rational arithmetic."""
        coefficients = self.rows[k][self.rows[k] != 0].tolist()
        value = sum((Fraction(a) * Fraction(v) for a, v in zip(coefficients, values.tolist(), strict=True)), Fraction(0))
        return value > Fraction(float(self.limits[k]))


_DOUBT = 2.0**-51
"""Times the number of terms and their size: more than the rounding of a dot product."""

_LEAST_WEIGHT = 1e-60
"""Weights and their squares stay far from the ends of the range of floats."""

_SMALLEST = 1e-290
"""More than what underflows in a dot product."""


def mask(values: ArrayLike | None, n: int, name: str) -> BoolArray:
    """One boolean per feature; none is set if no values are given."""
    array = np.zeros(n, dtype=np.bool_) if values is None else np.asarray(values)
    if array.shape != (n,):
        raise DomainError(f"{name} has shape {array.shape}; give one value per feature, shape ({n},)")
    if array.dtype.kind not in "biuf" or not ((array == 0) | (array == 1)).all():
        bad = array[(array != 0) & (array != 1)] if array.dtype.kind in "iuf" else array
        raise DomainError(f"{name} has the value {bad[0]!s}; give 0 or 1 per feature")
    return np.array(array, dtype=np.bool_)


def reals(values: ArrayLike, name: str) -> Vector:
    """Finite float64 numbers."""
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DomainError(f"{name} are not an array of numbers") from None
    if not np.isfinite(array).all():
        place = ", ".join(str(int(k)) for k in np.argwhere(~np.isfinite(array))[0])
        raise DomainError(f"{name}[{place}] is {array[~np.isfinite(array)][0]}, which is not a finite number")
    return array


def positive_weights(values: ArrayLike, n: int) -> Vector:
    """One positive number per feature."""
    array = reals(values, "weights")
    if array.shape != (n,):
        raise DomainError(f"weights have shape {array.shape}; give one per feature, shape ({n},)")
    if (array <= 0).any():
        k = int(np.flatnonzero(array <= 0)[0])
        raise DomainError(f"weights[{k}] is {array[k]:g}; a feature that moves must cost something, one that cannot is frozen")
    extreme = np.flatnonzero((array < _LEAST_WEIGHT) | (array > 1.0 / _LEAST_WEIGHT))
    if len(extreme):
        k = int(extreme[0])
        raise DomainError(f"weights[{k}] is {array[k]:g}; give a number from {_LEAST_WEIGHT:g} to {1.0 / _LEAST_WEIGHT:g}")
    return array


def disjoint_groups(groups: Sequence[Sequence[int]], n: int) -> tuple[tuple[int, ...], ...]:
    """Groups of at least two of the n features, none of them in two."""
    owner: dict[int, int] = {}
    for g, group in enumerate(groups):
        if len(group) < 2:
            raise DomainError(f"the one-hot group {g} has {len(group)} features; give at least two")
        for k in group:
            if not 0 <= k < n:
                raise DomainError(f"the one-hot group {g} names feature {k}, the domain has features 0 to {n - 1}")
            if k in owner:
                raise DomainError(f"feature {k} is named by the one-hot groups {owner[k]} and {g}")
            owner[int(k)] = g
    return tuple(tuple(int(k) for k in group) for group in groups)


def rows_and_limits(rows: ArrayLike | None, limits: ArrayLike | None, n: int) -> tuple[Matrix, Vector]:
    """The coefficients (R, n) and the limits (R,); no row if neither is given."""
    if (rows is None) != (limits is None):
        raise DomainError("rows and limits belong together: give both or neither")
    if rows is None or limits is None:
        return np.zeros((0, n)), np.zeros(0)
    matrix, most = reals(rows, "rows"), reals(limits, "limits")
    if matrix.ndim != 2 or matrix.shape[1] != n:
        raise DomainError(f"rows have shape {matrix.shape}; give one coefficient per feature, shape (R, {n})")
    if most.shape != (len(matrix),):
        raise DomainError(f"limits have shape {most.shape}; give one per row, shape ({len(matrix)},)")
    return matrix, most
