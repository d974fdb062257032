"""What all trees on one box share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import InputError
from wdaverify.bounds.crown import crown_bounds
from wdaverify.domain import Regions
from wdaverify.gradients.emptiness import EmptinessTest
from wdaverify.gradients.incumbents import Incumbents
from wdaverify.gradients.no_goods import NoGoods
from wdaverify.gradients.walk import patterns_at, sampled
from wdaverify.search.neuron_bounds import NeuronBounds

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, Matrix
    from wdaverify.domain import Box
    from wdaverify.gradients.targets import Targets
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """A network on a box.

    Attributes
    ----------
    coordinates
        The input coordinates that count for norms, shape (n',).
    bounds
        Proved on the box.
    emptiness
        ``None`` where bounds are not finite, so that no program can be built.
    points, patterns
        Known points (M, n) of the box and the phases (M, neurons) there, 1 and -1.
    """

    backend: Backend
    network: Network
    box: Box
    coordinates: IntArray
    bounds: NeuronBounds
    no_goods: NoGoods
    emptiness: EmptinessTest | None
    incumbents: Incumbents
    points: Matrix
    patterns: Matrix

    @staticmethod
    def of(backend: Backend, network: Network, box: Box, coordinates: IntArray, targets: Targets, *, seed: int) -> Ground:
        """Bound the neurons on the box, and sample it."""
        regions = Regions.of_box(box, network.inputs)
        bounds = NeuronBounds.of(network, regions, crown_bounds(network, regions))
        no_goods, points = NoGoods(network.compiled.neurons), sampled(box, seed)
        test = EmptinessTest(backend, network, regions, bounds, no_goods, seed=seed) if bounds.finite else None
        incumbents = Incumbents(network, box, targets, coordinates)
        patterns = patterns_at(network.compiled, points)
        return Ground(backend, network, box, coordinates, bounds, no_goods, test, incumbents, points, patterns)


def counted_coordinates(box: Box, coordinates: BoolArray | None) -> IntArray:
    """The numbers of the input coordinates that count for norms: those asked for, of which only free ones have gradients.

    Raises
    ------
    InputError
        If the box is unbounded.
    """
    if not box.bounded:
        raise InputError("gradients are searched on a bounded box")
    free = box.lower < box.upper
    return np.flatnonzero(free if coordinates is None else free & coordinates)
