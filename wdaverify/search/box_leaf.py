"""Close a box with few unstable neurons by a small search over their phases.

The linear programs of `search.leaf_program` only propose multipliers. Every closed node was closed by `bounds.lagrangian`:
the duals of the definitions of z are the multipliers pi of the unstable neurons, those of the goals the weights of the rows,
a stable neuron passes its adjoint on or drops it, and a decided phase is ``l = 0`` or ``u = 0``. So a solver that lies, fails
or raises can only leave the box open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.backward import upper_ends
from wdaverify.bounds.lagrangian import Pulled, pull_back
from wdaverify.bounds.rounding import gamma
from wdaverify.program.backend import SolveOptions, open_session
from wdaverify.program.result import Status
from wdaverify.search.leaf_program import leaf_program

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix, Vector
    from wdaverify.bounds.boxes import Boxes, Origin
    from wdaverify.ir.compiled import ReluStep
    from wdaverify.program.backend import Backend, Session
    from wdaverify.program.result import SolveResult
    from wdaverify.search.goals import Goals
    from wdaverify.search.leaf_program import LeafProgram

_FEASIBILITY = 1e-7
"""Enough for proposals, and faster than the tolerance of answers."""

_OWNER = np.zeros(1, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class LeafAnswer:
    """Whether a group is closed on a box (rigorous), the solver's inputs (p, n) as candidates, and the programs solved."""

    closed: bool
    points: Matrix
    programs: int


class LeafSearch:
    """What closes the boxes of one search.

    Parameters
    ----------
    most_unstable
        Boxes with more unstable neurons are left alone.
    most_programs
        Linear programs per box and group.
    """

    def __init__(
        self, backend: Backend, origin: Origin, goals: Goals, *, most_unstable: int = 25, most_programs: int = 30
    ) -> None:
        self._backend, self._origin, self._goals = backend, origin, goals
        self.most_unstable, self._most_programs = most_unstable, most_programs

    def close(self, box: Boxes, group: int, deadline: Deadline) -> LeafAnswer:
        """Try to close one group on one box (a batch of one)."""
        chosen = self._goals.group == group
        rows, offsets = self._goals.rows[chosen], self._goals.offsets[chosen]
        try:
            task = _Leaf(self._origin, box, rows, offsets, self._backend)
            closed = task.search(self._most_programs, SolveOptions(deadline=deadline, presolve=False, feasibility=_FEASIBILITY))
        except Exception:  # noqa: BLE001 - whatever a solver does, the box is merely not closed
            return LeafAnswer(False, np.zeros((0, box.lower.shape[1])), 1)
        points = np.array(task.points).reshape(-1, box.lower.shape[1])
        return LeafAnswer(closed, np.clip(points, box.lower, box.upper), task.programs)


class _Leaf:
    """One box and one group."""

    def __init__(self, origin: Origin, box: Boxes, rows: Matrix, offsets: Vector, backend: Backend) -> None:
        self._origin, self._box, self._rows, self._offsets = origin, box, rows, offsets
        self._problem: LeafProgram = leaf_program(origin.compiled, box, rows, offsets)
        self._session: Session = open_session(backend, self._problem.program)
        self.points: list[Vector] = []
        self.programs = 0

    def search(self, most: int, options: SolveOptions) -> bool:
        """Depth first over phases: whether every node was closed within `most` programs."""
        problem = self._problem
        count = len(problem.neurons)
        stack: list[Vector] = [np.zeros(count)]  # +1 active, -1 inactive, 0 free
        tops = problem.program.upper[np.concatenate([problem.active, problem.inactive])]
        while stack:
            if self.programs + len(stack) > most:
                return False
            phases = stack.pop()
            decided = np.concatenate([phases < 0, phases > 0])
            columns = np.concatenate([problem.active, problem.inactive])
            self._session.set_column_bounds(columns, np.zeros(2 * count), np.where(decided, 0.0, tops))
            result = self._session.solve(options)
            self.programs += 1
            if self._closed(result, phases):
                continue
            k = self._branch(result, phases)
            if k < 0:
                return False
            assert result.primal is not None
            self.points.append(result.primal[: problem.inputs])
            sign = 1.0 if result.primal[problem.active[k]] >= result.primal[problem.inactive[k]] else -1.0
            for phase in (-sign, sign):
                child = phases.copy()
                child[k] = phase
                stack.append(child)
        return True

    def _branch(self, result: SolveResult, phases: Vector) -> int:
        """The free neuron whose triangle counts most, ``-1`` if the solver gives nothing to choose by."""
        problem, count = self._problem, len(phases)
        if result.status is not Status.OPTIMAL or result.primal is None or result.row_duals is None or (phases != 0).all():
            return -1
        score = np.abs(result.row_duals[count : 2 * count]) * problem.intercepts
        score += 1e-9 * np.minimum(result.primal[problem.active], result.primal[problem.inactive])
        return int(np.argmax(np.where((phases == 0) & np.isfinite(score), score, -1.0)))

    def _closed(self, result: SolveResult, phases: Vector) -> bool:
        """Whether the duals prove, of the exact network, that no point of the node meets all rows."""
        duals = result.row_duals if result.row_duals is not None else None if result.ray is None else -result.ray
        if duals is None or duals.shape != (self._problem.program.rows,) or not np.isfinite(duals).all():
            return False
        count = len(phases)
        weights = np.maximum(-duals[2 * count :], 0.0)  # t <= g_r is written g_r - t >= -c
        total = float(weights.sum())
        scale = 1.0 / total if result.row_duals is not None and total > 0 else 1.0
        return self.bound(scale * duals[:count], scale * weights, phases) < 0.0

    def bound(self, multipliers: Vector, weights: Vector, phases: Vector) -> float:
        """Upper bound of ``weights . g`` on the node, for any multipliers (m,) and nonnegative weights (r,)."""
        origin, box, neurons = self._origin, self._box, self._problem.neurons
        low, high = box.low[0].copy(), box.high[0].copy()
        low[neurons[phases > 0]] = 0.0
        high[neurons[phases < 0]] = 0.0
        stable_on = (box.low[0] >= 0).astype(np.float64)
        given = np.full(len(low), np.nan)
        given[neurons] = multipliers

        def choose(step: ReluStep, adjoints: Matrix) -> tuple[Matrix, Matrix, Matrix]:
            own = step.neurons
            pi = np.where(np.isnan(given[own]), adjoints * stable_on[own], given[own])
            return pi, low[None, own], high[None, own]

        seeds = {origin.compiled.output: (weights @ self._rows)[None]}
        with np.errstate(over="ignore", invalid="ignore"):
            pulled = pull_back(origin.compiled, origin.charges, seeds, choose)
            constant = pulled.constant + weights @ self._offsets
            # the seed is one sum of products, the constant another
            size = (weights @ np.abs(self._rows)) @ origin.charges.magnitudes[origin.compiled.output]
            size = size + weights @ np.abs(self._offsets) + np.abs(constant)
            error = pulled.error + 2.0 * gamma(len(weights) + 4) * size + 2.0**-1000
        return float(upper_ends(Pulled(pulled.coefficients, constant, error), box.regions, _OWNER)[0])
