"""All full-dimensional cells of a box, layer by layer: a tree that is split only where a neuron changes sign.

Within the region of a prefix every open neuron of the next layer is one of three things:

- it changes sign: the region is split there, and both parts hold cells;
- one side of it is empty: that is *proved*, in float64 with all roundings charged or else in rational arithmetic;
- neither could be shown: that side is searched again without tolerances (`cells.careful`).

So a cell can be lost only by a proof that it has no interior, and every cell reported has a point that was checked. Since each
split separates cells, the tree has as many leaves as there are cells. Nodes of one layer are worked on in batches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.cells.careful import CarefulSearch, Prefix
from wdaverify.cells.interior import interior_at
from wdaverify.cells.interior_regions import InteriorRegions
from wdaverify.cells.layer_decisions import LayerDecisions, tolerances_of
from wdaverify.cells.nodes import Nodes
from wdaverify.cells.pieces import Frame, Pieces, Propagation, agrees
from wdaverify.cells.vertex_regions import VertexRegions
from wdaverify.cells.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify._deadline import Deadline
    from wdaverify._types import BoolArray, Matrix, Vector
    from wdaverify.cells.guide import Guide
    from wdaverify.cells.pieces import Slots
    from wdaverify.cells.regions import Regions
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend

_BATCH = 128
"""Nodes to work on at once, at most."""

_FEW = 6
"""Regions of up to so many dimensions are kept as vertices."""

_ENTRIES = 2**23
"""Coefficients of all slots that a batch may hold."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundCells:
    """B full-dimensional cells.

    Attributes
    ----------
    phases
        Shape (B, neurons).
    points
        Inside, checked exactly, shape (B, n).
    output
        The logits as functions of the frame's coordinates.
    """

    phases: BoolArray
    points: Matrix
    output: Pieces


