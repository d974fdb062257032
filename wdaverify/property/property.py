"""A property: a union of polyhedra over (input, output) pairs, in exact rationals.

A property describes the pairs (x, y) that are looked for, in VNN-COMP the unsafe ones: it is *sat* for a network f when
some x has ``(x, f(x))`` in the union, *unsat* otherwise.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import Vector


@dataclass(frozen=True, slots=True)
class LinearRow:
    """The half-space ``sum_k c_k v_k + offset >= 0``, or ``> 0`` if it is strict.

    Parameters
    ----------
    coefficients
        Pairs (k, c_k), by ascending k, every c_k nonzero. With none, the row is the constant statement about `offset`.
    offset
        The constant term.
    strict
        Whether the boundary is left out.

    Examples
    --------
    >>> row = LinearRow(((0, Fraction(1)), (2, Fraction(-1, 3))), Fraction(0), strict=True)
    >>> row.value([1, 5, 3]), row.holds([1, 5, 3]), row.holds([1, 5, 2])
    (Fraction(0, 1), False, True)
    """

    coefficients: tuple[tuple[int, Fraction], ...]
    offset: Fraction
    strict: bool = False

    def value(self, point: Sequence[Fraction | float]) -> Fraction:
        """The left-hand side at a point, exactly; floats count as the rationals that they are."""
        return sum((c * Fraction(point[k]) for k, c in self.coefficients), self.offset)

    def holds(self, point: Sequence[Fraction | float]) -> bool:
        """Whether the point satisfies the row, decided exactly."""
        value = self.value(point)
        return value > 0 if self.strict else value >= 0


@dataclass(frozen=True, slots=True)
class Disjunct:
    """One polyhedron: an input box with rows over the inputs and rows over the outputs, all of which must hold.

    Parameters
    ----------
    lower, upper
        The closed box, length n. Disjuncts of one property with the same box share these tuples. An input that is bounded
        strictly has its end here and, beside it, a strict row with that one coefficient in `input_rows`.
    input_rows
        Rows over the inputs; the box is not repeated in them.
    output_rows
        Rows over the outputs.

    Examples
    --------
    >>> half = Fraction(1, 2)
    >>> disjunct = Disjunct((-half,), (half,), (), (LinearRow(((0, Fraction(1)),), -half),))
    >>> disjunct.holds([0], [half]), disjunct.holds([0], [Fraction(1, 3)]), disjunct.holds([1], [1])
    (True, False, False)
    """

    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]
    input_rows: tuple[LinearRow, ...] = ()
    output_rows: tuple[LinearRow, ...] = ()

    def holds(self, x: Sequence[Fraction | float], y: Sequence[Fraction | float]) -> bool:
        """Whether the pair lies in the polyhedron, decided exactly, strict rows as such."""
        return (
            all(row.holds(y) for row in self.output_rows)
            and all(row.holds(x) for row in self.input_rows)
            and all(low <= Fraction(v) <= high for low, v, high in zip(self.lower, x, self.upper, strict=True))
        )

    @property
    def empty_coordinate(self) -> int | None:
        """The first input whose own bounds leave it no value, strict ones included; None if there is none."""
        crossed = next((k for k, (low, high) in enumerate(zip(self.lower, self.upper, strict=True)) if low > high), None)
        if crossed is not None:
            return crossed
        strict = {row.coefficients[0][0] for row in self.input_rows if row.strict and len(row.coefficients) == 1}
        return min((k for k in strict if self.lower[k] == self.upper[k] and not self._strict_rows_hold(k)), default=None)

    @property
    def empty(self) -> bool:
        """Whether a single input's bounds, or a row without variables, rule out every pair.

        A polyhedron can be empty for deeper reasons (rows that contradict each other); then this is False.
        """
        constant = (row for row in (*self.input_rows, *self.output_rows) if not row.coefficients)
        return self.empty_coordinate is not None or not all(row.holds(()) for row in constant)

    def outer_box(self) -> tuple[Vector, Vector]:
        """The smallest float64 box that contains the box: ends (n,) rounded outward, in crossed order if the box is empty.

        Examples
        --------
        >>> low, high = Disjunct((Fraction(1, 10),), (Fraction(1, 10),)).outer_box()
        >>> Fraction(float(low[0])) < Fraction(1, 10) < Fraction(float(high[0]))
        True
        """
        return np.array([float_below(v) for v in self.lower]), np.array([float_above(v) for v in self.upper])

    def inner_box(self) -> tuple[Vector, Vector] | None:
        """The largest float64 box whose float64 points keep every bound of a single input, the strict ones as well.

        Returns
        -------
        tuple of arrays (n,), or None
            None if a coordinate admits no float64, as ``[1/10, 1/10]`` does not.

        Examples
        --------
        >>> Disjunct((Fraction(1, 10),), (Fraction(1, 10),)).inner_box() is None
        True
        """
        lower, upper = [float_above(v) for v in self.lower], [float_below(v) for v in self.upper]
        for row in self.input_rows:
            if row.strict and len(row.coefficients) == 1:
                k, c = row.coefficients[0]
                end = -row.offset / c
                if c > 0 and Fraction(lower[k]) <= end:
                    lower[k] = math.nextafter(float_below(end), math.inf)
                elif c < 0 and Fraction(upper[k]) >= end:
                    upper[k] = math.nextafter(float_above(end), -math.inf)
        if any(low > high for low, high in zip(lower, upper, strict=True)):
            return None
        return np.array(lower), np.array(upper)

    def _strict_rows_hold(self, k: int) -> bool:
        """Whether the strict rows of input `k` alone hold at its lower end."""
        alone = (row for row in self.input_rows if row.strict and len(row.coefficients) == 1 and row.coefficients[0][0] == k)
        return all(c * self.lower[k] + row.offset > 0 for row in alone for _, c in row.coefficients)


@dataclass(frozen=True, slots=True)
class PropertySource:
    """The file that a property came from, and the digest of its text (unpacked if the file is a ``.gz``)."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Property:
    """The union of the disjuncts, over `inputs` input and `outputs` output variables.

    Parameters
    ----------
    disjuncts
        At least one; those that are plainly empty are kept (`Disjunct.empty`).
    inputs, outputs
        Numbers n and K of variables.
    source
        The file that the property came from.
    warnings
        What the user should hear about a property that can be read but hardly means what it says: one line each.

    Examples
    --------
    >>> unit = Disjunct((Fraction(0),), (Fraction(1),), (), (LinearRow(((0, Fraction(1)),), Fraction(-2), strict=True),))
    >>> Property((unit,), 1, 1).holds([0.5], [2.0])
    False
    """

    disjuncts: tuple[Disjunct, ...]
    inputs: int
    outputs: int
    source: PropertySource | None = None
    warnings: tuple[str, ...] = ()

    def holds(self, x: Sequence[Fraction | float], y: Sequence[Fraction | float]) -> bool:
        """Whether the pair lies in some disjunct, decided exactly; floats count as the rationals that they are.

        Raises
        ------
        ValueError
            If a length is wrong or a number is NaN.
        OverflowError
            If a number is infinite.
        """
        if (len(x), len(y)) != (self.inputs, self.outputs):
            raise ValueError(f"the pair has lengths {len(x)} and {len(y)}, the property is over {self.inputs} and {self.outputs}")
        exact_x, exact_y = [Fraction(v) for v in x], [Fraction(v) for v in y]
        return any(disjunct.holds(exact_x, exact_y) for disjunct in self.disjuncts)

    def __str__(self) -> str:
        name = "property" if self.source is None else self.source.file
        noun = "disjunct" if len(self.disjuncts) == 1 else "disjuncts"
        return f"{name}: {len(self.disjuncts)} {noun} over {self.inputs} inputs and {self.outputs} outputs"


def float_below(value: Fraction) -> float:
    """The largest float64 that is not above `value`; ``-inf`` below all finite ones.

    Examples
    --------
    >>> float_below(Fraction(1, 10)) < 0.1 == float_above(Fraction(1, 10))
    True
    """
    try:
        nearest = float(value)
    except OverflowError:
        return sys.float_info.max if value > 0 else -math.inf
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)


def float_above(value: Fraction) -> float:
    """The smallest float64 that is not below `value`; ``inf`` above all finite ones."""
    return -float_below(-value)
