"""What a finished run of HiGHS guarantees, and nothing else, in the terms of the program that was handed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import highspy
import numpy as np
from highspy import HighsModelStatus, HighsStatus

from wdaverify.program.kkt import proves_infeasible
from wdaverify.program.result import SolveResult, Status
from wdaverify_solvers.trivial import ray_of_empty_rows

if TYPE_CHECKING:
    from wdaverify._types import Vector
    from wdaverify.program.program import Program

STATUSES = {
    HighsModelStatus.kOptimal: Status.OPTIMAL,
    HighsModelStatus.kModelEmpty: Status.OPTIMAL,
    HighsModelStatus.kInfeasible: Status.INFEASIBLE,
    HighsModelStatus.kUnbounded: Status.UNBOUNDED,
    HighsModelStatus.kTimeLimit: Status.LIMIT,
    HighsModelStatus.kIterationLimit: Status.LIMIT,
    HighsModelStatus.kSolutionLimit: Status.LIMIT,
    HighsModelStatus.kInterrupt: Status.LIMIT,
    HighsModelStatus.kObjectiveBound: Status.LIMIT,
}
"""Everything else is FAILED."""


def read_answer(highs: Any, program: Program, status: Status, scales: tuple[Vector, Vector], seconds: float) -> SolveResult:
    """The result of the last run of a solver that minimised the program, scaled by rows (m,) and columns (v,).

    Parameters
    ----------
    status
        The model status in our terms; the return value of the run has been checked.
    """
    sense, mixed, sign = program.sense, program.is_mixed_integer, program.sense.sign
    rows, columns = scales
    info, solution = highs.getInfo(), highs.getSolution()
    feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    dual_feasible = info.dual_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    if status is Status.OPTIMAL and not (feasible and (mixed or dual_feasible)):
        message = "HiGHS says optimal but holds no feasible solution"
        return SolveResult(status=Status.FAILED, bound=sense.trivial_bound, seconds=seconds, message=message)
    primal = objective = row_duals = column_duals = ray = None
    bound = sense.trivial_bound
    if feasible and status in (Status.OPTIMAL, Status.LIMIT):
        primal = np.array(solution.col_value) * columns
        objective = program.value(primal)
    if mixed and status in (Status.OPTIMAL, Status.LIMIT):
        bound = sign * info.mip_dual_bound + program.constant
    elif status is Status.OPTIMAL and objective is not None:
        bound = objective
    elif status is Status.INFEASIBLE:
        bound = -sense.trivial_bound
    if not mixed and status in (Status.OPTIMAL, Status.LIMIT) and solution.dual_valid:
        row_duals = sign * np.array(solution.row_dual) * rows
        column_duals = sign * np.array(solution.col_dual) / columns
    if not mixed and status is Status.INFEASIBLE:
        ray = _farkas_ray(highs, program, rows)
    return SolveResult(
        status=status, bound=bound, objective=objective, primal=primal, row_duals=row_duals, column_duals=column_duals,
        ray=ray, iterations=max(0, info.simplex_iteration_count) + max(0, info.ipm_iteration_count),
        nodes=max(0, info.mip_node_count), seconds=seconds,
    )  # fmt: skip


def _farkas_ray(highs: Any, program: Program, rows: Vector) -> Vector | None:
    """The dual ray with the sign that proves infeasibility, if HiGHS has one."""
    status, exists, values = highs.getDualRay()
    if status != HighsStatus.kOk or not exists:
        return ray_of_empty_rows(program)
    ray = np.array(values) * rows
    return -ray if proves_infeasible(program, -ray) else ray
