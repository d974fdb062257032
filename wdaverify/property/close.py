"""Decide the disjuncts that share one input box: by linear bounds, by splitting inputs, by splitting phases.

Inputs are split where they are few. Which of the two searches is faster can only be guessed, so that they take turns with
growing budgets of about the same time, more of it for the one that looks better: neither loses by more than a constant
factor. The times are estimates from the size of the network, never the clock, so that a run can be repeated. A turn has two
stages, whose pieces may be worked on at the same time.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.crown import crown_bounds, crown_objectives
from wdaverify.domain import Regions
from wdaverify.property.attack import FEW_INPUTS
from wdaverify.property.box_search import (
    AttackWork,
    BoxRest,
    BoxWork,
    attack_boxes,
    deal_boxes,
    groups_of,
    promising,
    root_entry,
    split_boxes,
)
from wdaverify.property.phase_search import PhaseRest, PhaseWork, deal_nodes, root_box, search_phases
from wdaverify.property.work import Frame, Frontier, Outcome, Piece
from wdaverify.search.neuron_bounds import NeuronBounds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from wdaverify._deadline import Deadline
    from wdaverify._types import BoolArray
    from wdaverify.bounds.layer_bounds import LayerBounds
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.property.case import Case
    from wdaverify.search.box_stack import Entry
    from wdaverify.search.goal import Box

_FIRST, _GROWTH = 0.2, 3
"""Seconds of each search's first turn, and by how much turns grow."""

_BOX_SECONDS, _LEAST_BOX_SECONDS = 2e-6, 5e-5
"""Of a box, per neuron of the network, and at least: measured on six layers of 50 neurons."""

_PROGRAM_SECONDS, _PROGRAM_NEURONS, _PROGRAM_POWER = 1e-3, 50, 2.4
"""Of a linear program of the phase search: ``1e-3 (m / 50)^2.4`` with m unstable neurons."""

_LEAST_PROGRAMS = 200
"""A phase search stops between rounds of about so many programs: less is not worth a turn beside the other search."""

_ROUND_PROGRAMS = 50
"""The least that a phase search which does not end soon does in a turn."""

_SHARE = 0.25
"""The phase search's part of the time where splitting inputs looks better."""

_NEIGHBOUR_BOXES = 64
"""Boxes in each neighbourhood of an attack point in the first attack."""


