"""Exact rescaling of programs whose coefficients a solver would silently drop or refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from wdaverify._types import IntArray, Vector
    from wdaverify.program.program import Program

SMALLEST = 1e-9
"""HiGHS drops matrix entries of this size or less without a word."""

LARGEST = 1e15
"""HiGHS refuses matrix entries of this size or more."""

INFINITE = 1e20
"""HiGHS, CBC and Clarabel read numbers of this size or more as infinite."""

PASSES = 4


def scale_factors(program: Program) -> tuple[Vector, Vector] | None:
    """Powers of two (rows (m,), columns (v,)) that bring every coefficient into the range a solver keeps.

    With ``x = columns * x'`` and every row multiplied by its factor the scaled program is the same one, exactly.
    Integer columns keep the factor 1. Both factors are 1 if the program is fine as it is; ``None`` if no such factors
    were found: then the solver must not be asked, since it would solve another program.
    """
    rows, columns = np.zeros(program.rows, dtype=np.int64), np.zeros(program.columns, dtype=np.int64)
    if not _fits(program, rows, columns):
        rows, columns = _exponents(program)
        if not _fits(program, rows, columns):
            return None
    return np.ldexp(1.0, rows), np.ldexp(1.0, columns)


def _exponents(program: Program) -> tuple[IntArray, IntArray]:
    """Alternate between rows and columns, centring the exponents of each about zero."""
    entries = program.matrix.tocoo()
    keep = entries.data != 0
    row, column = (part[keep] for part in entries.coords)
    size = np.frexp(entries.data[keep])[1].astype(np.int64)
    rows, columns = np.zeros(program.rows, dtype=np.int64), np.zeros(program.columns, dtype=np.int64)
    for _ in range(PASSES):
        rows = -_centres(size + columns[column], row, program.rows)
        columns = np.where(program.integer, 0, -_centres(size + rows[row], column, program.columns))
    return rows, columns


def _centres(size: IntArray, group: IntArray, count: int) -> IntArray:
    """Half of largest plus smallest exponent in each group; zero for empty groups."""
    highest, lowest = np.full(count, -(2**20)), np.full(count, 2**20)
    np.maximum.at(highest, group, size)
    np.minimum.at(lowest, group, size)
    return np.where(highest < lowest, 0, (highest + lowest) // 2).astype(np.int64)


def _fits(program: Program, rows: IntArray, columns: IntArray) -> bool:
    """Whether entries, bounds and costs of the scaled program survive in the solver unaltered."""
    entries = program.matrix.tocoo()
    row, column = entries.coords
    with np.errstate(over="ignore", under="ignore"):
        size = np.abs(np.ldexp(entries.data, rows[row] + columns[column]))
        size = size[entries.data != 0]
        if not ((size > SMALLEST) & (size < LARGEST)).all():
            return False
    return survives(program, np.ldexp(1.0, rows), np.ldexp(1.0, columns))


def survives(program: Program, rows: Vector, columns: Vector) -> bool:
    """Whether bounds and costs, scaled by these powers of two, stay exact and below the solver's infinity."""
    scaled = [
        (program.objective, columns),
        (program.lower, 1.0 / columns),
        (program.upper, 1.0 / columns),
        (program.row_lower, rows),
        (program.row_upper, rows),
    ]
    return all(survives_scaled(values, factors) for values, factors in scaled)


def survives_scaled(values: Vector, factors: Vector) -> bool:
    """Whether ``values * factors`` has no underflow and no number that a solver takes for infinite."""
    finite = np.isfinite(values)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        result = values * factors
        exact = result / factors == values
        return bool((exact & (np.abs(result) < INFINITE))[finite].all())
