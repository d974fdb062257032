"""The zero-one risk over the radius, from distances: how much mass a budget moves to its nearest errors.

With distances ``d_1 <= d_2 <= ...`` of samples of weights ``w_i`` (docs/theory.md, Zero-one loss), the budget ``r^p`` is spent on
the nearest first: the risk is concave and piecewise linear in ``r^p``, with corners where a sample has moved as a whole. For
order inf it is the weight of the samples with ``d_i <= r``. Lower ends of distances give upper ends of the risk, and the other
way round. This is float64, to be drawn between the radii of the certificate, whose brackets are rounded outwards.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import Vector


def transport_curve(distances: Sequence[float], weights: Sequence[float], radii: Vector, order: float) -> Vector:
    """The risk at every radius, shape of `radii`.

    Examples
    --------
    >>> transport_curve([0.0, 1.0, math.inf], [0.25, 0.5, 0.25], np.array([0.0, 0.25, 2.0]), 1.0).tolist()
    [0.25, 0.5, 0.75]
    """
    lengths, masses = np.asarray(distances, dtype=float), np.asarray(weights, dtype=float)
    reachable = np.isfinite(lengths)
    ranks = np.argsort(lengths[reachable], kind="stable")
    lengths, masses = lengths[reachable][ranks], masses[reachable][ranks]
    if math.isinf(order):
        reached = np.concatenate([[0.0], np.cumsum(masses)])
        return np.asarray(reached[np.searchsorted(lengths, radii, side="right")])
    free = float(masses[lengths == 0].sum())
    moving = lengths > 0
    spent = np.concatenate([[0.0], np.cumsum(masses[moving] * lengths[moving] ** order)])
    risk = np.concatenate([[free], free + np.cumsum(masses[moving])])
    return np.asarray(np.interp(radii**order, spent, risk))
