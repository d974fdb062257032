r"""Maxima of an affine gain minus ``lambda ||u||^p`` over segments and polygons, in closed form or by bisection.

On a segment where the norm is linear, ``t = ||u||`` and ``g`` are linear, and ``g - lambda t^p`` is stationary at ``t^(p-1) =
(dg/dt) / (lambda p)``. For l2 the objective is concave along any segment and its derivative is bisected. Over a polygon where
the norm is linear the maximum lies on an edge (two linear functions of two variables); for l2 it may also be the stationary
point ``u = (|a| / (lambda p))^(1/(p-1)) a/|a|``.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

_HALVINGS = 64


def lengths(steps: np.ndarray, norm: str) -> np.ndarray:
    return np.linalg.norm(steps, ord={"l1": 1, "l2": 2, "linf": np.inf}[norm], axis=-1)


def powers(values: np.ndarray | float, order: float) -> np.ndarray:
    """``t^p``, infinite beyond the range of float64."""
    with np.errstate(over="ignore", under="ignore"):
        return np.float_power(values, order)


def best_shares(
    starts: np.ndarray, ends: np.ndarray, first: np.ndarray, last: np.ndarray, multiplier: float, order: float, norm: str
) -> np.ndarray:
    """Where on each segment (E, n), for each row (E, F) of linear gains, the objective is largest: shares in [0, 1]."""
    rise = last - first
    if multiplier == 0:
        return np.where(rise > 0, 1.0, 0.0)
    if norm != "l2" or starts.shape[1] == 1:
        return _linear_shares(lengths(starts, norm)[:, None], lengths(ends, norm)[:, None], rise, multiplier, order)
    step = ends - starts
    low, high = np.zeros_like(rise), np.ones_like(rise)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        at = starts[:, None, :] + middle[..., None] * step[:, None, :]
        size = np.linalg.norm(at, axis=-1)
        along = np.einsum("efn,en->ef", at, step)
        pull = multiplier * order * powers(size, order - 1) * along / np.where(size > 0, size, 1.0)
        up = rise > pull
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    ends_best = np.where(high == 1.0, 1.0, low)
    return np.where(low == 0.0, 0.0, ends_best)


def _linear_shares(near: np.ndarray, far: np.ndarray, rise: np.ndarray, multiplier: float, order: float) -> np.ndarray:
    growth = far - near
    if order == 1:
        return np.where(rise > multiplier * growth, 1.0, 0.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        rate = rise / growth
        stationary = (np.maximum(rate, 0.0) / (multiplier * order)) ** (1 / (order - 1))
        share = (stationary - near) / growth
    flat = np.where(rise > 0, 1.0, 0.0)  # equal lengths at both ends: only the gain counts
    return np.clip(np.where(growth == 0, flat, np.nan_to_num(share, nan=0.0, posinf=1.0, neginf=0.0)), 0.0, 1.0)


def stationary_points(slopes: np.ndarray, multiplier: float, order: float) -> np.ndarray:
    """Where ``a u - lambda |u|_2^p`` is stationary, for gradients a (F, n) other than 0; nothing for order 1 or lambda 0."""
    sizes = np.linalg.norm(slopes, axis=1)
    slopes, sizes = slopes[sizes > 0], sizes[sizes > 0]
    if order == 1 or multiplier == 0 or len(sizes) == 0:
        return np.zeros((0, slopes.shape[1]))
    with np.errstate(over="ignore"):
        radius = (sizes / (multiplier * order)) ** (1 / (order - 1))
    points = slopes * (radius / sizes)[:, None]
    return points[np.isfinite(points).all(axis=1)]


Column = tuple[float, float]
"""Cost and gain."""


def concave_value(columns: list[list[Column]], weights: list[float], budget: float, ray: float = 0.0) -> tuple[float, float]:
    """``max sum w_i pi_ik l_ik`` with costs within the budget, and the price of budget to the right: by concave hulls.

    Every sample has a column of cost 0. The value is that of the linear program over its columns, and over one ray that turns
    any budget into gain at a rate of its own.
    """
    total, segments = 0.0, []
    for points, weight in zip(columns, weights, strict=True):
        hull: list[Column] = []
        for cost, gain in sorted(points, key=lambda point: (point[0], -point[1])):
            if hull and gain <= hull[-1][1]:
                continue
            while len(hull) >= 2 and _slope(hull[-2], (cost, gain)) >= _slope(hull[-2], hull[-1]):
                hull.pop()
            hull.append((cost, gain))
        assert hull[0][0] == 0
        total += weight * hull[0][1]
        segments += [(_slope(a, b), weight * (b[0] - a[0])) for a, b in pairwise(hull)]
    left = budget
    for slope, width in sorted(segments, reverse=True):
        if slope <= ray:
            break
        if width > left:
            return total + slope * left, slope
        total += slope * width
        left -= width
    return total + ray * left, ray


def _slope(one: Column, other: Column) -> float:
    return (other[1] - one[1]) / (other[0] - one[0]) if other[0] > one[0] else np.inf
