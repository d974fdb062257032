"""Bounds of all pre-activations on a region, numbered as the neurons are, and what roundings may cost there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.interval import node_intervals
from wdaverify.bounds.lagrangian import Charges

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Vector
    from wdaverify.bounds.layer_bounds import LayerBounds
    from wdaverify.domain import Regions
    from wdaverify.ir.network import Network


@dataclass(frozen=True, slots=True, eq=False)
class NeuronBounds:
    """Proved ``lower <= z <= upper`` for every neuron of a compiled network on a region, shape (neurons,).

    Attributes
    ----------
    charges
        Of the region.
    """

    lower: Vector
    upper: Vector
    charges: Charges

    @staticmethod
    def of(network: Network, regions: Regions, bounds: LayerBounds) -> NeuronBounds:
        """From certified bounds on the first region of a batch; intervals bound what they leave out."""
        compiled, ends = network.compiled, {}
        for name, interval in node_intervals(network, regions).items():
            low, high = interval.lower[0], interval.upper[0]
            if name in bounds.lower:
                low, high = np.maximum(low, bounds.lower[name][0]), np.minimum(high, bounds.upper[name][0])
            ends[name] = low, high
        magnitudes = [np.maximum(np.abs(ends[name][0]), np.abs(ends[name][1])) for name in compiled.names]
        lower, upper = np.empty(compiled.neurons), np.empty(compiled.neurons)
        for step in compiled.relus:
            lower[step.neurons], upper[step.neurons] = ends[compiled.names[step.source]]
        return NeuronBounds(lower, upper, Charges.of(compiled, magnitudes))

    @property
    def finite(self) -> bool:
        """Whether all bounds are finite, which programs need."""
        ends = (self.lower, self.upper, *self.charges.magnitudes)
        return all(bool(np.isfinite(end).all()) for end in ends)

    @property
    def unstable(self) -> BoolArray:
        """Which neurons have ``lower < 0 < upper``, shape (neurons,)."""
        return np.asarray((self.lower < 0) & (self.upper > 0))

    def tightened(self, lower: Vector, upper: Vector) -> NeuronBounds:
        """With other ends, proved on a part of the region; the charges of the whole serve the part."""
        return replace(self, lower=lower, upper=upper)

    def loosened(self) -> NeuronBounds:
        """All ends moved a little outward: a maximum that is exactly 0 must follow from the rows of a cell.

        With bounds that bind an ulp beyond it, a solver may prove it from them instead and miss 0 by that ulp.
        """
        return self.tightened(
            self.lower - _LOOSENING * (1.0 + np.abs(self.lower)), self.upper + _LOOSENING * (1.0 + np.abs(self.upper))
        )


_LOOSENING = 2.0**-20
