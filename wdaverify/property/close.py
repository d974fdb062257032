"""Decide the disjuncts that share one input box: by linear bounds, by splitting inputs, by splitting phases.

Inputs are split where they are few. Which of the two searches is faster can only be guessed, so that they take turns with
growing budgets of about the same time, more of it for the one that looks better: neither loses by more than a constant
factor. The times are estimates from the size of the network, never the clock, so that a run can be repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.crown import crown_bounds, crown_objectives
from wdaverify.domain import Regions
from wdaverify.property.attack import FEW_INPUTS
from wdaverify.property.box_search import BoxSearch, groups_of
from wdaverify.property.phase_search import PhaseSearch
from wdaverify.search.neuron_bounds import NeuronBounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._deadline import Deadline
    from wdaverify.bounds.layer_bounds import LayerBounds
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.property.case import Case

_FIRST, _GROWTH = 0.2, 3
"""Seconds of each search's first turn, and by how much turns grow."""

_BOX_SECONDS, _LEAST_BOX_SECONDS = 2e-6, 5e-5
"""Of a box, per neuron of the network, and at least: measured on six layers of 50 neurons."""

_PROGRAM_SECONDS, _PROGRAM_NEURONS, _PROGRAM_POWER = 1e-3, 50, 2.4
"""Of a linear program of the phase search: ``1e-3 (m / 50)^2.4`` with m unstable neurons."""

_LEAST_PROGRAMS = 200
"""A phase search stops between rounds of about so many programs: less is not worth a turn."""

_SHARE = 0.25
"""The phase search's part of the time where splitting inputs looks better."""

_NEIGHBOUR_BOXES = 64
"""Boxes in each neighbourhood of an attack point in the first attack."""


class BoxQuestion:
    """All cases of one input box."""

    def __init__(self, network: Network, cases: Sequence[Case], backend: Backend, deadline: Deadline, *, seed: int) -> None:
        self._network, self._cases, self._backend = network, list(cases), backend
        self._deadline, self._seed = deadline, seed
        lower, upper = cases[0].disjunct.outer_box()
        self._regions = Regions(lower[None], upper[None])
        bounds = crown_bounds(network, self._regions)
        self._neurons = NeuronBounds.of(network, self._regions, bounds)
        if self._neurons.finite:
            self._eliminate(bounds)
        self._phases = {id(case): PhaseSearch(case, self._regions, self._neurons, backend) for case in self._open}
        self._boxes: BoxSearch | None = None
        self._share = 1.0
        self._turn = 0
        self._credit = 0.0

    @property
    def nodes(self) -> int:
        """Linear programs of phase searches and boxes of input splitting so far."""
        boxes = 0 if self._boxes is None else self._boxes.boxes
        return boxes + sum(search.programs for search in self._phases.values())

    @property
    def closed(self) -> bool:
        """Whether every case is proved to have no witness."""
        return all(case.closed for case in self._cases)

    @property
    def exhausted(self) -> bool:
        """Whether no search can get further."""
        splits = self._boxes is not None and not self._boxes.exhausted
        return self._turn > 0 and not splits and all(self._phases[id(case)].exhausted for case in self._open)

    @property
    def _open(self) -> list[Case]:
        return [case for case in self._cases if not case.decided]

    @property
    def _over(self) -> bool:
        """Whether a turn ends at once."""
        return self._deadline.passed or not self._open or any(case.witness is not None for case in self._cases)

    def take_turn(self) -> None:
        """Spend the budget of one turn; afterwards the cases know more."""
        if self._turn == 0:
            self._prepare()
        seconds = _FIRST * _GROWTH**self._turn
        if self._boxes is not None and not self._boxes.exhausted:
            self._take_boxes(self._boxes, seconds)
        if not self._over:
            self._take_phases(seconds)
        self._turn += 1

    def _eliminate(self, bounds: LayerBounds) -> None:
        """Close the cases of which a row is negative on the whole box."""
        cases = [case for case in self._cases if len(case.rows)]
        if not cases:
            return
        groups = groups_of(cases, self._neurons)
        ceilings = crown_objectives(self._network, self._regions, bounds, groups.rows)[0]
        with np.errstate(over="ignore", invalid="ignore"):
            refuted = np.nextafter(ceilings + groups.offsets, np.inf) < 0.0
        for case, closed in zip(cases, groups.any_row(refuted[None])[0], strict=True):
            case.closed = bool(closed)

    def _prepare(self) -> None:
        """Set up input splitting where there are few inputs, all bounds are finite and a row of outputs can refute."""
        cases = [case for case in self._open if len(case.rows)]
        if self._network.inputs <= FEW_INPUTS and cases and self._neurons.finite:
            self._boxes = BoxSearch(self._network, cases, self._regions, self._neurons, self._backend)
            if self._boxes.promising():
                self._share = _SHARE

    def _take_boxes(self, boxes: BoxSearch, seconds: float) -> None:
        """Go on splitting inputs; from the second turn on attack what is then still open."""
        boxes.run(max(1, int(seconds / self._box_seconds)), self._deadline)
        if self._turn == 0:
            return
        scale = _GROWTH ** (self._turn - 1)
        for case in (case for case in self._open if len(case.rows)):
            if not self._over:
                seed, near = self._seed + self._turn, _NEIGHBOUR_BOXES * scale
                boxes.attack(case, scale=scale, boxes=near, seed=seed, deadline=self._deadline)

    def _take_phases(self, seconds: float) -> None:
        """Go on searching the phases of every open case, once there is time for a round."""
        alone = self._boxes is None or self._boxes.exhausted
        unstable = int(self._neurons.unstable.sum())
        cost = _PROGRAM_SECONDS * max(0.2, (unstable / _PROGRAM_NEURONS) ** _PROGRAM_POWER)
        self._credit += self._share * seconds / max(1, len(self._open))
        if not alone and self._credit < _LEAST_PROGRAMS * cost:
            return
        programs = max(_LEAST_PROGRAMS, int(self._credit / cost))
        self._credit = 0.0
        for case in self._open:
            if not self._over:
                self._phases[id(case)].run(2**60 if alone and len(self._open) == 1 else programs, self._deadline)

    @property
    def _box_seconds(self) -> float:
        """About what a box takes."""
        return max(_LEAST_BOX_SECONDS, _BOX_SECONDS * self._network.compiled.neurons)
