"""The three ops that every supported network is lowered to.

A network is an acyclic graph of vectors. With one input, sums of linear images of earlier vectors, and ReLU, the
vocabulary is closed: convolution, pooling by averages, residual additions, concatenation, slicing and transposition
are sparse affine maps; max-pooling, abs, clip, leaky ReLU are affine maps around a ReLU (see `ir.lowering`).

A float in a model file is a rational number, and an `Affine` op means exactly that rational. Where a coefficient is
no float64 (an average over 3, a batch-norm factor) the exact value is kept beside its rounding, so that bounds know
the rounding (at most half an ulp) and exact evaluation does not suffer from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from wdaverify.ir.limbs import IntegerMatrix
from wdaverify.ir.rational import common_denominator, dyadic
from wdaverify.ir.values import distinct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import ObjectArray, SparseMatrix, Vector

MAX_BITS = 2**32
"""Most bits of the exact coefficients of one op, half a gigabyte."""


@dataclass(frozen=True, slots=True)
class Input:
    """The network's input, flattened in C order."""

    size: int


@dataclass(frozen=True, slots=True)
class Relu:
    """``y = max(0, z)``, elementwise, of the single source."""

    size: int


@dataclass(frozen=True, slots=True, eq=False)
class RationalAffine:
    """Integer numerators over one common denominator, aligned with the stored entries of an `Affine`."""

    data: tuple[ObjectArray, ...]
    bias: ObjectArray
    denominator: int


@dataclass(frozen=True, eq=False)
class Affine:
    """``y = sum_k M_k x_k + b`` over the sources ``x_k``.

    Parameters
    ----------
    matrices
        One `scipy.sparse.csr_array` of shape (size, size of source k) per source, float64, in canonical form.
    bias
        Shape (size,), float64.
    exact
        The exact coefficients where float64 cannot hold them; ``None`` when the floats *are* the coefficients.
        Otherwise every float is the nearest float64 of its exact value.
    """

    matrices: tuple[SparseMatrix, ...]
    bias: Vector
    exact: RationalAffine | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Length of the result."""
        return len(self.bias)

    @cached_property
    def rational(self) -> RationalAffine:
        """The exact coefficients, whether or not floats hold them."""
        if self.exact is not None:
            return self.exact
        parts, denominator = dyadic([*(m.data for m in self.matrices), self.bias])
        return RationalAffine(tuple(parts[:-1]), parts[-1], denominator)

    @cached_property
    def numerators(self) -> tuple[IntegerMatrix, ...]:
        """The exact matrices without their denominator."""
        return tuple(IntegerMatrix(m, data) for m, data in zip(self.matrices, self.rational.data, strict=True))

    @cached_property
    def transposed(self) -> tuple[IntegerMatrix, ...]:
        """The transposes of the exact matrices, without their denominator."""
        return tuple(matrix.transposed() for matrix in self.numerators)

    @cached_property
    def magnitudes(self) -> tuple[IntegerMatrix, ...]:
        """The absolute values of the exact matrices, without their denominator."""
        return tuple(IntegerMatrix(m, np.abs(data)) for m, data in zip(self.matrices, self.rational.data, strict=True))

    @staticmethod
    def from_fractions(matrices: Sequence[SparseMatrix], data: Sequence[Sequence[Fraction]], bias: Sequence[Fraction]) -> Affine:
        """Build the op from exact coefficients.

        Parameters
        ----------
        matrices
            Sparsity patterns (canonical csr); their stored values are ignored.
        data
            The exact value of each stored entry, in csr order, one sequence per matrix.
        bias
            The exact bias.

        Raises
        ------
        OverflowError
            If the different coefficients over their common denominator might take more than `MAX_BITS` of memory.
        """
        tables, codes = zip(*(distinct(np.array(group, dtype=object)) for group in (*data, bias)), strict=True)
        nearest = [np.array([nearest_float(q) for q in table], dtype=np.float64) for table in tables]
        *floats, offset = (values[code] for values, code in zip(nearest, codes, strict=True))
        rounded = tuple(type(m)((v, m.indices, m.indptr), shape=m.shape) for m, v in zip(matrices, floats, strict=True))
        if all(
            math.isfinite(v) and Fraction(v) == q
            for table, values in zip(tables, nearest, strict=True)
            for q, v in zip(table, values.tolist(), strict=True)
        ):
            return Affine(rounded, offset)
        integers, denominator = common_denominator(tables, most_bits=MAX_BITS)
        *numerators, constants = (values[code] for values, code in zip(integers, codes, strict=True))
        return Affine(rounded, offset, RationalAffine(tuple(numerators), constants, denominator))


def nearest_float(value: Fraction) -> float:
    """The float64 nearest to `value`; infinite beyond the range, which the importers refuse."""
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


Op: TypeAlias = Input | Affine | Relu
