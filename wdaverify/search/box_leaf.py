"""Close boxes with few unstable neurons by a small search over their phases.

The linear programs of `search.leaf_program` only propose multipliers: the duals of the definitions of z are the multipliers of
the unstable neurons, those of the goals the weights of the rows. A box is closed when `search.leaf_check` confirms every node
of its search. So a solver that lies, fails or raises can only leave the box open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.program.backend import SolveOptions, open_session
from wdaverify.program.result import Status
from wdaverify.search.leaf_check import Proposal, refuted
from wdaverify.search.leaf_program import leaf_program

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import BoolArray, Vector
    from wdaverify.bounds.boxes import Boxes, Origin
    from wdaverify.program.backend import Backend
    from wdaverify.program.result import SolveResult
    from wdaverify.search.leaf_program import LeafProgram
    from wdaverify.search.row_groups import RowGroups

_FEASIBILITY = 1e-7
"""Enough for proposals, and faster than the tolerance of answers."""

_ROOM = 1e-6
"""A solve stops when it is this part of the rows' size below 0, so that the check has room."""

_TIE_BREAK = 1e-9
"""Weight of the violation ``min(y, s)`` beside the dual score: it decides only between neurons without one."""


@dataclass(slots=True, eq=False)
class LeafAnswer:
    """What came of a batch of boxes.

    Attributes
    ----------
    is_open
        Which groups (B, G) are still open; what is not was closed rigorously.
    points
        Pairs of a group and a point of its box, as the solver proposed them.
    programs, closed
        Linear programs solved, and pairs of box and group closed.
    """

    is_open: BoolArray
    points: list[tuple[int, Vector]] = field(default_factory=list)
    programs: int = 0
    closed: int = 0


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
        self, backend: Backend, origin: Origin, goals: RowGroups, *, most_unstable: int = 30, most_programs: int = 30
    ) -> None:
        self._backend, self._origin, self._goals = backend, origin, goals
        self._most_unstable, self._most_programs = most_unstable, most_programs
        sizes = np.abs(goals.rows) @ origin.charges.magnitudes[origin.compiled.output] + np.abs(goals.offsets)
        self._size = float(np.max(sizes, initial=0.0))

    def close(self, boxes: Boxes, is_open: BoolArray, deadline: Deadline) -> LeafAnswer:
        """Try to close the open groups of every box with few unstable neurons."""
        answer = LeafAnswer(is_open.copy())
        options = SolveOptions(deadline=deadline, presolve=False, feasibility=_FEASIBILITY, cutoff=-_ROOM * self._size)
        proposals: list[Proposal] = []
        complete: list[tuple[int, int, slice]] = []
        for b in np.flatnonzero(boxes.unstable.sum(axis=1) <= self._most_unstable).tolist():
            for g in np.flatnonzero(is_open[b]).tolist():
                leaf = _Leaf(self._origin, boxes[b : b + 1], self._goals, g)
                try:
                    ended = leaf.search(self._backend, self._most_programs, options)
                except Exception:  # whatever a solver does, the box is merely not closed
                    ended = False
                answer.programs += leaf.programs
                answer.points += [(g, np.clip(x, boxes.lower[b], boxes.upper[b])) for x in leaf.points if np.isfinite(x).all()]
                if ended:
                    complete.append((b, g, slice(len(proposals), len(proposals) + len(leaf.nodes))))
                    proposals += [Proposal(b, leaf.neurons, *node) for node in leaf.nodes]
        confirmed = refuted(self._origin, boxes, self._goals, proposals)
        for b, g, nodes in complete:
            if confirmed[nodes].all():
                answer.is_open[b, g] = False
                answer.closed += 1
        return answer


class _Leaf:
    """One box and one group: its nodes that the solver takes for closed, as (multipliers, phases, weights)."""

    def __init__(self, origin: Origin, box: Boxes, goals: RowGroups, group: int) -> None:
        self._chosen = goals.group == group
        rows, offsets = goals.rows[self._chosen], goals.offsets[self._chosen]
        self._problem: LeafProgram = leaf_program(origin.compiled, box, rows, offsets)
        self.neurons = self._problem.neurons
        self.nodes: list[tuple[Vector, Vector, Vector]] = []
        self.points: list[Vector] = []
        self.programs = 0

    def search(self, backend: Backend, most: int, options: SolveOptions) -> bool:
        """Depth first over phases: whether the solver takes every node for closed within `most` programs."""
        problem = self._problem
        session = open_session(backend, problem.program)
        columns = np.concatenate([problem.active, problem.inactive])
        tops, floors = problem.program.upper[columns], np.zeros(len(columns))
        stack: list[Vector] = [np.zeros(len(self.neurons))]  # +1 active, -1 inactive, 0 free
        while stack:
            if self.programs + len(stack) > most:
                return False
            phases = stack.pop()
            if self.programs:
                decided = np.concatenate([phases < 0, phases > 0])
                session.set_column_bounds(columns, floors, np.where(decided, 0.0, tops))
            result = session.solve(options)
            self.programs += 1
            if self._closed(result, phases):
                continue
            k = self._branch(result, phases)
            if k < 0 or result.primal is None:
                return False
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
        score += _TIE_BREAK * np.minimum(result.primal[problem.active], result.primal[problem.inactive])
        return int(np.argmax(np.where((phases == 0) & np.isfinite(score), score, -1.0)))

    def _closed(self, result: SolveResult, phases: Vector) -> bool:
        """Whether the solver takes the node for closed and says by which multipliers."""
        if result.status is Status.LIMIT or (result.objective is not None and result.objective < 0):
            duals = result.row_duals
        elif result.status is Status.INFEASIBLE and result.ray is not None:
            duals = -result.ray
        else:
            return False
        if duals is None or duals.shape != (self._problem.program.rows,):
            return False
        count = len(phases)
        own = np.maximum(-duals[2 * count :], 0.0)  # t <= g_r stands as g_r - t >= -c
        total = float(own.sum())
        scale = 1.0 / total if total > 0 else 1.0
        weights = np.zeros(len(self._chosen))
        weights[self._chosen] = scale * own
        self.nodes.append((scale * duals[:count], phases, weights))
        return True
