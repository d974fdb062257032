"""Prices by radius shells, clipping, and branch and bound over linear programs for what is left.

For one multiplier, with ``target = max(cut, best value known) + gap``: pairs of shell and rival whose lines stay below the target
are done. The others are clipped to the points that reach it (`pricing.clipping`); what that leaves is searched depth first, with
budgets that go round. A pair without such points has the bound `target`. A point that reaches it raises the target, and the pairs
that are still above it begin anew. All bounds become lines (`pricing.line_store`), which serve every other multiplier.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bracket import Evidence
from wdaverify.pricing.ball_bounds import BallBounds, balls_about
from wdaverify.pricing.candidates import Candidates, drawn_within, value_at
from wdaverify.pricing.cell_optimum import cell_optimum
from wdaverify.pricing.clipping import clip
from wdaverify.pricing.interest import Interest
from wdaverify.pricing.pair_search import PairSearch, shell_inputs
from wdaverify.pricing.shells import ShellTable
from wdaverify.search.question import Question
from wdaverify.search.tree import Verdict

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.pricing.prices import PriceQuestion
    from wdaverify.program.backend import Backend
    from wdaverify.search.neuron_bounds import NeuronBounds

_log = logging.getLogger(__name__)

_FIRST_BUDGET = 32
"""Programs of a pair in the first round; each round has four times as many."""

_GROWTH = 4

_POLISHES = 5
"""Cells that a point is moved through, each to its best vertex."""

_DEEPEST = 4
"""A shell is halved so often where its programs are not accurate enough: costs of high order differ much between its ends."""

_WITHIN = 1.0 - 2.0**-6
"""Part of the gap that is worked with: stored bounds are rounded up, and the answer is to be within the gap all the same."""

_NEAR = 0.1
"""A point within this part of the gap of the target ends a search as well: its node could not be closed."""


class SearchPrices:
    """`pricing.prices.Prices` of one question.

    Parameters
    ----------
    backend
        Keeps linear programs between solves.

    Attributes
    ----------
    nodes, searches
        Programs solved and pairs searched so far.
    """

    evidence = Evidence.CHECKED

    def __init__(self, question: PriceQuestion, backend: Backend) -> None:
        self.question, self.backend = question, backend
        self.candidates = Candidates(question)
        self.nodes = self.searches = 0
        self._table: ShellTable | None = None

    @property
    def table(self) -> ShellTable:
        """What is known shell by shell, built at first use."""
        if self._table is None:
            self._table = ShellTable.of(self.question)
        return self._table

    def upper(self, multiplier: float) -> float:
        """A proved upper bound of ``phi(multiplier)``."""
        return self.table.upper(multiplier)

    def offer(self, points: Matrix) -> None:
        """Candidates for warm starts."""
        self.candidates.add(points)

    def polish(self, multiplier: float, deadline: Deadline) -> Matrix:
        """The best point known for a multiplier (1, n), moved to the best points of its cell and of those that it then meets."""
        best = self.candidates.points[np.argmax(self.candidates.values(multiplier))]
        point = self.polished(best, multiplier, deadline)
        self.candidates.add(point[None])
        return point[None]

    def polished(self, point: Vector, multiplier: float, deadline: Deadline) -> Vector:
        """A point of the domain within reach whose value is no lower, from the linear programs of a few cells."""
        question, value = self.question, value_at(self.question, point, multiplier)
        inputs = shell_inputs(question, multiplier, 0.0, float(self.table.edges[-1]))
        for _ in range(_POLISHES):
            logits = question.network.compiled.forward(point[None])[0]
            row = question.rows[int(np.argmax(question.rows @ logits))]
            better = cell_optimum(self.backend, question.network, row, inputs, point, deadline)
            if better is None:
                break
            better = drawn_within(question, better[None])[0]
            if not value_at(question, better, multiplier) > value:
                break
            point, value = better, value_at(question, better, multiplier)
        return point

    def work(self, multiplier: float, *, cut: float, gap: float, deadline: Deadline) -> Matrix:
        """Lower ``upper(multiplier)``, as `Prices.work` says."""
        _Pricing(self, multiplier, cut, gap, deadline).run()
        return self.candidates.above(multiplier, cut)


@dataclass(slots=True, eq=False)
class _Part:
    """A part of the shell of a pair, to be searched.

    Attributes
    ----------
    whole, clipped
        Bounds on the ball, and for points of interest.
    depth
        How often the shell was halved.
    """

    pair: int
    inner: float
    outer: float
    whole: NeuronBounds
    clipped: NeuronBounds
    depth: int = 0
    search: PairSearch | None = None

    @property
    def stuck(self) -> bool:
        """Whether more programs will not help."""
        return self.search is not None and self.search.stuck


class _Pricing:
    """One call of `work`."""

    def __init__(self, prices: SearchPrices, multiplier: float, cut: float, gap: float, deadline: Deadline) -> None:
        self._prices, self._table, self._question = prices, prices.table, prices.question
        self._multiplier, self._gap, self._deadline = multiplier, _WITHIN * gap, deadline
        self._target = max(cut, prices.candidates.best(multiplier)) + self._gap

    def run(self) -> None:
        """Close all pairs, or stop at the deadline."""
        store, again = self._table.store, True
        while again and not self._deadline.passed:
            pairs = np.flatnonzero(store.ends(self._multiplier) > self._target)
            pairs = pairs[store.sharpened(self._multiplier, pairs) > self._target]
            again = bool(len(pairs)) and self._round(pairs)

    def _round(self, pairs: IntArray) -> bool:
        """Clip and search all open pairs for one target; whether a better point was found."""
        table, target, shell = self._table, self._target, self._table.shells(pairs)
        rows, edges = self._question.rows[pairs % table.rivals], table.edges
        interest = Interest(table.ground, rows, edges[shell], edges[shell + 1], self._multiplier, target)
        clipped = clip(interest, table.balls[shell], self._deadline)
        table.store.add(pairs, self._multiplier, clipped.tops)
        rest = np.flatnonzero(~clipped.empty & (clipped.tops > target))
        rest = rest[np.argsort(clipped.tops[rest], kind="stable")]
        _log.debug("price %.6g, target %.9g: %d pairs, %d after clipping", self._multiplier, target, len(pairs), len(rest))
        return self._search([self._part(int(pairs[k]), clipped.bounds.neurons(int(k))) for k in rest], target)

    def _part(self, pair: int, bounds: NeuronBounds) -> _Part:
        """The whole shell of a pair."""
        table, shell = self._table, pair // self._table.rivals
        inner, outer = map(float, table.edges[[shell, shell + 1]])
        return _Part(pair, inner, outer, table.balls.neurons(shell), bounds)

    def _search(self, waiting: list[_Part], target: float) -> bool:
        """Branch and bound, budgets going round; true when a better point was found."""
        budget, lost = _FIRST_BUDGET, set[int]()
        while waiting and not self._deadline.passed:
            for part in list(waiting):
                verdict = self._advance(part, budget, target)
                if verdict is Verdict.FOUND:
                    return True
                if verdict is Verdict.OPEN and not part.stuck:
                    continue
                waiting.remove(part)
                if verdict is Verdict.OPEN:
                    halves = self._halves(part, target)
                    waiting.extend(halves or ())
                    lost |= set() if halves is not None else {part.pair}
                if part.pair not in lost and all(other.pair != part.pair for other in waiting):
                    self._table.store.add(np.array([part.pair]), self._multiplier, np.array([target]))
            budget *= _GROWTH
        return False

    def _advance(self, part: _Part, budget: int, target: float) -> Verdict:
        if part.search is None:
            part.search = self._open(part, target)
        before = part.search.nodes
        verdict = part.search.run(budget, self._deadline)
        self._prices.nodes += part.search.nodes - before
        return verdict

    def _halves(self, part: _Part, target: float) -> list[_Part] | None:
        """The inner and the outer half of a shell, clipped; without those that hold no point of interest.

        None if it is too thin to be halved, or was halved often enough.
        """
        middle = math.sqrt(part.inner) * math.sqrt(part.outer) if part.inner > 0.0 else 0.25 * part.outer
        if part.depth >= _DEEPEST or not part.inner < middle < part.outer:
            return None
        edges, ground = np.array([part.inner, middle, part.outer]), self._table.ground
        balls = balls_about(self._question.network, ground, edges[1:])
        start = BallBounds(
            balls.compiled, balls.charges, np.maximum(balls.low, part.clipped.lower), np.minimum(balls.high, part.clipped.upper)
        )
        rows = np.repeat(self._question.rows[[part.pair % self._table.rivals]], 2, axis=0)
        clipped = clip(Interest(ground, rows, edges[:-1], edges[1:], self._multiplier, target), start, self._deadline)
        return [
            _Part(part.pair, float(edges[k]), float(edges[k + 1]), balls.neurons(k), clipped.bounds.neurons(k), part.depth + 1)
            for k in np.flatnonzero(~clipped.empty & (clipped.tops > target)).tolist()
        ]

    def _open(self, part: _Part, target: float) -> PairSearch:
        """A search for points of a part that reach the target."""
        question, rival = self._question, part.pair % self._table.rivals
        goal = Question.of(question.rows[[rival]], inputs=question.network.inputs, offsets=np.array([-target]))
        inputs = shell_inputs(question, self._multiplier, part.inner, part.outer)
        self._prices.searches += 1

        def accept(point: Vector) -> bool:
            return self._improve(point, target)

        return PairSearch(self._prices.backend, question, goal, inputs, part.whole, part.clipped, accept)

    def _improve(self, point: Vector, target: float) -> bool:
        """Whether a point reaches the target: it is polished, kept, and the target rises."""
        question = self._question
        point = drawn_within(question, point[None])[0]
        if not value_at(question, point, self._multiplier) > target - self._gap:
            return False
        point = self._prices.polished(point, self._multiplier, self._deadline)
        value = value_at(question, point, self._multiplier)
        self._prices.candidates.add(point[None])
        self._target = max(self._target, value + self._gap)
        return value > target - _NEAR * self._gap