class LayerSearch:
    """The search on one network and bounded box.

    Parameters
    ----------
    vertices
        Whether to keep regions as their vertices; ``None``: in few dimensions.
    guide
        Chooses what to follow, and where to split; ``None``: everything, at the first neuron.
    """

    def __init__(
        self,
        backend: Backend,
        network: Network,
        box: Box,
        deadline: Deadline,
        *,
        vertices: bool | None = None,
        guide: Guide | None = None,
    ) -> None:
        self._network, self._compiled, self._box, self._deadline = network, network.compiled, box, deadline
        self.frame = Frame.of(box)
        self._propagation = Propagation(network.compiled, self.frame)
        self._decisions = LayerDecisions(network, box, self.frame)
        entries = sum(step.size for step in self._compiled.steps) * (len(self.frame.free) + 1)
        self._batch = max(1, min(_BATCH, _ENTRIES // entries))
        self._careful = CarefulSearch(backend, network, box, deadline)
        dimension = len(self.frame.free)
        by_vertices = dimension <= _FEW if vertices is None else vertices
        self._guide = guide
        self._waiting = Waiting(len(self._compiled.relus) + 1, best_first=guide is not None)
        self._flight: list[Nodes] = []
        cube: Regions = VertexRegions.cube(dimension) if by_vertices else InteriorRegions.cube(dimension)
        self._enter(0, np.ones((1, self._compiled.neurons), dtype=bool), self._propagation.start(), cube, np.zeros(1))

    def cells(self) -> Iterator[FoundCells | Prefix]:
        """Every cell once, and the prefixes that could not be decided; past the deadline all that is left."""
        while self.open:
            if self._deadline.passed:
                yield from self.prefixes()
                return
            yield from self.step()

    @property
    def open(self) -> bool:
        """Whether there is more to do."""
        return bool(self._waiting)

    def step(self) -> Iterator[FoundCells | Prefix]:
        """Work on one batch of nodes."""
        self._waiting.take(self._batch, self._flight)
        nodes = Nodes.joined(self._flight)
        yield from self._leaves(nodes) if nodes.layer == len(self._compiled.relus) else self._worked(nodes)
        self._flight = []

    def prefixes(self) -> list[Prefix]:
        """What is left to do, at any moment: an interrupt in the middle of a step may leave some of it twice."""
        pairs = ((nodes, b) for nodes in (*self._waiting, *self._flight) for b in range(nodes.count))
        return [self._decisions.prefix(nodes.layer, nodes.phases[b], ~nodes.open[b]) for nodes, b in pairs]

    def _enter(self, layer: int, phases: BoolArray, slots: Slots, regions: Regions, worth: Vector) -> None:
        """Let prefixes that are complete up to a layer wait for it."""
        if layer < len(self._compiled.relus):
            self._waiting.push(self._decisions.entered(layer, phases, slots, regions, worth))
        else:
            self._waiting.push(Nodes(layer, np.zeros((len(phases), 0), dtype=bool), phases, slots, regions, worth))

    def _worked(self, nodes: Nodes) -> Iterator[FoundCells | Prefix]:
        """Decide what does not change sign, split at the first neuron that does, and pass on what has none."""
        nodes, strays = self._decisions.settled(nodes)
        for stray in strays:
            yield from self._searched_carefully(stray)
        done = np.asarray(~nodes.open.any(axis=1))
        if done.any():
            complete = nodes[done]
            slots = self._propagation.passed(complete.slots, complete.layer, complete.phases)
            self._enter(complete.layer + 1, complete.phases, slots, complete.regions, complete.worth)
        if not done.all():
            self._split(nodes[~done])

    def _split(self, nodes: Nodes) -> None:
        """Split at the open neuron that matters most, or at the first one."""
        step = self._compiled.relus[nodes.layer]
        if self._guide is None:
            chosen = nodes.open.argmax(axis=1)
        else:
            advice = self._guide.consider(self._decisions.signs(nodes))
            if not advice.kept.any():
                return
            nodes = replace(nodes, worth=advice.worth)[advice.kept]
            chosen = np.where(nodes.open, advice.scores[advice.kept][:, step.neurons], -np.inf).argmax(axis=1)
        every = np.arange(nodes.count)
        functions = self._decisions.functions(nodes)
        functions = Pieces(functions.rows[every, chosen][:, None], functions.errors[every, chosen][:, None])
        neurons = chosen + step.first
        plus, minus = nodes.regions.split(functions, neurons, tolerances_of(functions)[:, 0])
        is_open = nodes.open.copy()
        is_open[every, chosen] = False
        for phase, regions in ((False, minus), (True, plus)):
            phases = nodes.phases.copy()
            phases[every, neurons] = phase
            self._waiting.push(Nodes(nodes.layer, is_open, phases, nodes.slots, regions, nodes.worth))

    def _leaves(self, nodes: Nodes) -> Iterator[FoundCells | Prefix]:
        """Complete patterns: check the points of their regions, or find other ones."""
        points, phases = self.frame.points(nodes.regions.centers), nodes.phases
        inside = self._are_inside(nodes, points)
        for b in np.flatnonzero(~inside):
            inside[b] = interior_at(self._network, self._box, phases[b], points[b])
        output = nodes.slots[self._compiled.output]
        assert output is not None
        if inside.any():
            yield FoundCells(phases[inside], points[inside], output.broadcast(nodes.count)[inside])
        for b in np.flatnonzero(~inside):
            yield from self._searched_carefully(self._decisions.prefix(nodes.layer, phases[b], nodes.open[b]))

    def _are_inside(self, nodes: Nodes, points: Matrix) -> BoolArray:
        """For which cells float64 suffices to show that a point (n,) is in the interior."""
        box, u = self._box, self.frame.coordinates(points)
        inside = np.asarray(((box.lower < points) & (points < box.upper))[:, self.frame.free].all(axis=1))
        for step in self._compiled.relus:
            current = nodes.slots[step.source]
            assert current is not None
            inside &= agrees(current, u, nodes.phases[:, step.neurons]).all(axis=1)
        return inside

    def _searched_carefully(self, prefix: Prefix) -> Iterator[FoundCells | Prefix]:
        for found in self._careful.cells(prefix):
            if found.point is None:
                yield found
                continue
            slots, phases = self._propagation.start(), found.phases[None]
            for layer in range(len(self._compiled.relus)):
                slots = self._propagation.passed(slots, layer, phases)
            output = slots[self._compiled.output]
            assert output is not None
            yield FoundCells(phases, found.point[None], output)
