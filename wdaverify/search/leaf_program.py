"""The linear program of a box with few unstable neurons: a proposal of multipliers, nothing more.

Columns are the inputs x, the goal t, and ``y = relu(z)``, ``s = relu(-z)`` of every unstable neuron; stable neurons are
eliminated in floats. With m unstable neurons and the rows g_r of one group:

    maximise t      y_k - s_k - z_k(x, y) = b_k,      y_k / u_k + s_k / (-l_k) <= 1 (scaled),      t <= g_r(x, y)

A phase is one bound: *active* is ``s_k <= 0``, *inactive* ``y_k <= 0``. By elimination the values of the dual are those of
the network's own definitions of z, which is all that is used of a solution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from wdaverify.program.program import Program, Sense
from wdaverify.search.elimination import eliminate

if TYPE_CHECKING:
    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.bounds.boxes import Boxes
    from wdaverify.ir.compiled import CompiledNetwork


@dataclass(frozen=True, slots=True, eq=False)
class LeafProgram:
    """A program and where things stand in it.

    Attributes
    ----------
    neurons
        The unstable neurons (m,), ascending.
    inputs
        Number of columns of x, which come first; then t, y and s. Rows: the definitions, the triangles, the goals.
    intercepts
        Right-hand sides of the triangles, shape (m,).
    """

    program: Program
    neurons: IntArray
    inputs: int
    intercepts: Vector

    @property
    def active(self) -> IntArray:
        """Columns of y."""
        return self.inputs + 1 + np.arange(len(self.neurons))

    @property
    def inactive(self) -> IntArray:
        """Columns of s."""
        return self.active + len(self.neurons)


def leaf_program(compiled: CompiledNetwork, box: Boxes, rows: Matrix, offsets: Vector) -> LeafProgram:
    """The program of one box (a batch of one) and of the rows of one group."""
    low, high = box.low[0], box.high[0]
    neurons = np.flatnonzero((low < 0) & (high > 0))
    m, n, count = len(neurons), compiled.inputs, len(offsets)
    forms = eliminate(compiled, np.eye(n), np.zeros(n), dead=low < 0, free=neurons)
    definitions, constants = forms.definitions, forms.constants
    l, u = low[neurons], high[neurons]  # noqa: E741
    scale = np.maximum(-l, u)
    matrix = np.zeros((2 * m + count, n + 1 + 2 * m))
    k = np.arange(m)
    y, s = n + 1 + k, n + 1 + m + k
    matrix[:m, :n], matrix[:m, n + 1 : n + 1 + m] = -definitions[:, :n], -definitions[:, n:]
    matrix[k, y] += 1.0
    matrix[k, s] = -1.0
    matrix[m + k, y], matrix[m + k, s] = -l / scale, u / scale
    goals, goal_constants = rows @ forms.logits, rows @ forms.offsets + offsets
    matrix[2 * m :, :n], matrix[2 * m :, n + 1 : n + 1 + m] = goals[:, :n], goals[:, n:]
    matrix[2 * m :, n] = -1.0
    intercepts = -l * u / scale
    reach = np.abs(goals) @ np.concatenate([np.maximum(np.abs(box.lower[0]), np.abs(box.upper[0])), u])
    limit = 2.0 * float(np.max(reach + np.abs(goal_constants))) + 1.0
    objective = np.zeros(matrix.shape[1])
    objective[n] = 1.0
    program = Program(
        objective=objective, matrix=csr_array(matrix),
        row_lower=np.concatenate([constants, np.full(m, -np.inf), -goal_constants]),
        row_upper=np.concatenate([constants, intercepts, np.full(count, np.inf)]),
        lower=np.concatenate([box.lower[0], [-limit], np.zeros(2 * m)]),
        upper=np.concatenate([box.upper[0], [limit], u, -l]),
        integer=np.zeros(len(objective), dtype=bool), sense=Sense.MAXIMISE,
    )  # fmt: skip
    return LeafProgram(program, neurons, n, intercepts)
