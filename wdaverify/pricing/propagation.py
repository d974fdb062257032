"""Shrink boxes to what integers and linear rows leave of them; nothing that satisfies the constraints is lost.

A row ``a.x <= b`` leaves ``a_k x_k <= b - min{sum_{i != k} a_i x_i}`` for every coordinate (bound tightening as in Savelsbergh
1994); ends of whole numbers are rounded inward. All floats are rounded outward before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import TINY

if TYPE_CHECKING:
    from wdaverify._types import Vector
    from wdaverify.constraints import Constraints

_ROUNDS = 3

_ROUNDING = 2.0**-50
"""Times the number and the size of the terms: more than the rounding of a sum and of what follows."""


class Propagation:
    """The rows of a domain, one-hot groups among them, as they act on boxes."""

    def __init__(self, constraints: Constraints) -> None:
        rows, offsets = constraints.inequalities()
        self._rows, self._limits, self._integer = -rows, offsets, constraints.integer

    def shrunk(self, lower: Vector, upper: Vector) -> tuple[Vector, Vector] | None:
        """The ends of a smaller box with the same points of the domain; ``None`` if that is proved to hold none.

        Examples
        --------
        >>> from wdaverify.constraints import Constraints
        >>> group = Constraints(np.ones(2, dtype=bool), ((0, 1),), np.zeros((0, 2)), np.zeros(0))
        >>> low, high = Propagation(group).shrunk(np.zeros(2), np.array([0.5, 1.0]))
        >>> low.tolist(), high.tolist()
        ([0.0, 1.0], [0.0, 1.0])
        """
        low, high = lower.copy(), upper.copy()
        for _ in range(_ROUNDS):
            before = low.copy(), high.copy()
            low = np.where(self._integer, np.ceil(low), low)
            high = np.where(self._integer, np.floor(high), high)
            if (low > high).any():
                return None
            for row, limit in zip(self._rows, self._limits.tolist(), strict=True):
                if not _narrow(row, limit, low, high) or (low > high).any():
                    return None
            if np.array_equal(before[0], low) and np.array_equal(before[1], high):
                break
        low, high = np.where(self._integer, np.ceil(low), low), np.where(self._integer, np.floor(high), high)
        return None if (low > high).any() else (low, high)


def _narrow(row: Vector, limit: float, low: Vector, high: Vector) -> bool:
    """Move the ends in place by one row; false if it holds nowhere."""
    k = np.flatnonzero(row)
    a = row[k]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        least = np.where(a > 0, a * low[k], a * high[k])
        total, size = float(least.sum()), float(np.abs(least).sum())
        if not np.isfinite(total):
            return True
        error = _ROUNDING * (len(k) + 8) * (size + abs(limit)) + TINY
        if total - error > limit:
            return False
        ends = (limit - (total - least) + error) / a
        ends += np.where(a > 0, 1.0, -1.0) * (_ROUNDING * np.abs(ends) + TINY)
    better_high = (a > 0) & (ends < high[k])
    better_low = (a < 0) & (ends > low[k])
    high[k[better_high]], low[k[better_low]] = ends[better_high], ends[better_low]
    return True
