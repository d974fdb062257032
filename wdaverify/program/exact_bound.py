"""Weak duality in rational arithmetic: the bound of a dual vector without any rounding.

Multipliers are first moved to a short dyadic grid, which changes nothing about validity and turns a solver's 0.9999999998
into the 1 that was meant. For programs of a few thousand entries, where a bound must be exactly 0 or exactly 1.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from wdaverify._errors import InputError

if TYPE_CHECKING:
    from wdaverify._types import Vector
    from wdaverify.program.program import Program

_GRID = 2**30


def exact_bound(program: Program, row_duals: Vector) -> Fraction | float:
    """The exact weak-duality bound on the optimum of a linear program from any dual vector.

    Parameters
    ----------
    program
        Without quadratic objective.
    row_duals
        Shape (m,), in the convention of `SolveResult`; rounded to multiples of 2^-30, with wrong signs set to 0.

    Returns
    -------
    Fraction or float
        A lower bound when minimising, an upper bound when maximising; the infinity that says nothing when a column with
        nonzero reduced cost is unbounded.

    Raises
    ------
    InputError
        If the program has a quadratic objective.

    Examples
    --------
    >>> import numpy as np
    >>> from wdaverify.program.builder import ProgramBuilder
    >>> from wdaverify.program.program import Sense
    >>> builder = ProgramBuilder()
    >>> x = builder.add_columns(2, 0.0, 1.0, objective=[1.0, 2.0])
    >>> row = builder.add_row(x, [1.0, 1.0], 1.0, np.inf)
    >>> exact_bound(builder.build(Sense.MINIMISE), np.array([0.9999999999]))
    Fraction(1, 1)
    """
    if program.quadratic is not None:
        raise InputError("the exact bound is for linear objectives: this program has a quadratic part")
    sign = int(program.sense.sign)
    reduced = [sign * Fraction(c) for c in program.objective.tolist()]
    total = sign * Fraction(program.constant)
    indptr, indices, data = program.matrix.indptr, program.matrix.indices, program.matrix.data
    for i, dual in enumerate(row_duals.tolist()):
        y = Fraction(round(sign * dual * _GRID), _GRID) if math.isfinite(dual) else Fraction(0)
        side = float(program.row_lower[i] if y > 0 else program.row_upper[i])
        if y == 0 or math.isinf(side):
            continue
        total += y * Fraction(side)
        for k in range(indptr[i], indptr[i + 1]):
            reduced[indices[k]] -= y * Fraction(float(data[k]))
    for r, low, high in zip(reduced, program.lower.tolist(), program.upper.tolist(), strict=True):
        end = low if r > 0 else high
        if r == 0:
            continue
        if math.isinf(end):
            return program.sense.trivial_bound
        total += r * Fraction(end)
    return sign * total
