"""The unit sphere of a norm, covered by caps that leave the origin out.

Some coordinate of a vector of length 1 is at least ``tau`` in size, with ``tau = 1`` for linf, ``1/sqrt(n)`` for l2 and ``1/n``
for l1. So the 2n caps ``{u: ||u|| <= 1, s u_k >= tau}``, s = 1 or -1, cover the sphere, and the largest value of a positively
homogeneous function on the ball is the largest on the caps, or 0. Every activation pattern of a network without biases holds the
origin; in a cap, patterns can be empty and pre-activations have a sign.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import TINY
from wdaverify._types import Norm
from wdaverify.domain import Box, Regions
from wdaverify.transport import round_down, round_up, sqrt_up

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector


@dataclass(frozen=True, slots=True, eq=False)
class Cap:
    """A part of the unit ball that holds a part of its sphere.

    Attributes
    ----------
    regions
        A batch of one: the ball, cut with a box.
    rows, offsets
        ``rows u + offsets >= 0`` in the cap, shapes (q, n) and (q,): what the box says about the coordinate that is large, for
        those who read the ball alone. None for linf, where the cap is a box.
    """

    regions: Regions
    rows: Matrix
    offsets: Vector


def sphere_caps(n: int, norm: Norm) -> list[Cap]:
    """The 2n caps of the unit sphere in R^n; bounds are rounded so that together they cover it.

    Examples
    --------
    >>> caps = sphere_caps(2, Norm.LINF)                                             # the four edges of a square
    >>> [(cap.regions.lower[0].tolist(), cap.regions.upper[0].tolist()) for cap in caps][:2]
    [([1.0, -1.0], [1.0, 1.0]), ([-1.0, -1.0], [-1.0, 1.0])]
    """
    least, most = _ends(n, norm)
    caps = []
    for k in range(n):
        for sign in (1.0, -1.0):
            lower, upper = np.full(n, -most), np.full(n, most)
            lower[k], upper[k] = (least, 1.0) if sign > 0 else (-1.0, -least)
            row = np.zeros((1, n))
            row[0, k] = sign
            rows, offsets = (row[:0], np.zeros(0)) if norm is Norm.LINF else (row, np.array([-least]))
            ball = Regions(lower[None], upper[None])
            if norm is not Norm.LINF:
                ball = Regions.balls(Box(lower, upper), np.zeros((1, n)), 1.0, norm)
            caps.append(Cap(ball, rows, offsets))
    return caps


def _ends(n: int, norm: Norm) -> tuple[float, float]:
    """Tau rounded down, and the most that another coordinate can be, rounded up."""
    if norm is Norm.LINF:
        return 1.0, 1.0
    if norm is Norm.L1:
        least = round_down(Fraction(1, n))
        return least, round_up(1 - Fraction(least))
    least = math.sqrt(1.0 / n)
    while n * Fraction(least) ** 2 > 1:
        least = math.nextafter(least, 0.0)
    return least, min(1.0, sqrt_up(1 - Fraction(least) ** 2))


def steepest(gradients: Matrix, norm: Norm) -> Matrix:
    """Vectors u of length 1 with the largest ``g . u`` for the rows g of `gradients` (N, n); 0 for a gradient 0.

    Examples
    --------
    >>> steepest(np.array([[3.0, -4.0]]), Norm.LINF).tolist(), steepest(np.array([[3.0, -4.0]]), Norm.L1).tolist()
    ([[1.0, -1.0]], [[0.0, -1.0]])
    """
    if norm is Norm.LINF:
        return np.sign(gradients)
    if norm is Norm.L2:
        return np.asarray(gradients / np.maximum(np.linalg.norm(gradients, axis=1, keepdims=True), TINY))
    largest = np.argmax(np.abs(gradients), axis=1)[:, None]
    return np.where(np.arange(gradients.shape[1]) == largest, np.sign(gradients), 0.0)
