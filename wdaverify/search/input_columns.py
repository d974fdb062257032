r"""The inputs of one region as columns of a linear program, with what its points cost.

The columns may describe a little more or less than the region, because programs only propose; `inputs.InputSet.maximum` is
proved. With R the radius of the region, S the scales, ``t`` the length ``||S d|| / R`` and ``k`` its p-th power,

* linf: the columns are x, with rows ``R t >= +-s_k (x_k - x0_k)``;
* l1: ``x = x0 + u - v`` with ``u, v >= 0`` and ``sum s (u + v) <= R t``;
* l2: ``x_k = x0_k + (R / s_k) d_k`` with ``sum q <= t`` and tangents ``q_k >= 2 a d_k - a^2 t`` of the cone ``d_k^2 <= q_k t``.

Powers have tangents too, ``k >= p a^(p-1) t - (p - 1) a^p``. Tangents follow the solutions (`InputColumns.cuts`), and the
multipliers of none of them ever enter a proof.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array, eye_array, hstack, vstack

from wdaverify._types import Norm

if TYPE_CHECKING:
    from wdaverify._types import SparseMatrix, Vector
    from wdaverify.search.cost import CostTerm

_ROUND = 1e-10
"""Squares and powers that are missed by less, relative to those of the radius, get no further tangents."""

_WORST = 0.2
"""Coordinates get a tangent whose square is missed by more than this part of the worst."""

_OFFSETS = (0.05, 0.15, 0.4)
"""Where the first tangents of the squares touch, in radii, on both sides."""

_TOUCHES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Where the first tangents of a power touch, as parts of the way through the shell."""


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
    round_from
        Where the columns d begin whose squares are columns q behind them, ``None`` if there are none.
    length, power
        The columns t and k, ``None`` where there are none.
    order
        p.
    """

    matrix: SparseMatrix
    origin: Vector
    lower: Vector
    upper: Vector
    rows: SparseMatrix
    row_lower: Vector
    row_upper: Vector
    prices: Vector
    round_from: int | None = None
    length: int | None = None
    power: int | None = None
    order: float = 1.0

    @property
    def count(self) -> int:
        """Number of columns."""
        return len(self.lower)

    @property
    def curved(self) -> bool:
        """Whether tangents stand for a curved surface, so that `cuts` may have more."""
        return self.round_from is not None or self.power is not None

    def cuts(self, values: Vector) -> tuple[SparseMatrix, Vector] | None:
        """Tangents ``rows v >= lower`` of the squares and the power that a solution (count,) undercuts most.

        ``None`` if it undercuts none by much.
        """
        parts = [part for part in (self._square_cuts(values), self._power_cut(values)) if part is not None]
        if not parts:
            return None
        return csr_array(vstack([rows for rows, _ in parts])), np.concatenate([lower for _, lower in parts])

    def _square_cuts(self, values: Vector) -> tuple[SparseMatrix, Vector] | None:
        if self.round_from is None or self.length is None:
            return None
        n, t = len(self.origin), max(float(values[self.length]), 0.0)
        d, q = np.split(values[self.round_from : self.round_from + 2 * n], 2)
        missing = d * d - q * t
        if float(np.maximum(missing, 0.0).sum()) <= _ROUND or t <= math.sqrt(_ROUND):
            return None
        chosen = np.flatnonzero(missing > _WORST * missing.max())
        touch, k = d[chosen] / t, np.arange(len(chosen))
        entries = np.concatenate([-2.0 * touch, np.ones(len(chosen)), np.square(touch)])
        columns = [self.round_from + chosen, self.round_from + n + chosen, np.full(len(chosen), self.length)]
        rows = csr_array((entries, (np.tile(k, 3), np.concatenate(columns))), shape=(len(chosen), len(values)))
        return rows, np.zeros(len(chosen))

    def _power_cut(self, values: Vector) -> tuple[SparseMatrix, Vector] | None:
        if self.power is None or self.length is None:
            return None
        t = max(float(values[self.length]), 0.0)
        if t**self.order - float(values[self.power]) <= _ROUND:
            return None
        row = np.zeros((1, len(values)))
        row[0, [self.length, self.power]] = -self.order * t ** (self.order - 1.0), 1.0
        return csr_array(row), np.array([-(self.order - 1.0) * t**self.order])


def box_columns(lower: Vector, upper: Vector) -> InputColumns:
    """A box, whose points cost nothing."""
    n, none = len(lower), np.zeros(0)
    return InputColumns(eye_array(n).tocsr(), np.zeros(n), lower, upper, csr_array((0, n)), none, none, np.zeros(n))


def shell_columns(lower: Vector, upper: Vector, cost: CostTerm) -> InputColumns:
    """The points of a box within a shell, and what they cost; the inner radius bounds their price alone."""
    n, x0 = len(lower), cost.center
    scales = np.ones(n) if cost.ground.scales is None else cost.ground.scales
    below, above = np.maximum(x0 - lower, 0.0), np.maximum(upper - x0, 0.0)
    farthest = float(cost.ground.lengths(np.maximum(below, above))) * (1.0 + 1e-9)
    radius = max(min(cost.outer, farthest), cost.inner)
    radius = radius if radius > 0 else 1.0
    if cost.ground.norm is Norm.L1 and cost.ground.order == 1.0 and cost.inner == 0.0:
        return _priced_steps(x0, below, above, scales, radius, cost.weight)
    build = {Norm.LINF: _linf, Norm.L1: _l1, Norm.L2: _l2}[cost.ground.norm]
    return _with_length(build(x0, below, above, scales, radius), cost, radius)


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """Columns for the steps from the center, and rows ``rows v + by_length t >= row_lower``."""

    matrix: SparseMatrix
    origin: Vector
    lower: Vector
    upper: Vector
    rows: SparseMatrix
    by_length: Vector
    row_lower: Vector
    round_from: int | None = None


def _priced_steps(x0: Vector, below: Vector, above: Vector, scales: Vector, radius: float, weight: float) -> InputColumns:
    """l1 with p = 1: each step has its own price, and t is not needed."""
    n, both = len(x0), np.concatenate([scales, scales])
    eye = eye_array(n).tocsr()
    upper = np.minimum(np.concatenate([above, below]), radius / both)
    return InputColumns(csr_array(hstack([eye, -eye])), x0, np.zeros(2 * n), upper, csr_array(both[None]),
                        np.full(1, -np.inf), np.full(1, radius), -weight * both)  # fmt: skip


def _linf(x0: Vector, below: Vector, above: Vector, scales: Vector, radius: float) -> _Steps:
    n = len(x0)
    stretched = csr_array((scales, (np.arange(n), np.arange(n))), shape=(n, n))
    reach = radius / scales
    lower, upper = x0 - np.minimum(below, reach), x0 + np.minimum(above, reach)
    rows, start = csr_array(vstack([-stretched, stretched])), np.concatenate([-scales * x0, scales * x0])
    return _Steps(eye_array(n).tocsr(), np.zeros(n), lower, upper, rows, np.full(2 * n, radius), start)


def _l1(x0: Vector, below: Vector, above: Vector, scales: Vector, radius: float) -> _Steps:
    n, both = len(x0), np.concatenate([scales, scales])
    eye = eye_array(n).tocsr()
    upper = np.minimum(np.concatenate([above, below]), radius / both)
    return _Steps(
        csr_array(hstack([eye, -eye])), x0, np.zeros(2 * n), upper, csr_array(-both[None]), np.full(1, radius), np.zeros(1)
    )


def _l2(x0: Vector, below: Vector, above: Vector, scales: Vector, radius: float) -> _Steps:
    n = len(x0)
    reach = radius / scales
    matrix = csr_array(hstack([csr_array((reach, (np.arange(n), np.arange(n))), shape=(n, n)), csr_array((n, n))]))
    lower = np.concatenate([-np.minimum(below / reach, 1.0), np.zeros(n)])
    upper = np.concatenate([np.minimum(above / reach, 1.0), np.ones(n)])
    eye, steps = eye_array(n).tocsr(), [sign * offset for offset in _OFFSETS for sign in (-1.0, 1.0)]
    budget = csr_array(np.concatenate([np.zeros((1, n)), -np.ones((1, n))], axis=1))
    rows = csr_array(vstack([budget, *(hstack([-2.0 * a * eye, eye]) for a in steps)]))
    by_length = np.concatenate([[1.0], np.repeat(np.square(steps), n)])
    return _Steps(matrix, x0, lower, upper, rows, by_length, np.zeros(len(by_length)), round_from=0)


def _with_length(steps: _Steps, cost: CostTerm, radius: float) -> InputColumns:
    """The columns with t, and with k where p > 1, which are paid for."""
    count, order, inner = len(steps.lower), cost.ground.order, cost.inner / radius
    powered = order > 1.0 and cost.weight > 0.0
    rows = csr_array(hstack([steps.rows, csr_array(steps.by_length[:, None])]))
    lower, upper, row_lower = np.append(steps.lower, inner), np.append(steps.upper, 1.0), steps.row_lower
    prices = np.append(np.zeros(count), -cost.weight * radius)
    matrix = csr_array(hstack([steps.matrix, csr_array((len(steps.origin), 1 + powered))]))
    if powered:
        touches = inner + (1.0 - inner) * np.array(_TOUCHES)
        tangents = np.zeros((len(touches), count + 2))
        tangents[:, count], tangents[:, count + 1] = -order * touches ** (order - 1.0), 1.0
        rows = csr_array(vstack([hstack([rows, csr_array((rows.shape[0], 1))]), csr_array(tangents)]))
        row_lower = np.concatenate([row_lower, -(order - 1.0) * touches**order])
        lower, upper = np.append(lower, inner**order), np.append(upper, 1.0)
        prices = np.append(np.zeros(count + 1), -cost.weight * radius**order)
    return InputColumns(matrix, steps.origin, lower, upper, rows, row_lower, np.full(len(row_lower), np.inf), prices,
                        steps.round_from, count, count + 1 if powered else None, order)  # fmt: skip
