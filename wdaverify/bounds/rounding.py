"""How far float64 results may lie from real ones: a-posteriori error terms, added outward.

A sum of `k` products of floats, computed in any order and with or without fused operations, differs from the real
value by at most ``gamma_k sum_i |a_i b_i|`` with ``gamma_k = k u / (1 - k u)`` and ``u = 2^-53`` (Higham, *Accuracy and
Stability of Numerical Algorithms*, 2nd ed., section 3.1). One more factor ``1 + u`` covers a coefficient that is the
float64 nearest to the exact one. Underflow costs at most ``2^-1075`` a product and is charged separately.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import TINY, UNIT_ROUNDOFF

if TYPE_CHECKING:
    from wdaverify._types import Vector

INFLATION = 1.0 + 2.0**-20
"""Covers the rounding of the error terms themselves: sums of fewer than 2^32 nonnegative products."""


LEAST = 2.0**-1072
"""Above what the rounding of an error term itself, or of a subnormal coefficient, may lose where nothing relative is left."""


def gamma(terms: int) -> float:
    """The constant ``gamma_k`` of a sum of `terms` products, rounded up.

    Examples
    --------
    >>> 10 * 2.0**-53 < gamma(10) < 10.001 * 2.0**-53
    True
    """
    product = terms * UNIT_ROUNDOFF
    return product / (1.0 - product) * INFLATION


def outward(lower: Vector, upper: Vector, error: Vector) -> tuple[Vector, Vector]:
    """Widen computed ends by `error` (and by the rounding of doing so); what is not a number proves nothing."""
    low, high = np.nextafter(lower - error, -np.inf), np.nextafter(upper + error, np.inf)
    return np.where(np.isfinite(lower) & ~np.isnan(low), low, -np.inf), np.where(
        np.isfinite(upper) & ~np.isnan(high), high, np.inf
    )


def underflow(terms: int, reach: Vector) -> Vector:
    """What underflow may cost in `terms` products whose results are multiplied by at most `reach`."""
    return 4.0 * (terms + 1) * TINY * (1.0 + reach)
