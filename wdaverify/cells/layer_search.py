"""All full-dimensional cells of a box, layer by layer: a tree that is split only where a neuron changes sign.

Within the region of a prefix every open neuron of the next layer is one of three things:

- it changes sign: the region is split there, and both parts hold cells;
- one side of it is empty: that is *proved*, in float64 with all roundings charged or else in rational arithmetic;
- neither could be shown: that side is searched again without tolerances (`cells.careful`).

So a cell can be lost only by a proof that it has no interior, and every cell reported has a point that was checked. Since each
split separates cells, the tree has as many leaves as there are cells. Nodes of one layer are worked on in batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.cells.careful import CarefulSearch, Prefix
from wdaverify.cells.emptiness import proves_no_interior
from wdaverify.cells.exact_pieces import exact_pieces
from wdaverify.cells.interior import interior_at
from wdaverify.cells.interior_regions import InteriorRegions
from wdaverify.cells.nodes import Nodes
from wdaverify.cells.pieces import Frame, Pieces, Propagation, Slots, agrees, excluded
from wdaverify.cells.vertex_regions import VertexRegions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify._deadline import Deadline
    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.cells.regions import Regions
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend

_BATCH = 64
"""Nodes to work on at once."""

_FEW = 7
"""Regions of up to so many dimensions are kept as vertices."""

_RESOLUTION = 1e-11
"""Values below this part of a function's size do not count as a change of sign: what is thinner is searched exactly."""

