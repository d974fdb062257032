"""The judge's `conc` in float64: the largest value of linear forms, less a price on the distance from a sample, over a box."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._types import Norm

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector
    from wdaverify.proof.area import Area

_HALVINGS = 40
"""Of the interval in which the best multiplier of a euclidean ball is sought."""

_BISECTIONS = 60
"""Of the interval in which the best length of a euclidean step is sought, whose form may have a kink there."""

_BEYOND = 2.0**16
"""Factor on the price of a ball that a box does not meet."""

_LINE_BITS = 44
"""Significant bits of slopes of lines below powers."""


def largest(forms: Matrix, area: Area, prices: Vector, order: float) -> Vector:
    """``max r . x - price ||x - x_i||^p`` over the box for forms (R, n) and prices (R,); p is 1, or 2 for l2.

    For l2 and p = 1 the euclidean length is bounded from below along the form, which the judge does by itself.
    """
    forms, area = _stretched(forms, area)
    lower, upper = area.lower, area.upper
    if not prices.any() or area.center is None:
        return np.asarray(np.maximum(forms, 0.0) @ upper + np.minimum(forms, 0.0) @ lower)
    center, price = area.center, prices[:, None]
    base = forms @ center
    if area.norm is Norm.L2 and order == 1.0:
        along = forms * np.minimum(1.0, price / np.maximum(np.linalg.norm(forms, axis=1, keepdims=True), 1e-300))
        rest = forms - along
        return np.asarray(along @ center + np.maximum(rest, 0.0) @ upper + np.minimum(rest, 0.0) @ lower)
    if area.norm is Norm.L2:
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where(price > 0, forms / (2.0 * price), np.copysign(np.inf, forms))
        step = np.where(forms == 0.0, 0.0, step)
        step = np.clip(step, lower - center, upper - center)
        return np.asarray(base + (forms * step - price * np.square(step)).sum(axis=1))
    if area.norm is Norm.L1:
        steps = (lower - center, upper - center, np.clip(center, lower, upper) - center)
        return np.asarray(base + np.max([forms * d - price * np.abs(d) for d in steps], axis=0).sum(axis=1))
    least = max(0.0, float(np.max(lower - center, initial=0.0)), float(np.max(center - upper, initial=0.0)))
    room = np.where(forms > 0, upper - center, center - lower)
    start = (np.abs(forms) * np.minimum(room, least)).sum(axis=1) - prices * least  # within the least distance from the sample
    return np.asarray(base + start + _largest_linf(forms, np.maximum(room - least, 0.0), prices))


def _stretched(forms: Matrix, area: Area) -> tuple[Matrix, Area]:
    """Forms and area in coordinates times their scales, in which the judge measures."""
    return (forms, area) if area.scales is None else (forms / area.scales, area.stretched)


def _largest_linf(forms: Matrix, room: Matrix, prices: Vector) -> Vector:
    """``max_t sum_j |r_j| min(room_j, t) - price t``: concave and piecewise linear, so that its breakpoints are enough."""
    order = np.argsort(room, axis=1)
    sizes, ends = np.take_along_axis(np.abs(forms), order, axis=1), np.take_along_axis(room, order, axis=1)
    rising = sizes.sum(axis=1, keepdims=True) - np.cumsum(sizes, axis=1) + sizes - prices[:, None]
    gains = rising * np.diff(ends, axis=1, prepend=0.0)
    return np.asarray(np.maximum(np.cumsum(gains, axis=1).max(axis=1, initial=0.0), 0.0))


def by_lines(norm: Norm | None, order: float) -> bool:
    """Whether powers of lengths are bounded by lines: all but lengths themselves and the squares of l2."""
    return order > 1.0 and not (norm is Norm.L2 and order == 2.0)


def largest_power(forms: Matrix, area: Area, prices: Vector, order: float) -> tuple[Vector, Vector, Vector]:
    """`largest` for any p > 1, by the best line ``t^p >= alpha t - beta`` of each form; also alpha and beta (R,).

    Lines are tangents, ``beta = (p - 1) (alpha / p)^(p / (p - 1))``, raised a little, at the length of the best point.
    """
    alpha = _shortened(order * _best_length(forms, area, prices, order) ** (order - 1.0), _LINE_BITS)
    beta = (order - 1.0) * (alpha / order) ** (order / (order - 1.0)) * (1.0 + 2.0**-40)
    return largest(forms, area, prices * alpha, 1.0) + prices * beta, alpha, np.asarray(beta)


def _best_length(forms: Matrix, area: Area, prices: Vector, order: float) -> Vector:
    """The length (R,) at which a form, at its largest for every length, exceeds the priced power most.

    For l1 and linf the form's rise is concave and piecewise linear in the length, with slopes s_k up to lengths b_k: the best
    length is ``max_k min(b_k, c_k)`` with ``price p c_k^(p - 1) = s_k``. In l1 coordinates move one after another, the largest
    coefficient first; in linf all of them at once, until each has no more room.
    """
    forms, area = _stretched(forms, area)
    assert area.center is not None
    sizes, room = np.abs(forms), np.maximum(np.where(forms > 0, area.upper - area.center, area.center - area.lower), 0.0)
    if area.norm is Norm.L2:
        return _best_euclidean(sizes, room, prices, order)
    ranks = np.argsort(-sizes if area.norm is Norm.L1 else room, axis=1)
    sizes, room = np.take_along_axis(sizes, ranks, axis=1), np.take_along_axis(room, ranks, axis=1)
    if area.norm is Norm.L1:
        slopes, ends = sizes, np.cumsum(room, axis=1)
    else:
        slopes, ends = np.cumsum(sizes[:, ::-1], axis=1)[:, ::-1], room
    with np.errstate(over="ignore"):
        level = (slopes / (order * prices[:, None])) ** (1.0 / (order - 1.0))
    return np.asarray(np.minimum(level, ends).max(axis=1, initial=0.0))


def _best_euclidean(sizes: Matrix, room: Matrix, prices: Vector, order: float) -> Vector:
    """The same for l2, by bisection: steps are ``d_j = min(kappa |r_j|, room_j)`` where ``price p kappa |d|^(p - 2) = 1``."""
    large = np.divide(room, sizes, out=np.zeros_like(room), where=sizes > 0.0)
    low, high = np.zeros(len(sizes)), large.max(axis=1, initial=0.0)
    for _ in range(_BISECTIONS):
        kappa = 0.5 * (low + high)
        length = np.linalg.norm(np.minimum(kappa[:, None] * sizes, room), axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            beyond = prices * order * kappa * length ** (order - 2.0) > 1.0
        low, high = np.where(beyond, low, kappa), np.where(beyond, kappa, high)
    return np.asarray(np.linalg.norm(np.minimum(low[:, None] * sizes, room), axis=1))


def euclidean_vector(form: Vector, area: Area, price: float, bits: int) -> Vector:
    """A vector w (n,) with ``|w| <= price``, for which ``w . (x - x_i)`` is the best lower bound of the priced length.

    The best point has steps ``d_j = min(kappa |r_j|, room_j)`` with ``|d| = kappa price``, and w is its direction; where no room
    ends it, w is the form itself. Entries are rounded towards 0.
    """
    (form,), area = _stretched(form[None], area)
    sizes, room = np.abs(form), np.maximum(_steps(form[None], area)[0], 0.0)
    if not float(np.linalg.norm(sizes)) > price:
        return _towards_zero(form * (1.0 - 2.0**-50), bits)
    low, high = 0.0, float(room.max(initial=0.0)) * np.sqrt(len(room)) / price + 1e-300
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        longer = float(np.linalg.norm(np.minimum(middle * sizes, room))) > middle * price
        low, high = (middle, high) if longer else (low, middle)
    step = np.minimum(high * sizes, room)
    length = float(np.linalg.norm(step))
    return _towards_zero(np.sign(form) * step * (price / length * (1.0 - 2.0**-46) if length > 0 else 0.0), bits)


def along_vector(forms: Matrix, area: Area, vector: Vector) -> Vector:
    """``max r . x - w . (x - x_i)`` over the box."""
    forms, area = _stretched(forms, area)
    assert area.center is not None
    rest = forms - vector
    return np.asarray(vector @ area.center + np.maximum(rest, 0.0) @ area.upper + np.minimum(rest, 0.0) @ area.lower)


def _towards_zero(values: Vector, bits: int) -> Vector:
    _, exponent = np.frexp(float(np.abs(values).max(initial=0.0)))
    unit = np.ldexp(1.0, int(exponent) - bits)
    return np.asarray(np.trunc(values / unit) * unit)


def ball_bound(forms: Matrix, area: Area, bits: int) -> tuple[Vector, Vector]:
    """``max r . x`` over the area, and the multipliers (R,) of the ball's row that prove it; 0 for a box.

    Multipliers have so many significant bits. Each one mu proves ``mu e + max(r . x - mu kappa(x))``, e being the radius (l2: its
    square); that is convex in mu.
    """
    forms, area = _stretched(forms, area)
    none = np.zeros(len(forms))
    if not area.round or area.radius is None:
        return largest(forms, area, none, 1.0), none
    order = 2.0 if area.norm is Norm.L2 else 1.0
    e = area.radius if area.norm is Norm.L1 else area.radius**2

    def value(mu: Vector) -> Vector:
        return mu * e + largest(forms, area, mu, order)

    chosen = _shortened(_knapsack(forms, area, e) if area.norm is Norm.L1 else _bisected(forms, area, e), bits)
    plain, priced = value(none), value(chosen)
    return np.minimum(plain, priced), np.where(priced < plain, chosen, 0.0)


def _steps(forms: Matrix, area: Area) -> Matrix:
    """How far each coordinate goes: to its end."""
    assert area.center is not None
    return np.where(forms > 0, area.upper - area.center, area.center - area.lower)


def _knapsack(forms: Matrix, area: Area, e: float) -> Vector:
    """l1: from the nearest point of the box, coordinates move in the order of their coefficients until e is spent.

    The last one's coefficient is the price; where the box is out of reach any larger one proves more.
    """
    assert area.center is not None
    near = np.clip(area.center, area.lower, area.upper)
    left = e - float(np.abs(near - area.center).sum())
    order = np.argsort(-np.abs(forms), axis=1)
    room = np.where(forms > 0, area.upper - near, near - area.lower)
    spent = np.cumsum(np.take_along_axis(room, order, axis=1), axis=1)
    last = np.argmax(spent >= left, axis=1)[:, None]
    price = np.take_along_axis(np.take_along_axis(np.abs(forms), order, axis=1), last, axis=1)[:, 0]
    return np.asarray(np.where(spent[:, -1] > left, price * (_BEYOND if left < 0 else 1.0), 0.0))


def _bisected(forms: Matrix, area: Area, e: float) -> Vector:
    """l2: the price at which the best point is e away, squared."""
    assert area.center is not None
    high = np.linalg.norm(forms, axis=1) / (2.0 * np.sqrt(max(e, 1e-300))) + 1e-300
    low = np.zeros(len(forms))
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        step = forms / (2.0 * np.maximum(middle, 1e-300)[:, None])
        far = np.square(np.clip(step, area.lower - area.center, area.upper - area.center)).sum(axis=1) > e
        low, high = np.where(far, middle, low), np.where(far, high, middle)
    return np.asarray(high)


def _shortened(values: Vector, bits: int) -> Vector:
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.round(mantissa * 2.0**bits) / 2.0**bits, exponent))
