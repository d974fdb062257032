"""The ground cost of moving a sample, as linear rows.

linf::    c >= x_k - x_ik,   c >= x_ik - x_k            for every coordinate k
l1::      x_k - x_ik = p_k - q_k,   p, q >= 0,   c >= sum_k (p_k + q_k)
l2::      c >= sum_k q_k,   q_k >= 2 a (x_k - x_ik) - a^2    for given offsets a

Minimising c, or bounding it from above, makes the rows of l1 and linf tight. The rows of l2 are tangents of the
*squared* distance, valid for any offsets: they give lower bounds, better with more offsets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import diags_array, eye_array

if TYPE_CHECKING:
    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.program.builder import ProgramBuilder


def add_linf_cost(builder: ProgramBuilder, inputs: IntArray, center: Vector, upper: float) -> int:
    """Add a column ``||x - center||_inf <= c <= upper`` and return it; `inputs` are the columns of x (n,)."""
    cost = builder.add_columns(1, 0.0, upper)
    one, ones = eye_array(len(inputs)).tocsr(), np.ones((len(inputs), 1))
    builder.add_rows([(cost, ones), (inputs, -one)], -center, np.inf)
    builder.add_rows([(cost, ones), (inputs, one)], center, np.inf)
    return int(cost[0])


def add_l1_cost(builder: ProgramBuilder, inputs: IntArray, center: Vector, upper: float) -> int:
    """Add a column ``||x - center||_1 <= c <= upper`` and return it."""
    count = len(inputs)
    cost = builder.add_columns(1, 0.0, upper)
    up, down = builder.add_columns(count, 0.0, upper), builder.add_columns(count, 0.0, upper)
    one, row = eye_array(count).tocsr(), np.ones((1, count))
    builder.add_rows([(inputs, one), (up, -one), (down, one)], center, center)
    builder.add_rows([(cost, np.ones((1, 1))), (up, -row), (down, -row)], 0.0, np.inf)
    return int(cost[0])


def add_squared_l2_cost(builder: ProgramBuilder, inputs: IntArray, center: Vector, upper: float, offsets: Matrix) -> int:
    """Add a column c that is at least every tangent model of ``||x - center||_2^2`` and at most `upper`.

    Parameters
    ----------
    offsets
        Shape (T, n): the t-th tangent of coordinate k touches at ``x_k = center_k + offsets[t, k]``.
    """
    count = len(inputs)
    cost, squares = builder.add_columns(1, 0.0, upper), builder.add_columns(count, 0.0, np.inf)
    builder.add_rows([(cost, np.ones((1, 1))), (squares, -np.ones((1, count)))], 0.0, np.inf)
    for offset in offsets:
        slopes = diags_array(-2.0 * offset).tocsr()
        builder.add_rows([(squares, eye_array(count).tocsr()), (inputs, slopes)], -2.0 * offset * center - offset**2, np.inf)
    return int(cost[0])
