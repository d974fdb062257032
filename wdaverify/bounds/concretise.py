"""The largest value of a linear form over a region, bounded from above with every rounding charged.

Over a box ``[c - r, c + r]`` it is ``a.c + |a|.r``. Over a box cut with a ball the Lagrangian of the ball gives a bound
for every multiplier (Boyd and Vandenberghe, *Convex Optimization*, section 5.1.3), so the multiplier may be computed
carelessly and only the bound is evaluated with care. With ``cap_k >= 0`` the room between the centre and the end of the
box towards which ``a`` ascends:

* l1: ``a.x0 + theta R + sum_k cap_k max(0, |a_k| - theta)`` for ``theta >= 0``; the minimum is at a breakpoint ``|a_k|``,
  where the greedy knapsack has spent R, and equals the maximum of the linear program.
* l2: ``a.x0 + mu R^2 + sum_k m_k`` for ``mu > 0``, ``m_k = |a_k| cap_k - mu cap_k^2`` where ``|a_k| >= 2 mu cap_k`` and
  ``a_k^2 / (4 mu)`` elsewhere; the second form is valid everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import TINY, UNIT_ROUNDOFF
from wdaverify._types import Norm
from wdaverify.bounds.rounding import INFLATION, gamma, underflow

if TYPE_CHECKING:
    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.domain import Regions

_MULTIPLIER_STEPS = 4
"""Steps of the active-set iteration for the l2 multiplier; it usually ends after two or three."""

_LEADING = 32
"""So many of the largest coefficients are sorted at first for the l1 multiplier; the rest is rarely needed."""


def linear_maximum(coefficients: Matrix, regions: Regions, owner: IntArray) -> Vector:
    """Upper bounds of ``a.x``, each over its own region, proved in real arithmetic for the given float coefficients.

    Parameters
    ----------
    coefficients
        Shape (R, n), float64.
    owner
        The number of each form's region, shape (R,).

    Returns
    -------
    Vector
        Shape (R,); ``inf`` where nothing finite is proved. Over boxes, and over boxes cut with l1 balls, the bound
        is the maximum itself up to rounding; over boxes cut with l2 balls it is the best of a few multipliers.

    Examples
    --------
    >>> from wdaverify.domain import Box, Regions
    >>> ball = Regions.balls(Box(0, 1), np.array([[0.5, 0.0]]), 0.75, Norm.L1)
    >>> linear_maximum(np.array([[-2.0, 1.0], [-2.0, 4.0]]), ball, np.array([0, 0])).round(9).tolist()
    [0.25, 2.0]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        best = _over_boxes(coefficients, BoxForm.of(regions), owner)
        if regions.norm not in (None, Norm.LINF) and regions.center is not None and regions.radius is not None:
            center, radius = regions.center[owner], regions.radius[owner]
            room = _room(coefficients, regions, regions.center, regions.radius, owner)
            over_ball = _over_l2_balls if regions.norm is Norm.L2 else _over_l1_balls
            best = np.fmin(best, over_ball(coefficients, center, radius, room))
    return np.where(np.isfinite(best), best, np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class BoxForm:
    """Boxes as the bound reads them.

    Attributes
    ----------
    center, radius
        Shape (B, n): the box lies within ``center +- radius``, and the radius also pays for the rounding of both products.
        The coordinates without two finite ends have 0 in both.
    infinite
        Shape (B, n): 1 there, 0 elsewhere; ``None`` if there are none.
    """

    center: Matrix
    radius: Matrix
    infinite: Matrix | None

    @staticmethod
    def of(regions: Regions) -> BoxForm:
        """The boxes of the regions."""
        finite = np.isfinite(regions.lower) & np.isfinite(regions.upper)
        whole = bool(finite.all())
        low, high = (
            (regions.lower, regions.upper) if whole else (np.where(finite, e, 0.0) for e in (regions.lower, regions.upper))
        )
        center = low + 0.5 * (high - low)
        radius = np.nextafter(np.maximum(np.maximum(high - center, center - low), 0.0), np.inf)
        charged = radius + gamma(low.shape[1] + 8) * (np.abs(center) + 2.0 * radius) * INFLATION
        return BoxForm(center, charged, None if whole else (~finite).astype(np.float64))


def dots(forms: Matrix, vectors: Matrix, owner: IntArray) -> Vector:
    """``forms[r] . vectors[owner[r]]`` for forms (R, n) and vectors (B, n)."""
    if len(vectors) == 1:
        alone: Vector = forms @ vectors[0]
        return alone
    result: Vector = np.einsum("rk,rk->r", forms, vectors.take(owner, axis=0))
    return result


def _over_boxes(a: Matrix, box: BoxForm, owner: IntArray) -> Vector:
    """``a.c + |a|.r``; the rounding of both dot products is in the radius."""
    size = np.abs(a)
    bound = _raised(dots(a, box.center, owner) + dots(size, box.radius, owner), underflow(a.shape[1] + 8, np.zeros(1)))
    if box.infinite is None:
        return bound
    return np.where(dots(size, box.infinite, owner) > 0, np.inf, bound)


def _room(a: Matrix, regions: Regions, center: Matrix, radius: Vector, owner: IntArray) -> Matrix:
    """How far each coordinate can ascend, (R, n): to the end of the box or of the ball, rounded up."""
    below, above = (
        np.clip(np.nextafter(distance, np.inf), 0.0, radius[:, None])
        for distance in (center - regions.lower, regions.upper - center)
    )
    return np.where(a < 0, below.take(owner, axis=0), above.take(owner, axis=0))


def _over_l1_balls(a: Matrix, center: Matrix, radius: Vector, room: Matrix) -> Vector:
    """The bound at the breakpoint where the coordinates of largest ``|a_k|`` have spent the radius."""
    size = np.abs(a)
    theta = _breakpoint(size, room, radius, _LEADING if a.shape[1] > 4 * _LEADING else a.shape[1])
    gain = theta * radius + np.einsum("rk,rk->r", room, np.maximum(size - theta[:, None], 0.0))
    return _above_center(a, size, center, gain)


def _breakpoint(size: Matrix, room: Matrix, radius: Vector, leading: int) -> Vector:
    """The ``|a_k|`` at which the greedy knapsack has spent R, or 0; all are sorted where the `leading` largest fall short."""
    count = size.shape[1]
    chosen = np.argpartition(size, count - leading, axis=1)[:, count - leading :] if leading < count else None
    candidates = size if chosen is None else np.take_along_axis(size, chosen, axis=1)
    order = np.argsort(-candidates, axis=1)
    ordered = np.take_along_axis(candidates, order, axis=1)
    rooms = room if chosen is None else np.take_along_axis(room, chosen, axis=1)
    spent = np.cumsum(np.take_along_axis(rooms, order, axis=1), axis=1)
    position = (spent < radius[:, None]).sum(axis=1)
    padded = np.concatenate([ordered, np.zeros((len(size), 1))], axis=1)
    theta: Vector = padded[np.arange(len(size)), position]
    short = position == leading
    if leading < count and short.any():
        theta[short] = _breakpoint(size[short], room[short], radius[short], count)
    return theta


def _over_l2_balls(a: Matrix, center: Matrix, radius: Vector, room: Matrix) -> Vector:
    """The better of ``a.x0 + R ||a||`` and the bound at the multiplier that the active-set iteration ends with."""
    size = np.abs(a)
    largest = np.maximum(size.max(axis=1), TINY)
    norm = largest * np.sqrt(np.square(size / largest[:, None]).sum(axis=1))  # scaled: squares do not underflow
    squares, rooms = np.square(size), np.square(room)
    with np.errstate(divide="ignore"):
        mu = norm / (2.0 * radius)
        for _ in range(_MULTIPLIER_STEPS):
            clipped = size >= 2.0 * mu[:, None] * room
            free = np.einsum("rk,rk->r", squares, ~clipped)
            left = np.square(radius) - np.einsum("rk,rk->r", rooms, clipped)
            mu = np.where((free > 0) & (left > 0), np.sqrt(free / left) / 2.0, mu)
        factor = mu[:, None]
        # Strictly beyond rounding, else the form that is valid everywhere.
        clipped = size > 2.0 * factor * room * (1.0 + 8.0 * UNIT_ROUNDOFF)
        moves = np.where(clipped, room * (size - factor * room), size * (size / (4.0 * factor)))
        dual = mu * radius * radius + moves.sum(axis=1)
    return _above_center(a, size, center, np.fmin(radius * norm, dual))


def _above_center(a: Matrix, size: Matrix, center: Matrix, gain: Vector) -> Vector:
    """``a.x0 + gain`` rounded up; `gain` is a computed sum of at most n + 1 nonnegative terms of few roundings each."""
    terms = a.shape[1] + 16
    error = gamma(terms) * (np.einsum("rk,rk->r", size, np.abs(center)) + gain) * INFLATION
    return _raised(np.einsum("rk,rk->r", a, center) + gain + error, underflow(terms, size.max(axis=1)))


def _raised(value: Vector, slack: Vector) -> Vector:
    """Above `value` by `slack` and by the few roundings that formed it."""
    return value + (8.0 * UNIT_ROUNDOFF * np.abs(value) + slack)