class BoxQuestion:
    """All cases of one input box."""

    def __init__(self, network: Network, cases: Sequence[Case], backend: Backend, deadline: Deadline, *, seed: int) -> None:
        self._cases, self._seed = list(cases), seed
        lower, upper = cases[0].disjunct.outer_box()
        regions = Regions(lower[None], upper[None])
        bounds = crown_bounds(network, regions)
        self.frame = Frame(network, tuple(cases), regions, NeuronBounds.of(network, regions, bounds), backend, deadline)
        if self.frame.neurons.finite:
            self._eliminate(bounds)
        self._phases: dict[int, Frontier[tuple[Box, ...]]] = {}
        self._given_up: set[int] = set()
        self._boxes: Frontier[Entry] | None = None
        self._groups: tuple[int, ...] = ()
        self._stuck: BoolArray = np.zeros(0, dtype=bool)
        self._share = 1.0
        self._turn = 0
        self._credit = 0.0
        self.nodes = 0

    @property
    def closed(self) -> bool:
        """Whether every case is known to have no witness."""
        return all(case.closed for case in self._cases)

    @property
    def exhausted(self) -> bool:
        """Whether no search can get further."""
        splits = self._boxes is not None and not self._boxes.empty
        return self._turn > 0 and not splits and all(self._phases[k].empty for k in self._open if k in self._phases)

    @property
    def seconds(self) -> float:
        """About what the next turn takes at least, if nothing ends early."""
        if self.frame.network.inputs <= FEW_INPUTS:
            return self._budget
        return max(self._budget, _ROUND_PROGRAMS * self._program_seconds * len(self._open))

    @property
    def _budget(self) -> float:
        """Seconds of each search in the next turn."""
        return _FIRST * float(_GROWTH**self._turn)

    @property
    def _open(self) -> list[int]:
        return [k for k, case in enumerate(self._cases) if not case.decided]

    @property
    def failures(self) -> tuple[int, ...]:
        """Failed confirmations of every case so far."""
        return tuple(case.failures for case in self._cases)

    def split(self, parts: int) -> list[Piece[Any]]:
        """The first stage of a turn: go on splitting inputs, in up to so many parts."""
        if self._turn == 0:
            self._prepare()
        if self._boxes is None or self._boxes.empty:
            return []
        boxes = max(1, int(self._budget / self._box_seconds) // parts)
        wanted = np.array([not self._cases[k].decided for k in self._groups])
        pieces: list[Piece[Any]] = []
        for entry, before in self._boxes.take(parts):
            work = BoxWork(self.frame, self._groups, wanted, self.failures, entry, boxes)
            lose = partial(self._lose_boxes, entry, before=before)
            pieces.append(Piece(partial(split_boxes, work), self._absorb_boxes, lose))
        return pieces

    def search(self, parts: int) -> list[Piece[Any]]:
        """The second stage: attack what is open from the second turn on, and go on searching the phases."""
        alone = self._boxes is None or self._boxes.empty
        pieces = [] if alone or self._turn == 0 else self._attacks()
        cost, cases = self._program_seconds, [k for k in self._open if k in self._phases and not self._phases[k].empty]
        self._credit += self._share * self._budget / max(1, len(self._open))
        self._turn += 1
        if not cases or (not alone and self._credit < _LEAST_PROGRAMS * cost):
            return pieces
        each = max(1, parts // len(cases))
        programs = max(1, int(self._credit / cost) // each)
        self._credit = 0.0
        for k in cases:
            for nodes, before in self._phases[k].take(each):
                work = PhaseWork(self.frame, k, self.failures, nodes, programs)
                absorb, lose = partial(self._absorb_nodes, k), partial(self._lose_nodes, k, nodes, before=before)
                pieces.append(Piece(partial(search_phases, work), absorb, lose))
        return pieces

    def settle(self) -> None:
        """Close the cases of which nothing is open any more; after the outcomes of a stage were absorbed."""
        if self._boxes is not None and self._boxes.whole:
            still = [entry.is_open.any(axis=0) for entry in self._boxes.waiting() if entry.boxes.count]
            is_open = np.logical_or.reduce([self._stuck, *still])
            for k in np.array(self._groups)[~is_open].tolist():
                self._cases[k].closed = True
        for k, frontier in self._phases.items():
            if frontier.empty and k not in self._given_up:
                self._cases[k].closed = True

    def _eliminate(self, bounds: LayerBounds) -> None:
        """Close the cases of which a row is negative on the whole box."""
        cases = [case for case in self._cases if len(case.rows)]
        if not cases:
            return
        groups = groups_of(cases, self.frame.neurons)
        ceilings = crown_objectives(self.frame.network, self.frame.regions, bounds, groups.rows)[0]
        with np.errstate(over="ignore", invalid="ignore"):
            refuted = np.nextafter(ceilings + groups.offsets, np.inf) < 0.0
        for case, closed in zip(cases, groups.any_row(refuted[None])[0], strict=True):
            case.closed = bool(closed)

    def _prepare(self) -> None:
        """Set up the searches: of inputs where they are few and a row of outputs can refute. All bounds must be finite."""
        frame = self.frame
        if not frame.neurons.finite:
            return
        for k in self._open:
            self._phases[k] = Frontier((root_box(self._cases[k], frame.neurons),), len, deal_nodes)
        self._groups = tuple(k for k in self._open if len(self._cases[k].rows))
        if frame.network.inputs <= FEW_INPUTS and self._groups:
            self._boxes = Frontier(root_entry(frame, len(self._groups)), lambda entry: entry.boxes.count, deal_boxes)
            self._stuck = np.zeros(len(self._groups), dtype=bool)
            if promising(frame, self._groups):
                self._share = _SHARE

    def _attacks(self) -> list[Piece[Any]]:
        """A thorough attack on every open case."""
        scale, seed = _GROWTH ** (self._turn - 1), self._seed + self._turn
        works = (
            AttackWork(self.frame, k, self.failures, scale, _NEIGHBOUR_BOXES * scale, seed)
            for k in self._open
            if len(self._cases[k].rows)
        )
        return [Piece(partial(attack_boxes, work), self._absorb_attack, lambda: None) for work in works]

    def note(self, outcome: Outcome[Any]) -> bool:
        """Note what every outcome tells; whether the rest of it counts: what was in hand when a point was found is not in it."""
        self.nodes += outcome.spent
        for case, failures in zip(self._cases, outcome.failures, strict=True):
            case.failures += failures
        if outcome.found is not None:
            number, point = outcome.found
            self._cases[number].witness = point
        return outcome.found is None

    def _absorb_attack(self, outcome: Outcome[None]) -> None:
        self.note(outcome)

    def _absorb_boxes(self, outcome: Outcome[BoxRest]) -> None:
        if self.note(outcome) and self._boxes is not None:
            self._boxes.put(outcome.rest.entry)
            self._stuck |= outcome.rest.stuck

    def _lose_boxes(self, entry: Entry, *, before: bool) -> None:
        if self._boxes is not None and not self._boxes.lose(entry, before=before):
            self._stuck |= entry.is_open.any(axis=0)

    def _absorb_nodes(self, number: int, outcome: Outcome[PhaseRest]) -> None:
        if self.note(outcome):
            self._phases[number].put(outcome.rest.boxes)
            if outcome.rest.gave_up:
                self._given_up.add(number)

    def _lose_nodes(self, number: int, nodes: tuple[Box, ...], *, before: bool) -> None:
        if not self._phases[number].lose(nodes, before=before):
            self._given_up.add(number)

    @property
    def _box_seconds(self) -> float:
        """About what a box takes."""
        return max(_LEAST_BOX_SECONDS, _BOX_SECONDS * self.frame.network.compiled.neurons)

    @property
    def _program_seconds(self) -> float:
        """About what a linear program of the phase search takes."""
        unstable = float(self.frame.neurons.unstable.sum())
        return _PROGRAM_SECONDS * max(0.2, float((unstable / _PROGRAM_NEURONS) ** _PROGRAM_POWER))
