"""The ground cost of an objective: ``weight * ||S (x - center)||^p``, taken off a linear form, in a shell about the center."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import InputError
from wdaverify.bounds.priced import priced_maximum
from wdaverify.bounds.rooms import Shells
from wdaverify.transport import GroundCost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import Matrix, Vector


@dataclass(frozen=True, slots=True, eq=False)
class CostTerm:
    """``weight * ||S (x - center)||^p``, which an objective pays for leaving a sample.

    Attributes
    ----------
    ground
        Norm, order p and scales S.
    inner, outer
        Only points of the region with ``inner <= ||S (x - center)|| <= outer`` count.

    Raises
    ------
    InputError
        If the weight is not a finite number >= 0, or the shell is empty.
    """

    center: Vector
    ground: GroundCost
    weight: float
    inner: float = 0.0
    outer: float = math.inf

    def __post_init__(self) -> None:
        if not (np.isfinite(self.weight) and self.weight >= 0):
            raise InputError(f"the weight {self.weight} of a cost is not a finite number >= 0")
        if not 0 <= self.inner <= self.outer:
            raise InputError(f"no length lies between {self.inner} and {self.outer}")

    @property
    def lengths(self) -> GroundCost:
        """The lengths alone: the ground cost at order 1."""
        return GroundCost(self.ground.norm, 1.0, self.ground.scales)

    @property
    def unpriced(self) -> CostTerm:
        """The shell alone: what its points cost says nothing about which points there are."""
        return replace(self, weight=0.0)

    def value(self, point: Vector) -> float:
        """The cost of a point in float64."""
        return self.weight * float(self.ground.values(point - self.center))

    def least(self, point: Sequence[float]) -> Fraction | None:
        """At least the cost of a point, within a few units of the last of sixty digits; ``None`` outside the shell."""
        low, high = self.lengths.bracket(point, self.center)
        if high is None or (math.isfinite(self.outer) and high > Fraction(self.outer)) or low < Fraction(self.inner):
            return None
        paid = self.ground.bracket(point, self.center)[1]
        return None if paid is None else Fraction(self.weight) * paid

    def maximum(self, forms: Matrix, lower: Vector, upper: Vector) -> Vector:
        """Proved upper bounds (T,) of forms (T, n) less the cost, over the shell within a box that holds the center."""
        ends = np.full(len(forms), self.inner), np.full(len(forms), self.outer)
        return priced_maximum(forms, Shells(self.center, lower, upper, *ends), self.ground, self.weight)
