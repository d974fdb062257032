"""Tighten the bounds of a whole network layer by layer, each on the relaxation of what comes before it.

The pre-activations of a layer are the outputs of a smaller network. Its triangle relaxation maximises and minimises each
of the unstable ones (optimisation-based bound tightening; every bound is the ceiling that multipliers prove), and the layers
behind are bounded anew by backward linear bounds. These bounds hold for every point of the region and serve every goal.
That pays where hundreds of neurons are unstable; with fewer, tightening for one goal (`search.tightening`) does better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.crown import crown_bounds
from wdaverify.bounds.layer_bounds import LayerBounds
from wdaverify.search.neuron_bounds import NeuronBounds
from wdaverify.search.question import Question
from wdaverify.search.relaxation import PhaseRelaxation

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import IntArray, Vector
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.search.inputs import InputSet

WORTHWHILE = 150
"""Unstable neurons from which on the whole network is tightened first."""

_TRIAL = 16
"""Programs after which a layer is left alone if none of them moved a bound noticeably."""

_NOTICEABLE = 0.05
"""Part of a neuron's width."""


def tighten_prefixes(
    backend: Backend, network: Network, inputs: InputSet, bounds: LayerBounds, deadline: Deadline
) -> tuple[LayerBounds, int]:
    """Tighter certified bounds of the same region (the first of a batch), and the number of programs solved.

    Parameters
    ----------
    bounds
        From `bounds.crown.crown_bounds`.
    """
    programs = 0
    layers = [network.sources(name)[0] for name in network.relu_nodes]
    for name in layers[1:]:
        prefix = network.truncated(name)
        known = NeuronBounds.of(prefix, inputs.regions, bounds)
        unstable = np.flatnonzero(bounds.unstable(name)[0])
        if not len(unstable) or not known.finite or not known.unstable.any():
            continue
        lower, upper = bounds.lower[name][0].copy(), bounds.upper[name][0].copy()
        layer = _Layer(backend, prefix, inputs.unpriced, known, unstable)
        moved = layer.tighten(lower, upper, deadline)
        programs += layer.programs
        if moved:
            ends = ({**bounds.lower, name: lower[None]}, {**bounds.upper, name: upper[None]})
            bounds = crown_bounds(network, inputs.regions, start=LayerBounds(*ends, bounds.output))
        if deadline.passed:
            break
    return bounds, programs


class _Layer:
    """The unstable pre-activations of one layer as goals of the network before it."""

    def __init__(self, backend: Backend, prefix: Network, inputs: InputSet, known: NeuronBounds, unstable: IntArray) -> None:
        self._unstable = unstable
        rows = np.zeros((2 * len(unstable), prefix.outputs))
        k = np.arange(len(unstable))
        rows[k, unstable], rows[len(unstable) + k, unstable] = 1.0, -1.0
        self._relaxation = PhaseRelaxation(backend, prefix, Question.of(rows, inputs=prefix.inputs), inputs, known)
        self.programs = 0

    def tighten(self, lower: Vector, upper: Vector, deadline: Deadline) -> bool:
        """Tighten the ends in place, the nearer one of each neuron first; whether any moved noticeably."""
        moved = False
        for k, neuron in enumerate(self._unstable):
            width = upper[neuron] - lower[neuron]
            for sign in sorted((1, -1), key=lambda s: upper[neuron] if s > 0 else -lower[neuron]):
                if lower[neuron] >= 0.0 or upper[neuron] <= 0.0:
                    break
                if deadline.passed or (self.programs >= _TRIAL and not moved):
                    return moved
                self._relaxation.aim(k if sign > 0 else len(self._unstable) + k)
                ceiling = self._relaxation.answer(-np.inf, deadline).ceiling
                self.programs += 1
                old = upper[neuron] if sign > 0 else -lower[neuron]
                if sign > 0:
                    upper[neuron] = min(upper[neuron], ceiling)
                else:
                    lower[neuron] = max(lower[neuron], -ceiling)
                moved = moved or old - ceiling > _NOTICEABLE * width
        return moved
