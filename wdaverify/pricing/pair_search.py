"""Search one pair of shell and rival for points of interest: depth-first branch and bound over linear programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.domain import Regions
from wdaverify.search.cost import CostTerm
from wdaverify.search.inputs import InputSet
from wdaverify.search.relaxation import PhaseRelaxation
from wdaverify.search.tree import DepthFirst, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._deadline import Deadline
    from wdaverify._types import Vector
    from wdaverify.pricing.prices import PriceQuestion
    from wdaverify.program.backend import Backend
    from wdaverify.search.neuron_bounds import NeuronBounds
    from wdaverify.search.question import Question


def shell_inputs(question: PriceQuestion, multiplier: float, inner: float, outer: float) -> InputSet:
    """The points of a shell, and what they cost."""
    cost, center, box = question.cost, question.center, question.domain
    steps = np.nextafter(outer / (np.ones(len(center)) if cost.scales is None else cost.scales), np.inf)
    lower = np.maximum(box.lower, np.nextafter(center - steps, -np.inf))
    upper = np.minimum(box.upper, np.nextafter(center + steps, np.inf))
    return InputSet(Regions(lower[None], upper[None]), CostTerm(center, cost, multiplier, inner, outer))


class PairSearch:
    """The search for points of a shell where one gain less its price reaches a target; it can be continued.

    Parameters
    ----------
    goal
        The gain less the target: a question of one row.
    whole, clipped
        Bounds on the region, and for its points of interest. A neuron whose phase only the latter decide stays in the programs,
        with that decision: its phase is a fact about the points, which a program without it would not know.
    accept
        Called with candidate inputs (n,); true when one reaches the target: the search ends.
    """

    def __init__(
        self,
        backend: Backend,
        question: PriceQuestion,
        goal: Question,
        inputs: InputSet,
        whole: NeuronBounds,
        clipped: NeuronBounds,
        accept: Callable[[Vector], bool],
    ) -> None:
        decided = whole.unstable & ~clipped.unstable
        lower, upper = np.where(decided, whole.lower, clipped.lower), np.where(decided, whole.upper, clipped.upper)
        relaxation = PhaseRelaxation(backend, question.network, goal, inputs, whole.tightened(lower, upper))
        relaxation.aim(0)
        path = tuple(int(k) + 1 if clipped.lower[k] >= 0 else -(int(k) + 1) for k in np.flatnonzero(decided))
        self._search = DepthFirst(relaxation, path, accept)
        self.stuck = False

    def run(self, nodes: int, deadline: Deadline) -> Verdict:
        """Solve at most so many more programs. ``CLOSED`` proves that the pair holds no point of interest."""
        dive = self._search.run(nodes, deadline)
        self.stuck = dive.stuck
        return dive.verdict

    @property
    def nodes(self) -> int:
        """Programs solved so far."""
        return self._search.nodes
