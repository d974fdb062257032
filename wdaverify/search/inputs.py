"""The inputs of one region: as columns of a linear program, and the proved maximum of a linear form over them.

The columns may describe a little more or less than the region, because programs only propose; `InputSet.maximum` is
proved. For an l1 ball about ``x0`` the point is ``x0 + p - q`` with ``p, q >= 0`` and ``sum (p + q) <= R``. For an l2 ball it
is ``x0 + R d`` with ``sum q <= 1`` and tangents ``q_k >= 2 a d_k - a^2`` of the squares, which follow the solutions
(`InputSet.cuts`); a product of the tangents' multipliers never enters a proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array, eye_array, hstack, vstack

from wdaverify._errors import InputError
from wdaverify._tolerances import TINY
from wdaverify._types import Norm
from wdaverify.bounds.concretise import linear_maximum
from wdaverify.bounds.rounding import INFLATION, gamma
from wdaverify.transport import distance_up

if TYPE_CHECKING:
    from wdaverify._types import Matrix, SparseMatrix, Vector
    from wdaverify.domain import Regions
    from wdaverify.search.cost import CostTerm

_ROUND = 1e-10
"""Squares that are missed by less, relative to the square of the radius, get no further tangents."""

_WORST = 0.2
"""Coordinates get a tangent whose square is missed by more than this part of the worst."""

_SHRINKS = (0.0, 2.0**-52, 2.0**-50, 2.0**-46, 2.0**-40)
"""Parts by which a point is drawn further into a ball when rounding keeps it outside."""

_OFFSETS = (0.05, 0.15, 0.4)
"""Where the first tangents of the squares touch, in radii, on both sides."""


@dataclass(frozen=True, slots=True, eq=False)
class InputColumns:
    """Points of a region as ``matrix v + origin`` over the first `count` columns v of a program.

    Attributes
    ----------
    matrix, origin
        Shapes (n, count) and (n,).
    lower, upper
        Bounds of the columns, (count,).
    rows, row_lower, row_upper
        Further rows on the columns, (q, count) and (q,) each.
    prices
        What the columns cost, (count,).
    """

    matrix: SparseMatrix
    origin: Vector
    lower: Vector
    upper: Vector
    rows: SparseMatrix
    row_lower: Vector
    row_upper: Vector
    prices: Vector

    @property
    def count(self) -> int:
        """Number of columns."""
        return len(self.lower)


@dataclass(frozen=True, slots=True, eq=False)
class InputSet:
    """A bounded region: a box, perhaps cut with an l1 or l2 ball (a batch of one of `domain.Regions`), and what its points cost.

    Attributes
    ----------
    cost
        Taken off every objective; its center is a point of the region. Where that is cut with a ball, it is in the ball's norm.

    Raises
    ------
    InputError
        If the cost is in another norm than the ball.
    """

    regions: Regions
    cost: CostTerm | None = None

    def __post_init__(self) -> None:
        if self.cost is not None and self.regions.norm not in (None, self.cost.norm):
            raise InputError(f"a cost in {self.cost.norm} does not fit a ball in {self.regions.norm}: use a box or one norm")

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
        return InputSet(self.regions)

    @property
    def is_l2(self) -> bool:
        """Whether the region is curved, so that programs need tangents."""
        return self.regions.norm is Norm.L2

    def maximum(self, forms: Matrix) -> Vector:
        """Proved upper bounds (T,) of the linear forms (T, n) less the cost, over the region."""
        if self.cost is None or self.cost.weight == 0.0:
            return self._linear_maximum(forms)
        if self.cost.norm is Norm.LINF:
            return self.cost.linf_maximum(forms, self.lower, self.upper)
        gains = self.cost.shrunk(forms)
        center, terms = self.cost.center, gamma(forms.shape[1] + 4) * INFLATION
        base = (forms - gains) @ center  # a.x - w |x - c| <= a.c + gains.(x - c)
        return np.asarray(self._linear_maximum(gains) + base + terms * ((np.abs(forms) + np.abs(gains)) @ np.abs(center)) + TINY)

    def _linear_maximum(self, forms: Matrix) -> Vector:
        return linear_maximum(forms, self.regions, np.zeros(len(forms), dtype=np.int64))

    def nearest_inside(self, point: Vector) -> Vector:
        """A point of the region near one that misses it by rounding; far ones are drawn towards the center of the ball."""
        inside = np.clip(point, self.lower, self.upper)
        center, radius = self._ball()
        if center is None or self.regions.norm is None:
            return np.asarray(inside)
        for shrink in _SHRINKS:
            length = distance_up(center, inside, self.regions.norm)
            if length <= radius:
                break
            inside = np.clip(center + (inside - center) * (radius / length * (1.0 - shrink)), self.lower, self.upper)
        return np.asarray(inside)

    def columns(self) -> InputColumns:
        """The region in a linear program."""
        center, radius = self._ball()
        if self.is_l2 and center is not None:
            return self._l2_columns(center, radius)
        if center is None and self.cost is not None and self.cost.norm is Norm.L1:
            center = self.cost.center
        if center is not None:
            return self._l1_columns(center, radius)
        n = len(self.lower)
        eye, none = eye_array(n).tocsr(), np.zeros(0)
        if self.cost is None:
            return InputColumns(eye, np.zeros(n), self.lower, self.upper, csr_array((0, n)), none, none, np.zeros(n))
        x0, last = self.cost.center, np.concatenate([np.zeros(n), [1.0]])
        farthest = float(np.max(np.maximum(self.upper - x0, x0 - self.lower), initial=0.0))
        tau = csr_array(np.ones((n, 1)))
        rows = csr_array(vstack([hstack([-eye, tau]), hstack([eye, tau])]))
        matrix = csr_array(hstack([eye, csr_array((n, 1))]))
        low, high = np.concatenate([self.lower, [0.0]]), np.concatenate([self.upper, [farthest]])
        prices = -self.cost.weight * last
        return InputColumns(matrix, np.zeros(n), low, high, rows, np.concatenate([-x0, x0]), np.full(2 * n, np.inf), prices)

    def _l1_columns(self, center: Vector, radius: float) -> InputColumns:
        n = len(center)
        eye = eye_array(n).tocsr()
        below, above = np.maximum(center - self.lower, 0.0), np.maximum(self.upper - center, 0.0)
        upper = np.minimum(np.concatenate([above, below]), radius)
        budget, most = csr_array(np.ones((1, 2 * n))), np.full(1, radius)
        prices = np.full(2 * n, 0.0 if self.cost is None else -self.cost.weight)
        return InputColumns(
            csr_array(hstack([eye, -eye])), center, np.zeros(2 * n), upper, budget, np.full(1, -np.inf), most, prices
        )

    def _l2_columns(self, center: Vector, radius: float) -> InputColumns:
        n = len(center)
        eye = eye_array(n).tocsr()
        below, above = np.maximum(center - self.lower, 0.0), np.maximum(self.upper - center, 0.0)
        budget = csr_array(np.concatenate([np.zeros((1, n)), np.ones((1, n))], axis=1))
        steps = [sign * offset for offset in _OFFSETS for sign in (-1.0, 1.0)]
        tangents = [hstack([-2.0 * a * eye, eye]) for a in steps]
        matrix = csr_array(hstack([radius * eye, csr_array((n, n))]))
        low, high = np.concatenate([-below / radius, np.zeros(n)]), np.concatenate([above / radius, np.ones(n)])
        row_lower = np.concatenate([[-np.inf], -np.repeat(np.square(steps), n)])
        row_upper = np.concatenate([[1.0], np.full(n * len(steps), np.inf)])
        rows = csr_array(vstack([budget, *tangents]))
        return InputColumns(matrix, center, low, high, rows, row_lower, row_upper, np.zeros(2 * n))

    def cuts(self, values: Vector) -> tuple[SparseMatrix, Vector] | None:
        """Tangents ``rows v >= lower`` of the squares that a solution (count,) undercuts most.

        ``None`` if it undercuts none by much, or the region is no l2 ball.
        """
        if not self.is_l2:
            return None
        d, q = np.split(values, 2)
        missing = d * d - q
        if float(np.maximum(missing, 0.0).sum()) <= _ROUND:
            return None
        chosen = np.flatnonzero(missing > _WORST * missing.max())
        k = np.arange(len(chosen))
        entries = np.concatenate([-2.0 * d[chosen], np.ones(len(chosen))])
        places = np.concatenate([k, k]), np.concatenate([chosen, len(d) + chosen])
        return csr_array((entries, places), shape=(len(chosen), len(values))), -np.square(d[chosen])

    def _ball(self) -> tuple[Vector, float] | tuple[None, float]:
        if self.regions.center is None or self.regions.radius is None or self.regions.norm is Norm.LINF:
            return None, np.inf
        return self.regions.center[0], float(self.regions.radius[0])
