"""Rational rows as float64 rows that are never below them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.property.property import float_above

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import Matrix, Vector
    from wdaverify.property.property import LinearRow


def float_rows(rows: Sequence[LinearRow], magnitudes: Vector) -> tuple[Matrix, Vector]:
    """Coefficients (R, v) and offsets (R,) with ``floats . x + offset >= row(x)`` wherever ``|x_k| <= magnitudes_k``.

    Coefficients are rounded to nearest and what that can lose is added to the offset; floats lose nothing.

    Examples
    --------
    >>> from wdaverify.property.property import LinearRow
    >>> tenth = LinearRow(((0, Fraction(1, 10)),), Fraction(-1), strict=False)
    >>> coefficients, offsets = float_rows([tenth], np.array([8.0]))
    >>> Fraction(coefficients[0, 0]) * 8 + Fraction(offsets[0]) >= tenth.coefficients[0][1] * 8 - 1
    True
    """
    matrix = np.zeros((len(rows), len(magnitudes)))
    offsets = np.zeros(len(rows))
    for r, row in enumerate(rows):
        error = Fraction(0)
        for k, c in row.coefficients:
            matrix[r, k] = float(c)
            error += abs(c - Fraction(matrix[r, k])) * Fraction(float(magnitudes[k]))
        offsets[r] = float_above(row.offset + error)
    return matrix, offsets
