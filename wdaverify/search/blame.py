"""Which input to split: the one that the relaxation loses most by.

The bound of a row loses up to ``|r_n| t_n`` at neuron n, with r its adjoint and t the intercept of its triangle. A triangle is
as high as its pre-activation is uncertain, and that uncertainty comes from the inputs in the proportion ``|J_nd| w_d``, with w
the widths of the box:

    blame_d = sum_n |r_n| t_n |J_nd| w_d / sum_e |J_ne| w_e
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from wdaverify._types import IntArray, Matrix


def blame(adjoints: Matrix, intercepts: Matrix, reach: Matrix, widths: Matrix) -> Matrix:
    """The share of each input (B, n) in the loss.

    Parameters
    ----------
    adjoints, intercepts
        Shape (B, N).
    reach
        ``|J|``, shape (B, N, n).
    widths
        Shape (B, n).
    """
    spread = reach * widths[:, None]
    total = spread.sum(axis=2)
    weight = np.where(total > 0, np.abs(adjoints) * intercepts, 0.0) / np.where(total > 0, total, 1.0)
    return np.asarray(np.matmul(weight[:, None], spread)[:, 0])


def split_dimension(scores: Matrix, slopes: Matrix, lower: Matrix, upper: Matrix) -> tuple[IntArray, Matrix]:
    """The input to halve and the midpoints (B, n); ``-1`` where no input has a float between its ends.

    Parameters
    ----------
    scores
        Blame (B, n).
    slopes
        Coefficients (B, n) of a linear bound: they decide where nothing is to blame.
    """
    middle = lower + 0.5 * (upper - lower)
    free = (lower < middle) & (middle < upper)
    widths = upper - lower
    best = np.full(len(lower), -1)
    for score in (widths, np.abs(slopes) * widths, scores):
        masked = np.where(free, score, 0.0)
        best = np.where(masked.max(axis=1) > 0, np.argmax(masked, axis=1), best)
    return best, middle