_DOUBTFUL = 2.0**-20
"""A function whose error is a larger part of its size is computed exactly."""


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
    """

    def __init__(self, backend: Backend, network: Network, box: Box, deadline: Deadline, *, vertices: bool | None = None) -> None:
        self._network, self._compiled, self._box, self._deadline = network, network.compiled, box, deadline
        self.frame = Frame.of(box)
        self._propagation = Propagation(network.compiled, self.frame)
        self._careful = CarefulSearch(backend, network, box, deadline)
        dimension = len(self.frame.free)
        by_vertices = dimension <= _FEW if vertices is None else vertices
        self._cube: Regions = VertexRegions.cube(dimension) if by_vertices else InteriorRegions.cube(dimension)
        self._waiting: list[list[Nodes]] = [[] for _ in range(len(self._compiled.relus) + 1)]

    def cells(self) -> Iterator[FoundCells | Prefix]:
        """Every cell once, and the prefixes that could not be decided."""
        phases = np.ones((1, self._compiled.neurons), dtype=bool)
        self._enter(0, phases, self._propagation.start(), self._cube)
        while any(self._waiting):
            nodes = self._next()
            if self._deadline.passed:
                for b in range(nodes.count):
                    yield self._prefix(nodes.layer, nodes.phases[b], ~nodes.open[b])
            elif nodes.layer == len(self._compiled.relus):
                yield from self._leaves(nodes)
            else:
                yield from self._worked(nodes)

    def _next(self) -> Nodes:
        """A batch of the deepest layer that can fill one, or else of the first layer: so batches are full, and few wait."""
        full = [k for k, parts in enumerate(self._waiting) if sum(part.count for part in parts) >= _BATCH]
        parts = self._waiting[full[-1] if full else next(k for k, parts in enumerate(self._waiting) if parts)]
        taken = [parts.pop()]
        while parts and sum(part.count for part in taken) < _BATCH:
            taken.append(parts.pop())
        return Nodes.joined(taken)

    def _enter(self, layer: int, phases: BoolArray, slots: Slots, regions: Regions) -> None:
        """Begin a layer; functions that may be nothing but roundings are computed exactly, and constant ones are decided."""
        if layer == len(self._compiled.relus):
            self._waiting[layer].append(Nodes(layer, np.zeros((len(phases), 0), dtype=bool), phases, slots, regions))
            return
        step = self._compiled.relus[layer]
        current = slots[step.source]
        assert current is not None
        is_open = np.ones((len(phases), step.size), dtype=bool)
        doubtful = current.errors > _DOUBTFUL * current.sizes
        if doubtful.any():
            phases, rows, errors = phases.copy(), current.rows.copy(), current.errors.copy()
            for b in np.flatnonzero(doubtful.any(axis=1)):
                own, cells = np.flatnonzero(doubtful[b]), slice(None) if current.shared else b
                exact = exact_pieces(self._network, self.frame, phases[b], own + step.first)
                rows[b, own], errors[b, own] = exact.rows, exact.errors
                is_open[cells, own[exact.constant]] = False
                phases[cells, own[exact.constant] + step.first] = exact.signs[exact.constant] >= 0
            slots = (*slots[: step.source], Pieces(rows, errors), *slots[step.source + 1 :])
        self._waiting[layer].append(Nodes(layer, is_open, phases, slots, regions))

    def _worked(self, nodes: Nodes) -> Iterator[FoundCells | Prefix]:
        """Decide what does not change sign, split at the first neuron that does, and pass on what has none."""
        nodes, strays = self._settled(nodes)
        for stray in strays:
            yield from self._searched_carefully(stray)
        done = np.asarray(~nodes.open.any(axis=1))
        if done.any():
            complete = nodes[done]
            slots = self._propagation.passed(complete.slots, complete.layer, complete.phases)
            self._enter(complete.layer + 1, complete.phases, slots, complete.regions)
        if not done.all():
            self._split(nodes[~done])

    def _settled(self, nodes: Nodes) -> tuple[Nodes, list[Prefix]]:
        """Decide the open neurons that do not change sign; the prefixes are sides that have to be searched otherwise."""
        step = self._compiled.relus[nodes.layer]
        functions = self._functions(nodes)
        sides, regions = nodes.regions.sides(functions, _tolerances(functions), nodes.open)
        single = nodes.open & (sides.plus != sides.minus)
        signs = np.where(sides.plus, -1.0, 1.0)
        targets = Pieces(signs[:, :, None] * functions.rows, functions.errors)
        proved = single & excluded(targets, nodes.regions.walls, sides.weights)
        phases, decided, strays = nodes.phases.copy(), ~nodes.open | proved, []
        phases[:, step.neurons][single] = sides.plus[single]
        for b, k in np.argwhere(single & ~proved).tolist():
            stray = self._prefix(nodes.layer, phases[b], decided[b]).extended(step.first + k, not sides.plus[b, k])
            if not self._is_empty(stray, nodes.regions.neurons[b], step.first + k, sides.weights[b, k]):
                strays.append(stray)
            decided[b, k] = True
        thin = np.asarray((nodes.open & ~sides.plus & ~sides.minus).any(axis=1))  # the region is as thin as the resolution
        strays += [self._prefix(nodes.layer, phases[b], decided[b]) for b in np.flatnonzero(thin)]
        nodes = Nodes(nodes.layer, nodes.open & sides.plus & sides.minus, phases, nodes.slots, regions)
        return nodes[~thin] if thin.any() else nodes, strays

    def _functions(self, nodes: Nodes) -> Pieces:
        """The pre-activations of the layer, (B, size)."""
        current = nodes.slots[self._compiled.relus[nodes.layer].source]
        assert current is not None
        return current.broadcast(nodes.count)

    def _prefix(self, layer: int, phases: BoolArray, decided: BoolArray) -> Prefix:
        """All earlier layers, and the decided neurons (size,) of this one."""
        everything = np.ones(len(phases), dtype=bool)
        if layer < len(self._compiled.relus):
            step = self._compiled.relus[layer]
            everything[step.first :] = False
            everything[step.neurons] = decided
        return Prefix(phases.copy(), everything)

    def _is_empty(self, side: Prefix, neurons: IntArray, neuron: int, weights: Vector) -> bool:
        """Whether a region's weights prove in rational arithmetic that one side of a neuron has no interior."""
        scattered = np.zeros(self._compiled.neurons)
        scattered[neurons[neurons >= 0]] = weights[neurons >= 0]
        scattered[neuron] = 1.0
        return proves_no_interior(self._network, self._box, side.phases, scattered)

    def _split(self, nodes: Nodes) -> None:
        """Split at the first open neuron."""
        chosen, every = nodes.open.argmax(axis=1), np.arange(nodes.count)
        functions = self._functions(nodes)
        functions = Pieces(functions.rows[every, chosen][:, None], functions.errors[every, chosen][:, None])
        neurons = chosen + self._compiled.relus[nodes.layer].first
        plus, minus = nodes.regions.split(functions, neurons, _tolerances(functions)[:, 0])
        is_open = nodes.open.copy()
        is_open[every, chosen] = False
        for phase, regions in ((False, minus), (True, plus)):
            phases = nodes.phases.copy()
            phases[every, neurons] = phase
            self._waiting[nodes.layer].append(Nodes(nodes.layer, is_open, phases, nodes.slots, regions))

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
            yield from self._searched_carefully(self._prefix(nodes.layer, phases[b], nodes.open[b]))

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


def _tolerances(functions: Pieces) -> Matrix:
    """What counts as 0 for each function."""
    tolerances: Matrix = np.maximum(_RESOLUTION * functions.sizes, 4.0 * functions.errors)
    return tolerances
