"""One warm linear program over a region, whose bounds move with the node of the search; every answer proved afresh.

A node is the tuple of its decisions, ``+(k+1)`` for neuron k active and ``-(k+1)`` for inactive; moving to a node undoes and
applies column bounds only. The solver proposes multipliers, and `search.ceiling` says what they prove: a wrong answer of a
solver can only be weak.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from wdaverify._tolerances import SOLVER_FEASIBILITY
from wdaverify.program.backend import SolveOptions, open_session
from wdaverify.program.result import SolveResult, Status
from wdaverify.search.ceiling import CeilingProver, Multipliers
from wdaverify.search.node_answer import NodeAnswer
from wdaverify.search.phase_lp import build_phase_lp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify._deadline import Deadline
    from wdaverify._types import SparseMatrix, Vector
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.search.inputs import InputSet
    from wdaverify.search.neuron_bounds import NeuronBounds
    from wdaverify.search.question import Question

Path = tuple[int, ...]
"""Decisions from the root: ``+(k+1)`` neuron k is active, ``-(k+1)`` it is inactive."""

_LOOSE = 1e-7
"""Feasibility asked of a node's program: its multipliers are checked anyway."""

_SLACK = 1e-6
"""A solve stops when it is this part of the question's size beyond what closes a node, so that the proof has room."""

_TIE_BREAK = 1e-9
"""Weight of the violation ``min(y, s)`` beside the dual score: it decides only between neurons without one."""

_CUTS = 4
"""Rounds of tangents at one node of an l2 ball."""

_LAST_CUTS = 40
"""Rounds where no neuron is left to decide."""

_WORTH = 0.02
"""A round of tangents goes on when the last one took this part off the ceiling."""


