"""Certified bounds of all pre-activations on many regions about one sample, and linear forms above rows of logits there.

The regions are rows of arrays: region b has the ends ``low[b], high[b]`` of every neuron. They need not be boxes or balls: what
holds only for points of interest of a region (`pricing.clipping`) is written into the same arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import UNIT_ROUNDOFF
from wdaverify._types import Norm
from wdaverify.bounds.backward import Chords, Relaxation, Rows, upper_forms
from wdaverify.bounds.crown import crown_bounds
from wdaverify.domain import Regions
from wdaverify.search.neuron_bounds import NeuronBounds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.bounds.lagrangian import Charges
    from wdaverify.ir.compiled import CompiledNetwork
    from wdaverify.ir.network import Network
    from wdaverify.pricing.growth import Ground

_CHUNK = 2**16
"""Entries of the widest array of a chunk of rows: a few of them fit into a cache."""


@dataclass(frozen=True, slots=True, eq=False)
class BallBounds:
    """``low <= z <= high`` for all neurons on each of B regions, shape (B, neurons).

    Attributes
    ----------
    charges
        Of a set that contains all regions.
    """

    compiled: CompiledNetwork
    charges: Charges
    low: Matrix
    high: Matrix

    def __getitem__(self, index: IntArray) -> BallBounds:
        """Some of the regions, as a copy."""
        return BallBounds(self.compiled, self.charges, self.low[index], self.high[index])

    def neurons(self, region: int) -> NeuronBounds:
        """The bounds of one region as searches read them."""
        return NeuronBounds(self.low[region], self.high[region], self.charges)

    def relaxation(self) -> Relaxation:
        """What the backward pass reads."""
        chords = {step.slot: Chords.of(self.low[:, step.neurons], self.high[:, step.neurons]) for step in self.compiled.relus}
        return Relaxation(self.compiled, self.charges, chords)


def balls_about(network: Network, ground: Ground, radii: Vector) -> BallBounds:
    """Bounds on the part of the box within each radius (B,) of the sample.

    The balls of a scaled l1 or l2 norm are replaced by their boxes here.
    """
    center, cost, box = ground.center, ground.cost, ground.box
    steps = np.nextafter(radii[:, None] / np.broadcast_to(ground.scales, center.shape), np.inf)
    lower = np.maximum(box.lower, np.nextafter(center - steps, -np.inf))
    upper = np.minimum(box.upper, np.nextafter(center + steps, np.inf))
    regions = Regions(lower, upper)
    if cost.scales is None and cost.norm is not Norm.LINF:
        regions = Regions(lower, upper, cost.norm, np.repeat(center[None], len(radii), axis=0), radii)
    bounds, compiled = crown_bounds(network, regions), network.compiled
    widest = slice(int(np.argmax(radii)), int(np.argmax(radii)) + 1)
    charges = NeuronBounds.of(network, regions[widest], bounds[widest]).charges
    low, high = np.empty((len(radii), compiled.neurons)), np.empty((len(radii), compiled.neurons))
    for step in compiled.relus:
        name = compiled.names[step.source]
        low[:, step.neurons], high[:, step.neurons] = bounds.lower[name], bounds.upper[name]
    return BallBounds(compiled, charges, low, high)


def chunks(count: int, compiled: CompiledNetwork) -> Iterator[slice]:
    """Parts of `count` rows."""
    size = max(64, _CHUNK // max(step.size for step in compiled.steps))
    for start in range(0, count, size):
        yield slice(start, start + size)


def forms_above(relaxation: Relaxation, rows: Rows) -> tuple[Matrix, Vector]:
    """Linear forms of the input above the rows: coefficients (R, n) and constants (R,), rounded up."""
    pulled = upper_forms(relaxation, rows)
    constant = pulled.constant + pulled.error
    return pulled.coefficients, constant + 4.0 * UNIT_ROUNDOFF * (np.abs(pulled.constant) + pulled.error)


def logit_forms(bounds: BallBounds, rows: Matrix) -> tuple[Matrix, Vector]:
    """Forms above each row (T, K) of the logits on each region: entry ``b T + t`` of (B T, n) and (B T,)."""
    relaxation, compiled = bounds.relaxation(), bounds.compiled
    count, size = len(bounds.low), len(rows)
    owner, which = np.repeat(np.arange(count), size), np.tile(np.arange(size), count)
    coefficients, constants = np.empty((count * size, compiled.inputs)), np.empty(count * size)
    for part in chunks(count * size, compiled):
        seeds = Rows.of_forms(compiled.output, rows[which[part]], owner[part])
        coefficients[part], constants[part] = forms_above(relaxation, seeds)
    return coefficients, constants
