"""The inputs of one region: what its points cost, and the proved maximum of a linear form over them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import InputError
from wdaverify._types import Norm
from wdaverify.bounds.concretise import linear_maximum
from wdaverify.search.cost import CostTerm
from wdaverify.search.input_columns import InputColumns, box_columns, shell_columns
from wdaverify.transport import GroundCost, round_up

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector
    from wdaverify.domain import Regions

_SHRINKS = (0.0, 2.0**-52, 2.0**-50, 2.0**-46, 2.0**-40)
"""Parts by which a point is drawn further into a ball when rounding keeps it outside."""

_SURELY_INSIDE = 1.0 - 1e-12
"""Float64 lengths below this part of the radius need no exact check."""


@dataclass(frozen=True, slots=True, eq=False)
class InputSet:
    """A bounded region: a box, perhaps cut with an l1 or l2 ball (a batch of one of `domain.Regions`), and what its points cost.

    Attributes
    ----------
    cost
        Taken off every objective; its center is a point of the region, and only points within its shell count. Where the region
        is cut with a ball, the cost is in the ball's norm, without scales, and about the same center.

    Raises
    ------
    InputError
        If the cost does not fit the ball.
    """

    regions: Regions
    cost: CostTerm | None = None

    def __post_init__(self) -> None:
        norm = self.regions.norm
        if self.cost is None or norm is None:
            return
        if norm is not self.cost.ground.norm or self.cost.ground.scales is not None:
            raise InputError(
                f"the cost in {self.cost.ground.norm} does not fit a ball in {norm}: use a box, or one norm without scales"
            )
        if self.regions.center is not None and not np.array_equal(self.regions.center[0], self.cost.center):
            raise InputError("the cost does not fit a ball about another center")

    @property
    def lower(self) -> Vector:
        """Lower ends of the box, (n,)."""
        return np.asarray(self.regions.lower[0])

    @property
    def upper(self) -> Vector:
        """Upper ends of the box, (n,)."""
        return np.asarray(self.regions.upper[0])

    @property
    def unpriced(self) -> InputSet:
        """The region alone: what its points cost says nothing about which points there are."""
        return self if self.cost is None else InputSet(self.regions, self.cost.unpriced)

    @property
    def curved(self) -> bool:
        """Whether programs need tangents: for l2, and for powers of lengths."""
        if self.cost is not None and self.cost.ground.order > 1.0:
            return True
        return self.regions.norm is Norm.L2 or (self.cost is not None and self.cost.ground.norm is Norm.L2)

    @property
    def shell(self) -> CostTerm | None:
        """The ball and the cost as one term; ``None`` for a box whose points cost nothing."""
        regions = self.regions
        if regions.center is None or regions.radius is None or regions.norm in (None, Norm.LINF):
            return self.cost
        radius = float(regions.radius[0])
        if self.cost is None:
            return CostTerm(regions.center[0], GroundCost(regions.norm or Norm.LINF), 0.0, 0.0, radius)
        return replace(self.cost, inner=min(self.cost.inner, radius), outer=min(self.cost.outer, radius))

    def maximum(self, forms: Matrix) -> Vector:
        """Proved upper bounds (T,) of the linear forms (T, n) less the cost, over the region."""
        shell = self.shell
        if self.cost is None or shell is None:
            return linear_maximum(forms, self.regions, np.zeros(len(forms), dtype=np.int64))
        return shell.maximum(forms, self.lower, self.upper)

    def nearest_inside(self, point: Vector) -> Vector:
        """A point of the region near one that misses it by rounding; far ones are drawn towards the center of the ball."""
        inside, shell = np.clip(point, self.lower, self.upper), self.shell
        if shell is None or not np.isfinite(shell.outer):
            return np.asarray(inside)
        ground, center = shell.lengths, shell.center
        for shrink in _SHRINKS:
            length = float(ground.lengths(inside - center))
            if length > _SURELY_INSIDE * shell.outer:
                high = ground.bracket(inside, center)[1]
                length = np.inf if high is None else round_up(high)
            if length <= shell.outer:
                break
            inside = np.clip(center + (inside - center) * (shell.outer / length * (1.0 - shrink)), self.lower, self.upper)
        return np.asarray(inside)

    def columns(self) -> InputColumns:
        """The region in a linear program."""
        shell = self.shell
        return box_columns(self.lower, self.upper) if shell is None else shell_columns(self.lower, self.upper, shell)