class PhaseRelaxation:
    """The relaxation of one region, moved from node to node and from goal to goal.

    Parameters
    ----------
    bounds
        Proved on the region (and under whatever else the caller restricts the search to).
    zero_closes
        Whether a maximum of exactly 0 closes a node (the region is then a box); it is decided in rational arithmetic.
    """

    def __init__(
        self,
        backend: Backend,
        network: Network,
        question: Question,
        inputs: InputSet,
        bounds: NeuronBounds,
        *,
        zero_closes: bool = False,
    ) -> None:
        self.question, self.inputs, self.bounds = question, inputs, bounds
        self.free = bounds.unstable
        self._zero_closes = zero_closes and inputs.regions.norm is None
        self._columns = inputs.columns()
        self.lp = build_phase_lp(network.compiled, question, self._columns, bounds.lower, bounds.upper, np.flatnonzero(self.free))
        self._session = open_session(backend, self.lp.program)
        self._prover = CeilingProver(network, question, inputs, bounds, self.free)
        self._place = np.full(len(self.free), -1)
        self._place[self.lp.free] = np.arange(len(self.lp.free))
        self._root = self.lp.program.upper[self.lp.active], self.lp.program.upper[self.lp.inactive]
        self._path: Path = ()
        self._aimed = np.zeros(0, dtype=np.int64)
        self._goal: int | None = None
        self._assuming = False
        self._cut_rows = 0

    def aim(self, goal: int | None) -> None:
        """Make one row of the question the goal, or with ``None`` the least of all rows."""
        self._goal = goal
        prices = self._columns.prices
        costs = {int(k): float(prices[k]) for k in np.flatnonzero(prices)}
        self._price({**costs, self.lp.least if goal is None else int(self.lp.goals[goal]): 1.0})

    def _price(self, costs: dict[int, float]) -> None:
        """Make the sum of some columns the objective."""
        if len(self._aimed):
            self._session.set_objective(self._aimed, np.zeros(len(self._aimed)))
        self._aimed = np.array(list(costs), dtype=np.int64)
        self._session.set_objective(self._aimed, np.array(list(costs.values())))

    def move(self, path: Path) -> None:
        """Go to a node: undo the decisions that it does not share, apply the others."""
        common = 0
        while common < min(len(path), len(self._path)) and path[common] == self._path[common]:
            common += 1
        changed = {abs(d) - 1: 0 for d in self._path[common:]} | {abs(d) - 1: d for d in path[common:]}
        self._path = path
        if not changed:
            return
        neurons, decision = np.array(list(changed), dtype=np.int64), np.array(list(changed.values()))
        k = self._place[neurons]
        columns = np.concatenate([self.lp.active[k], self.lp.inactive[k]])
        ends = np.where(decision < 0, 0.0, self._root[0][k]), np.where(decision > 0, 0.0, self._root[1][k])
        self._session.set_column_bounds(columns, np.zeros(len(columns)), np.concatenate(ends))
        self._prover.lower[neurons] = np.where(decision > 0, 0.0, self.bounds.lower[neurons])
        self._prover.upper[neurons] = np.where(decision < 0, 0.0, self.bounds.upper[neurons])

    def answer(self, cutoff: float, deadline: Deadline) -> NodeAnswer:
        """Solve the node and prove its ceiling; with a ceiling below `cutoff` it need not be the best."""
        stop, room = cutoff - _SLACK * self._prover.scale, _SLACK * self._prover.scale
        options = SolveOptions(deadline=deadline, presolve=False, feasibility=_LOOSE, cutoff=stop)
        result = self._solved(options)
        ceiling, multipliers = self._proved(result)
        tight = SolveOptions(deadline=deadline, presolve=False, feasibility=SOLVER_FEASIBILITY)
        decided = self._all_decided()  # then nothing but tangents can help, and those must hold tightly
        rounds = _LAST_CUTS if decided else _CUTS
        while rounds > 0 and ceiling >= cutoff and result.primal is not None and not deadline.passed:
            cuts = self._columns.cuts(result.primal[: self._columns.count])
            if cuts is None:
                break
            self._add_cuts(*cuts)
            result, before = self._solved(tight if decided else options), ceiling
            better, more = self._proved(result)
            ceiling, multipliers = (better, more) if better < ceiling else (ceiling, multipliers)
            rounds = rounds - 1 if before - ceiling > _WORTH * abs(before) or decided else 0
        if ceiling >= cutoff and result.objective is not None and result.objective < cutoff + room:
            result = self._solved(tight)
            better, more = self._proved(result)
            ceiling, multipliers = (better, more) if better < ceiling else (ceiling, multipliers)
        closed = ceiling < cutoff
        if not closed and self._zero_closes and cutoff == 0.0 and ceiling < room and multipliers is not None:
            closed = self._prover.at_most_zero(multipliers, least=self._goal is None)
        return self._read(result, ceiling, closed, multipliers)

    def _solved(self, options: SolveOptions) -> SolveResult:
        """Solve the program as it stands; vectors of another length, and points that are no numbers, are no answer."""
        result = self._session.solve(options)
        rows, columns = self.lp.program.rows + self._cut_rows, self.lp.program.columns
        duals, ray = _of_length(result.row_duals, rows), _of_length(result.ray, rows)
        primal = _of_length(result.primal, columns)
        if primal is not None and not np.isfinite(primal).all():
            primal = None
        if duals is result.row_duals and ray is result.ray and primal is result.primal:
            return result
        return replace(result, row_duals=duals, ray=ray, primal=primal)

    def _all_decided(self) -> bool:
        return len(self._path) >= len(self.lp.free)

    def _add_cuts(self, rows: SparseMatrix, lower: Vector) -> None:
        wide = csr_array((rows.data, rows.indices, rows.indptr), shape=(rows.shape[0], self.lp.program.columns))
        self._session.add_rows(wide, lower, np.full(len(lower), np.inf))
        self._cut_rows += len(lower)

    def _read(self, result: SolveResult, ceiling: float, closed: bool, multipliers: Multipliers | None) -> NodeAnswer:
        """The answer with the solver's point, and with what it says about the neurons."""
        scores, active_first = np.zeros(len(self._place)), np.ones(len(self._place), dtype=bool)
        lp, point = self.lp, None
        if result.row_duals is not None:
            scores[lp.free] = np.abs(result.row_duals[lp.triangles]) * lp.intercepts
        if result.primal is not None:
            point = self._input(result.primal)
            y, s = result.primal[lp.active], result.primal[lp.inactive]
            active_first[lp.free] = y >= s
            scores[lp.free] += _TIE_BREAK * np.minimum(y, s)
        failed = math.isinf(ceiling) and ceiling > 0 and point is None
        return NodeAnswer(ceiling, closed, failed, point, scores, active_first, multipliers)

    @contextmanager
    def assuming_facts(self) -> Iterator[None]:
        """Within the block programs hold only points with a nonnegative goal (all rows, where the goal is the least)."""
        goals = self.lp.goals if self._goal is None else self.lp.goals[[self._goal]]
        most = self.lp.program.upper[goals]
        self._session.set_column_bounds(goals, np.zeros(len(goals)), most)
        self._assuming = True
        try:
            yield
        finally:
            self._assuming = False
            self._session.set_column_bounds(goals, -most, most)
            self.aim(self._goal)

    def extreme(self, neuron: int, sign: float, deadline: Deadline) -> tuple[float, Vector | None]:
        """A proved upper bound of ``sign * z`` of a free neuron at the node, and the pre-activations of the solver's point.

        ``-inf`` proves that the node holds no point at all. Shape (neurons,), NaN for neurons without columns.
        """
        k = self._place[neuron]
        self._price({int(self.lp.active[k]): sign, int(self.lp.inactive[k]): -sign})
        result = self._solved(SolveOptions(deadline=deadline, presolve=False, feasibility=_LOOSE))
        seen = None
        if result.primal is not None:
            seen = np.full(len(self._place), np.nan)
            seen[self.lp.free] = result.primal[self.lp.active] - result.primal[self.lp.inactive]
        if result.row_duals is not None:
            multipliers = self._multipliers(result.row_duals, goal=False)
            multipliers.pi[neuron] -= sign  # the program's goal is y - s, the bound's is the definition of z itself
            return self._prover.of_neuron(neuron, sign, multipliers), seen
        return self._proved(result)[0], seen

    def restrict(self, neuron: int, lower: float, upper: float) -> None:
        """Use tighter proved bounds of a free neuron from here on."""
        k, prover = self._place[neuron], self._prover
        prover.lower[neuron], prover.upper[neuron] = max(prover.lower[neuron], lower), min(prover.upper[neuron], upper)
        high, low = max(upper, 0.0), max(-lower, 0.0)
        columns = np.array([self.lp.active[k], self.lp.inactive[k]])
        old = self.lp.program.upper[columns]
        self._session.set_column_bounds(columns, np.zeros(2), np.minimum([high, low], old))
        intercept = float(self.lp.intercepts[k])
        moved = intercept * max(high / old[0], low / old[1])
        self._session.set_row_bounds([self.lp.triangles[k]], 0.0, min(moved, intercept))

    def _proved(self, result: SolveResult) -> tuple[float, Multipliers | None]:
        """The ceiling that follows from a solver's multipliers, or from its ray."""
        if result.row_duals is not None:
            multipliers = self._multipliers(result.row_duals, goal=True)
            return self._prover.of_goal(multipliers, self._goal), multipliers
        if result.status is Status.INFEASIBLE and result.ray is not None:
            for sign in (1.0, -1.0):
                multipliers = self._multipliers(sign * result.ray, goal=False)
                if self._prover.of_nothing(multipliers) < 0.0:
                    return -math.inf, multipliers
        return math.inf, None

    def _multipliers(self, duals: Vector, *, goal: bool) -> Multipliers:
        """Read a solver's row duals; what is no number, or has the wrong sign, counts as 0.

        Parameters
        ----------
        goal
            Whether the goal is maximised. Otherwise its rows count as facts, if that is assumed, and not at all if not.
        """
        lp, duals = self.lp, np.nan_to_num(duals, nan=0.0, posinf=0.0, neginf=0.0)
        pi = np.zeros(len(self._place))
        pi[lp.free] = duals[lp.definitions]
        weights = np.maximum(duals[lp.goal_rows], 0.0)
        if self._goal is not None:  # the other rows are other questions: nothing is known of them where this goal is met
            own, weights = weights[self._goal], np.zeros(len(weights))
            weights[self._goal] = 1.0 if goal else own
        if not goal and not self._assuming:
            weights = np.zeros(len(weights))
        return Multipliers(pi, weights, np.maximum(-duals[lp.side_rows], 0.0))

    def refuted(self, path: Path, deadline: Deadline) -> tuple[Path | None, Vector | None]:
        """Try to prove that a node holds no point: the decisions that a proof needs, or else perhaps a solver's point (n,)."""
        self.move(path)
        result = self._solved(SolveOptions(deadline=deadline, presolve=False, feasibility=_LOOSE))
        if result.primal is not None:
            return None, self._input(result.primal)
        ceiling, multipliers = self._proved(result)
        if multipliers is None or ceiling > -math.inf:
            return None, None
        slack = -self._prover.of_nothing(multipliers)
        growth = self._prover.room(multipliers, self.bounds.lower, self.bounds.upper)
        order = sorted(path, key=lambda d: growth[abs(d) - 1])
        spent = np.cumsum([growth[abs(d) - 1] for d in order])
        needed = tuple(order[int(np.searchsorted(spent, 0.999 * slack)) :])
        self.move(needed)
        return needed if self._prover.of_nothing(multipliers) < 0.0 else path, None

    def support(self, path: Path, weights: Vector, deadline: Deadline) -> tuple[float, Vector | None]:
        """A proved upper bound of a sum of the rows with nonnegative weights (R,) on a node, and perhaps a solver's point."""
        self.move(path)
        self._price(dict(zip(self.lp.goals.tolist(), weights.tolist(), strict=True)))
        result = self._solved(SolveOptions(deadline=deadline, presolve=False, feasibility=_LOOSE))
        duals = np.zeros(self.lp.program.rows) if result.row_duals is None else result.row_duals
        proposed = self._multipliers(duals, goal=True)
        ceiling = self._prover.of_sum(replace(proposed, weights=weights))
        return ceiling, None if result.primal is None else self._input(result.primal)

    def _input(self, primal: Vector) -> Vector:
        """The input (n,) of a program's point."""
        return np.asarray(self._columns.matrix @ primal[: self._columns.count] + self._columns.origin)

    def ceiling(self, multipliers: Multipliers) -> float:
        """What any multipliers prove about the goal at the node."""
        return self._prover.of_goal(multipliers, self._goal)


def _of_length(vector: Vector | None, length: int) -> Vector | None:
    return vector if vector is not None and vector.shape == (length,) else None
