"""The tree of regions of logits, each with a linear form above the cross-entropy and the prices of that form."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify._tolerances import UNIT_ROUNDOFF
from wdaverify.log_sum_exp import cross_entropies
from wdaverify.pricing.softmax_rows import LogitRegion, SoftmaxRow, softmax_row

if TYPE_CHECKING:
    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.pricing.directions import FormPrices
    from wdaverify.pricing.loss_shells import LossShell
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

_PARTS = 17
"""Multipliers of a shell's own that are compared, from 0 to the whole."""

_CLOSE = 1.0 + 2.0**-40
"""Points count as within a shell up to this factor of its largest cost."""

_CAP_SLACK = 2.0**-40
"""Covers the rounding of a log-sum-exp in float64."""


class View(NamedTuple):
    """How high a form less its price is at the points met (P,), for one multiplier of the shell's own; ``-inf`` beyond it."""

    multiplier: float
    heights: Vector

    @property
    def peak(self) -> float:
        """The largest height."""
        return float(self.heights.max(initial=-np.inf))

    def highest(self, count: int) -> IntArray:
        """The numbers of the highest points."""
        order = np.argsort(-self.heights, kind="stable")[:count]
        return np.asarray(order[np.isfinite(self.heights[order])])


@dataclass(eq=False)
class RegionNode:
    """A region of the logits of one shell, its form, and the halves of the region once there are any.

    Attributes
    ----------
    cap
        A bound of the loss on the region.
    worked
        The multipliers that the form was priced for.
    children
        Assigned at once, when all of them are complete: an interrupt leaves the tree as it was.
    """

    shell: LossShell
    region: LogitRegion
    row: SoftmaxRow
    form: FormPrices
    cap: float
    worked: set[float] = field(default_factory=set)
    children: tuple[RegionNode, ...] = field(default=())

    @staticmethod
    def of(shell: LossShell, region: LogitRegion, steps: Matrix, gains: Vector) -> RegionNode:
        """A region without halves; its form is low at the points met, as for `softmax_row`."""
        row = softmax_row(region, steps, gains)
        cap = float(cross_entropies(region.upper[None], np.array([region.leader]))[0]) - float(region.lower[shell.label])
        return RegionNode(shell, region, row, shell.directions.form(row.weights), cap + _CAP_SLACK * (1.0 + abs(cap)))

    def own(self, multiplier: float) -> float:
        """What the region and its form prove about the loss less its price on the shell."""
        least = self.shell.least
        known = [each for each in {multiplier, *self.worked} if each <= multiplier]
        bounds = [self.form.upper(each) + self.row.offset - (multiplier - each) * least for each in known]
        bounds.append(self.cap - multiplier * least)
        sizes = abs(self.cap) + abs(self.row.offset) + multiplier * least
        return min(bound + 8.0 * UNIT_ROUNDOFF * (sizes + abs(bound)) if math.isfinite(bound) else math.inf for bound in bounds)

    def upper(self, multiplier: float) -> float:
        """What the form and those of the halves prove together."""
        own = self.own(multiplier)
        if not self.children:
            return own
        return min(own, max(child.upper(multiplier) for child in self.children))

    def view(self, points: PointsMet, multiplier: float) -> View:
        """How high the form is at the points met, for the best multiplier of the shell's own."""
        least = self.shell.least
        linear = points.logits @ self.row.weights - points.logits[:, self.shell.label] + self.row.offset
        within = points.costs <= self.shell.most * _CLOSE
        chosen = multiplier
        if least > 0.0 and multiplier > 0.0:
            parts = np.linspace(0.0, multiplier, _PARTS)
            peaks = (linear - parts[:, None] * points.costs - (multiplier - parts[:, None]) * least)[:, within].max(axis=1)
            chosen = float(parts[len(parts) - 1 - int(peaks[::-1].argmin())])
        heights = linear - chosen * points.costs - (multiplier - chosen) * least
        return View(chosen, np.where(within, heights, -np.inf))

    @cached_property
    def excess(self) -> float:
        """By how much the form exceeds the loss in the middle of the region."""
        with np.errstate(invalid="ignore"):
            middle = 0.5 * (self.region.lower + self.region.upper)
        return max(self.row.excess(self.region, np.where(np.isfinite(self.region.lower), middle, self.region.lower)), 0.0)

    def halve(self, points: PointsMet, multiplier: float, gap: float) -> tuple[RegionNode, ...]:
        """The parts of the region on both sides of the point that refutes the form, or none if float64 cannot separate them."""
        view = self.view(points, multiplier)
        worst = int(view.heights.argmax())
        steps = self.region.steps(points.logits[[worst]])[0]
        linear = float(points.logits[worst] @ self.row.weights) + self.row.offset
        error = linear - float(points.logits[worst, self.shell.label] + points.losses[worst])
        chosen = self._side(steps, error, gap)
        if chosen is None:
            return ()
        near = view.highest(_REFERENCES)
        logits, costs = points.logits[near], points.costs[near]
        gains = logits[:, self.region.leader] - logits[:, self.shell.label]
        gains = gains - view.multiplier * costs - (multiplier - view.multiplier) * self.shell.least
        parts = [RegionNode.of(self.shell, half, half.steps(logits), gains) for half in self.region.halves(*chosen)]
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
