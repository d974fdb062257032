"""Rational rows as float64 rows that are never below them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.property.property import float_above
from wdaverify.search.question import Question

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import Matrix, Vector
    from wdaverify.ir.compiled import CompiledNetwork
    from wdaverify.property.property import Disjunct, LinearRow
    from wdaverify.search.neuron_bounds import NeuronBounds


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


def question_of(disjunct: Disjunct, compiled: CompiledNetwork, bounds: NeuronBounds) -> Question:
    """The least of a disjunct's output rows under its rows about inputs, never below the truth where the bounds hold.

    A disjunct without output rows asks for the constant 0, which is as good as any output that satisfies it.
    """
    magnitudes = bounds.charges.magnitudes
    rows, offsets = float_rows(disjunct.output_rows, magnitudes[compiled.output])
    if not len(rows):
        rows, offsets = np.zeros((1, len(magnitudes[compiled.output]))), np.zeros(1)
    return Question(rows, offsets, *float_rows(disjunct.input_rows, magnitudes[compiled.input]))
