"""Pre-activations on the cell of a prefix, rounded once from exact ones: for functions that are mostly cancellation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify._tolerances import UNIT_ROUNDOFF
from wdaverify.bounds.rounding import LEAST
from wdaverify.ir.exact_piece import exact_forms_of_neurons, exact_pre_activations
from wdaverify.ir.rational import quotients

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.cells.pieces import Frame
    from wdaverify.ir.network import Network


class ExactPieces(NamedTuple):
    """R functions of the frame's coordinates.

    Attributes
    ----------
    rows, errors
        As in `Pieces`, shapes (R, f + 1) and (R,); both are 0 where a function vanishes identically, and only there.
    constant
        Which functions no coordinate moves, shape (R,).
    signs
        Their signs at the centre of the box: -1, 0 or 1.
    """

    rows: Matrix
    errors: Vector
    constant: BoolArray
    signs: IntArray


def exact_pieces(network: Network, frame: Frame, phases: BoolArray, neurons: IntArray) -> ExactPieces:
    """The pre-activations of neurons (R,) where the neurons that they read have the given phases."""
    forms = exact_forms_of_neurons(network, phases, neurons)
    values, denominators = exact_pre_activations(network, phases, frame.center.tolist())
    values, denominators = values[neurons], denominators[neurons]
    slopes = quotients(forms.coefficients[:, frame.free], forms.denominator) * frame.half
    rows = np.column_stack([slopes, quotients(values, denominators)])
    constant = ~np.asarray((forms.coefficients[:, frame.free] != 0).any(axis=1))
    # a subnormal slope is half an ulp away before it is multiplied
    errors = 8.0 * UNIT_ROUNDOFF * np.abs(rows).sum(axis=1) + (rows.shape[1] + frame.half.sum()) * LEAST
    vanishing = constant & (values == 0)
    return ExactPieces(rows, np.where(vanishing, 0.0, errors), constant, np.sign(values).astype(np.int64))
