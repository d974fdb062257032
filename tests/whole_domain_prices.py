"""Prices by a search of the whole domain: the plainest of all, and the reference for the others.

Every rival's ``f_j - f_y - lambda ||S (x - x_0)||^p`` is maximised over the domain (cut with the reach) from scratch. Between the
multipliers that were searched, phi is bounded because it is nonincreasing, and because its slope is at least minus the largest
cost of the domain.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import numpy as np

from wdaverify.bounds.crown import crown_bounds, crown_objectives
from wdaverify.domain import Regions
from wdaverify.search.cost import CostTerm
from wdaverify.search.inputs import InputSet
from wdaverify.search.neuron_bounds import NeuronBounds
from wdaverify.search.oracle import maximise
from wdaverify.search.question import Question
from wdaverify.search.result import End, SearchLimits
from wdaverify.transport import round_up

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix, Vector
    from wdaverify.ir.network import Network
    from wdaverify.pricing.prices import PriceQuestion
    from wdaverify.program.backend import Backend
    from wdaverify.search.result import SearchResult


class Maximiser(Protocol):
    """`search.oracle.maximise`, or `search.milp.maximise_by_milp`."""

    def __call__(
        self,
        backend: Backend,
        network: Network,
        question: Question,
        inputs: InputSet,
        bounds: NeuronBounds,
        *,
        limits: SearchLimits,
        start: Vector | None = None,
    ) -> SearchResult:
        """Bracket the maximum."""
        ...


class WholeDomainPrices:
    """The prices of one question (`pricing.prices.Prices`).

    Parameters
    ----------
    backend
        Of the maximiser.
    maximiser
        Answers for one rival.
    """

    def __init__(self, question: PriceQuestion, backend: Backend, maximiser: Maximiser = maximise) -> None:
        self._backend, self._question, self._maximise = backend, question, maximiser
        network, box = question.network, question.domain
        self._regions = Regions.of_box(box, network.inputs)
        if math.isfinite(question.reach) and question.cost.scales is None:
            self._regions = Regions.balls(box, question.center, question.reach, question.cost.norm)
        layers = crown_bounds(network, self._regions)
        self._bounds = NeuronBounds.of(network, self._regions, layers)
        ceilings = crown_objectives(network, self._regions, layers, question.rows)[0]
        self._known = [(Fraction(0), float(ceilings.max()))]
        farthest = np.where(box.upper - question.center > question.center - box.lower, box.upper, box.lower)
        self._dearest = question.cost.bracket(question.center, farthest)[1]

    def upper(self, multiplier: float) -> float:
        """A proved upper bound of ``phi(multiplier)``."""
        price, least = Fraction(multiplier), math.inf
        for known, bound in self._known:
            if math.isfinite(bound) and known <= price:
                least = min(least, bound)
            elif math.isfinite(bound) and self._dearest is not None:
                least = min(least, round_up(Fraction(bound) + (known - price) * self._dearest))
        return least

    def offer(self, points: Matrix) -> None:
        """Points of the domain; the searches of this class need none."""

    def work(self, multiplier: float, *, cut: float, gap: float, deadline: Deadline) -> Matrix:
        """Search every rival at a multiplier.

        Raises
        ------
        KeyboardInterrupt
            If interrupted; the searches that were finished are lost.
        """
        question, found, upper, best = self._question, [], -math.inf, cut
        cost = CostTerm(question.center, question.cost, multiplier, outer=question.reach)
        inputs, limits = InputSet(self._regions, cost), SearchLimits(deadline=deadline, gap=gap)
        for row in question.rows:
            goal = Question.of(row[None], inputs=len(question.center))
            result = self._maximise(
                self._backend, question.network, goal, inputs, self._bounds, limits=limits, start=question.center
            )
            if result.end is End.INTERRUPTED:
                raise KeyboardInterrupt
            upper = max(upper, result.upper)
            if result.witness is not None and result.lower > best:
                best = result.lower
                found.append(result.witness)
        self._known.append((Fraction(multiplier), upper))
        return np.array(found).reshape(-1, len(question.center))
