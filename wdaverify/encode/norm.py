"""The norm of a vector of columns as an objective to be maximised, with binaries where signs are open.

::

    l1      sum_k a_k,   a_k <= g_k - 2 l_k (1 - s_k),   a_k <= -g_k + 2 u_k s_k,   s_k in {0, 1}
    linf    t,   t <= g_k + (T - l_k)(1 - p_k),   t <= -g_k + (T + u_k)(1 - q_k),   sum_k p_k + q_k = 1,   T >= |g|
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array, diags_array, eye_array

from wdaverify._errors import InputError
from wdaverify._types import Norm
from wdaverify.encode.relu import ZERO_COLUMN

if TYPE_CHECKING:
    from wdaverify._types import IntArray, Vector
    from wdaverify.program.builder import ProgramBuilder


def add_norm(
    builder: ProgramBuilder, columns: IntArray, lower: Vector, upper: Vector, norm: Norm, *, factor: float = 1.0
) -> None:
    """Let the objective, to be maximised, be ``factor * ||columns||``.

    Parameters
    ----------
    columns
        Shape (m,); `ZERO_COLUMN` marks an entry that is constantly 0.
    lower, upper
        Bounds of the entries, shape (m,), finite.
    norm
        l1 or linf.

    Raises
    ------
    InputError
        For l2, which is not piecewise linear.
    """
    live = columns != ZERO_COLUMN
    if norm is Norm.L1:
        _add_sum_of_sizes(builder, columns[live], lower[live], upper[live], factor)
    elif norm is Norm.LINF:
        _add_largest_size(builder, columns[live], lower[live], upper[live], factor)
    else:
        raise InputError("the l2 norm is not piecewise linear: no mixed-integer linear program maximises it")


def _add_sum_of_sizes(builder: ProgramBuilder, columns: IntArray, lower: Vector, upper: Vector, factor: float) -> None:
    """``sum_k |g_k|``, with a binary for every entry of open sign."""
    positive, negative = lower >= 0, (upper <= 0) & (lower < 0)
    builder.set_objective(columns[positive], factor)
    builder.set_objective(columns[negative], -factor)
    is_open = ~positive & ~negative
    count = int(is_open.sum())
    if not count:
        return
    g, low, high, one = columns[is_open], lower[is_open], upper[is_open], csr_array(eye_array(count))
    sizes = builder.add_columns(count, 0.0, np.maximum(-low, high), objective=factor)
    signs = builder.add_columns(count, 0.0, 1.0, integer=True)
    builder.add_rows([(sizes, one), (g, -one), (signs, csr_array(diags_array(-2.0 * low)))], -np.inf, -2.0 * low)
    builder.add_rows([(sizes, one), (g, one), (signs, csr_array(diags_array(-2.0 * high)))], -np.inf, 0.0)


def _add_largest_size(builder: ProgramBuilder, columns: IntArray, lower: Vector, upper: Vector, factor: float) -> None:
    """``max_k |g_k|``: a binary chooses the entry and its sign, among those that can be the largest."""
    if not len(columns):
        return
    attained, largest = float(np.maximum(lower, -upper).max()), float(np.maximum(-lower, upper).max())
    t = builder.add_columns(1, 0.0, largest, objective=factor)
    rise, fall = np.flatnonzero(upper >= attained), np.flatnonzero(-lower >= attained)
    choices = builder.add_columns(len(rise) + len(fall), 0.0, 1.0, integer=True)
    builder.add_row(choices, np.ones(len(choices)), 1.0, 1.0)
    for entries, chosen, sign, room in (
        (rise, choices[: len(rise)], 1.0, largest - lower[rise]),
        (fall, choices[len(rise) :], -1.0, largest + upper[fall]),
    ):
        if len(entries):
            g = (columns[entries], csr_array(-sign * eye_array(len(entries))))
            builder.add_rows([(t, np.ones((len(entries), 1))), g, (chosen, csr_array(diags_array(room)))], -np.inf, room)
