"""The search over boxes of inputs for all disjuncts of one input box, and the attack that goes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.boxes import Boxes, Origin
from wdaverify.property.attack import distinct, thorough_attack
from wdaverify.property.rows import float_rows
from wdaverify.search.box_leaf import LeafSearch
from wdaverify.search.halving import halving_pays
from wdaverify.search.input_split import InputSplit
from wdaverify.search.row_groups import RowGroups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._deadline import Deadline
    from wdaverify.domain import Regions
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.property.case import Case
    from wdaverify.search.neuron_bounds import NeuronBounds

_NEIGHBOURHOODS, _NEIGHBOURHOOD = 8, 0.04
"""Boxes round the best attack points: their number, and their half width relative to the whole box."""


def groups_of(cases: Sequence[Case], neurons: NeuronBounds) -> RowGroups:
    """The output rows of cases, never below the true ones on the box; each case has rows, and all bounds are finite."""
    magnitude = neurons.charges.magnitudes[cases[0].network.compiled.output]
    return RowGroups.of([float_rows(case.disjunct.output_rows, magnitude) for case in cases])


class BoxSearch:
    """A search that can be continued; the cases know what it finds and closes.

    Parameters
    ----------
    cases
        At least one; each has output rows.
    neurons
        Certified finite bounds on the region.

    Attributes
    ----------
    boxes
        Boxes bounded so far.
    """

    def __init__(
        self, network: Network, cases: Sequence[Case], regions: Regions, neurons: NeuronBounds, backend: Backend
    ) -> None:
        self._cases, self._neurons, self._backend = list(cases), neurons, backend
        self._origin = Origin(network.compiled, neurons.charges)
        self._root = Boxes(regions.lower, regions.upper, neurons.lower[None], neurons.upper[None])
        self._split = self._splitter(self._cases, self._root)
        self.boxes = 0

    @property
    def exhausted(self) -> bool:
        """Whether more boxes would not help."""
        return self._split.pending == 0

    def promising(self) -> bool:
        """Whether bounds improve quickly as the box is halved."""
        return halving_pays(self._origin, self._root, groups_of(self._cases, self._neurons))

    def run(self, boxes: int, deadline: Deadline) -> None:
        """Bound so many more boxes."""
        split = self._split
        for g, case in enumerate(self._cases):
            if case.decided:
                split.drop(g)
        before = split.statistics.boxes
        split.run(boxes, deadline)
        self.boxes += split.statistics.boxes - before
        if split.pending == 0 and not split.found:
            for case, stuck in zip(self._cases, split.stuck, strict=True):
                case.closed = case.closed or not bool(stuck)

    def attack(self, case: Case, *, scale: int, boxes: int, seed: int, deadline: Deadline) -> None:
        """A thorough attack, then the search in small boxes round its best points, `boxes` in each."""
        points = thorough_attack(case, seed=seed, scale=scale)
        root = self._root
        widths = (root.upper - root.lower)[0]
        for k in distinct(points, widths, apart=_NEIGHBOURHOOD, most=_NEIGHBOURHOODS):
            if case.decided or deadline.passed:
                return
            lower = np.maximum(root.lower, points[k] - _NEIGHBOURHOOD * widths)
            upper = np.minimum(root.upper, points[k] + _NEIGHBOURHOOD * widths)
            near = self._splitter([case], Boxes(lower, upper, root.low, root.high))
            near.run(boxes, deadline)
            self.boxes += near.statistics.boxes

    def _splitter(self, cases: list[Case], root: Boxes) -> InputSplit:
        """Input splitting of some cases on a part of the box."""
        groups = groups_of(cases, self._neurons)
        leaf = LeafSearch(self._backend, self._origin, groups)
        return InputSplit(self._origin, root, groups, lambda g, x: cases[g].accept(x), leaf)
