"""Programs assembled block by block, without a Python loop over entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array, csr_array

from wdaverify._errors import InputError
from wdaverify.program.program import Program, Sense

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from wdaverify._types import IntArray, Matrix, SparseMatrix, Vector


class ProgramBuilder:
    """A program under construction.

    Columns and rows are numbered in the order in which they are added. Entries of the same row and column add up.

    Examples
    --------
    The smallest ``x + y`` with ``x + y >= 1``, ``x`` in [0, 1], ``y`` in {0, 1}:

    >>> builder = ProgramBuilder()
    >>> x = builder.add_columns(1, 0.0, 1.0, objective=1.0)
    >>> y = builder.add_columns(1, 0.0, 1.0, integer=True, objective=1.0)
    >>> builder.add_rows([(x, np.eye(1)), (y, np.eye(1))], 1.0, np.inf).tolist()
    [0]
    >>> builder.build(Sense.MINIMISE).matrix.toarray().tolist()
    [[1.0, 1.0]]
    """

    def __init__(self) -> None:
        self._lower: list[Vector] = []
        self._upper: list[Vector] = []
        self._objective: list[Vector] = []
        self._integer: list[bool] = []
        self._row_lower: list[Vector] = []
        self._row_upper: list[Vector] = []
        self._entries: list[tuple[IntArray, IntArray, Vector]] = []
        self._columns = 0
        self._rows = 0

    @property
    def columns(self) -> int:
        """Number of columns so far."""
        return self._columns

    @property
    def rows(self) -> int:
        """Number of rows so far."""
        return self._rows

    def add_columns(
        self, count: int, lower: ArrayLike, upper: ArrayLike, *, integer: bool = False, objective: ArrayLike = 0.0
    ) -> IntArray:
        """Add `count` columns with the given bounds (scalars or vectors) and return their indices (count,)."""
        self._lower.append(_vector("lower", lower, count))
        self._upper.append(_vector("upper", upper, count))
        self._objective.append(_vector("objective", objective, count))
        self._integer.extend([integer] * count)
        self._columns += count
        return np.arange(self._columns - count, self._columns, dtype=np.int64)

    def add_rows(self, terms: Sequence[tuple[IntArray, SparseMatrix | Matrix]], lower: ArrayLike, upper: ArrayLike) -> IntArray:
        """Add the block ``lower <= sum_k C_k x[columns_k] <= upper`` and return its row indices (r,).

        Parameters
        ----------
        terms
            Pairs of column indices (n_k,) and coefficients ``C_k`` (r, n_k), dense or sparse.
        lower, upper
            Scalars or vectors (r,). With no terms their length gives r.

        Raises
        ------
        InputError
            If shapes disagree or a column does not exist.
        """
        count = terms[0][1].shape[0] if terms else max(np.size(lower), np.size(upper))
        block: list[tuple[IntArray, IntArray, Vector]] = []
        for columns, coefficients in terms:
            chosen = self._known(columns)
            if coefficients.shape != (count, len(chosen)):
                raise InputError(f"coefficients of shape {coefficients.shape} for {count} rows and {len(chosen)} columns")
            part = coo_array(coefficients)
            row, column = part.coords
            block.append((row.astype(np.int64) + self._rows, chosen[column], part.data.astype(np.float64)))
        ends = _vector("row lower", lower, count), _vector("row upper", upper, count)
        self._entries.extend(block)
        self._row_lower.append(ends[0])
        self._row_upper.append(ends[1])
        self._rows += count
        return np.arange(self._rows - count, self._rows, dtype=np.int64)

    def add_row(self, columns: ArrayLike, coefficients: ArrayLike, lower: float, upper: float) -> int:
        """Add the row ``lower <= coefficients . x[columns] <= upper`` and return its index."""
        dense = np.atleast_1d(np.asarray(coefficients, dtype=np.float64))
        return int(self.add_rows([(np.atleast_1d(np.asarray(columns)), dense[None])], lower, upper)[0])

    def set_objective(self, columns: ArrayLike, coefficients: ArrayLike) -> None:
        """Give the chosen columns these objective coefficients; the others keep theirs."""
        self._assign(self._objective, "objective", columns, coefficients)

    def set_bounds(self, columns: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> None:
        """Replace the bounds of the chosen columns."""
        self._assign(self._lower, "lower", columns, lower)
        self._assign(self._upper, "upper", columns, upper)

    def fix(self, columns: ArrayLike, values: ArrayLike) -> None:
        """Set both bounds of the chosen columns to `values`."""
        self.set_bounds(columns, values, values)

    def build(self, sense: Sense, constant: float = 0.0) -> Program:
        """The program as it stands; the builder can be used further.

        Raises
        ------
        InputError
            As `Program` says.
        """
        shape = (self._rows, self._columns)
        if self._entries:
            row, column, value = (np.concatenate(part) for part in zip(*self._entries, strict=True))
            matrix = csr_array(coo_array((value, (row, column)), shape=shape))  # adds up duplicates
            matrix.eliminate_zeros()
        else:
            matrix = csr_array(shape, dtype=np.float64)
        return Program(
            objective=_joined(self._objective), matrix=matrix,
            row_lower=_joined(self._row_lower), row_upper=_joined(self._row_upper),
            lower=_joined(self._lower), upper=_joined(self._upper),
            integer=np.array(self._integer, dtype=np.bool_), sense=sense, constant=constant,
        )  # fmt: skip

    def _known(self, columns: ArrayLike) -> IntArray:
        """Column indices as int64, all of them existing."""
        chosen = np.atleast_1d(np.asarray(columns))
        if chosen.size == 0:
            return np.zeros(0, dtype=np.int64)
        if chosen.ndim != 1 or not np.issubdtype(chosen.dtype, np.integer) or chosen.min() < 0 or chosen.max() >= self._columns:
            raise InputError(f"columns {columns!r} are not all among the {self._columns} columns added so far")
        return chosen.astype(np.int64)

    def _assign(self, parts: list[Vector], name: str, columns: ArrayLike, values: ArrayLike) -> None:
        """Overwrite entries of one column vector."""
        chosen = self._known(columns)
        if len(np.unique(chosen)) != len(chosen):
            raise InputError(f"{name} is set twice for one column in the same call: give every column once")
        joined = _joined(parts)
        joined[chosen] = _vector(name, values, len(chosen))
        parts[:] = [joined]


def _joined(parts: list[Vector]) -> Vector:
    """One vector from its parts, freshly allocated."""
    return np.concatenate(parts) if parts else np.zeros(0)


def _vector(name: str, value: ArrayLike, length: int) -> Vector:
    """A scalar or vector as a float64 vector of the given length."""
    array = np.asarray(value, dtype=np.float64)
    if array.shape not in ((), (1,), (length,)):
        raise InputError(f"{name} has shape {array.shape}: give a number or {length} numbers")
    return np.broadcast_to(array, (length,)).copy()
