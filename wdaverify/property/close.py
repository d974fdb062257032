"""Decide the disjuncts that share one input box: by linear bounds, by splitting inputs, by splitting phases.

Inputs are split where they are few. Which of the two searches is faster can only be guessed, so that they take turns with
growing budgets, and the one that looks cheaper gets more of each: neither loses by more than a constant factor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.boxes import Boxes, Origin
from wdaverify.bounds.crown import crown_bounds, crown_objectives
from wdaverify.domain import Regions
from wdaverify.property.attack import FEW_INPUTS, distinct, thorough_attack
from wdaverify.property.phase_search import PhaseSearch
from wdaverify.search.box_leaf import LeafSearch
from wdaverify.search.goals import Goals
from wdaverify.search.halving import halving_pays
from wdaverify.search.input_split import InputSplit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._deadline import Deadline
    from wdaverify._types import Vector
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.property.case import Case

_FIRST_BOXES, _FIRST_NODES = 512, 128
"""Budgets of the first turn, some tenths of a second each."""

_UNLIKELY = 4
"""So many times fewer nodes where splitting inputs looks better."""

_GROWTH = 3
"""Budgets grow by this factor from turn to turn: starting again then costs at most half as much again."""

_NEIGHBOURHOODS, _NEIGHBOURHOOD, _NEIGHBOUR_BOXES = 8, 0.04, 128
"""Boxes round the best attack points: their number, their half width relative to the whole box, their budget."""


class BoxQuestion:
    """All cases of one input box.

    Attributes
    ----------
    nodes
        Linear programs of phase searches and boxes of input splitting so far.
    """

    def __init__(self, network: Network, cases: Sequence[Case], backend: Backend, deadline: Deadline, *, seed: int) -> None:
        self._network, self._cases, self._backend = network, list(cases), backend
        self._deadline, self._seed = deadline, seed
        lower, upper = cases[0].disjunct.outer_box()
        self._regions = Regions(lower[None], upper[None])
        self._bounds = crown_bounds(network, self._regions)
        self._eliminate()
        self._phases = {id(case): PhaseSearch(case, self._regions, self._bounds, backend) for case in self._open}
        self._split: InputSplit | None = None
        self._origin: tuple[Origin, Boxes] | None = None
        self._goals: list[Case] = []
        self._split_pays = False
        self._prepared = False
        self._turn = 0
        self._boxes = 0

    @property
    def _open(self) -> list[Case]:
        return [case for case in self._cases if not case.decided]

    @property
    def nodes(self) -> int:
        """Linear programs of phase searches and boxes of input splitting so far."""
        split = 0 if self._split is None else self._split.statistics.boxes
        return split + self._boxes + sum(search.nodes for search in self._phases.values())

    @property
    def closed(self) -> bool:
        """Whether every case is proved to have no witness."""
        return all(case.closed for case in self._cases)

    @property
    def exhausted(self) -> bool:
        """Whether no search can get further."""
        split = self._prepared and (self._split is None or not self._split.pending)
        return split and all(self._phases[id(case)].exhausted for case in self._open)

    def take_turn(self) -> None:
        """Spend the budget of one turn; afterwards the cases know more."""
        if not self._prepared:
            self._prepare()
        factor = _GROWTH**self._turn
        for take in (self._take_split, self._take_phases):
            if self._open and not any(c.witness is not None for c in self._cases) and not self._deadline.passed:
                take(factor)
        self._turn += 1

    def _eliminate(self) -> None:
        """Close the cases of which a row is negative on the whole box."""
        cases = [case for case in self._cases if len(case.rows)]
        if not cases:
            return
        rows = np.concatenate([case.rows for case in cases])
        ceilings = crown_objectives(self._network, self._regions, self._bounds, rows)[0]
        goals = Goals.of([(case.rows, case.offsets) for case in cases], self._magnitude())
        with np.errstate(over="ignore", invalid="ignore"):
            refuted = np.nextafter(ceilings + goals.offsets, np.inf) < 0.0
        for case, closed in zip(cases, goals.any_row(refuted[None])[0], strict=True):
            case.closed = bool(closed)

    def _magnitude(self) -> Vector:
        output = self._network.output
        size: Vector = np.maximum(np.abs(self._bounds.lower[output][0]), np.abs(self._bounds.upper[output][0]))
        return size

    def _prepare(self) -> None:
        """Set up input splitting where there are few inputs, all bounds are finite and a row of outputs can refute."""
        self._prepared = True
        self._goals = [case for case in self._open if len(case.rows)]
        if self._network.inputs > FEW_INPUTS or not self._goals:
            return
        self._origin = Origin.of(self._network, self._regions, self._bounds)
        if self._origin is None:
            return
        origin, root = self._origin
        self._split = self._splitter(self._goals, root)
        self._split_pays = halving_pays(origin, root, Goals.of([(c.rows, c.offsets) for c in self._goals], self._magnitude()))

    def _splitter(self, cases: list[Case], root: Boxes) -> InputSplit:
        """Input splitting of some cases on a part of the box."""
        assert self._origin is not None
        origin = self._origin[0]
        goals = Goals.of([(case.rows, case.offsets) for case in cases], origin.charges.magnitudes[origin.compiled.output])
        leaf = LeafSearch(self._backend, origin, goals)
        return InputSplit(origin, root, goals, lambda g, x: cases[g].accept(x), leaf)

    def _take_split(self, factor: int) -> None:
        """Go on splitting inputs, then attack what is still open."""
        split = self._split
        if split is None or not split.pending:
            return
        for g, case in enumerate(self._goals):
            if case.decided:
                split.drop(g)
        split.run(_FIRST_BOXES * factor, self._deadline)
        if not split.pending and not split.found:
            for case, stuck in zip(self._goals, split.stuck, strict=True):
                case.closed = case.closed or not stuck
        for case in self._open:
            if self._turn and not split.found and not self._deadline.passed:
                self._attack(case, factor // _GROWTH)

    def _attack(self, case: Case, factor: int) -> None:
        """A thorough attack, then the search in small boxes round its best points."""
        points = thorough_attack(case, seed=self._seed + self._turn + 1, scale=factor)
        if case.decided or self._origin is None or not len(case.rows):
            return
        root = self._origin[1]
        widths = (root.upper - root.lower)[0]
        for k in distinct(points, widths, apart=_NEIGHBOURHOOD, most=_NEIGHBOURHOODS):
            lower = np.maximum(root.lower, points[k] - _NEIGHBOURHOOD * widths)
            upper = np.minimum(root.upper, points[k] + _NEIGHBOURHOOD * widths)
            near = self._splitter([case], Boxes(lower, upper, root.low, root.high))
            near.run(_NEIGHBOUR_BOXES * factor, self._deadline)
            self._boxes += near.statistics.boxes
            if near.found or self._deadline.passed:
                return

    def _take_phases(self, factor: int) -> None:
        """Search the phases of every open case, from the start."""
        nodes = _FIRST_NODES * factor // (_UNLIKELY if self._split_pays else 1)
        unlimited = self._split is None and len(self._open) == 1
        for case in self._open:
            search = self._phases[id(case)]
            if not search.exhausted and not self._deadline.passed:
                search.run(2**60 if unlimited else nodes, self._deadline)
            if case.witness is not None:
                return
