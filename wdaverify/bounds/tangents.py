r"""Tangents of powers of a length: where they touch best, and what they leave below the power.

Let ``N(t)`` be the largest value of a linear form over the steps of length t, concave in t. The bound of a priced form over
tangents of ``w t^p`` is least for the one that touches at the maximiser of ``N(t) - w t^p``, and equals that maximum (strong
duality). N is piecewise linear for linf (coordinates stop at their rooms) and l1 (a knapsack, steepest coordinate first); for
l2 its slope ``theta(kappa)`` falls with the length. The length may be computed carelessly: any tangent lies below the power.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import TINY, UNIT_ROUNDOFF
from wdaverify._types import Norm
from wdaverify.bounds.rooms import RoundSteps

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector
    from wdaverify.bounds.rooms import Rooms

_LEAST_NORMAL = 2.0**-1000
"""Powers below this one have lost digits to underflow: nothing relative can be said of them."""

_HALVINGS = 56
"""Bisections for the l2 length."""


def tangent_constant(slope: Vector, weight: float, order: float) -> Vector:
    """``Q`` (R,) rounded up such that ``weight t^order >= slope t - Q`` for all ``t >= 0``; weight > 0, order > 1.

    Examples
    --------
    >>> tangent_constant(np.array([4.0]), 1.0, 2.0).round(9).tolist()
    [4.0]
    """
    exponent = order / (order - 1.0)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore", under="ignore"):
        ratio = slope / (weight * order)
        power = np.power(ratio, exponent)
        constant = weight * (order - 1.0) * power
        error = (64.0 + 16.0 * exponent * (1.0 + np.abs(np.log(np.maximum(ratio, TINY))))) * UNIT_ROUNDOFF
        normal = (np.minimum(ratio, power) > _LEAST_NORMAL) & np.isfinite(weight * order)
    raised = np.where(normal, constant * (1.0 + error) + TINY, np.inf)
    return np.asarray(np.where(slope > 0, raised, 0.0))


def touching_lengths(rooms: Rooms, norm: Norm, weight: float, order: float) -> Vector:
    """Where ``N(t) - weight t^order`` is largest in each form's shell, shape (R,), about; weight > 0, order > 1.

    Examples
    --------
    ``3 x - x^2`` on [0, 1] and on [0, 4]: at the end, and at 3/2.

    >>> from wdaverify.bounds.rooms import Rooms, Shells
    >>> from wdaverify.transport import GroundCost
    >>> for end in (1.0, 4.0):
    ...     shells = Shells(np.zeros(1), np.zeros(1), np.full(1, end), np.zeros(1), np.full(1, np.inf))
    ...     rooms = Rooms.of(np.array([[3.0]]), shells, GroundCost(Norm.L1, 2.0))
    ...     print(float(touching_lengths(rooms, Norm.L1, 1.0, 2.0)[0].round(6)))
    1.0
    1.5
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        if norm is Norm.L2:
            return _round_lengths(rooms, weight, order)
        starts, slopes = _stopped(rooms) if norm is Norm.LINF else _knapsack(rooms)
        free = np.power(slopes / (weight * order), 1.0 / (order - 1.0))  # where the power is as steep as the piece
        ends = np.concatenate([starts[:, 1:], np.full((len(starts), 1), np.inf)], axis=1)
        lengths = np.clip(free, starts, ends)
        rises = np.cumsum(slopes[:, :-1] * np.diff(starts, axis=1), axis=1)
        at_starts = np.concatenate([np.zeros((len(starts), 1)), rises], axis=1)
        values = at_starts + slopes * (lengths - starts) - weight * np.power(lengths, order)
        best = np.argmax(np.where(np.isnan(values), -np.inf, values), axis=1)
        length = np.take_along_axis(lengths, best[:, None], axis=1)[:, 0]
        return np.clip(np.where(np.isfinite(length), length, rooms.inner), rooms.inner, rooms.farthest)


def _stopped(rooms: Rooms) -> tuple[Matrix, Matrix]:
    """linf: N is ``sum_k size_k min(t, cap_k)``: where its pieces start, and their slopes, shape (R, n + 1)."""
    order = np.argsort(rooms.caps, axis=1)
    sizes, caps = (np.take_along_axis(part, order, axis=1) for part in (rooms.sizes, rooms.caps))
    none = np.zeros((len(sizes), 1))
    slopes = np.cumsum(sizes[:, ::-1], axis=1)[:, ::-1]
    return np.concatenate([none, caps], axis=1), np.concatenate([slopes, none], axis=1)


def _knapsack(rooms: Rooms) -> tuple[Matrix, Matrix]:
    """l1: the coordinates are used up in the order of their sizes."""
    order = np.argsort(-rooms.sizes, axis=1)
    sizes, caps = (np.take_along_axis(part, order, axis=1) for part in (rooms.sizes, rooms.caps))
    none = np.zeros((len(sizes), 1))
    return np.concatenate([none, np.cumsum(caps, axis=1)], axis=1), np.concatenate([sizes, none], axis=1)


def _round_lengths(rooms: Rooms, weight: float, order: float) -> Vector:
    """l2: where the slope ``length / kappa`` falls below that of the power, by bisection."""
    steps, unit = RoundSteps(rooms), rooms.largest
    low, high = rooms.inner.astype(np.float64), rooms.farthest.astype(np.float64)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        kappa = steps.kappa_of_length(middle)
        rises = unit * middle / kappa > weight * order * np.power(middle, order - 1.0)
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    return 0.5 * (low + high)
