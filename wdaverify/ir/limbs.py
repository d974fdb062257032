"""Products of integer matrices with integer vectors of any size, by exact float64 arithmetic.

A matrix and a vector are written in limbs, ``A = sum_i 2^(24 i) A_i`` and ``x = sum_k 2^(16 k) x_k`` (two's complement: all limbs
but the highest are nonnegative). An entry of ``A_i x_k`` is a sum of at most 2^13 products below 2^40, so every partial
sum is an integer of at most 53 bits, which float64 holds exactly in whatever order it is added. One product of
floats then yields all of them, and ``A x = sum_ik 2^(24 i + 16 k) A_i x_k`` is put together in integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array, vstack

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._types import IntArray, Matrix, ObjectArray, SparseMatrix

_VECTOR_BYTES = 2
_MATRIX_BYTES = 3

_LONGEST_ROW = 2 ** (53 - 8 * (_VECTOR_BYTES + _MATRIX_BYTES))
"""Most entries of a row: their products add up to at most 2^53."""

_MOST_LIMBS = 12
"""Matrices whose entries lie further apart are multiplied entry by entry."""

_MANY_ENTRIES = 2**24
"""Matrices with more limbs of entries than this would take a gigabyte: they, too, are multiplied entry by entry."""

_FEW_ENTRIES, _FEW_EACH = 600, 8
"""Matrices with fewer entries, or with fewer for each row and column, are multiplied entry by entry, which then is faster."""

_DENSE_PART, _DENSE_SIZE = 0.2, 2**22
"""Limbs of at most this size are dense matrices where at least this part of the entries is stored."""


class IntegerMatrix:
    """A sparse matrix of Python integers that is multiplied often.

    Parameters
    ----------
    pattern
        Shape (R, n), canonical csr; its stored values are ignored.
    data
        The integers, in csr order.

    Examples
    --------
    >>> pattern = csr_array(np.array([[1.0, 1.0], [0.0, 1.0]]))
    >>> matrix = IntegerMatrix(pattern, np.array([2, -(3**50), 5], dtype=object))
    >>> (matrix @ np.array([[7], [1]], dtype=object)).ravel().tolist() == [14 - 3**50, 5]
    True
    """

    def __init__(self, pattern: SparseMatrix, data: ObjectArray) -> None:
        self.shape = pattern.shape
        self._pattern, self._data = pattern, data
        longest, enough = int(np.diff(pattern.indptr).max(initial=0)), max(_FEW_ENTRIES, _FEW_EACH * sum(pattern.shape))
        self._limbs: Matrix | SparseMatrix | None = None
        most = min(_MOST_LIMBS, _MANY_ENTRIES // max(len(data), 1))
        if len(data) >= enough and longest <= _LONGEST_ROW and _count(data, _MATRIX_BYTES) <= most:
            self._limbs = _stacked(pattern, _limbs(data, _MATRIX_BYTES))

    def __matmul__(self, columns: ObjectArray) -> ObjectArray:
        """The product with columns (n, C) of Python integers, shape (R, C)."""
        if self._limbs is None or not columns.size:
            return self._entry_by_entry(columns)
        rows, count = self.shape[0], columns.shape[1]
        limbs = _limbs(columns.ravel(), _VECTOR_BYTES).reshape(columns.shape[0], -1)
        sums = np.asarray(self._limbs @ limbs.astype(np.float64)).astype(np.int64)
        parts = _carried(sums.reshape(-1, limbs.shape[1] // count)).reshape(-1, rows, count)
        total: ObjectArray = parts[-1]
        for part in parts[-2::-1]:
            total = (total << 8 * _MATRIX_BYTES) + part
        return total

    def transposed(self) -> IntegerMatrix:
        """The transpose."""
        pattern = self._pattern
        numbered = csr_array((np.arange(len(self._data)), pattern.indices, pattern.indptr), shape=pattern.shape)
        turned = csr_array(numbered.T)
        return IntegerMatrix(turned, self._data[turned.data])

    def _entry_by_entry(self, columns: ObjectArray) -> ObjectArray:
        result = np.zeros((self.shape[0], columns.shape[1]), dtype=object)
        filled = np.flatnonzero(np.diff(self._pattern.indptr))
        if len(filled):
            products = self._data[:, None] * columns[self._pattern.indices]
            result[filled] = np.add.reduceat(products, self._pattern.indptr[filled])
        return result


def _count(integers: ObjectArray, size: int) -> int:
    """How many limbs of `size` bytes hold the integers and their signs."""
    return max(map(int.bit_length, integers.tolist()), default=0) // (8 * size) + 1


def _limbs(integers: ObjectArray, size: int) -> IntArray:
    """The limbs (N, L) of integers (N,), lowest first; the highest have the signs."""
    count = _count(integers, size)
    text = b"".join(v.to_bytes(size * count, "little", signed=True) for v in integers.tolist())
    digits = np.zeros((len(integers), count, 4), dtype=np.uint8)
    digits[:, :, :size] = np.frombuffer(text, dtype=np.uint8).reshape(len(integers), count, size)
    limbs = digits.view("<u4")[:, :, 0].astype(np.int64)
    limbs[:, -1] -= (limbs[:, -1] >> (8 * size - 1)) << (8 * size)
    return limbs


def _stacked(pattern: SparseMatrix, limbs: IntArray) -> Matrix | SparseMatrix:
    """The limbs of a matrix below each other, lowest first, shape (L R, n)."""
    parts = [csr_array((limb.astype(np.float64), pattern.indices, pattern.indptr), shape=pattern.shape) for limb in limbs.T]
    stacked = csr_array(vstack(parts))
    size = stacked.shape[0] * stacked.shape[1]
    return stacked.toarray() if size <= _DENSE_SIZE and len(pattern.data) * len(parts) >= _DENSE_PART * size else stacked


def _carried(sums: IntArray) -> ObjectArray:
    """``sum_k 2^(16 k) sums[:, k]`` as Python integers (N,), from summands (N, L) below 2^62."""
    count = sums.shape[1]
    digits = np.empty((len(sums), count + 4), dtype="<u2")
    carry = np.zeros(len(sums), dtype=np.int64)
    for k in range(count):
        carry += sums[:, k]
        digits[:, k] = carry & 0xFFFF
        carry >>= 8 * _VECTOR_BYTES
    digits[:, count:] = carry.astype("<i8")[:, None].view("<u2")
    text, size = digits.tobytes(), 2 * (count + 4)
    read: Callable[..., int] = int.from_bytes
    values = [read(text[at : at + size], "little", signed=True) for at in range(0, len(text), size)]
    result = np.empty(len(values), dtype=object)
    result[:] = values
    return result
