r"""How fast a linear form can grow with the ground cost: lines above it, for every cost between two ends.

Let ``d = x - x_0`` with ``-below <= d <= above``, ``cap_k`` the room in the direction in which ``a_k`` grows,
``t = ||S d||`` and ``w >= 0`` any vector with dual norm ``||w||_* = theta``. Then

.. math:: a \cdot d \le \sum_k |a_k| |d_k| \le \theta t + \sum_k (|a_k| - s_k w_k)^+ \mathrm{cap}_k,

the Lagrangian dual of the problem whose ball is the constraint (Boyd and Vandenberghe, *Convex Optimization*, section
5.1.3). So w may be proposed carelessly, and only the line is evaluated with care. The line touches the concave function
``max{a.d : ||S d|| <= t}`` at tau if, with ``a'_k = |a_k| / s_k`` and ``c'_k = s_k cap_k``,

* linf: ``w_k = a'_k`` where ``c'_k > tau``, else 0;
* l1: ``w_k = min(a'_k, theta)`` for the breakpoint theta where the greedy knapsack has spent tau;
* l2: ``w_k = min(a'_k, nu c'_k)`` for the nu with ``||min(a' / nu, c')|| = tau``.

For a cost ``c = t^p`` the root is concave, so that ``t <= tau + (c - tau^p) / (p tau^(p-1))`` turns a line in t into one
in c. What lines with slopes on both sides of a price prove together is their convex combination of just that slope.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify._tolerances import TINY, UNIT_ROUNDOFF
from wdaverify._types import Norm
from wdaverify.bounds.rounding import INFLATION, gamma, underflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._types import Matrix, Vector
    from wdaverify.domain import Box
    from wdaverify.transport import GroundCost

_POWER = 2.0**-46
"""Relative error granted to a power of two floats, whose libraries promise a few ulps."""

_DEAR = 2.0**330
"""Higher prices are replaced by this one, which bounds no less and whose products with costs do not overflow."""

_NEWTON = 6
"""Steps for the multiplier of l2."""


class Lines(NamedTuple):
    """``form <= slope * c + height`` for costs c between the ends of a shell; slopes and heights (R, Q)."""

    slopes: Matrix
    heights: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """The ground cost about one sample on a box.

    Attributes
    ----------
    below, above
        How far each coordinate may fall and rise, (n,), rounded up.
    """

    box: Box
    center: Vector
    below: Vector
    above: Vector
    cost: GroundCost

    @staticmethod
    def of(box: Box, center: Vector, cost: GroundCost) -> Ground:
        """The ground about a point of a bounded box with vector ends."""
        rooms = (np.maximum(np.nextafter(room, np.inf), 0.0) for room in (center - box.lower, box.upper - center))
        below, above = (np.where(box.lower == box.upper, 0.0, room) for room in rooms)
        return Ground(box, center, below, above, cost)

    @property
    def scales(self) -> Vector | float:
        """The diagonal of S."""
        return 1.0 if self.cost.scales is None else self.cost.scales

    @property
    def sizes(self) -> Vector:
        """At least the absolute values of the coordinates, (n,)."""
        return np.asarray(np.maximum(np.abs(self.box.lower), np.abs(self.box.upper)))

    @property
    def farthest(self) -> float:
        """At least the largest distance of the box, rounded up."""
        rooms = np.maximum(self.below, self.above) * self.scales
        length = float(np.linalg.norm(rooms, ord=self.cost.norm.order))
        return length * (1.0 + 4.0 * gamma(len(rooms) + 4)) + TINY

    def costs(self, distances: Vector, *, up: bool) -> Vector:
        """``t^p``, rounded up or down."""
        if self.cost.order == 1.0:
            return distances
        powers = distances**self.cost.order
        return np.asarray(powers * (1.0 + _POWER) + TINY if up else np.maximum(powers * (1.0 - _POWER) - TINY, 0.0))

    def lines(self, forms: Matrix, constants: Vector, touch: Matrix) -> Lines:
        """Lines above ``forms . x + constants``, one for each distance at which they are to touch.

        Parameters
        ----------
        forms, constants
            Shapes (R, n) and (R,), taken as exact.
        touch
            Distances (R, Q); positive if the order is above 1.

        Returns
        -------
        Lines
            Valid for all points of the box, whatever their cost.

        Examples
        --------
        >>> from wdaverify.domain import Box
        >>> from wdaverify.transport import GroundCost
        >>> ground = Ground.of(Box(0, 1).sized(2), np.array([0.0, 0.5]), GroundCost(Norm.LINF))
        >>> lines = ground.lines(np.array([[3.0, 2.0]]), np.zeros(1), np.array([[0.25, 0.75]]))
        >>> lines.slopes.round(9).tolist(), lines.heights.round(9).tolist()     # 3 min(t, 1) + 2 min(t, 1/2), and 1 at the sample
        ([[5.0, 3.0]], [[1.0, 2.0]])
        """
        size = np.abs(forms)
        rooms = np.where(forms > 0, self.above, self.below)
        terms = forms.shape[1] + 12
        floor = underflow(terms, size.sum(axis=1))
        base = forms @ self.center + constants
        base += 4.0 * gamma(terms) * INFLATION * (size @ np.abs(self.center) + np.abs(constants)) + floor
        slopes, heights = np.empty(touch.shape), np.empty(touch.shape)
        propose = _PROPOSALS[self.cost.norm](size / self.scales, rooms * self.scales)
        for q in range(touch.shape[1]):
            weights = propose(touch[:, q]) * self.scales
            beyond = np.maximum(size - weights, 0.0)
            theta = np.linalg.norm(weights / self.scales, ord=self.cost.norm.dual.order, axis=1)
            slopes[:, q] = theta * (1.0 + 4.0 * gamma(terms)) + TINY
            gain = np.einsum("rk,rk->r", beyond, rooms) * (1.0 + 2.0 * gamma(terms)) + floor
            heights[:, q] = base + gain + 4.0 * UNIT_ROUNDOFF * (np.abs(base) + gain)
        return Lines(slopes, heights) if self.cost.order == 1.0 else self._in_cost(Lines(slopes, heights), touch)

    def _in_cost(self, lines: Lines, touch: Matrix) -> Lines:
        """Lines in the distance t as lines in ``t^p``, touching at the same distances."""
        order = self.cost.order
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            slopes = lines.slopes / (order * touch ** (order - 1.0)) * (1.0 + 4.0 * _POWER) + TINY
            part = lines.slopes * touch * (1.0 - 1.0 / order) * (1.0 + 8.0 * UNIT_ROUNDOFF) + TINY
            heights = lines.heights + part + 4.0 * UNIT_ROUNDOFF * (np.abs(lines.heights) + part)
        valid = np.isfinite(slopes) & np.isfinite(heights)
        return Lines(np.where(valid, slopes, 0.0), np.where(valid, heights, np.inf))


def priced_ends(lines: Lines, prices: Vector, low: Vector, high: Vector) -> Vector:
    """Upper bounds (R,) of what lies below all lines of a row, less ``price * c``, for ``low <= c <= high``.

    Each line alone, and the combination of each pair whose slope is the price.

    Parameters
    ----------
    prices, low, high
        Shape (R,), nonnegative.

    Examples
    --------
    >>> lines = Lines(np.array([[5.0, 3.0]]), np.array([[0.0, 1.0]]))
    >>> priced_ends(lines, np.array([4.0]), np.zeros(1), np.ones(1)).round(9).tolist()    # at c = 1/2
    [0.5]
    """
    slopes, heights = lines
    price, first, last = np.minimum(prices, _DEAR)[:, None], low[:, None], high[:, None]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        excess = slopes - price
        ends = [heights + excess * c + 8.0 * UNIT_ROUNDOFF * (np.abs(heights) + (slopes + price) * c) for c in (first, last)]
        alone = np.maximum(*ends) + TINY
        best = np.where(np.isnan(alone), np.inf, alone).min(axis=1)
        if slopes.shape[1] == 1:
            return np.asarray(best)
        mixed = _mixed(slopes, heights, price, last)
    return np.asarray(np.minimum(best, mixed))


def _mixed(slopes: Matrix, heights: Matrix, price: Matrix, last: Matrix) -> Vector:
    """The least height of a combination of two lines that is as steep as the price."""
    up, down = slopes >= price, slopes < price
    best = np.full(len(slopes), np.inf)
    for q in range(slopes.shape[1]):
        spread = slopes[:, q : q + 1] - slopes
        part = np.clip((price - slopes) / spread, 0.0, 1.0)
        value = part * heights[:, q : q + 1] + (1.0 - part) * heights
        size = np.abs(heights[:, q : q + 1]) + np.abs(heights) + (slopes[:, q : q + 1] + slopes + price) * last
        value = value + 16.0 * UNIT_ROUNDOFF * size + TINY
        value = np.where(up[:, q : q + 1] & down & np.isfinite(value), value, np.inf)
        best = np.minimum(best, value.min(axis=1))
    return best


class _Linf:
    """All coordinates with more room than tau."""

    def __init__(self, size: Matrix, rooms: Matrix) -> None:
        self._size, self._rooms = size, rooms

    def __call__(self, touch: Vector) -> Matrix:
        return np.where(self._rooms > touch[:, None], self._size, 0.0)


class _L1:
    """Sizes up to the one at which the greedy knapsack has spent tau."""

    def __init__(self, size: Matrix, rooms: Matrix) -> None:
        order = np.argsort(-size, axis=1)
        self._size = size
        self._ordered = np.concatenate([np.take_along_axis(size, order, axis=1), np.zeros((len(size), 1))], axis=1)
        self._spent = np.cumsum(np.take_along_axis(rooms, order, axis=1), axis=1)

    def __call__(self, touch: Vector) -> Matrix:
        position = (self._spent < touch[:, None]).sum(axis=1)
        theta = self._ordered[np.arange(len(position)), position]
        return np.asarray(np.minimum(self._size, theta[:, None]))


class _L2:
    """``min(size, nu rooms)``, with nu from an active-set iteration."""

    def __init__(self, size: Matrix, rooms: Matrix) -> None:
        self._size, self._rooms = size, np.where(size > 0, rooms, 0.0)

    def __call__(self, touch: Vector) -> Matrix:
        size, rooms = self._size, self._rooms
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            nu = np.linalg.norm(size, axis=1) / touch
            for _ in range(_NEWTON):
                clipped = size >= nu[:, None] * rooms
                free = np.square(np.where(clipped, 0.0, size)).sum(axis=1)
                left = np.square(touch) - np.square(np.where(clipped, rooms, 0.0)).sum(axis=1)
                nu = np.where((free > 0) & (left > 0), np.sqrt(free / left), np.where(left > 0, 0.0, nu))
            proposal = np.minimum(size, nu[:, None] * rooms)
        return np.where(np.isfinite(proposal), proposal, size)


_PROPOSALS: dict[Norm, Callable[[Matrix, Matrix], Callable[[Vector], Matrix]]] = {Norm.LINF: _Linf, Norm.L1: _L1, Norm.L2: _L2}
