"""Rational linear constraints as float64 rows that no feasible point violates.

For ``sum_k c_k v_k + b >= 0`` with rational c, b and columns ``|v_k| <= M_k`` the row

::

    sum_k fl(c_k) v_k >= -b - sum_k |c_k - fl(c_k)| M_k        (right-hand side rounded down)

holds at every point that satisfies the constraint. Where the coefficients are floats nothing is lost.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import IntArray, Vector
    from wdaverify.program.builder import ProgramBuilder


def add_rational_row(
    builder: ProgramBuilder,
    columns: IntArray,
    coefficients: Sequence[Fraction],
    offset: Fraction,
    *,
    magnitudes: Vector,
    slack: int | None = None,
) -> int:
    """Add ``coefficients . v[columns] + offset >= 0`` (or ``>= v[slack]``) and return the row.

    Parameters
    ----------
    magnitudes
        Largest absolute value of each column, shape of `columns`; finite.
    slack
        A column that must not exceed the left-hand side.
    """
    floats = [float(c) for c in coefficients]
    error = sum(
        (abs(c - Fraction(f)) * Fraction(float(m)) for c, f, m in zip(coefficients, floats, magnitudes, strict=True)),
        Fraction(0),
    )
    exact = -offset - error
    lower = float(exact)
    if Fraction(lower) > exact:
        lower = float(np.nextafter(lower, -np.inf))
    if slack is None:
        return builder.add_row(columns, floats, lower, np.inf)
    return builder.add_row([*columns, slack], [*floats, -1.0], lower, np.inf)
