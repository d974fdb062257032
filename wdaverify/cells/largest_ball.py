"""The largest ball inside a polyhedron: a linear program, whose multipliers say why there is none (Chebyshev centre).

    maximise tau     rows_k . u + values_k >= tau,    low <= u <= high        (all rows of one length)

Boyd and Vandenberghe, *Convex Optimization*, section 4.3.1. The ends of u are not moved inward by tau: a polyhedron with an
interior point near the boundary of its box has one inside as well. All of it is float64, a proposal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from wdaverify.program.backend import SolveOptions
from wdaverify.program.program import Program, Sense

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix, Vector
    from wdaverify.program.backend import Backend


_CLEAR = 1e-6
"""A row that is negative by this much on the whole box needs no program."""


class Ball(NamedTuple):
    """What a solver says.

    Attributes
    ----------
    center
        Shape (f,), within the ends, or ``None``.
    radius
        The least ``rows . center + values``, computed here; at most 1.
    weights
        Nonnegative multipliers of the rows, shape (R,); 0 where nothing is known.
    """

    center: Vector | None
    radius: float
    weights: Vector


def largest_ball(backend: Backend, rows: Matrix, values: Vector, low: Vector, high: Vector, deadline: Deadline) -> Ball:
    """Solve the program; every answer of the solver is taken as a guess.

    Parameters
    ----------
    rows
        Shape (R, f), of one length; radii are in its unit.
    values
        At u = 0, shape (R,).
    low, high
        Finite ends of u, shape (f,).
    """
    reach = np.maximum(np.abs(low), np.abs(high))
    least = values - np.abs(rows) @ reach
    most = values + np.abs(rows) @ reach
    worst = int(np.argmin(most)) if len(values) else 0
    if len(values) and most[worst] < -_CLEAR:  # one row alone excludes everything
        return Ball(None, float(most[worst]), np.eye(1, len(values), worst)[0])
    kept = np.flatnonzero(least < 1.0)
    weights = np.zeros(len(values))
    if not len(kept):
        return Ball(np.clip(np.zeros(len(low)), low, high), 1.0, weights)
    result = backend.solve(_program(rows[kept], values[kept], low, high), SolveOptions(deadline=deadline, presolve=False))
    duals, primal = result.row_duals, result.primal
    if duals is not None and duals.shape == kept.shape:
        # a maximisation prices rows with a lower end at most 0
        weights[kept] = np.maximum(np.nan_to_num(-duals, nan=0.0, posinf=0.0, neginf=0.0), 0.0)
    if primal is None or primal.shape != (len(low) + 1,) or not np.isfinite(primal).all():
        return Ball(None, -np.inf, weights)
    center = np.clip(primal[:-1], low, high)
    return Ball(center, min(1.0, float((rows @ center + values).min())), weights)


def _program(rows: Matrix, values: Vector, low: Vector, high: Vector) -> Program:
    count, size = rows.shape
    bottom = min(float(values.min()), 0.0) - 1.0  # u = 0 is feasible
    return Program(
        objective=np.eye(1, size + 1, size)[0],
        matrix=csr_array(np.column_stack([rows, -np.ones(count)])),
        row_lower=-values,
        row_upper=np.full(count, np.inf),
        lower=np.append(low, bottom),
        upper=np.append(high, 1.0),
        integer=np.zeros(size + 1, dtype=np.bool_),
        sense=Sense.MAXIMISE,
    )
