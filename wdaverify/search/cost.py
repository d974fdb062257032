"""The ground cost of an objective: ``weight * ||x - center||`` in the l1 or linf norm, taken off a linear form.

Over a box, with ``d = x - x0`` and the room ``cap_k`` of each coordinate in the direction in which ``a_k`` grows,

* l1: coordinates with ``|a_k| <= weight`` stay, the others gain ``|a_k| - weight`` a unit: the form shrinks and the cost is gone;
* linf: ``max_t sum_k |a_k| min(t, cap_k) - weight t``, concave and piecewise linear in t, so that it is at 0 or at a cap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import InputError
from wdaverify._tolerances import TINY, UNIT_ROUNDOFF
from wdaverify._types import Norm
from wdaverify.bounds.rounding import INFLATION, gamma

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector


@dataclass(frozen=True, slots=True, eq=False)
class CostTerm:
    """``weight * ||x - center||``, which an objective pays for leaving a sample.

    Raises
    ------
    InputError
        If the norm is l2, whose cost is not piecewise linear, or the weight is not a finite number >= 0.
    """

    center: Vector
    norm: Norm
    weight: float

    def __post_init__(self) -> None:
        if self.norm is Norm.L2:
            raise InputError("the l2 cost is not piecewise linear: give l1 or linf")
        if not (np.isfinite(self.weight) and self.weight >= 0):
            raise InputError(f"the weight {self.weight} of a cost is not a finite number >= 0")

    def value(self, point: Vector) -> float:
        """The cost of a point in float64."""
        return self.weight * float(np.linalg.norm(point - self.center, ord=self.norm.order))

    def shrunk(self, forms: Matrix) -> Matrix:
        """l1: forms (T, n) whose coefficients are what a unit of each coordinate gains beyond its cost, rounded outward."""
        excess = np.abs(forms) - self.weight
        return np.where(excess > 0.0, np.sign(forms) * np.nextafter(excess, np.inf), 0.0)

    def linf_maximum(self, forms: Matrix, lower: Vector, upper: Vector) -> Vector:
        """Proved upper bounds (T,) of ``a.x - weight ||x - center||_inf`` over a box that holds the center."""
        caps = np.where(forms > 0, upper - self.center, self.center - lower)
        caps = np.nextafter(np.maximum(caps, 0.0), np.inf)
        order = np.argsort(caps, axis=1)
        sizes, caps = np.take_along_axis(np.abs(forms), order, axis=1), np.take_along_axis(caps, order, axis=1)
        spent = np.cumsum(sizes * caps, axis=1)
        still = sizes.sum(axis=1, keepdims=True) - np.cumsum(sizes, axis=1)
        best = np.maximum((spent + caps * (np.maximum(still, 0.0) - self.weight)).max(axis=1, initial=0.0), 0.0)
        base = forms @ self.center
        reach = np.abs(forms) @ np.abs(self.center) + (sizes * (caps + caps[:, -1:])).sum(axis=1) + self.weight * caps[:, -1]
        error = 4.0 * gamma(forms.shape[1] + 8) * INFLATION * reach + 8.0 * UNIT_ROUNDOFF * np.abs(base + best) + TINY
        return np.asarray(base + best + error)
