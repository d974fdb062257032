"""The triangle relaxation of a network on a region as one small linear program, with the stable neurons eliminated.

Columns are the inputs, and for every unstable neuron ``y = relu(z)`` and ``s = relu(-z)``, so that ``z = y - s``; over
``l <= z <= u`` the convex hull of the graph is (Ehlers 2017, in these variables)

::

    y - s = E (x, y) + e,      0 <= y <= u,   0 <= s <= -l,      y / u + s / (-l) <= 1

and a decision changes one bound and no row: *active* is ``s <= 0``, *inactive* is ``y <= 0``. Neurons of known phase are
substituted forward into E. Each question row ``g_r = rows[r] . f + offsets[r]`` has a column of its own, so that
objectives and facts (``g_r >= 0``) are costs and bounds.

The numbers are float64 throughout and nothing is rounded outward: what the program says is a proposal. Its multipliers of
the first rows are the pi of `bounds.lagrangian`, which turns them into a proof on the stored weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import block_array, csr_array, diags_array, eye_array

from wdaverify.program.program import Program, Sense
from wdaverify.search.elimination import eliminate

if TYPE_CHECKING:
    from wdaverify._types import IntArray, Matrix, SparseMatrix, Vector
    from wdaverify.ir.compiled import CompiledNetwork
    from wdaverify.search.input_columns import InputColumns
    from wdaverify.search.question import Question

_ROOM = 1.01
"""Goals get this factor more room than their size: their bounds are not to be felt."""

_THIN = 1e-7
"""A bound smaller than this part of the opposite one is moved out to it: triangle rows keep moderate entries."""


@dataclass(frozen=True, slots=True, eq=False)
class PhaseLP:
    """The program, and where things stand in it.

    Attributes
    ----------
    free
        Global numbers of the neurons with columns, ascending; shape (m,).
    active, inactive
        Columns of their y and s, shape (m,).
    definitions, triangles
        Rows that define their z, and their triangles, shape (m,) each.
    intercepts
        Right-hand sides of the triangles, shape (m,).
    goals
        Columns of the question rows g, shape (R,); `goal_rows` define them.
    least
        Column of ``t <= g_r`` for every r.
    least_rows
        The rows that say so, shape (R,).
    side_rows
        Rows of the question's facts about inputs.
    """

    program: Program
    free: IntArray
    active: IntArray
    inactive: IntArray
    definitions: IntArray
    triangles: IntArray
    intercepts: Vector
    goals: IntArray
    goal_rows: IntArray
    least: int
    least_rows: IntArray
    side_rows: IntArray


def build_phase_lp(
    compiled: CompiledNetwork, question: Question, inputs: InputColumns, lower: Vector, upper: Vector, free: IntArray
) -> PhaseLP:
    """Build the relaxation for bounds `lower` and `upper` (neurons,) on all pre-activations.

    Parameters
    ----------
    inputs
        How the region's points are columns.
    free
        The neurons that get columns; all others have ``l >= 0`` or ``u <= 0``.
    """
    m, count, rows = len(free), inputs.count, len(question.rows)
    start = _start(inputs.matrix, count + m)
    forms = eliminate(compiled, start, inputs.origin, dead=upper <= 0.0, free=free)
    definitions, constants = csr_array(forms.definitions), forms.constants
    low = np.minimum(lower[free], -_THIN * np.maximum(upper[free], 1e-300))
    high = np.maximum(upper[free], -_THIN * low)
    scale = np.maximum(-low, high)
    goals = csr_array(question.rows @ forms.logits)
    goal_constants = question.rows @ forms.offsets + question.offsets
    eye, ones = eye_array(m), csr_array(np.ones((rows, 1)))
    side = csr_array(question.side_rows @ inputs.matrix)
    matrix = block_array(
        [
            [-definitions[:, :count], eye - definitions[:, count:], -eye, None, None],
            [None, diags_array(scale / high), diags_array(-scale / low), None, None],
            [-goals[:, :count], -goals[:, count:], None, eye_array(rows), None],
            [None, None, None, -eye_array(rows), ones],
            [side, csr_array((len(side.indptr) - 1, m)), None, None, None],
            [inputs.rows, csr_array((inputs.rows.shape[0], m)), None, None, None],
        ],
        format="csr",
    )
    reach = np.concatenate([np.maximum(np.abs(inputs.lower), np.abs(inputs.upper)), high])
    most = _ROOM * (abs(goals) @ reach + np.abs(goal_constants)) + 1.0  # all columns and rows are boxed: that keeps solves warm
    highest = float(np.max(most, initial=1.0))  # there may be no row: then only the facts about inputs can fail
    program = Program(
        objective=np.zeros(count + 2 * m + rows + 1),
        matrix=csr_array(matrix),
        row_lower=np.concatenate([constants, np.zeros(m), goal_constants, -2.0 * highest * np.ones(rows),
                                  -question.side_offsets - question.side_rows @ inputs.origin, inputs.row_lower]),
        row_upper=np.concatenate([constants, scale, goal_constants, np.zeros(rows),
                                  np.full(len(question.side_rows), np.inf), inputs.row_upper]),
        lower=np.concatenate([inputs.lower, np.zeros(2 * m), -most, [-highest]]),
        upper=np.concatenate([inputs.upper, high, -low, most, [highest]]),
        integer=np.zeros(count + 2 * m + rows + 1, dtype=np.bool_),
        sense=Sense.MAXIMISE,
    )  # fmt: skip
    columns, lines = np.arange(count, count + m), np.arange(m)
    goal_columns = np.arange(count + 2 * m, count + 2 * m + rows)
    return PhaseLP(
        program=program, free=free, active=columns, inactive=columns + m, definitions=lines, triangles=lines + m,
        intercepts=scale, goals=goal_columns, goal_rows=2 * m + np.arange(rows), least=count + 2 * m + rows,
        least_rows=2 * m + rows + np.arange(rows), side_rows=2 * m + 2 * rows + np.arange(len(question.side_rows)),
    )  # fmt: skip


def _start(matrix: SparseMatrix, columns: int) -> Matrix | SparseMatrix:
    """The inputs' matrix as what the forms are to be: dense unless that is large."""
    return matrix.toarray() if matrix.shape[0] * columns <= _DENSE_ENTRIES else matrix


_DENSE_ENTRIES = 2**22
"""Input forms with at most so many entries are dense."""
