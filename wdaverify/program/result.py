"""What a solver says about a program, and how much of it is a proof."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wdaverify._types import Vector


class Status(StrEnum):
    """How a solve ended. None of these is a proof in itself: duals and rays are checked in `wdaverify.program.kkt`.

    OPTIMAL
        The solver found a point and a bound that meet within its tolerances and the gap asked for.
    INFEASIBLE
        The solver claims that no point exists; a checked Farkas ray proves it (linear programs only).
    UNBOUNDED
        The solver claims that the objective has no finite optimum; some solvers say so although no point exists at all.
    LIMIT
        A limit or an interrupt stopped the solve; ``bound`` is what had been reached, a point may be present.
    FAILED
        Nothing can be concluded: numerical trouble, a model that the solver would have altered, a status out of order.
    """

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    LIMIT = "limit"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SolveResult:
    """The answer of a backend; every number is a claim of the solver within its tolerances.

    Parameters
    ----------
    status
        How the solve ended.
    objective
        The value of `primal`, computed from the program's own arrays; ``None`` without a point.
    bound
        The dual bound on the optimum: a lower bound when minimising, an upper bound when maximising, the infinity
        that says nothing if there is none. An optimal linear program repeats `objective` here. Infeasible:
        ``inf`` when minimising, ``-inf`` when maximising. It rests on the solver's word.
    primal
        Point of shape (v,), or ``None``.
    row_duals, column_duals
        ``y`` (m,) and ``z`` (v,) of a linear or quadratic program, in the convention ``gradient of the objective
        = A^T y + z``. When minimising, ``y_i >= 0`` where the row sits at its lower end and ``<= 0`` at its
        upper end, and likewise ``z`` for columns; when maximising all signs are reversed.
    ray
        Farkas ray (m,) of an infeasible linear program in the convention of a minimisation with objective zero:
        ``row_duals = ray`` gives a positive dual bound.
    iterations, nodes
        Work done.
    seconds
        Wall-clock time of the solve.
    message
        Why a solve failed; empty otherwise.
    """

    status: Status
    bound: float
    objective: float | None = None
    primal: Vector | None = None
    row_duals: Vector | None = None
    column_duals: Vector | None = None
    ray: Vector | None = None
    iterations: int = 0
    nodes: int = 0
    seconds: float = 0.0
    message: str = ""
