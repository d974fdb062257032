"""Clarabel through CVXPY: linear programs and convex diagonal quadratic objectives, by an interior-point method.

HiGHS' own quadratic solver fails on some instances of ours, so this backend is the one for euclidean distances.
"""

from __future__ import annotations

import time
import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import cvxpy
import numpy as np

from wdaverify.program.backend import DEFAULT_OPTIONS, Capability, SolveOptions, require_for
from wdaverify.program.result import SolveResult, Status
from wdaverify_solvers.native import call_native
from wdaverify_solvers.scaling import INFINITE
from wdaverify_solvers.trivial import solve_without_columns

if TYPE_CHECKING:
    from wdaverify._types import IntArray, Vector
    from wdaverify.program.program import Program

STATUSES = {
    cvxpy.OPTIMAL: Status.OPTIMAL,
    cvxpy.INFEASIBLE: Status.INFEASIBLE,
    cvxpy.UNBOUNDED: Status.UNBOUNDED,
    cvxpy.USER_LIMIT: Status.LIMIT,
}
"""Inaccurate answers, in CVXPY's words, are no answers: everything else is FAILED."""


class ClarabelBackend:
    """The Clarabel interior-point solver."""

    name = "cvxpy"
    capabilities = frozenset({Capability.LP, Capability.QUADRATIC, Capability.DUALS})

    @property
    def version(self) -> str:
        """The versions of Clarabel and CVXPY."""
        return f"clarabel {version('clarabel')}, cvxpy {version('cvxpy')}"

    def solve(self, program: Program, options: SolveOptions = DEFAULT_OPTIONS) -> SolveResult:
        """Solve a linear program, or one with a convex diagonal quadratic objective.

        Raises
        ------
        SolverError
            If the program has integer columns.
        """
        require_for(self, program, options)
        started = time.monotonic()
        if options.deadline.passed:
            return SolveResult(status=Status.LIMIT, bound=program.sense.trivial_bound)
        if program.columns == 0:
            return solve_without_columns(program)
        if _too_large(program):
            message = f"Clarabel reads numbers from {INFINITE:g} as infinite: rescale the program"
            return SolveResult(status=Status.FAILED, bound=program.sense.trivial_bound, message=message)
        model = _Model(program)
        try:
            call_native(lambda: model.solve(options), cancel=None, deadline=options.deadline)
        except TimeoutError as error:
            return SolveResult(status=Status.LIMIT, bound=program.sense.trivial_bound, message=str(error))
        except cvxpy.SolverError as error:
            message = str(error).partition("\n")[0]
            return SolveResult(status=Status.FAILED, bound=program.sense.trivial_bound, message=message)
        return model.result(time.monotonic() - started)


def _too_large(program: Program) -> bool:
    ends = np.concatenate([program.lower, program.upper, program.row_lower, program.row_upper])
    return bool((np.abs(ends[np.isfinite(ends)]) >= INFINITE).any())


class _Sides:
    """The constraints ``lower <= activity <= upper`` of a block, and the way back from their duals to ours.

    CVXPY gives a multiplier >= 0 for each inequality; its Lagrangian is ``f + nu (activity - b)`` for an equation.
    With gradient = A^T y our duals are ``y = -nu``, ``+lambda`` for a lower end and ``-lambda`` for an upper end.
    """

    def __init__(self, activity: Any, lower: Vector, upper: Vector) -> None:
        self.length = len(lower)
        equal = lower == upper
        masks = (equal, np.isfinite(lower) & ~equal, np.isfinite(upper) & ~equal)
        self.parts: list[tuple[IntArray, float, Any]] = []
        for mask, sign, side in zip(masks, (-1.0, 1.0, -1.0), (lower, lower, upper), strict=True):
            chosen = np.flatnonzero(mask)
            if chosen.size:
                left, right = activity[chosen], side[chosen]
                constraint = left == right if mask is equal else left >= right if sign > 0 else left <= right
                self.parts.append((chosen, sign, constraint))

    @property
    def constraints(self) -> list[Any]:
        """For the CVXPY problem."""
        return [constraint for _, _, constraint in self.parts]

    def duals(self) -> Vector:
        """Our duals after a solve."""
        duals = np.zeros(self.length)
        for chosen, sign, constraint in self.parts:
            duals[chosen] += sign * np.ravel(constraint.dual_value)
        return duals


class _Model:
    """One program as a CVXPY problem, always minimised."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.point: Any = cvxpy.Variable(program.columns)
        sign = program.sense.sign
        objective = (sign * program.objective) @ self.point
        if program.quadratic is not None:
            objective = objective + (sign * program.quadratic) @ self.point**2
        self.rows = _Sides(program.matrix @ self.point, program.row_lower, program.row_upper) if program.rows else None
        self.columns = _Sides(self.point, program.lower, program.upper)
        constraints = self.columns.constraints + (self.rows.constraints if self.rows else [])
        self.problem: Any = cvxpy.Problem(cvxpy.Minimize(objective), constraints)

    def solve(self, options: SolveOptions) -> None:
        """Run Clarabel; CVXPY's warnings repeat what the status says."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.problem.solve(
                solver=cvxpy.CLARABEL, tol_feas=options.feasibility, tol_gap_abs=options.feasibility,
                tol_gap_rel=options.feasibility, time_limit=options.deadline.remaining, presolve_enable=options.presolve,
                max_threads=1,
            )  # fmt: skip

    def result(self, seconds: float) -> SolveResult:
        """Translate status, point and duals."""
        sense = self.program.sense
        status = STATUSES.get(self.problem.status, Status.FAILED)
        iterations = int(self.problem.solver_stats.num_iters or 0) if self.problem.solver_stats else 0
        if status is not Status.OPTIMAL:
            bound = -sense.trivial_bound if status is Status.INFEASIBLE else sense.trivial_bound
            message = f"Clarabel ended with '{self.problem.status}'" if status is Status.FAILED else ""
            return SolveResult(status=status, bound=bound, iterations=iterations, seconds=seconds, message=message)
        primal = np.array(self.point.value, dtype=np.float64)
        objective = self.program.value(primal)
        row_duals = self.rows.duals() if self.rows else np.zeros(0)
        return SolveResult(
            status=status, bound=objective, objective=objective, primal=primal, row_duals=sense.sign * row_duals,
            column_duals=sense.sign * self.columns.duals(), iterations=iterations, seconds=seconds,
        )  # fmt: skip
