r"""The largest value of a linear form less the cost of moving, bounded from above with every rounding charged.

With ``d = x - x_0`` and lengths between `inner` and `outer` (a *shell*), for every ``theta >= 0``

.. math:: \max\{a \cdot d - w \|S d\|^p : \text{inner} \le \|S d\| \le \text{outer}\} \le
          \max_{x \in \text{box}}\{a \cdot d - \theta \|S d\|\}
          + \max_{\text{inner} \le t \le \text{outer}} \{\theta t - w t^p\}.

For p > 1 the power is replaced by one of its tangents, ``w t^p >= omega t - Q`` with
``Q = w (p - 1) (omega / (w p))^{p/(p-1)}``, so that p = 1 and a search over omega remain, in which the bound is
convex. For p = 1:

* linf: both maxima together are ``max_t sum_k |a_k| min(t / s_k, cap_k) - w t``, concave and piecewise linear in t;
* l1: ``sum_k cap_k max(0, |a_k| - theta s_k) + max((theta - w) inner, (theta - w) outer)``; the best theta is w, or
  where a greedy knapsack has spent `outer` or `inner`;
* l2: ``theta ||S d|| >= theta v . S d`` for every ``||v|| <= 1``. The best point of the box is ``s_k d_k = min(kappa |a_k| / s_k,
  s_k cap_k)`` for some kappa, v is its direction, and ``theta = ||S d|| / kappa``.

theta, v and omega may be computed carelessly: only the bound at them is evaluated with care (Lagrangian duality; Boyd and
Vandenberghe, *Convex Optimization*, chapter 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import TINY, UNIT_ROUNDOFF
from wdaverify._types import Norm
from wdaverify.bounds.rounding import INFLATION, gamma, underflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._types import Matrix, Vector
    from wdaverify.transport import GroundCost

_STEPS = 48
"""Steps of the golden section for the tangent of a power."""

_NO_ROOM = 1e-150
"""Rooms below this one count as none when a multiplier is chosen: their squares underflow."""

_LEAST_NORMAL = 2.0**-1000
"""Powers below this one have lost digits to underflow: nothing relative can be said of them."""

_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Shells:
    """What the forms (R, n) may reach: one box, and a shell for each form.

    Attributes
    ----------
    center, lower, upper
        Shape (n,): the center, and the box that holds it.
    inner, outer
        Shape (R,): bounds of ``||S (x - center)||``; `outer` may be infinite.
    """

    center: Vector
    lower: Vector
    upper: Vector
    inner: Vector
    outer: Vector


def priced_maximum(forms: Matrix, shells: Shells, ground: GroundCost, weight: float) -> Vector:
    """Proved upper bounds (R,) of ``a . x - weight ||S (x - center)||^p`` over the points of each form's shell in the box.

    Parameters
    ----------
    forms
        Shape (R, n), float64, taken as they are.
    weight
        Finite and nonnegative.

    Returns
    -------
    Vector
        ``inf`` where nothing finite is proved. For l1 and linf with p = 1 the maximum over the box and ``||S d|| <= outer``
        itself, up to rounding, wherever that has a length of at least `inner`.

    Examples
    --------
    ``x1 + 2 x2 - 3/2 ||x||`` on the unit box; then of points of l1 length 3/2 and more.

    >>> from wdaverify.transport import GroundCost
    >>> box = -np.ones(2), np.ones(2)
    >>> one = np.array([[1.0, 2.0]])
    >>> near, far = (Shells(np.zeros(2), *box, np.full(1, r), np.full(1, np.inf)) for r in (0.0, 1.5))
    >>> [float(priced_maximum(one, s, GroundCost(Norm.L1), 1.5)[0].round(9)) for s in (near, far)]
    [0.5, 0.25]
    >>> float(priced_maximum(one, near, GroundCost(Norm.LINF, 2.0), 1.5)[0].round(6))
    1.5
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        forms = np.asarray(forms, dtype=np.float64)
        rooms = _Rooms.of(forms, shells, ground)
        bound = _BOUNDS[ground.norm]
        if ground.order == 1.0 or weight == 0.0:
            best = bound(rooms, np.full(len(forms), weight if ground.order == 1.0 else 0.0))
        else:
            best = _over_tangents(rooms, bound, weight, ground.order)
    return np.where(np.isfinite(best), best, np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class _Rooms:
    """The forms beside the room of each coordinate, in the scaled lengths ``|a_k| / s_k`` and ``s_k cap_k`` and as they are.

    Attributes
    ----------
    sizes, caps
        Shape (R, n): ``|a_k| / s_k`` and ``s_k cap_k``, rounded up.
    plain, towards, away
        Shape (R, n): ``|a_k|``, and how far ``x_k`` can go in the direction in which the form grows, and in the other.
    base, reach
        Shape (R,): ``a . center``, and ``|a| . |center|``.
    farthest
        Shape (R,): at least the length of every step that the form gains by, and at most `outer`.
    """

    sizes: Matrix
    caps: Matrix
    plain: Matrix
    towards: Matrix
    away: Matrix
    scales: Vector
    base: Vector
    reach: Vector
    inner: Vector
    outer: Vector
    farthest: Vector

    @staticmethod
    def of(forms: Matrix, shells: Shells, ground: GroundCost) -> _Rooms:
        n = forms.shape[1]
        scales = np.ones(n) if ground.scales is None else ground.scales
        outer = np.broadcast_to(np.asarray(shells.outer, dtype=np.float64), len(forms))
        inner = np.broadcast_to(np.asarray(shells.inner, dtype=np.float64), len(forms))
        ball = np.nextafter(outer[:, None] / scales, np.inf)
        above = np.minimum(np.nextafter(np.maximum(shells.upper - shells.center, 0.0), np.inf), ball)
        below = np.minimum(np.nextafter(np.maximum(shells.center - shells.lower, 0.0), np.inf), ball)
        grows = forms > 0
        towards, away = np.where(grows, above, below), np.where(grows, below, above)
        plain = np.abs(forms)
        sizes, caps = plain / scales, towards * scales
        if ground.scales is not None:
            sizes, caps = np.nextafter(sizes, np.inf), np.nextafter(caps, np.inf)
        far = ground.lengths(np.where(plain > 0, towards, 0.0)) * (1.0 + 1e-9)
        return _Rooms(sizes, caps, plain, towards, away, scales, forms @ shells.center, plain @ np.abs(shells.center),
                      inner, outer, np.minimum(outer, np.maximum(far, inner)))  # fmt: skip

    def above(self, gain: Vector, charged: Vector) -> Vector:
        """``base + gain`` rounded up, where the gain is a sum of at most n + 8 terms of few roundings and of size `charged`."""
        terms = self.sizes.shape[1] + 24
        error = 2.0 * gamma(terms) * INFLATION * (self.reach + charged)
        value = self.base + gain
        largest = self.plain.max(axis=1, initial=0.0) + self.sizes.max(axis=1, initial=0.0)
        return np.asarray(value + error + 8.0 * UNIT_ROUNDOFF * np.abs(value) + underflow(terms, largest) + TINY)


def _linf(rooms: _Rooms, weight: Vector) -> Vector:
    """Over the caps within the shell, and both of its ends."""
    order = np.argsort(rooms.caps, axis=1)
    sizes, caps = (np.take_along_axis(part, order, axis=1) for part in (rooms.sizes, rooms.caps))
    prefix = np.cumsum(sizes * caps, axis=1)
    suffix = sizes.sum(axis=1, keepdims=True) - np.cumsum(sizes, axis=1)
    inside = (caps > rooms.inner[:, None]) & (caps < rooms.outer[:, None])
    at_caps = np.where(inside, prefix + caps * (np.maximum(suffix, 0.0) - weight[:, None]), -np.inf)
    ends = [(sizes * np.minimum(caps, t[:, None])).sum(axis=1) - weight * t for t in (rooms.inner, rooms.farthest)]
    best = np.maximum(np.maximum(*ends), at_caps.max(axis=1, initial=-np.inf))
    longest = np.maximum(rooms.farthest, rooms.inner)
    charged = 2.0 * (sizes * np.minimum(caps, longest[:, None])).sum(axis=1) + (sizes.sum(axis=1) + 2.0 * weight) * longest
    return rooms.above(best, charged)


def _l1(rooms: _Rooms, weight: Vector) -> Vector:
    """At theta = weight, or where the knapsack has spent an end of the shell."""
    order = np.argsort(-rooms.sizes, axis=1)
    sizes, caps = (np.take_along_axis(part, order, axis=1) for part in (rooms.sizes, rooms.caps))
    spent, padded = np.cumsum(caps, axis=1), np.concatenate([sizes, np.zeros((len(sizes), 1))], axis=1)
    row = np.arange(len(sizes))
    at_outer, at_inner = (padded[row, (spent < end[:, None]).sum(axis=1)] for end in (rooms.outer, rooms.inner))
    theta = np.maximum(at_outer, np.minimum(weight, at_inner))
    paid = theta[:, None] * rooms.scales
    gains = (rooms.towards * np.maximum(rooms.plain - paid, 0.0)).sum(axis=1)
    shift, size = _at_ends(rooms, theta, weight)
    charged = (rooms.towards * np.where(rooms.plain > paid, rooms.plain + paid, gamma(8) * rooms.plain)).sum(axis=1)
    return rooms.above(gains + shift, 2.0 * size + charged)


def _l2(rooms: _Rooms, weight: Vector) -> Vector:
    """At the kappa where theta is the weight, or where the length is an end of the shell."""
    unit = np.maximum(rooms.sizes.max(axis=1, initial=0.0), TINY)
    caps = np.where(rooms.caps < _NO_ROOM, 0.0, rooms.caps)
    sizes = rooms.sizes / unit[:, None]
    turns = np.where(sizes > 0, caps / sizes, np.inf)
    order = np.argsort(turns, axis=1)
    turns, squares, rooms2 = (np.take_along_axis(part, order, axis=1) for part in (turns, np.square(sizes), np.square(caps)))
    rooms2 = np.where(np.isfinite(turns), rooms2, 0.0)
    clipped = np.concatenate([np.zeros((len(sizes), 1)), np.cumsum(rooms2, axis=1)], axis=1)  # of the first j coordinates
    free = np.concatenate([np.cumsum(squares[:, ::-1], axis=1)[:, ::-1], np.zeros((len(sizes), 1))], axis=1)
    row = np.arange(len(sizes))

    def kappa_of_length(length: Vector) -> Vector:
        with_turn = clipped[:, :-1] + np.square(turns) * free[:, :-1]
        j = (np.where(np.isfinite(turns), with_turn, np.inf) < np.square(length)[:, None]).sum(axis=1)
        left = np.maximum(np.square(length) - clipped[row, j], 0.0)
        return np.where(free[row, j] > 0, np.sqrt(left / free[row, j]), np.where(left > 0, np.inf, 0.0))

    def kappa_of_theta(theta: Vector) -> Vector:
        squared = np.square(theta)[:, None]
        at_turn = np.where(turns > 0, clipped[:, 1:] / np.square(turns) + free[:, 1:], np.inf)
        j = (np.where(np.isfinite(turns), at_turn, free[:, 1:]) > squared).sum(axis=1)
        room = np.square(theta) - free[row, j]
        return np.where(free[:, 0] <= squared[:, 0], 0.0, np.where(room > 0, np.sqrt(clipped[row, j] / room), np.inf))

    priced = kappa_of_theta(weight / unit)
    kappa = np.minimum(kappa_of_length(rooms.outer), np.maximum(priced, kappa_of_length(rooms.inner)))
    point = np.where(np.isinf(kappa)[:, None], caps, np.minimum(sizes * kappa[:, None], caps))
    point = np.where((kappa > 0)[:, None], point, np.where(caps > 0, sizes, 0.0))
    norm = np.sqrt(np.square(point).sum(axis=1))
    theta = np.where(kappa > 0, np.where(np.isinf(kappa), 0.0, norm / kappa), norm) * unit
    theta = np.where((kappa == priced) & (kappa > 0), weight, theta)
    direction = point / np.where(norm > 0, norm, 1.0)[:, None] * (1.0 - gamma(sizes.shape[1] + 16))
    paid = theta[:, None] * rooms.scales * direction
    rest = rooms.plain - paid
    gains = np.maximum(rooms.towards * rest, -rooms.away * rest).sum(axis=1)
    shift, size = _at_ends(rooms, theta, weight)
    charged = (np.maximum(rooms.towards, np.where(rest < 0, rooms.away, 0.0)) * (rooms.plain + paid)).sum(axis=1)
    return rooms.above(gains + shift, 2.0 * size + charged)


def _at_ends(rooms: _Rooms, theta: Vector, weight: Vector) -> tuple[Vector, Vector]:
    """``(theta - w) t`` at the end of the shell where it is larger, and its size."""
    end = np.where(theta > weight, rooms.outer, rooms.inner)
    shift = np.where(theta == weight, 0.0, (theta - weight) * end)
    return shift, np.where(theta == weight, 0.0, (theta + weight) * end)


_BOUNDS = {Norm.LINF: _linf, Norm.L1: _l1, Norm.L2: _l2}


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


def _over_tangents(rooms: _Rooms, bound: Callable[[_Rooms, Vector], Vector], weight: float, order: float) -> Vector:
    """The least bound over tangents of the power, by a golden section over the length at which it touches."""

    def at(length: Vector) -> Vector:
        slope = weight * order * np.power(length, order - 1.0)
        found = bound(rooms, slope) + tangent_constant(slope, weight, order)
        return np.where(np.isnan(found), np.inf, np.nextafter(found, np.inf))

    low, high = rooms.inner.astype(np.float64), rooms.farthest
    best = np.fmin(at(low), at(high))
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = at(left), at(right)
    for _ in range(_STEPS):
        down = at_left <= at_right
        low, high = np.where(down, low, left), np.where(down, right, high)
        inner = np.where(down, high - _GOLDEN * (high - low), low + _GOLDEN * (high - low))
        value = at(inner)
        best = np.fmin(best, np.fmin(value, np.fmin(at_left, at_right)))
        left, right = np.where(down, inner, right), np.where(down, left, inner)
        at_left, at_right = np.where(down, value, at_right), np.where(down, at_left, value)
    return best
