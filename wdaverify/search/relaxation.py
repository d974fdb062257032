"""One warm linear program over a region, whose bounds move with the node of the search.

`PhaseRelaxation` holds the split triangle relaxation of a network and maximises a linear function of its columns. A
node is the tuple of its decisions, ``+(k+1)`` for neuron k active and ``-(k+1)`` for inactive; moving to a node undoes and
applies column bounds only. What the solver answers is a proposal: `ceiling` is recomputed from its multipliers with every
rounding error charged (Neumaier and Shcherbina 2004), so a wrong answer can only be weak.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.program.backend import SolveOptions, open_session
from wdaverify.program.exact_bound import exact_bound
from wdaverify.program.kkt import proves_infeasible, safe_bound
from wdaverify.program.result import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._deadline import Deadline
    from wdaverify._types import BoolArray, IntArray, Vector
    from wdaverify.encode.split_triangle import SplitTriangle
    from wdaverify.program.backend import Backend
    from wdaverify.program.program import Program

Path = tuple[int, ...]
"""Decisions from the root: ``+(k+1)`` neuron k is active, ``-(k+1)`` it is inactive."""


@dataclass(frozen=True, slots=True, eq=False)
class NodeAnswer:
    """What is known about a node.

    Attributes
    ----------
    ceiling
        Rigorous upper bound of the objective on the node; ``-inf`` when the node is proved empty.
    closed
        Whether the objective is proved negative on the node (or not positive, where a maximum of 0 closes).
    failed
        Whether the solver gave nothing at all: neither multipliers nor a point nor a proof of emptiness.
    point
        The solver's input (n,), or ``None``: a candidate, nothing more.
    scores
        How much each neuron's triangle contributes to the bound (dual times intercept), shape (m,).
    active_first
        Whether the solver's own pre-activation is nonnegative, shape (m,).
    """

    ceiling: float
    closed: bool
    failed: bool
    point: Vector | None
    scores: Vector
    active_first: BoolArray


class PhaseRelaxation:
    """The relaxation of one region, moved from node to node and from target to target.

    Parameters
    ----------
    zero_closes
        Whether a maximum of exactly 0 closes a node; it is then decided in rational arithmetic.
    """

    def __init__(self, backend: Backend, program: Program, encoding: SplitTriangle, *, zero_closes: bool = False) -> None:
        self._zero_closes = zero_closes
        self._session = open_session(backend, program)
        self._encoding = encoding
        self._path: Path = ()
        self._root_active = program.upper[encoding.neurons.active].copy()
        self._root_inactive = program.upper[encoding.neurons.inactive].copy()
        self._aimed: IntArray | None = None

    @property
    def neurons(self) -> int:
        """Number of unstable neurons, the possible decisions."""
        return len(self._root_active)

    @property
    def outputs(self) -> IntArray:
        """Columns of the network's outputs, shape (K,)."""
        return self._encoding.outputs.plus

    def aim(self, columns: IntArray, coefficients: Sequence[float]) -> None:
        """Make ``coefficients . v[columns]`` the objective."""
        if self._aimed is not None:
            self._session.set_objective(self._aimed, np.zeros(len(self._aimed)))
        self._session.set_objective(columns, coefficients)
        self._aimed = columns

    def move(self, path: Path) -> None:
        """Go to a node: undo the decisions that it does not share, apply the others."""
        common = 0
        while common < min(len(path), len(self._path)) and path[common] == self._path[common]:
            common += 1
        changed = {abs(d) - 1: 0 for d in self._path[common:]} | {abs(d) - 1: d for d in path[common:]}
        if changed:
            k = np.array(list(changed), dtype=np.int64)
            decision = np.array(list(changed.values()))
            neurons = self._encoding.neurons
            columns = np.concatenate([neurons.active[k], neurons.inactive[k]])
            uppers = np.concatenate(
                [np.where(decision < 0, 0.0, self._root_active[k]), np.where(decision > 0, 0.0, self._root_inactive[k])]
            )
            self._session.set_column_bounds(columns, np.zeros(len(columns)), uppers)
        self._path = path

    def answer(self, deadline: Deadline) -> NodeAnswer:
        """Solve the node and recompute its ceiling."""
        result = self._session.solve(SolveOptions(deadline=deadline, presolve=False))
        program, neurons = self._session.program, self._encoding.neurons
        ceiling = math.inf
        scores, active_first = np.zeros(self.neurons), np.ones(self.neurons, dtype=bool)
        if result.row_duals is not None:
            ceiling = safe_bound(program, result.row_duals)
            scores = np.abs(result.row_duals[neurons.rows]) * neurons.intercepts
        if result.status is Status.INFEASIBLE and result.ray is not None and proves_infeasible(program, result.ray):
            ceiling = -math.inf
        point = None
        if result.primal is not None:
            point = result.primal[self._encoding.inputs]
            y, s = result.primal[neurons.active], result.primal[neurons.inactive]
            active_first = np.asarray(y >= s)
            scores = scores + _TIE_BREAK * np.minimum(y, s)
        closed = ceiling < 0.0
        if self._zero_closes and not closed and ceiling < _NEARLY_ZERO and result.row_duals is not None:
            closed = exact_bound(program, result.row_duals) <= 0
        failed = math.isinf(ceiling) and ceiling > 0 and point is None
        return NodeAnswer(ceiling, closed, failed, point, scores, active_first)


_NEARLY_ZERO = 1e-6
"""Ceilings below this may be 0 in exact arithmetic."""

_TIE_BREAK = 1e-9
"""Weight of the violation ``min(y, s)`` beside the dual score: it decides only between neurons without one."""
