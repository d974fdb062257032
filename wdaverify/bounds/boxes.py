"""Bounds on many small boxes, each started from the bounds of the box that it was cut from.

What was proved on a box holds on every part of it. So a part needs new bounds only for the neurons that are still unstable,
and the roundings of all parts may be charged with what they cost on the first box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.backward import Chords, Relaxation, Rows, upper_ends, upper_forms
from wdaverify.domain import Regions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify._types import BoolArray, IntArray, Matrix
    from wdaverify.bounds.lagrangian import Charges
    from wdaverify.ir.compiled import CompiledNetwork

_CHUNK = 2**15
"""Entries of the widest array of a chunk of rows: a few of them fit into a cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """A batch of boxes with certified bounds of all pre-activations.

    Attributes
    ----------
    lower, upper
        Shape (B, n).
    low, high
        Shape (B, N) over the neurons of the compiled network.
    """

    lower: Matrix
    upper: Matrix
    low: Matrix
    high: Matrix

    @property
    def count(self) -> int:
        """Number B of boxes."""
        return len(self.lower)

    @property
    def regions(self) -> Regions:
        """The boxes alone."""
        return Regions(self.lower, self.upper)

    @property
    def unstable(self) -> BoolArray:
        """Which neurons (B, N) have both phases."""
        return np.asarray((self.low < 0) & (self.high > 0))

    def __getitem__(self, index: IntArray | BoolArray | slice) -> Boxes:
        """Some of the boxes."""
        return Boxes(self.lower[index], self.upper[index], self.low[index], self.high[index])

    @staticmethod
    def joined(parts: list[Boxes]) -> Boxes:
        """All boxes of several batches."""
        if len(parts) == 1:
            return parts[0]
        return Boxes(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("lower", "upper", "low", "high")))


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """The box that all others are cut from: the network and the charges of its roundings there."""

    compiled: CompiledNetwork
    charges: Charges


@dataclass(frozen=True, slots=True, eq=False)
class Tightened:
    """Boxes with their new bounds.

    Attributes
    ----------
    relaxation
        What forms of the output are bounded with.
    reach
        Shape (B, N, n): the size of each unstable neuron's slope in each input, from its two linear bounds; else 0.
    """

    boxes: Boxes
    relaxation: Relaxation
    reach: Matrix


def tightened(origin: Origin, boxes: Boxes) -> Tightened:
    """Bound all unstable neurons of the boxes again, layer by layer."""
    compiled = origin.compiled
    low, high = boxes.low.copy(), boxes.high.copy()
    reach = np.zeros((*low.shape, compiled.inputs))
    chords: dict[int, Chords] = {}
    relaxation, regions = Relaxation(compiled, origin.charges, chords), boxes.regions
    for step in compiled.relus:
        own = step.neurons
        owner, entries = np.nonzero((low[:, own] < 0) & (high[:, own] > 0))
        for part in _chunks(len(owner), compiled):
            b, k = owner[part], entries[part]
            rows = Rows.of_entries(relaxation, step.source, k, b)
            forms, half = upper_forms(relaxation, rows), len(b)
            ends = upper_ends(forms, regions, rows.owner)
            neuron = k + step.first
            high[b, neuron] = np.minimum(high[b, neuron], ends[:half])
            low[b, neuron] = np.maximum(low[b, neuron], -ends[half:])
            reach[b, neuron] = np.abs(forms.coefficients[:half]) + np.abs(forms.coefficients[half:])
        chords[step.slot] = Chords.of(low[:, own], high[:, own])
    return Tightened(Boxes(boxes.lower, boxes.upper, low, high), relaxation, reach)


def _chunks(count: int, compiled: CompiledNetwork) -> Iterator[slice]:
    """Parts of `count` pairs of rows."""
    size = max(32, _CHUNK // (2 * max(step.size for step in compiled.steps)))
    for start in range(0, count, size):
        yield slice(start, start + size)
