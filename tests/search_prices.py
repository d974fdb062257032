"""Prices by one best-first search per rival and multiplier on the whole box: slow, and independent of `pricing.engines`."""

from __future__ import annotations

import numpy as np

from wdaverify.bounds.crown import crown_bounds
from wdaverify.domain import Regions
from wdaverify.program.backend import get_backend
from wdaverify.search.cost import CostTerm
from wdaverify.search.inputs import InputSet
from wdaverify.search.neuron_bounds import NeuronBounds
from wdaverify.search.oracle import maximise
from wdaverify.search.question import Question
from wdaverify.search.result import SearchLimits


class SearchPrices:
    """Prices of a margin for order 1, l1 or linf, without reach; `searches` counts the searches of all instances."""

    searches = 0

    def __init__(self, question):
        assert (question.cost.order, question.cost.scales, question.reach) == (1, None, np.inf)
        self._question = question
        self._regions = Regions.of_box(question.domain, question.network.inputs)
        self._bounds = NeuronBounds.of(question.network, self._regions, crown_bounds(question.network, self._regions))
        self._proved = {}

    def upper(self, multiplier):
        """The least of what was proved for multipliers up to this one: phi does not grow."""
        return min((high for known, high in self._proved.items() if known <= multiplier), default=np.inf)

    def offer(self, points):
        """Points are of no use here."""

    def work(self, multiplier, *, cut, gap, deadline):
        """Search every rival to the gap; the cut is not used."""
        asked, points, uppers = self._question, [], []
        inputs = InputSet(self._regions, CostTerm(asked.center, asked.cost, multiplier))
        for row in asked.rows:
            SearchPrices.searches += 1
            question = Question.of(row[None], inputs=asked.network.inputs)
            limits = SearchLimits(gap=gap, deadline=deadline)
            found = maximise(get_backend("highs"), asked.network, question, inputs, self._bounds, limits=limits)
            uppers.append(found.upper)
            if found.witness is not None and found.lower > cut:
                points.append((found.lower, found.witness))
        self._proved[multiplier] = min(max(uppers), self._proved.get(multiplier, np.inf))
        points.sort(key=lambda pair: pair[0])
        return np.array([point for _, point in points]).reshape(-1, asked.network.inputs)
