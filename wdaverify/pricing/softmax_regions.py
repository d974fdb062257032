"""The tree of regions of logits, each with a linear form above the cross-entropy and the prices of that form."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.pricing.softmax_rows import LogitRegion, SoftmaxRow, softmax_row

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector
    from wdaverify.pricing.directions import Directions, FormPrices
    from wdaverify.pricing.points_met import PointsMet

_NARROW = 2.0**-40
"""A side of a region that is relatively narrower is not halved."""

_BY_CORNERS = 0.05
"""If no side explains more than this part of an excess, corners do: then the side that matters most is halved in the middle."""

_FEW, _FEW_PART = 3, 0.25
"""With more sides than this that explain this part of the gap, halves that meet in the point would all be refuted by it again."""

_TOP = 2.0
"""Beside this width at its upper end, the rest of a side adds little to the loss."""

_REFERENCES = 16
"""Points met that a new form is kept low at."""


@dataclass(eq=False)
class RegionNode:
    """A region, its form, and the halves of the region once there are any.

    Attributes
    ----------
    children
        Assigned at once, when all of them are complete: an interrupt leaves the tree as it was.
    """

    region: LogitRegion
    row: SoftmaxRow
    form: FormPrices
    label: int
    children: tuple[RegionNode, ...] = field(default=())

    @staticmethod
    def root(region: LogitRegion, label: int, directions: Directions, points: PointsMet) -> RegionNode:
        """A region that is not half of another; its form is low at the sample."""
        row = softmax_row(region, region.steps(points.logits[:1]), np.zeros(1))
        return RegionNode(region, row, directions.form(row.weights), label)

    def own(self, multiplier: float) -> float:
        """What the form itself proves."""
        value = self.form.upper(multiplier)
        return math.nextafter(value + self.row.offset, math.inf) if math.isfinite(value) else value

    def upper(self, multiplier: float) -> float:
        """What the form and those of the halves prove together."""
        own = self.own(multiplier)
        if not self.children:
            return own
        return min(own, max(child.upper(multiplier) for child in self.children))

    def peak(self, points: PointsMet, multiplier: float) -> float:
        """The largest value of the form less the cost at the points met."""
        return float(self._heights(points, multiplier).max())

    def nearest(self, points: PointsMet, multiplier: float) -> Matrix:
        """The points met (P, n) at which the form less the cost is largest."""
        order = np.argsort(-self._heights(points, multiplier), kind="stable")[:_REFERENCES]
        return np.asarray(points.inputs[order])

    def _heights(self, points: PointsMet, multiplier: float) -> Vector:
        linear = points.logits @ self.row.weights - points.logits[:, self.label]
        return np.asarray(linear + self.row.offset - multiplier * points.costs)

    @cached_property
    def excess(self) -> float:
        """By how much the form exceeds the loss in the middle of the region."""
        with np.errstate(invalid="ignore"):
            middle = 0.5 * (self.region.lower + self.region.upper)
        return max(self.row.excess(self.region, np.where(np.isfinite(self.region.lower), middle, self.region.lower)), 0.0)

    def halve(self, directions: Directions, points: PointsMet, multiplier: float, gap: float) -> tuple[RegionNode, ...]:
        """The parts of the region on both sides of the point that refutes the form, or none if float64 cannot separate them."""
        heights = self._heights(points, multiplier)
        worst = int(heights.argmax())
        steps = self.region.steps(points.logits[[worst]])[0]
        error = heights[worst] - (points.losses[worst] - multiplier * points.costs[worst])
        chosen = self._side(steps, float(error), gap)
        if chosen is None:
            return ()
        near = np.argsort(-heights, kind="stable")[:_REFERENCES]
        logits, costs = points.logits[near], points.costs[near]
        gains = logits[:, self.region.leader] - logits[:, self.label] - multiplier * costs
        parts = []
        for half in self.region.halves(*chosen):
            row = softmax_row(half, half.steps(logits), gains)
            parts.append(RegionNode(half, row, directions.form(row.weights), self.label))
        self.children = tuple(parts)
        return self.children

    def _side(self, steps: Vector, error: float, gap: float) -> tuple[int, float] | None:
        """The class and the place at which halving takes most of the error away."""
        region, total = self.region, float(np.exp(self.region.upper).sum())
        lower, upper = region.lower, region.upper
        # beyond that a class adds less to the loss than an eighth of the gap
        least = min(math.log(gap / 8.0) - math.log(len(steps)), -1.0)
        at = np.clip(steps, np.maximum(lower, np.minimum(least, upper - 1.0)), upper)
        bounded = np.isfinite(lower)
        low, high, here = (np.exp(s) for s in (lower, upper, at))
        width = np.where(bounded, upper - lower, np.inf)
        splittable = width > _NARROW * np.maximum(1.0, np.abs(upper))
        splittable[region.leader] = False
        if not splittable.any():
            return None
        sloped = (self.row.weights > 0) & bounded
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.where(sloped & (width > 0), (at - lower) / width, 1.0)
        lost = np.where(splittable, low + np.where(sloped, part, 1.0) * (high - low) - here, -1.0)
        side = int(lost.argmax())
        inside = lower[side] < at[side] < upper[side]
        many = int((lost / total > _FEW_PART * gap).sum()) > _FEW
        if inside and not many and lost[side] / total > _BY_CORNERS * error:
            return side, float(at[side])
        if not (many and inside):
            side = int(np.where(splittable, high - low, -1.0).argmax())
        return side, float(upper[side] - min(0.5 * (upper[side] - lower[side]), _TOP))
