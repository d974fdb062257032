"""Certified maxima of the cross-entropy minus ``lambda ||u||^p`` over the pieces: branch and bound over simplices.

The cross-entropy ``log(1 + sum_j e^{z_j})`` is convex where the rows z are affine, so on a simplex it lies below the affine
function through its values at the corners; what is left, affine minus the convex cost, is maximised in closed form
(risk_concave). Evaluation at that maximiser closes the gap from below. The partition is kept from one multiplier to the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.risk_concave import best_shares, lengths, powers
from tests.risk_pieces import floats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.risk_pieces import Piece


def soft(rows: np.ndarray) -> np.ndarray:
    """``log(1 + sum_j e^{z_j})`` along the last axis."""
    top = np.maximum(rows.max(axis=-1), 0.0)
    return top + np.log(np.exp(-top) + np.exp(rows - top[..., None]).sum(axis=-1))


class SoftMaxima:
    """The simplices of one sample: corners (T, d + 1, n), the rows of their cells (T, K - 1, n + 1), values at the corners."""

    def __init__(self, pieces: Sequence[Piece], norm: str, gap: float) -> None:
        self.norm, self.gap = norm, gap
        corners, rows = [], []
        for piece in pieces:
            points, forms = floats(piece.corners), floats(piece.rows)
            fans = [points] if len(points) < 3 else [points[[0, k, k + 1]] for k in range(1, len(points) - 1)]
            corners += fans
            rows += [forms] * len(fans)
        self.corners, self.rows = np.array(corners), np.array(rows)
        self.values = soft(np.einsum("tkn,tfn->tkf", self.corners, self.rows[:, :, :-1]) + self.rows[:, None, :, -1])

    def maximum(self, multiplier: float, order: float, unit: float = 1.0) -> tuple[float, float, float]:
        """Cost and loss of the best point met, and an upper bound of the maximum, within the gap of each other.

        Costs are ``(||u|| / unit)^p``.
        """
        best = (-np.inf, 0.0, 0.0)
        done = -np.inf
        kept: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        corners, rows, values = self.corners, self.rows, self.values
        while len(corners):
            upper, where = _upper(corners / unit, values, multiplier, order, self.norm)
            best = max(best, _best(corners, values, unit * where, rows, multiplier, order, self.norm, unit))
            narrow = upper <= best[0] + self.gap
            done = max(done, upper[narrow].max(initial=-np.inf))
            kept.append((corners[narrow], rows[narrow], values[narrow]))
            corners, rows, values = _bisected(corners[~narrow], rows[~narrow], values[~narrow])
            assert sum(len(k[0]) for k in kept) + len(corners) < 3_000_000, "too many simplices"
        self.corners, self.rows, self.values = (np.concatenate(parts) for parts in zip(*kept, strict=True))
        return best[1], best[2], max(done, best[0])


def _upper(corners: np.ndarray, values: np.ndarray, multiplier: float, order: float, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """An upper bound for each simplex, and where the affine interpolant minus the cost is largest on its boundary (T, n)."""
    size = corners.shape[1]
    if size == 1:
        return values[:, 0] - multiplier * powers(lengths(corners[:, 0], norm), order), corners[:, 0]
    pairs = [(0, 1)] if size == 2 else [(0, 1), (1, 2), (2, 0)]
    tops, points = [], []
    for a, b in pairs:
        share = best_shares(corners[:, a], corners[:, b], values[:, a, None], values[:, b, None], multiplier, order, norm)
        point = corners[:, a] + share * (corners[:, b] - corners[:, a])
        gain = values[:, a] + share[:, 0] * (values[:, b] - values[:, a])
        tops.append(gain - multiplier * powers(lengths(point, norm), order))
        points.append(point)
    which = np.argmax(tops, axis=0)
    index = np.arange(len(corners))
    top, where = np.array(tops)[which, index], np.array(points)[which, index]
    if size == 3 and norm == "l2":
        inner = _interior(corners, values, multiplier, order)
        where = np.where((inner > top)[:, None], corners.mean(axis=1), where)
        top = np.maximum(top, inner)
    return top, where


def _interior(corners: np.ndarray, values: np.ndarray, multiplier: float, order: float) -> np.ndarray:
    """A bound of the interpolant minus the l2 cost where it is stationary inside; ``-inf`` where that is clearly outside."""
    sides = corners[:, 1:] - corners[:, :1]
    (e, f), (g, h) = sides[:, 0].T, sides[:, 1].T
    area = e * h - f * g
    thin = np.abs(area) <= 1e-9 * np.square(sides).sum(axis=(1, 2))
    safe = np.where(thin, 1.0, area)
    rises = (values[:, 1:] - values[:, :1]).T
    slopes = np.stack([rises[0] * h - rises[1] * f, rises[1] * e - rises[0] * g], axis=1) / safe[:, None]
    bound = np.full(len(corners), -np.inf)
    # A thin triangle: its largest value less its least cost, since the closed form would divide by its area.
    spread = np.maximum(np.linalg.norm(sides, axis=2).max(axis=1), np.linalg.norm(sides[:, 0] - sides[:, 1], axis=1))
    near = np.maximum(np.linalg.norm(corners, axis=2).min(axis=1) - spread, 0.0)
    bound[thin] = (values.max(axis=1) - multiplier * powers(near, order))[thin]
    steep = np.linalg.norm(slopes, axis=1)
    if multiplier == 0:
        return bound
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        # Order 1: only the sample itself can be a maximum inside, where the norm has its kink.
        radius = np.zeros_like(steep) if order == 1 else (steep / (multiplier * order)) ** (1 / (order - 1))
        points = slopes * (radius / np.where(steep > 0, steep, 1.0))[:, None]
        offset = points - corners[:, 0]
        one, other = (offset[:, 0] * h - offset[:, 1] * g) / safe, (offset[:, 1] * e - offset[:, 0] * f) / safe
        shares = np.stack([1 - one - other, one, other], axis=1)
        inside = ~thin & np.isfinite(points).all(axis=1) & (shares.min(axis=1) >= -1e-9)
    gains = (np.clip(shares, 0.0, 1.0) * values).sum(axis=1)
    bound[inside] = (gains - multiplier * powers(np.linalg.norm(points, axis=1), order))[inside]
    return bound


def _best(
    corners: np.ndarray,
    values: np.ndarray,
    where: np.ndarray,
    rows: np.ndarray,
    multiplier: float,
    order: float,
    norm: str,
    unit: float,
) -> tuple[float, float, float]:
    """Value, cost and loss of the best among the corners and the given points."""
    flat = corners.reshape(-1, corners.shape[2])
    inner = soft(np.einsum("tn,tfn->tf", where, rows[:, :, :-1]) + rows[:, :, -1])
    losses = np.concatenate([values.reshape(-1), inner])
    costs = powers(np.concatenate([lengths(flat, norm), lengths(where, norm)]) / unit, order)
    k = int(np.argmax(losses - multiplier * costs))
    return float(losses[k] - multiplier * costs[k]), float(costs[k]), float(losses[k])


def _bisected(corners: np.ndarray, rows: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every simplex cut in two at the middle of its longest edge."""
    if len(corners) == 0 or corners.shape[1] == 1:
        return corners, rows, values
    size = corners.shape[1]
    pairs = [(a, b) for a in range(size) for b in range(a)]
    longest = np.argmax([np.linalg.norm(corners[:, a] - corners[:, b], axis=1) for a, b in pairs], axis=0)
    one, other = np.array(pairs)[longest].T
    index = np.arange(len(corners))
    middle = 0.5 * (corners[index, one] + corners[index, other])
    value = soft(np.einsum("tn,tfn->tf", middle, rows[:, :, :-1]) + rows[:, :, -1])
    halves = []
    for corner in (one, other):
        points, losses = corners.copy(), values.copy()
        points[index, corner], losses[index, corner] = middle, value
        halves.append((points, losses))
    return (
        np.concatenate([h[0] for h in halves]),
        np.concatenate([rows, rows]),
        np.concatenate([h[1] for h in halves]),
    )
