"""Exact affine forms of the scalar variables of a graph under construction.

While a network is read, every tensor is a vector of affine forms ``e_i = sum_j c_ij v_j + b_i``, where ``v`` numbers the
elements of all nodes built so far. Rearrangements (reshape, transpose, slice, concat, pad) are row selections of
such forms and cost no node; constants are forms without variables, so folding them needs no code of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.ir.values import Values, accumulate, is_float, join, product

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray, IntArray


@dataclass(frozen=True, eq=False, slots=True)
class Expression:
    """A vector of affine forms in coordinate storage.

    Parameters
    ----------
    rows, columns
        Shape (nnz,), int64, sorted by row, then column, without duplicates.
    values
        Shape (nnz,): the coefficients, none of them zero.
    bias
        Shape (size,).
    label
        Where the forms come from; names the node if they become one.
    """

    rows: IntArray
    columns: IntArray
    values: Values
    bias: Values
    label: str = ""

    @property
    def size(self) -> int:
        """Number of forms."""
        return len(self.bias)

    @property
    def is_constant(self) -> bool:
        """Whether no form has a variable."""
        return len(self.rows) == 0

    @property
    def is_float(self) -> bool:
        """Whether float64 holds every coefficient."""
        return is_float(self.values) and is_float(self.bias)

    @property
    def variable(self) -> BoolArray:
        """Which forms have a variable, shape (size,)."""
        mask = np.zeros(self.size, dtype=bool)
        mask[self.rows] = True
        return mask

    @property
    def is_reference(self) -> bool:
        """Whether every form is one variable or one constant."""
        if len(self.rows) == 0:
            return True
        distinct = bool((np.diff(self.rows) > 0).all())
        return distinct and bool((self.values == 1).all()) and not bool((self.bias[self.rows] != 0).any())


def constant(values: Values, label: str = "") -> Expression:
    """Forms without variables, from one-dimensional values."""
    empty = np.zeros(0, dtype=np.int64)
    return Expression(empty, empty, np.zeros(0), values, label)


def variables(start: int, size: int, label: str = "") -> Expression:
    """The variables ``start, ..., start + size - 1`` themselves."""
    index = np.arange(size, dtype=np.int64)
    return Expression(index, index + start, np.ones(size), np.zeros(size), label)


def canonical(rows: IntArray, columns: IntArray, values: Values, bias: Values, label: str = "") -> Expression:
    """Sort the entries, add up duplicates exactly, drop zeros."""
    place = rows * (int(columns.max(initial=0)) + 1) + columns  # below 2^63: no machine holds 2^37 variables, see MAX_ELEMENTS
    if not (place[1:] >= place[:-1]).all():
        order = np.argsort(place, kind="stable")
        rows, columns, values = rows[order], columns[order], values[order]
    first = np.ones(len(rows), dtype=bool)
    first[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
    if not first.all():
        group = np.cumsum(first) - 1
        values = accumulate(group, values, int(first.sum()))
        rows, columns = rows[first], columns[first]
    nonzero = np.asarray(values != 0, dtype=bool)
    if not nonzero.all():
        rows, columns, values = rows[nonzero], columns[nonzero], values[nonzero]
    return Expression(rows, columns, values, bias, label)


def take(expression: Expression, index: IntArray, fill: Fraction = Fraction(0)) -> Expression:  # frozen
    """Select forms by number, with repetition; -1 stands for the constant `fill`."""
    starts = np.searchsorted(expression.rows, np.arange(expression.size + 1))
    known = np.flatnonzero(index >= 0)
    begin = starts[index[known]]
    counts = starts[index[known] + 1] - begin
    rows = np.repeat(known, counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    position = np.repeat(begin, counts) + within
    bias = expression.bias
    if len(known) < len(index):
        extra = np.array([float(fill)]) if Fraction(float(fill)) == fill else np.array([fill], dtype=object)
        bias = join([bias, extra])
    return Expression(rows, expression.columns[position], expression.values[position], bias[index], expression.label)


def stack(parts: Sequence[Expression], label: str = "") -> Expression:
    """All forms of the parts, one part after the other."""
    offsets = np.cumsum([0, *(p.size for p in parts)])
    rows = np.concatenate([p.rows + o for p, o in zip(parts, offsets[:-1], strict=True)])
    columns = np.concatenate([p.columns for p in parts])
    return Expression(rows, columns, join([p.values for p in parts]), join([p.bias for p in parts]), label)


def add(parts: Sequence[Expression], label: str = "") -> Expression:
    """The elementwise sum of forms of equal size."""
    size = parts[0].size
    bias = parts[0].bias
    if len(parts) > 1:
        filled = [(np.flatnonzero(p.bias != 0), p.bias) for p in parts]
        groups = np.concatenate([index for index, _ in filled])
        bias = accumulate(groups, join([b[index] for index, b in filled]), size)
    rows = np.concatenate([p.rows for p in parts])
    columns = np.concatenate([p.columns for p in parts])
    return canonical(rows, columns, join([p.values for p in parts]), bias, label)


def scale(expression: Expression, factors: Values, label: str = "") -> Expression:
    """Multiply each form by its factor."""
    values = product(expression.values, factors[expression.rows])
    return canonical(expression.rows, expression.columns, values, product(expression.bias, factors), label)


def apply(entries: tuple[IntArray, IntArray, Values], operand: Expression, bias: Values, label: str = "") -> Expression:
    """``y_i = sum over entries (i, j, w) of w * operand_j + bias_i`` for an operand of variables and constants.

    Parameters
    ----------
    entries
        Rows, columns and values of the map, in any order.
    operand
        Forms that are references (`Expression.is_reference`).
    bias
        Shape (size of the result,).
    """
    rows, columns, values = entries
    target = np.full(operand.size, -1, dtype=np.int64)
    target[operand.rows] = operand.columns
    variable = target[columns] >= 0
    fixed = np.flatnonzero(~variable & (operand.bias != 0)[columns] & np.asarray(values != 0, dtype=bool))
    if len(fixed):
        constants = product(values[fixed], operand.bias[columns[fixed]])
        size = len(bias)
        bias = accumulate(np.concatenate([rows[fixed], np.arange(size)]), join([constants, bias]), size)
    return canonical(rows[variable], target[columns[variable]], values[variable], bias, label)
