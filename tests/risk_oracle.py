"""The exact worst-case risk of networks with one or two inputs, by enumeration of cells: an oracle without any search.

Losses margin, hinge, cross-entropy and zero-one; norms l1, l2, linf with scales; orders 1, p > 1 and inf; weights. Accuracy,
relative to the largest loss and its share of the budget:

- zero-one, and order 1 or inf with l1 or linf: the corners of the exact pieces carry the answer (docs/theory.md, "Exact values");
  rounding to float64 at the end, about 1e-14.
- margin and hinge for l2 or p > 1: maximisers over segments and stationary points; cutting planes of the dual close to 1e-11.
- cross-entropy for l2 or p > 1: branch and bound over simplices, a certified interval of width `gap`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tests.risk_arcs import soft_on_circle
from tests.risk_cells import Point, logits, risk_cells
from tests.risk_concave import best_shares, concave_value, lengths, powers, stationary_points
from tests.risk_cross_entropy import SoftMaxima, soft
from tests.risk_pieces import Piece, clipped_to_ball, distance, edges, floats, in_polygon, pieces_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify.ir.network import Network

LOSSES = ("margin", "hinge", "cross-entropy", "zero-one")


def losses_of(rows: np.ndarray, loss: str) -> np.ndarray:
    """The loss for rows ``f_j - f_y`` along the last axis."""
    margin = rows.max(axis=-1)
    if loss == "cross-entropy":
        return soft(rows)
    return {"margin": margin, "hinge": np.maximum(0.0, 1.0 + margin), "zero-one": np.where(margin >= 0, 1.0, 0.0)}[loss]


@dataclass
class SampleOracle:
    """Everything about one sample: prices for every multiplier, maxima in balls, the distance to an error."""

    network: Network
    center: np.ndarray
    label: int
    domain: tuple[Point, ...]
    pieces: list[Piece]
    norm: str
    loss: str
    scales: np.ndarray
    gap: float

    @cached_property
    def nominal(self) -> float:
        return float(self.at(np.zeros((1, len(self.center))))[0])

    def at(self, steps: np.ndarray) -> np.ndarray:
        """The loss at ``x_0 + u / S``, by a forward pass."""
        outputs = logits(self.network, self.center + steps / self.scales)
        return losses_of(np.delete(outputs, self.label, axis=1) - outputs[:, [self.label]], self.loss)

    @cached_property
    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """Lengths and losses at all corners, and at the sample itself."""
        points = np.concatenate([floats(piece.corners) for piece in self.pieces])
        rows = np.concatenate([floats(piece.row_values()) for piece in self.pieces])
        return np.r_[0.0, lengths(points, self.norm)], np.r_[self.nominal, losses_of(rows, self.loss)]

    @cached_property
    def distance(self) -> float:
        return distance(self.pieces)

    def columns(self, order: float, unit: float) -> list[tuple[float, float]] | None:
        """Costs and losses of finitely many points among which every price is attained, or None if there are none such."""
        if self.loss == "zero-one":
            reach = self.distance
            return [(0.0, float(reach == 0))] + ([(float(powers(reach / unit, order)), 1.0)] if 0 < reach < np.inf else [])
        if order == 1 and (self.norm != "l2" or len(self.center) == 1):
            distances, values = self.corners
            return list(zip((distances / unit).tolist(), values.tolist(), strict=True))
        return None

    @cached_property
    def _edges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        starts, ends, first, last = edges(self.pieces)
        if self.loss == "hinge":  # the branch 0 of the hinge is a constant row; its best point is the sample
            first, last = first + 1.0, last + 1.0
        return starts, ends, first, last

    @cached_property
    def _slopes(self) -> np.ndarray:
        return np.concatenate([floats(piece.rows)[:, :-1] for piece in self.pieces])

    @cached_property
    def _soft(self) -> SoftMaxima:
        return SoftMaxima(self.pieces, self.norm, self.gap)

    def price(self, multiplier: float, order: float, unit: float = 1.0) -> tuple[float, float, float]:
        """Cost and loss of a maximiser of ``loss - lambda cost``, and an upper bound; ``cost = (||u|| / unit)^p``."""
        distances, values = self.corners
        costs = powers(distances / unit, order)
        if multiplier == 0:
            # Among all maximisers the nearest: the budget need not pay for more.
            nearest = min(c for c, v in zip(costs, values, strict=True) if v == values.max())
            return float(nearest), float(values.max()), float(values.max())
        if self.loss == "cross-entropy":
            return self._soft.maximum(multiplier, order, unit)
        starts, ends, first, last = self._edges
        shares = best_shares(starts / unit, ends / unit, first, last, multiplier, order, self.norm)
        points = starts[:, None, :] + shares[..., None] * (ends - starts)[:, None, :]
        gains = first + shares * (last - first)
        options = [(costs, values), (powers(lengths(points / unit, self.norm).ravel(), order), gains.ravel())]
        if self.norm == "l2" and len(self.center) == 2:
            inner = unit * stationary_points(unit * self._slopes, multiplier, order)
            inner = inner[[in_polygon(point, self.domain, self.center, self.scales) for point in inner]]
            options.append((powers(lengths(inner / unit, "l2"), order), self.at(inner)))
        costs, values = (np.concatenate(parts) for parts in zip(*options, strict=True))
        k = int(np.argmax(values - multiplier * costs))
        return float(costs[k]), float(values[k]), float(values[k] - multiplier * costs[k])

    def within(self, radius: float) -> float:
        """The largest loss in the ball of that radius."""
        if self.loss == "zero-one":
            return float(self.distance <= radius)
        if radius == 0:
            return self.nominal
        if self.norm != "l2" or len(self.center) == 1:
            rows = [row for piece in self.pieces for row in clipped_to_ball(piece, radius)]
            return max(self.nominal, float(losses_of(floats(rows), self.loss).max()))
        distances, values = self.corners
        best = [float(values[distances <= radius].max())]
        if self.loss == "cross-entropy":
            return max(*best, soft_on_circle(self.pieces, radius, self.gap))
        starts, ends, first, last = edges(self.pieces)
        for share in _crossings(starts, ends, radius):
            inside = np.isfinite(share)
            gains = (first + share[:, None] * (last - first))[inside]
            best.append(float(losses_of(gains, self.loss).max(initial=-np.inf)) if len(gains) else -np.inf)
        slopes = self._slopes[np.abs(self._slopes).max(axis=1) > 0]
        tips = slopes * (radius / np.linalg.norm(slopes, axis=1))[:, None]
        tips = tips[[in_polygon(point, self.domain, self.center, self.scales) for point in tips]]
        return max(*best, float(self.at(tips).max(initial=-np.inf)) if len(tips) else -np.inf)


def _crossings(starts: np.ndarray, ends: np.ndarray, radius: float) -> list[np.ndarray]:
    """The shares in [0, 1] at which segments cross the circle, NaN where they do not."""
    step = ends - starts
    a, b = np.square(step).sum(axis=1), (starts * step).sum(axis=1)
    c = np.square(starts).sum(axis=1) - radius**2
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.sqrt(b * b - a * c)
        shares = [(-b - root) / a, (-b + root) / a]
    return [np.where((s >= 0) & (s <= 1), s, np.nan) for s in shares]


@dataclass
class RiskOracle:
    """The worst-case risk over one domain for one loss and norm.

    `lower` and `upper` of `risk` are both exact up to rounding unless the loss is the cross-entropy with l2 or an order other
    than 1.
    """

    network: Network
    domain: tuple[Point, ...]
    x: np.ndarray
    y: Sequence[int]
    weights: Sequence[float] | None = None
    norm: str = "linf"
    loss: str = "margin"
    scales: Sequence[float] | None = None
    gap: float = 1e-8
    samples: list[SampleOracle] = field(init=False)

    def __post_init__(self) -> None:
        points = np.asarray(self.x, dtype=np.float64).reshape(len(self.y), -1)
        sizes = np.ones(points.shape[1]) if self.scales is None else np.asarray(self.scales, dtype=np.float64)
        masses = np.ones(len(self.y)) if self.weights is None else np.asarray(self.weights, dtype=np.float64)
        self.masses = (masses / masses.sum()).tolist()
        cells = risk_cells(self.network, self.domain)
        self.samples = [
            SampleOracle(
                self.network, point, label, self.domain, pieces_of(cells, point, label, self.norm, sizes),
                self.norm, self.loss, sizes, self.gap,
            )
            for point, label in zip(points, self.y, strict=True)
        ]  # fmt: skip

    def nominal(self) -> float:
        return sum(w * s.nominal for w, s in zip(self.masses, self.samples, strict=True))

    def dual(self, multiplier: float, radius: float, order: float) -> float:
        """``lambda radius^p + sum_i w_i phi_i(lambda)`` for ``multiplier = lambda radius^p``: never below the risk."""
        prices = [sample.price(multiplier, order, radius)[2] for sample in self.samples]
        return multiplier + sum(w * v for w, v in zip(self.masses, prices, strict=True))

    def risk(self, radius: float, order: float = 1.0, rounds: int = 400) -> tuple[float, float]:
        """The value of a feasible distribution and a dual bound; they agree to the accuracy stated above."""
        if radius == 0:
            return self.nominal(), self.nominal()
        if order == np.inf:
            value = sum(w * s.within(radius) for w, s in zip(self.masses, self.samples, strict=True))
            return value, value + (self.gap if self.loss == "cross-entropy" and self.norm == "l2" else 0.0)
        finite = [sample.columns(order, radius) for sample in self.samples]
        if all(columns is not None for columns in finite):
            value, _ = concave_value([columns or [] for columns in finite], self.masses, 1.0)
            return value, value
        return self._cutting_planes(radius, order, rounds)

    def _cutting_planes(self, radius: float, order: float, rounds: int) -> tuple[float, float]:
        """Kelley's method on the dual, one model for each sample; it starts from the sample and the global maximum."""
        columns = [[(0.0, sample.nominal)] for sample in self.samples]
        upper, multiplier = np.inf, 0.0
        for _ in range(rounds):
            prices = [sample.price(multiplier, order, radius) for sample in self.samples]
            for known, (cost, gain, _) in zip(columns, prices, strict=True):
                known.append((cost, gain))
            dual = multiplier + sum(w * p[2] for w, p in zip(self.masses, prices, strict=True))
            upper = min(upper, dual)
            lower, multiplier = concave_value(columns, self.masses, 1.0)
            scale = max(abs(gain) for known in columns for _, gain in known)
            tolerance = 1e-12 * scale + (2 * self.gap if self.loss == "cross-entropy" else 0.0)
            if upper - lower <= tolerance:
                break
        return lower, upper
