"""Optimality conditions of a claimed answer, and bounds that hold whatever the solver said.

For ``min c.x + q.x^2`` subject to ``row_lower <= A x <= row_upper, lower <= x <= upper`` a point x and duals (y, z) are
optimal if and only if

- x is feasible                                                    (primal feasibility)
- y_i >= 0 unless row_upper_i is finite, <= 0 unless row_lower_i is, likewise z    (dual signs)
- y_i > 0 only where (A x)_i = row_lower_i, y_i < 0 only at row_upper_i, likewise z  (complementarity)
- c + 2 q x = A^T y + z                                            (stationarity).

For a maximisation the same holds for ``-c, -q, -y, -z``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import InputError
from wdaverify._tolerances import TINY, UNIT_ROUNDOFF

if TYPE_CHECKING:
    from wdaverify._types import Vector
    from wdaverify.program.columns import ColumnSums
    from wdaverify.program.program import Program
    from wdaverify.program.result import SolveResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """The largest violation of each optimality condition, all zero at an exact optimum.

    Parameters
    ----------
    primal
        Of row bounds, column bounds and integrality.
    dual_sign
        Multipliers that push against a side that is infinite.
    complementarity
        The largest product of a multiplier and the distance to the bound that it pushes against.
    stationarity
        The largest entry of ``|gradient - A^T y - z|``.
    """

    primal: float
    dual_sign: float
    complementarity: float
    stationarity: float

    @property
    def worst(self) -> float:
        """The largest of the four; NaN if any of them is."""
        return float(np.max([self.primal, self.dual_sign, self.complementarity, self.stationarity]))


def primal_residual(program: Program, point: Vector) -> float:
    """The largest violation of a row, a column bound or integrality by `point` (v,)."""
    activity = program.matrix @ point
    violations = [
        program.row_lower - activity,
        activity - program.row_upper,
        program.lower - point,
        point - program.upper,
        np.abs(point - np.round(point))[program.integer],
    ]
    return float(np.max(np.concatenate([*violations, np.zeros(1)])))


def residuals(program: Program, result: SolveResult) -> Residuals:
    """How far a claimed optimum of a linear or quadratic program is from the optimality conditions.

    Raises
    ------
    InputError
        If the result carries no point or no duals, or the program has integer columns, for which there are none.
    """
    if result.primal is None or result.row_duals is None or result.column_duals is None or program.is_mixed_integer:
        raise InputError(f"a result with status '{result.status}' has no point with duals: only continuous optima can be checked")
    sign, x = program.sense.sign, result.primal
    y, z = sign * result.row_duals, sign * result.column_duals
    gradient = sign * (program.objective if program.quadratic is None else program.objective + 2.0 * program.quadratic * x)
    rows = _multiplier_residuals(y, program.matrix @ x, program.row_lower, program.row_upper)
    columns = _multiplier_residuals(z, x, program.lower, program.upper)
    stationarity = np.abs(gradient - program.matrix.T @ y - z)
    return Residuals(
        primal=primal_residual(program, x),
        dual_sign=max(rows[0], columns[0]),
        complementarity=max(rows[1], columns[1]),
        stationarity=float(np.max(stationarity, initial=0.0)),
    )


def _multiplier_residuals(multiplier: Vector, activity: Vector, lower: Vector, upper: Vector) -> tuple[float, float]:
    """Largest multiplier against an infinite side, and largest product of multiplier and slack."""
    wrong = np.where(multiplier > 0, np.isinf(lower), np.isinf(upper)) & (multiplier != 0)
    side = np.where(multiplier > 0, lower, upper)
    slack = np.where(wrong | (multiplier == 0), 0.0, np.abs(activity - np.where(np.isinf(side), 0.0, side)))
    return (
        float(np.max(np.abs(multiplier)[wrong], initial=0.0)),
        float(np.max(np.abs(multiplier) * slack, initial=0.0)),
    )


def safe_bound(program: Program, row_duals: Vector) -> float:
    """A rigorous bound on the optimum from any dual vector whatsoever.

    For every y, weak duality over the box of the columns gives for a minimisation

    ::

        optimum >= sum_i (y_i > 0 ? y_i row_lower_i : y_i row_upper_i) + sum_j min over x_j in [lower_j, upper_j] of r_j x_j

    with ``r = c - A^T y``. Every float64 operation is charged its rounding error, outward. Multipliers that push
    against an infinite side are set to zero. Nothing about `row_duals` is trusted: bad ones only weaken the bound.

    Parameters
    ----------
    program
        A linear or mixed-integer linear program (integrality is ignored, which keeps the bound valid).
    row_duals
        Shape (m,), in the convention of `SolveResult` for the program's own sense.

    Returns
    -------
    float
        A lower bound when minimising, an upper bound when maximising; the infinity that says nothing when a column
        with nonzero reduced cost is unbounded or a number overflows.

    Raises
    ------
    InputError
        If the program has a quadratic objective or `row_duals` has another length.

    References
    ----------
    A. Neumaier and O. Shcherbina, Safe bounds in linear and mixed-integer programming, Math. Program. 99 (2004), section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from wdaverify.program.builder import ProgramBuilder
    >>> from wdaverify.program.program import Sense
    >>> builder = ProgramBuilder()
    >>> x = builder.add_columns(2, 0.0, 1.0, objective=[1.0, 2.0])
    >>> row = builder.add_row(x, [1.0, 1.0], 1.0, np.inf)
    >>> bound = safe_bound(builder.build(Sense.MINIMISE), np.array([1.0]))
    >>> 1 - 1e-12 < bound <= 1
    True
    """
    if program.quadratic is not None:
        raise InputError("the safe bound is for linear objectives: this program has a quadratic part")
    sign = program.sense.sign
    lowest = _weak_duality(program, sign * program.objective, sign * _checked(program, row_duals), sign * program.constant)
    return sign * lowest


def proves_infeasible(program: Program, ray: Vector) -> bool:
    """Whether a Farkas ray (m,) proves rigorously that no point satisfies rows and column bounds.

    It does when the safe bound of the zero objective with the ray as duals is positive: 0 > 0 would follow.

    Raises
    ------
    InputError
        If `ray` has another length than there are rows.
    """
    return _weak_duality(program, np.zeros(program.columns), _checked(program, ray), 0.0) > 0.0


def _checked(program: Program, duals: Vector) -> Vector:
    """Duals of the right length; entries that are no number become zero."""
    if duals.shape != (program.rows,):
        raise InputError(f"row duals have shape {duals.shape}, the program has {program.rows} rows")
    return np.where(np.isfinite(duals), duals, 0.0)


def _weak_duality(program: Program, cost: Vector, duals: Vector, constant: float) -> float:
    """Lower bound on ``min cost.x + constant``, rounded down; ``-inf`` when nothing follows."""
    side = np.where(duals > 0, program.row_lower, program.row_upper)
    y = np.where(np.isfinite(side), duals, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        row_terms = y * np.where(np.isfinite(side), side, 0.0)
        low, high = _reduced_costs(program.column_sums, cost, y)
        terms = np.concatenate([row_terms, _column_minima(low, high, program.lower, program.upper), [constant]])
        magnitude = np.abs(terms)
    if not np.isfinite(terms).all() or not math.isfinite(total := float(np.sum(magnitude))):
        return -math.inf
    # each product is wrong by at most u|term| and the correctly rounded sum by u|sum|: 2u sum|terms| together, doubled
    # to cover the float64 evaluation of the allowance itself; underflow costs at most TINY a term
    allowance = 4.0 * UNIT_ROUNDOFF * total * (1.0 + len(terms) * UNIT_ROUNDOFF) + (len(terms) + 1) * TINY
    return math.nextafter(math.fsum(terms.tolist()) - allowance, -math.inf)


def _reduced_costs(sums: ColumnSums, cost: Vector, y: Vector) -> tuple[Vector, Vector]:
    """Ends of an interval that holds the exact ``cost - A^T y``."""
    reduced = cost - sums.values @ y
    magnitude = sums.sizes @ np.abs(y) + np.abs(cost)
    error = sums.allowance * magnitude + sums.length * TINY
    low, high = np.nextafter(reduced - error, -np.inf), np.nextafter(reduced + error, np.inf)
    exact = sums.pattern @ (y != 0).astype(np.float64) == 0  # nothing was subtracted: the reduced cost is the cost itself
    return np.where(exact, cost, low), np.where(exact, cost, high)


def _column_minima(low: Vector, high: Vector, lower: Vector, upper: Vector) -> Vector:
    """``min r x`` over r in [low, high] and x in [lower, upper], each product rounded to nearest."""
    # the minimum over x is concave in r, so it is least at an end; 0 * inf means 0, since a zero cost ignores the bound
    at_ends = [np.where(r == 0, 0.0, r * np.where(r > 0, lower, upper)) for r in (low, high)]
    return np.minimum(*at_ends)
