"""The second opinion: prices from one mixed-integer program per rival over the whole domain.

Nothing of the search is shared but the question and root bounds; upper ends are a solver's word (`search.milp`). What was said
for one multiplier serves the others as in the search: a bound is a line in the cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import InputError
from wdaverify._types import Norm
from wdaverify.bounds.crown import crown_bounds, crown_objectives
from wdaverify.bracket import Evidence
from wdaverify.domain import Regions
from wdaverify.pricing.candidates import Candidates, drawn_within
from wdaverify.pricing.growth import Ground, Lines
from wdaverify.pricing.line_store import LineStore
from wdaverify.search.cost import CostTerm
from wdaverify.search.inputs import InputSet
from wdaverify.search.milp import maximise_by_milp
from wdaverify.search.neuron_bounds import NeuronBounds
from wdaverify.search.question import Question
from wdaverify.search.result import SearchLimits

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix
    from wdaverify.pricing.prices import PriceQuestion
    from wdaverify.program.backend import Backend

_WITHIN = 1.0 - 2.0**-6
"""Part of the gap that is worked with: stored bounds are rounded up."""


class MilpPrices:
    """`pricing.prices.Prices` of one question, believed of a mixed-integer solver.

    Raises
    ------
    InputError
        If the cost is not of order 1 in l1 or linf without weights.
    """

    evidence = Evidence.SOLVER

    def __init__(self, question: PriceQuestion, backend: Backend) -> None:
        cost = question.cost
        if cost.norm is Norm.L2 or cost.order != 1.0 or cost.scales is not None:
            raise InputError("the mixed-integer engine prices order 1 in l1 or linf without feature weights: use --engine search")
        self._question, self._backend = question, backend
        self._candidates = Candidates(question)
        ground = Ground.of(question.domain, question.center, cost)
        reach = np.full(1, min(question.reach, ground.farthest))
        self._regions = Regions.balls(question.domain, question.center[None], reach, cost.norm)
        bounds = crown_bounds(question.network, self._regions)
        tops = crown_objectives(question.network, self._regions, bounds, question.rows)[0]
        self._bounds = NeuronBounds.of(question.network, self._regions, bounds)
        lines = Lines(np.zeros((len(tops), 1)), tops[:, None])
        self._store = LineStore(lines, np.zeros(len(tops)), np.repeat(reach, len(tops)))

    def upper(self, multiplier: float) -> float:
        """An upper bound of ``phi(multiplier)``."""
        return float(self._store.ends(multiplier).max(initial=-np.inf))

    def offer(self, points: Matrix) -> None:
        """Candidates for warm starts."""
        self._candidates.add(points)

    def work(self, multiplier: float, *, cut: float, gap: float, deadline: Deadline) -> Matrix:
        """One program for each rival whose bound is still too high, as `Prices.work` says."""
        question, gap = self._question, _WITHIN * gap
        cost = CostTerm(question.center, question.cost, multiplier) if multiplier > 0.0 else None
        inputs = InputSet(self._regions, cost)
        for rival in np.argsort(-self._store.ends(multiplier), kind="stable"):
            values = self._candidates.values(multiplier)
            target = max(cut, float(values.max())) + gap
            if deadline.passed or self._store.ends(multiplier)[rival] <= target:
                continue
            goal = Question.of(question.rows[[rival]], inputs=question.network.inputs)
            result = maximise_by_milp(
                self._backend, question.network, goal, inputs, self._bounds,
                limits=SearchLimits(deadline=deadline, gap=gap), start=self._candidates.points[np.argmax(values)],
            )  # fmt: skip
            self._store.add(np.array([rival]), multiplier, np.array([result.upper]))
            if result.witness is not None:
                self._candidates.add(drawn_within(question, result.witness[None]))
        return self._candidates.above(multiplier, cut)
