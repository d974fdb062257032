"""What solvers treat differently each: programs without columns, rows without entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.program.result import SolveResult, Status

if TYPE_CHECKING:
    from wdaverify._types import Vector
    from wdaverify.program.program import Program


def solve_without_columns(program: Program) -> SolveResult:
    """The exact answer: every row is 0, and so is the objective but for its constant."""
    ray = ray_of_empty_rows(program)
    if ray is not None:
        return SolveResult(status=Status.INFEASIBLE, bound=-program.sense.trivial_bound, ray=ray)
    return SolveResult(
        status=Status.OPTIMAL, bound=program.constant, objective=program.constant, primal=np.zeros(0),
        row_duals=np.zeros(program.rows), column_duals=np.zeros(0),
    )  # fmt: skip


def ray_of_empty_rows(program: Program) -> Vector | None:
    """A Farkas ray on rows without entries whose bounds exclude 0; ``None`` if there are none."""
    empty = np.diff(program.matrix.indptr) == 0
    ray = np.where(empty & (program.row_lower > 0), 1.0, np.where(empty & (program.row_upper < 0), -1.0, 0.0))
    return ray if ray.any() else None
