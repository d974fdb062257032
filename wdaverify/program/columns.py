"""The matrix of a program seen by columns: what every dual bound of every program with that matrix needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from wdaverify._tolerances import UNIT_ROUNDOFF

if TYPE_CHECKING:
    from wdaverify._types import SparseMatrix, Vector


@dataclass(frozen=True, slots=True, eq=False)
class ColumnSums:
    """The transpose of a matrix (m, v), its entries' sizes and its pattern, and the rounding of ``c - A^T y``.

    Attributes
    ----------
    values, sizes, pattern
        ``A^T``, ``|A|^T`` and the stored pattern of ``A^T`` as ones, each (v, m) in sparse rows.
    length
        Shape (v,): terms of each sum and three more operations.
    allowance
        Shape (v,): the error of each sum relative to the sum of the sizes of its terms.
    """

    values: SparseMatrix
    sizes: SparseMatrix
    pattern: SparseMatrix
    length: Vector
    allowance: Vector

    @staticmethod
    def of(matrix: SparseMatrix) -> ColumnSums:
        """Everything for one matrix; entries stored twice for a place stay two terms."""
        values = csr_array(matrix.T)
        parts = (values.indices, values.indptr)
        sizes = csr_array((np.abs(values.data), *parts), shape=values.shape)
        pattern = csr_array((np.ones(values.nnz), *parts), shape=values.shape)
        length = np.diff(values.indptr) + 3.0
        # gamma_k = k u / (1 - k u) of Higham, Accuracy and Stability, 2nd ed., section 3.1; the last factor pays for
        # the rounding of the sizes' own sum
        gamma = length * UNIT_ROUNDOFF / (1.0 - length * UNIT_ROUNDOFF)
        return ColumnSums(values, sizes, pattern, length, gamma * (1.0 + (length + 8.0) * 2.0 * UNIT_ROUNDOFF))
