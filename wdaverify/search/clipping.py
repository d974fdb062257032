"""Shrink boxes to where every row of a group can still be nonnegative.

With ``g(x) <= a . x + c`` on the box and M the largest value of the right-hand side there,

    0 <= g(x) <= M - a_d (u_d - x_d)     for a_d > 0,      hence   x_d >= u_d - M / a_d,

and likewise ``x_d <= l_d + M / |a_d|`` for ``a_d < 0``. All operations round outward.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import UNIT_ROUNDOFF
from wdaverify.bounds.backward import upper_ends
from wdaverify.domain import Regions

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Matrix
    from wdaverify.bounds.lagrangian import Pulled
    from wdaverify.search.row_groups import RowGroups

_ROUNDS = 2


def clip(lower: Matrix, upper: Matrix, forms: Pulled, goals: RowGroups, is_open: BoolArray) -> tuple[Matrix, Matrix, BoolArray]:
    """Clip boxes with linear forms above the rows.

    Parameters
    ----------
    lower, upper
        Shape (B, n).
    forms
        Above row r on box b: entry ``b R + r``.
    is_open
        Which groups (B, G) are not closed yet.

    Returns
    -------
    lower, upper, is_open
        The hulls of what the open groups leave, and which groups are still open. A box without an open group keeps its ends.
    """
    boxes, n = lower.shape
    shape = (boxes, goals.groups, n)
    low, high = (np.repeat(end[:, None], goals.groups, axis=1) for end in (lower, upper))  # of each box and group
    for _ in range(_ROUNDS):
        low, high = _clipped(low, high, forms, goals)
        is_open = is_open & (low <= high).all(axis=2)
        low = np.where(is_open[..., None], low, np.broadcast_to(lower[:, None], shape))
        high = np.where(is_open[..., None], high, np.broadcast_to(upper[:, None], shape))
    some = np.asarray(is_open.any(axis=1, keepdims=True))
    hull_low = np.where(is_open[..., None], low, np.inf).min(axis=1)
    hull_high = np.where(is_open[..., None], high, -np.inf).max(axis=1)
    return np.where(some, hull_low, lower), np.where(some, hull_high, upper), is_open


def _clipped(low: Matrix, high: Matrix, forms: Pulled, goals: RowGroups) -> tuple[Matrix, Matrix]:
    """One round: the ends (B, G, n) of every group, cut by each of its rows; crossed where nothing is left."""
    boxes, _, n = low.shape
    rows = len(goals.group)
    l, u = (end[:, goals.group].reshape(-1, n) for end in (low, high))  # noqa: E741
    most = upper_ends(forms, Regions(l, u), np.arange(boxes * rows))
    a = forms.coefficients
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        length = (most[:, None] / np.abs(a)) * (1.0 + 4.0 * UNIT_ROUNDOFF)  # how far from the best end
        length = np.where(np.isnan(length), np.inf, length + np.finfo(float).tiny)
        cut_low = np.where(a > 0, np.nextafter(u - length, -np.inf), -np.inf)
        cut_high = np.where(a < 0, np.nextafter(l + length, np.inf), np.inf)
    empty = np.broadcast_to(most[:, None] < 0, a.shape)
    cut_low = np.where(empty, np.inf, np.maximum(l, cut_low)).reshape(boxes, rows, n)
    cut_high = np.where(empty, -np.inf, np.minimum(u, cut_high)).reshape(boxes, rows, n)
    return np.maximum.reduceat(cut_low, goals.starts, axis=1), np.minimum.reduceat(cut_high, goals.starts, axis=1)
