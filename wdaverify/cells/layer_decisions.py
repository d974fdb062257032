"""Which neurons of a layer change sign in a region, with a proof for those that do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.cells.careful import Prefix
from wdaverify.cells.emptiness import proves_no_interior
from wdaverify.cells.exact_pieces import exact_pieces
from wdaverify.cells.nodes import Nodes
from wdaverify.cells.pieces import Pieces, excluded

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.cells.pieces import Frame, Slots
    from wdaverify.cells.regions import Regions
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network

_RESOLUTION = 1e-11
"""Values below this part of a function's size do not count as a change of sign: what is thinner is searched exactly."""

_DOUBTFUL = 2.0**-20
"""A function whose error is a larger part of its size is computed exactly."""

_GRID = 2.0**20
"""Weights that agree to this precision make one proof."""


class LayerDecisions:
    """Decides the neurons of one layer after the other on one network and box."""

    def __init__(self, network: Network, box: Box, frame: Frame) -> None:
        self._network, self._compiled, self._box, self._frame = network, network.compiled, box, frame
        self._proofs: dict[tuple[bytes, ...], bool] = {}

    def entered(self, layer: int, phases: BoolArray, slots: Slots, regions: Regions, worth: Vector) -> Nodes:
        """Begin a layer with prefixes (B,) of the layers before.

        Functions that may be nothing but roundings are computed exactly. The phases of constant functions are decided (0 counts
        as active), and those of functions that have one sign on the whole box.
        """
        step = self._compiled.relus[layer]
        current = slots[step.source]
        assert current is not None
        phases, is_open = phases.copy(), np.ones((len(phases), step.size), dtype=bool)
        doubtful = current.errors > _DOUBTFUL * current.sizes
        if doubtful.any():
            current = Pieces(current.rows.copy(), current.errors.copy())
            for b in np.flatnonzero(doubtful.any(axis=1)):
                own, cells = np.flatnonzero(doubtful[b]), slice(None) if current.shared else b
                exact = exact_pieces(self._network, self._frame, phases[b], own + step.first)
                current.rows[b, own], current.errors[b, own] = exact.rows, exact.errors
                is_open[cells, own[exact.constant]] = False
                phases[cells, own[exact.constant] + step.first] = exact.signs[exact.constant] >= 0
            slots = (*slots[: step.source], current, *slots[step.source + 1 :])
        nothing = Pieces(current.rows[:, :0], current.errors[:, :0])
        for phase in (True, False):
            targets = Pieces(-current.rows if phase else current.rows, current.errors)
            known = is_open & excluded(targets, nothing, np.zeros((*current.errors.shape, 0)))
            phases[:, step.neurons][known], is_open = phase, is_open & ~known
        return Nodes(layer, is_open, phases, slots, regions, worth)

    def settled(self, nodes: Nodes) -> tuple[Nodes, list[Prefix]]:
        """Decide the open neurons that do not change sign; the prefixes are sides that have to be searched otherwise."""
        own = np.flatnonzero(nodes.open.any(axis=0))
        if not len(own):
            return nodes, []
        step, wanted = self._compiled.relus[nodes.layer], nodes.open[:, own]
        functions = self.functions(nodes)
        functions = Pieces(functions.rows[:, own], functions.errors[:, own])
        sides, regions = nodes.regions.sides(functions, tolerances_of(functions), wanted)
        single = wanted & (sides.plus != sides.minus)
        targets = Pieces(np.where(sides.plus, -1.0, 1.0)[:, :, None] * functions.rows, functions.errors)
        proved = single & excluded(targets, nodes.regions.walls, sides.weights)
        phases, decided, strays = nodes.phases.copy(), ~nodes.open, []
        b, k = np.nonzero(single)
        phases[b, own[k] + step.first], decided[b, own[k]] = sides.plus[b, k], proved[b, k]
        for node, place in np.argwhere(single & ~proved).tolist():
            neuron, weights = int(own[place]) + step.first, sides.weights[node, place]
            stray = self.prefix(nodes.layer, phases[node], decided[node]).extended(neuron, not sides.plus[node, place])
            if not self._is_empty(stray, nodes.regions.neurons[node], neuron, weights):
                strays.append(stray)
            decided[node, own[place]] = True
        is_open = np.zeros_like(nodes.open)
        is_open[:, own] = wanted & sides.plus & sides.minus
        thin = np.asarray((wanted & ~sides.plus & ~sides.minus).any(axis=1))  # the region is as thin as the resolution
        strays += [self.prefix(nodes.layer, phases[b], decided[b]) for b in np.flatnonzero(thin)]
        nodes = Nodes(nodes.layer, is_open, phases, nodes.slots, regions, nodes.worth)
        return nodes[~thin] if thin.any() else nodes, strays

    def functions(self, nodes: Nodes) -> Pieces:
        """The pre-activations of the layer, (B, size)."""
        current = nodes.slots[self._compiled.relus[nodes.layer].source]
        assert current is not None
        return current.broadcast(nodes.count)

    def signs(self, nodes: Nodes) -> Matrix:
        """The phases of prefixes (B, neurons) as 1 and -1; 0 where open."""
        step = self._compiled.relus[nodes.layer]
        signs = np.where(nodes.phases, 1.0, -1.0)
        signs[:, step.first :] = 0.0
        signs[:, step.neurons] = np.where(nodes.open, 0.0, np.where(nodes.phases[:, step.neurons], 1.0, -1.0))
        return signs

    def prefix(self, layer: int, phases: BoolArray, decided: BoolArray) -> Prefix:
        """All layers before one, and the decided neurons (size,) of that one."""
        everything = np.ones(len(phases), dtype=bool)
        if layer < len(self._compiled.relus):
            step = self._compiled.relus[layer]
            everything[step.first :] = False
            everything[step.neurons] = decided
        return Prefix(phases.copy(), everything)

    def _is_empty(self, side: Prefix, neurons: IntArray, neuron: int, weights: Vector) -> bool:
        """Whether a region's weights prove in rational arithmetic that one side of a neuron has no interior."""
        scattered = np.zeros(self._compiled.neurons)
        scattered[neurons[neurons >= 0]] = np.maximum(weights[neurons >= 0], 0.0)
        scattered[neuron] = 1.0
        used = scattered > 0.0
        # what is proved depends on the neurons with weights, their phases, and what they read; twins ask for it in every region
        read = side.phases[: next(s.first for s in self._compiled.relus if neuron < s.first + s.size)]
        key = read.tobytes(), used.tobytes(), side.phases[used].tobytes(), np.round(_GRID * scattered).tobytes()
        if key not in self._proofs:
            self._proofs[key] = proves_no_interior(self._network, self._box, side.phases, scattered)
        return self._proofs[key]


def tolerances_of(functions: Pieces) -> Matrix:
    """What counts as 0 for each function."""
    tolerances: Matrix = np.maximum(_RESOLUTION * functions.sizes, 4.0 * functions.errors)
    return tolerances
