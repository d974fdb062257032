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

from wdaverify._types import Norm
from wdaverify.bounds.concretise import linear_maximum

if TYPE_CHECKING:
    from wdaverify._types import Matrix, SparseMatrix, Vector
    from wdaverify.domain import Regions

_ROUND = 1e-10
"""Squares that are missed by less, relative to the square of the radius, get no further tangents."""

_WORST = 0.05
"""Coordinates get a tangent whose square is missed by more than this part of the worst."""

_OFFSETS = (0.03, 0.1, 0.25, 0.5, 0.9)
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
    """

    matrix: SparseMatrix
    origin: Vector
    lower: Vector
    upper: Vector
    rows: SparseMatrix
    row_lower: Vector
    row_upper: Vector

    @property
    def count(self) -> int:
        """Number of columns."""
        return len(self.lower)


@dataclass(frozen=True, slots=True, eq=False)
class InputSet:
    """A bounded region: a box, perhaps cut with an l1 or l2 ball (a batch of one of `domain.Regions`)."""

    regions: Regions

    @property
    def lower(self) -> Vector:
        """Lower ends of the box, (n,)."""
        return np.asarray(self.regions.lower[0])

    @property
    def upper(self) -> Vector:
        """Upper ends of the box, (n,)."""
        return np.asarray(self.regions.upper[0])

    @property
    def is_l2(self) -> bool:
        """Whether the region is curved, so that programs need tangents."""
        return self.regions.norm is Norm.L2

    def maximum(self, forms: Matrix) -> Vector:
        """Proved upper bounds (T,) of the linear forms (T, n) over the region."""
        return linear_maximum(forms, self.regions, np.zeros(len(forms), dtype=np.int64))

    def columns(self) -> InputColumns:
        """The region in a linear program."""
        n = len(self.lower)
        center, radius = self._ball()
        if center is None:
            empty = csr_array((0, n))
            none = np.zeros(0)
            return InputColumns(eye_array(n).tocsr(), np.zeros(n), self.lower, self.upper, empty, none, none)
        eye = eye_array(n).tocsr()
        below, above = np.maximum(center - self.lower, 0.0), np.maximum(self.upper - center, 0.0)
        if not self.is_l2:
            budget = csr_array(np.ones((1, 2 * n)))
            upper = np.minimum(np.concatenate([above, below]), radius)
            matrix = csr_array(hstack([eye, -eye]))
            return InputColumns(matrix, center, np.zeros(2 * n), upper, budget, np.full(1, -np.inf), np.full(1, radius))
        budget = csr_array(np.concatenate([np.zeros((1, n)), np.ones((1, n))], axis=1))
        steps = [sign * offset for offset in _OFFSETS for sign in (-1.0, 1.0)]
        tangents = [hstack([-2.0 * a * eye, eye]) for a in steps]
        matrix = csr_array(hstack([radius * eye, csr_array((n, n))]))
        low, high = np.concatenate([-below / radius, np.zeros(n)]), np.concatenate([above / radius, np.ones(n)])
        row_lower = np.concatenate([[-np.inf], -np.repeat(np.square(steps), n)])
        row_upper = np.concatenate([[1.0], np.full(n * len(steps), np.inf)])
        return InputColumns(matrix, center, low, high, csr_array(vstack([budget, *tangents])), row_lower, row_upper)

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
