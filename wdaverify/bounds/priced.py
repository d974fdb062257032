r"""The largest value of a linear form less the cost of moving, bounded from above with every rounding charged.

With ``d = x - x_0`` and lengths between `inner` and `outer` (a *shell*), for every ``theta >= 0``

.. math:: \max\{a \cdot d - w \|S d\|^p : \text{inner} \le \|S d\| \le \text{outer}\} \le
          \max_{x \in \text{box}}\{a \cdot d - \theta \|S d\|\}
          + \max_{\text{inner} \le t \le \text{outer}} \{\theta t - w t^p\}.

For p > 1 the power is replaced by one of its tangents, ``w t^p >= omega t - Q`` with
``Q = w (p - 1) (omega / (w p))^{p/(p-1)}``, so that p = 1 remains; the best tangent touches where the
maximum is (`tangents`). For p = 1:

* linf: both maxima together are ``max_t sum_k |a_k| min(t / s_k, cap_k) - w t``, concave and piecewise linear in t;
* l1: ``sum_k cap_k max(0, |a_k| - theta s_k) + max((theta - w) inner, (theta - w) outer)``; the best theta is w, or
  where a greedy knapsack has spent `outer` or `inner`;
* l2: ``theta ||S d|| >= theta v . S d`` for every ``||v|| <= 1``. The best point of the box is ``s_k d_k = min(kappa |a_k| / s_k,
  s_k cap_k)`` for some kappa, v is its direction, and ``theta = ||S d|| / kappa``.

theta, v and omega may be computed carelessly: only the bound at them is evaluated with care (Lagrangian duality; Boyd and
Vandenberghe, *Convex Optimization*, chapter 5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._types import Norm
from wdaverify.bounds.rooms import Rooms, RoundSteps, Shells
from wdaverify.bounds.rounding import gamma
from wdaverify.bounds.tangents import tangent_constant, touching_lengths

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._types import Matrix, Vector
    from wdaverify.transport import GroundCost


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
        rooms = Rooms.of(forms, shells, ground)
        if ground.order == 1.0 or weight == 0.0:
            best = _BOUNDS[ground.norm](rooms, np.full(len(forms), weight))
        else:
            best = _over_tangents(rooms, ground.norm, weight, ground.order)
    return np.where(np.isfinite(best), best, np.inf)


def _linf(rooms: Rooms, weight: Vector) -> Vector:
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


def _l1(rooms: Rooms, weight: Vector) -> Vector:
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


def _l2(rooms: Rooms, weight: Vector) -> Vector:
    """At the kappa where theta is the weight, or where the length is an end of the shell."""
    unit, steps = rooms.largest, RoundSteps(rooms)
    priced = steps.kappa_of_price(weight / unit)
    kappa = np.minimum(steps.kappa_of_length(rooms.outer), np.maximum(priced, steps.kappa_of_length(rooms.inner)))
    point = np.where(np.isinf(kappa)[:, None], steps.caps, np.minimum(steps.sizes * kappa[:, None], steps.caps))
    point = np.where((kappa > 0)[:, None], point, np.where(steps.caps > 0, steps.sizes, 0.0))
    norm = np.sqrt(np.square(point).sum(axis=1))
    theta = np.where(kappa > 0, np.where(np.isinf(kappa), 0.0, norm / kappa), norm) * unit
    # where the price decides it is paid itself; no step is worth more than it, and a rounding above would be paid on every length
    theta = np.where(kappa == priced, np.where(kappa > 0, weight, np.minimum(theta, weight)), theta)
    direction = point / np.where(norm > 0, norm, 1.0)[:, None] * (1.0 - gamma(point.shape[1] + 16))
    paid = theta[:, None] * rooms.scales * direction
    rest = rooms.plain - paid
    gains = np.maximum(rooms.towards * rest, -rooms.away * rest).sum(axis=1)
    shift, size = _at_ends(rooms, theta, weight)
    charged = (np.maximum(rooms.towards, np.where(rest < 0, rooms.away, 0.0)) * (rooms.plain + paid)).sum(axis=1)
    return rooms.above(gains + shift, 2.0 * size + charged)


def _at_ends(rooms: Rooms, theta: Vector, weight: Vector) -> tuple[Vector, Vector]:
    """``(theta - w) t`` at the end of the shell where it is larger, and its size."""
    end = np.where(theta > weight, rooms.outer, rooms.inner)
    shift = np.where(theta == weight, 0.0, (theta - weight) * end)
    return shift, np.where(theta == weight, 0.0, (theta + weight) * end)


_BOUNDS: dict[Norm, Callable[[Rooms, Vector], Vector]] = {Norm.LINF: _linf, Norm.L1: _l1, Norm.L2: _l2}


def _over_tangents(rooms: Rooms, norm: Norm, weight: float, order: float) -> Vector:
    """The bound of the tangent that touches where the form less the power is largest."""
    slope = weight * order * np.power(touching_lengths(rooms, norm, weight, order), order - 1.0)
    found = _BOUNDS[norm](rooms, slope) + tangent_constant(slope, weight, order)
    if np.isfinite(found).all():
        return np.nextafter(found, np.inf)
    without = _BOUNDS[norm](rooms, np.zeros(len(slope)))  # powers beyond float64: as if nothing were paid
    return np.nextafter(np.fmin(found, without), np.inf)
