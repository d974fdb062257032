"""The regions of one shell, begun anew when what is known about the rivals has become much sharper."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.pricing.softmax_regions import RegionNode

if TYPE_CHECKING:
    from wdaverify.pricing.loss_shells import LossShell
    from wdaverify.pricing.points_met import PointsMet
    from wdaverify.pricing.rival_growth import RivalGrowth

_SHARPER = 0.8
"""Trees begin anew when the largest sum of powers of a region falls below this part."""


class ShellTrees:
    """Trees of regions of one shell. Older trees stay: what they prove holds as well."""

    def __init__(self, shell: LossShell, growth: RivalGrowth) -> None:
        self._shell, self._growth = shell, growth
        self._grown: list[tuple[RegionNode, ...]] = []
        self._size = math.inf

    def upper(self, multiplier: float) -> float:
        """A proved upper bound of the loss less its price on the shell; ``-inf`` if no point of it is left."""
        cap = self._growth.cap(multiplier, self._shell.least, self._shell.most)
        return min([cap, *(self._of(trees, multiplier) for trees in self._grown)])

    def _of(self, trees: tuple[RegionNode, ...], multiplier: float) -> float:
        return max((node.upper(multiplier) for node in trees), default=-math.inf)

    def latest(self, points: PointsMet) -> tuple[RegionNode, ...]:
        """The trees to work on, one per class that can lead; a new form is low at the sample."""
        regions = self._shell.regions(self._growth.ceilings(self._shell.most))
        size = max((float(np.exp(region.upper).sum()) for region in regions), default=0.0)
        if not self._grown or (size < _SHARPER * self._size) or len(regions) < len(self._grown[-1]):
            sample = points.logits[:1]
            trees = [RegionNode.of(self._shell, region, region.steps(sample), np.zeros(1)) for region in regions]
            self._grown.append(tuple(trees))
            self._size = size
        return self._grown[-1]
