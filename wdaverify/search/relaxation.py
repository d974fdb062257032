"""One warm linear program over a region, whose bounds move with the node of the search; every answer proved afresh.

A node is the tuple of its decisions, ``+(k+1)`` for neuron k active and ``-(k+1)`` for inactive; moving to a node undoes and
applies column bounds only. The solver proposes multipliers. `bounds.lagrangian` turns them into the node's ceiling, on the
weights as stored and with every rounding charged: a wrong answer of a solver can only be weak.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import SOLVER_FEASIBILITY, UNIT_ROUNDOFF
from wdaverify.bounds.exact_lagrangian import exact_lagrangian, on_grid
from wdaverify.bounds.lagrangian import pull_back
from wdaverify.bounds.rounding import INFLATION, gamma
from wdaverify.program.backend import SolveOptions, open_session
from wdaverify.program.result import SolveResult, Status
from wdaverify.search.phase_lp import build_phase_lp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify._deadline import Deadline
    from wdaverify._types import BoolArray, Matrix, Vector
    from wdaverify.ir.compiled import ReluStep
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


@dataclass(frozen=True, slots=True, eq=False)
class Multipliers:
    """What proves a ceiling (`bounds.lagrangian`): any values do, bad ones prove less.

    Attributes
    ----------
    pi
        Prices of the free neurons' pre-activations, shape (neurons,), 0 elsewhere.
    weights
        Nonnegative, of the question's rows, shape (R,).
    side
        Nonnegative, of the question's rows about inputs, shape (S,).
    """

    pi: Vector
    weights: Vector
    side: Vector


@dataclass(frozen=True, slots=True, eq=False)
class NodeAnswer:
    """What is known about a node.

    Attributes
    ----------
    ceiling
        Proved upper bound of the goal on the node; ``-inf`` when the node is proved empty.
    closed
        Whether the ceiling is below the cutoff (or, where 0 closes, at most 0 in rational arithmetic).
    failed
        Whether the solver gave nothing at all: neither multipliers nor a point nor a proof of emptiness.
    point
        The solver's input (n,), or ``None``: a candidate, nothing more.
    scores
        How much each neuron's triangle contributes to the bound (dual times intercept), shape (neurons,).
    active_first
        Whether the solver's own pre-activation is nonnegative, shape (neurons,).
    multipliers
        What proves the ceiling.
    """

    ceiling: float
    closed: bool
    failed: bool
    point: Vector | None
    scores: Vector
    active_first: BoolArray
    multipliers: Multipliers | None


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
        self._network, self._compiled, self._zero_closes = network, network.compiled, zero_closes
        compiled = network.compiled
        self._columns = inputs.columns()
        free = np.flatnonzero(bounds.unstable)
        self.lp = build_phase_lp(compiled, question, self._columns, bounds.lower, bounds.upper, free)
        self._session = open_session(backend, self.lp.program)
        self._place = np.full(compiled.neurons, -1)
        self._place[free] = np.arange(len(free))
        self._root = self.lp.program.upper[self.lp.active], self.lp.program.upper[self.lp.inactive]
        self._lower, self._upper = bounds.lower.copy(), bounds.upper.copy()
        self._path: Path = ()
        self._aimed = np.zeros(0, dtype=np.int64)
        self._goal: int | None = None
        sizes = np.abs(question.rows) @ bounds.charges.magnitudes[compiled.output] + np.abs(question.offsets)
        self._scale = float(np.max(sizes, initial=0.0))
        self._rounding = gamma(len(question.rows) + 4) * INFLATION * sizes

    @property
    def free(self) -> BoolArray:
        """Which neurons can be decided, shape (neurons,)."""
        return np.asarray(self._place >= 0)

    def aim(self, goal: int | None) -> None:
        """Make one row of the question the goal, or with ``None`` the least of all rows."""
        self._goal = goal
        self._price({self.lp.least if goal is None else int(self.lp.goals[goal]): 1.0})

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
        self._lower[neurons] = np.where(decision > 0, 0.0, self.bounds.lower[neurons])
        self._upper[neurons] = np.where(decision < 0, 0.0, self.bounds.upper[neurons])

    def answer(self, cutoff: float, deadline: Deadline) -> NodeAnswer:
        """Solve the node and prove its ceiling; with a ceiling below `cutoff` it need not be the best."""
        stop = cutoff - _SLACK * self._scale
        result = self._session.solve(SolveOptions(deadline=deadline, presolve=False, feasibility=_LOOSE, cutoff=stop))
        ceiling, multipliers = self._proved(result)
        if ceiling >= cutoff and result.objective is not None and result.objective < cutoff + _SLACK * self._scale:
            tight = SolveOptions(deadline=deadline, presolve=False, feasibility=SOLVER_FEASIBILITY)
            result = self._session.solve(tight)
            better, more = self._proved(result)
            ceiling, multipliers = (better, more) if better < ceiling else (ceiling, multipliers)
        scores, active_first = np.zeros(len(self._place)), np.ones(len(self._place), dtype=bool)
        lp, point = self.lp, None
        if result.row_duals is not None:
            scores[lp.free] = np.abs(result.row_duals[lp.triangles]) * lp.intercepts
        if result.primal is not None:
            point = self._columns.matrix @ result.primal[: self._columns.count] + self._columns.origin
            y, s = result.primal[lp.active], result.primal[lp.inactive]
            active_first[lp.free] = y >= s
            scores[lp.free] += _TIE_BREAK * np.minimum(y, s)
        failed = math.isinf(ceiling) and ceiling > 0 and point is None
        closed = ceiling < cutoff or (self._zero_closes and cutoff == 0.0 and self._closes_at_zero(ceiling, multipliers))
        return NodeAnswer(ceiling, closed, failed, point, scores, active_first, multipliers)

    @contextmanager
    def assuming_facts(self) -> Iterator[None]:
        """Within the block programs hold only points with a nonnegative goal (all rows, where the goal is the least)."""
        goals = self.lp.goals if self._goal is None else self.lp.goals[[self._goal]]
        self._session.set_column_bounds(goals, np.zeros(len(goals)), np.full(len(goals), np.inf))
        yield
        self._session.set_column_bounds(goals, np.full(len(goals), -np.inf), np.full(len(goals), np.inf))
        self.aim(self._goal)

    def extreme(self, neuron: int, sign: float, deadline: Deadline) -> tuple[float, Vector | None]:
        """A proved upper bound of ``sign * z`` of a free neuron at the node, and the pre-activations of the solver's point.

        ``-inf`` proves that the node holds no point at all. Shape (neurons,), NaN for neurons without columns.
        """
        k = self._place[neuron]
        self._price({int(self.lp.active[k]): sign, int(self.lp.inactive[k]): -sign})
        result = self._session.solve(SolveOptions(deadline=deadline, presolve=False, feasibility=_LOOSE))
        seen = None
        if result.primal is not None:
            seen = np.full(len(self._place), np.nan)
            seen[self.lp.free] = result.primal[self.lp.active] - result.primal[self.lp.inactive]
        if result.row_duals is not None:
            multipliers = self._multipliers(result.row_duals, goal=False)
            multipliers.pi[neuron] -= sign  # the program's goal is y - s, the bound's is the definition of z itself
            return self._neuron_ceiling(neuron, sign, multipliers), seen
        return self._proved(result)[0], seen

    def _neuron_ceiling(self, neuron: int, sign: float, multipliers: Multipliers) -> float:
        step = next(s for s in self._compiled.relus if s.first <= neuron < s.first + s.size)
        rows = np.zeros((1, step.size))
        rows[0, neuron - step.first] = sign
        seeds = {self._compiled.output: (multipliers.weights @ self.question.rows)[None]}
        seeds[step.source] = seeds[step.source] + rows if step.source in seeds else rows
        return self._dual_value(seeds, multipliers) + float(multipliers.weights @ self._rounding)

    def restrict(self, neuron: int, lower: float, upper: float) -> None:
        """Use tighter proved bounds of a free neuron from here on."""
        k = self._place[neuron]
        self._lower[neuron], self._upper[neuron] = max(self._lower[neuron], lower), min(self._upper[neuron], upper)
        high, low = max(upper, 0.0), max(-lower, 0.0)
        columns = np.array([self.lp.active[k], self.lp.inactive[k]])
        old = self.lp.program.upper[columns]
        self._session.set_column_bounds(columns, np.zeros(2), np.minimum([high, low], old))
        scale = self.lp.intercepts[k] * max(high / old[0], low / old[1])
        self._session.set_row_bounds([self.lp.triangles[k]], -np.inf, min(scale, self.lp.intercepts[k]))

    def _proved(self, result: SolveResult) -> tuple[float, Multipliers | None]:
        """The ceiling that follows from a solver's multipliers, or from its ray."""
        if result.row_duals is not None:
            multipliers = self._multipliers(result.row_duals, goal=True)
            return self.ceiling(multipliers, goal=True), multipliers
        if result.status is Status.INFEASIBLE and result.ray is not None:
            for sign in (1.0, -1.0):
                multipliers = self._multipliers(sign * result.ray, goal=False)
                if self.ceiling(multipliers, goal=False) < 0.0:
                    return -math.inf, multipliers
        return math.inf, None

    def _multipliers(self, duals: Vector, *, goal: bool) -> Multipliers:
        """Read a solver's row duals; what is no number, or has the wrong sign, counts as 0."""
        lp, duals = self.lp, np.nan_to_num(duals, nan=0.0, posinf=0.0, neginf=0.0)
        pi = np.zeros(len(self._place))
        pi[lp.free] = duals[lp.definitions]
        weights = np.maximum(duals[lp.goal_rows], 0.0)
        if goal and self._goal is not None:
            weights[self._goal] = max(weights[self._goal], 1.0)
        return Multipliers(pi, weights, np.maximum(-duals[lp.side_rows], 0.0))

    def ceiling(self, multipliers: Multipliers, *, goal: bool) -> float:
        """The proved upper bound that multipliers give; of the goal, or of 0 (then below 0 proves that no point exists).

        Rows ``g_r`` other than the goal may be used as facts: the question asks for points where all are at least 0.
        """
        weights = multipliers.weights
        total = float(weights.sum())
        if goal and self._goal is None and total <= 0.0:
            return math.inf
        seeds = {self._compiled.output: (weights @ self.question.rows)[None]}
        value = self._dual_value(seeds, multipliers) + float(weights @ self._rounding)
        if not goal:
            return value
        if self._goal is None:
            return math.nextafter(value / total * (1.0 + math.copysign(8.0 * UNIT_ROUNDOFF * len(weights), value)), math.inf)
        return value

    def _closes_at_zero(self, ceiling: float, multipliers: Multipliers | None) -> bool:
        """Whether the multipliers prove, in rational arithmetic, that the goal is at most 0."""
        if multipliers is None or not ceiling < _SLACK * self._scale or self.inputs.regions.norm is not None:
            return False
        question, names = self.question, self._compiled.names
        weights, side = on_grid(multipliers.weights), on_grid(multipliers.side)
        seeds = {
            names[self._compiled.output]: _combined(weights, question.rows),
            names[self._compiled.input]: _combined(side, question.side_rows),
        }
        constants = zip([*weights, *side], [*question.offsets, *question.side_offsets], strict=True)
        offset = sum((w * Fraction(float(b)) for w, b in constants), Fraction(0))
        prices = dict(zip(self.lp.free.tolist(), on_grid(multipliers.pi[self.lp.free]), strict=True))
        ends = (self._lower, self._upper), (self.inputs.lower, self.inputs.upper)
        return sum(weights) > 0 and exact_lagrangian(self._network, seeds, prices, *ends) + offset <= 0

    def _dual_value(self, seeds: dict[int, Matrix], multipliers: Multipliers) -> float:
        """The Lagrangian bound of the seeds' form plus the facts about inputs and all constants, rounded up."""
        pi, question, charges = multipliers.pi, self.question, self.bounds.charges

        def choose(step: ReluStep, rows: Matrix) -> tuple[Matrix, Matrix, Matrix]:
            neurons = step.neurons
            stable = np.where(self.bounds.upper[neurons] <= 0.0, 0.0, rows)
            chosen = np.where(self._place[neurons] >= 0, pi[neurons], stable)
            return chosen, self._lower[neurons][None], self._upper[neurons][None]

        pulled = pull_back(self._compiled, charges, seeds, choose)
        forms, error = pulled.coefficients, float(pulled.error[0])
        constant = float(multipliers.weights @ question.offsets)
        if multipliers.side.any():
            forms = forms + multipliers.side @ question.side_rows
            sizes = np.abs(forms) + multipliers.side @ np.abs(question.side_rows)
            reach = float((sizes @ charges.magnitudes[self._compiled.input])[0])
            reach += float(multipliers.side @ np.abs(question.side_offsets))
            error += gamma(len(question.side_rows) + 8) * INFLATION * reach
            constant += float(multipliers.side @ question.side_offsets)
        value = float(self.inputs.maximum(forms)[0])
        magnitude = abs(value) + abs(float(pulled.constant[0])) + abs(constant) + error
        value = value + float(pulled.constant[0]) + constant + error + 16.0 * UNIT_ROUNDOFF * magnitude
        return math.inf if math.isnan(value) else math.nextafter(value, math.inf)


def _combined(weights: list[Fraction], rows: Matrix) -> list[Fraction]:
    """``weights @ rows``, exactly."""
    total = [Fraction(0)] * rows.shape[1]
    for weight, row in zip(weights, rows.tolist(), strict=True):
        total = [t + weight * Fraction(v) for t, v in zip(total, row, strict=True)]
    return total
