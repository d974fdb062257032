"""What is certified at the root of a proof: the judge's intervals, then linear bounds by its own default slopes.

Records state ends with few bits, rounded outward from a float64 sweep with its errors charged. What they state, with the
intervals, is what the judge knows, to the last bit: slopes that a proof leaves out follow from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify.bounds.layer_bounds import LayerBounds
from wdaverify.proof.cost import ball_bound
from wdaverify.proof.intervals import Ends, root_ends
from wdaverify.proof.numbers import outward, written
from wdaverify.proof.sweep import Slopes, default_sweep
from wdaverify.search.neuron_bounds import NeuronBounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._types import BoolArray, Vector
    from wdaverify.ir.compiled import ReluStep
    from wdaverify.ir.network import Network
    from wdaverify.proof.area import Area

Emit = "Callable[[dict[str, Any]], None]"

_END_BITS = 20
"""Significant bits of stated ends."""

_GAIN = 2.0**-8
"""An end is stated if it moves by this part of the neuron's width, or decides the neuron."""

_SAFETY = 4.0
"""Factor on the errors of a float64 sweep: they bound what the network can lose, the judge's sums lose little more."""


@dataclass(slots=True, eq=False)
class Context:
    """The root of a proof about one area.

    Attributes
    ----------
    lower, upper
        What the judge knows of all pre-activations, shape (neurons,).
    """

    network: Network
    area: Area
    bounds: NeuronBounds

    @property
    def lower(self) -> Vector:
        """Certified lower ends, shape (neurons,)."""
        return self.bounds.lower

    @property
    def upper(self) -> Vector:
        """Certified upper ends, shape (neurons,)."""
        return self.bounds.upper

    @staticmethod
    def of(network: Network, area: Area, emit: Callable[[dict[str, Any]], None], known: Context | None = None) -> Context:
        """Certify bounds of all neurons, layer by layer; records go to `emit`.

        Parameters
        ----------
        known
            What is certified on a larger area; the intervals of the smaller one are a refresh, which the caller records.
        """
        ends = root_ends(network, area, None if known is None else Ends(known.lower, known.upper))
        plain = NeuronBounds.of(network, area.regions, LayerBounds({}, {}))
        context = Context(network, area, plain.tightened(ends.lower.copy(), ends.upper.copy()))
        for step in network.compiled.relus:
            context._certify(step, emit, _GAIN)
        return context

    def narrowed(
        self, area: Area, emit: Callable[[dict[str, Any]], None], wanted: tuple[BoolArray, BoolArray] | None = None
    ) -> Context:
        """Certify better bounds on a part of the area: what is known on the whole holds there without any record.

        Parameters
        ----------
        wanted
            The lower and the upper ends that are of use, shape (neurons,) each; by default all.
        """
        part = Context(self.network, area, self.bounds.tightened(self.lower.copy(), self.upper.copy()))
        for step in self.network.compiled.relus:
            part._certify(step, emit, _GAIN, wanted)
        return part

    def part(self, area: Area, known: Slopes, emit: Callable[[dict[str, Any]], None]) -> Context:
        """What is known of a part of the area where more was certified: after a refresh, which the caller records.

        Only ends that determine a neuron are stated.
        """
        ends = root_ends(self.network, area, Ends(known.lower, known.upper))
        part = Context(self.network, area, self.bounds.tightened(ends.lower.copy(), ends.upper.copy()))
        for step in self.network.compiled.relus:
            part._certify(step, emit, np.inf)
        return part

    def _certify(
        self,
        step: ReluStep,
        emit: Callable[[dict[str, Any]], None],
        gain: float,
        wanted: tuple[BoolArray, BoolArray] | None = None,
    ) -> None:
        """Linear bounds of one layer's undecided neurons; ends are stated that move by such a part of the width, or decide."""
        lower, upper = self.lower[step.neurons], self.upper[step.neurons]
        of_use = np.ones((2, step.size), dtype=bool) if wanted is None else np.stack([ends[step.neurons] for ends in wanted])
        open_ = np.flatnonzero((lower < 0) & (upper > 0) & of_use.any(axis=0))
        if not len(open_) or not np.isfinite(lower).all() or not np.isfinite(upper).all():
            return
        rows = np.zeros((2 * len(open_), step.size))
        rows[np.arange(len(open_)), open_], rows[len(open_) + np.arange(len(open_)), open_] = 1.0, -1.0
        slopes = Slopes.of(self.lower, self.upper)
        pulled = default_sweep(self.network.compiled, self.bounds.charges, {step.source: rows}, slopes)
        values, multipliers = ball_bound(pulled.coefficients, self.area, _END_BITS)
        sizes = np.abs(values) + np.abs(pulled.constant)
        values = values + pulled.constant + _SAFETY * (pulled.error + 2.0**-50 * sizes)
        for k, n in enumerate(open_):
            high, low = values[k], -values[len(open_) + k]
            record: dict[str, Any] = {"t": "bound", "n": step.first + int(n)}
            width = upper[n] - lower[n]
            if of_use[0, n] and np.isfinite(low) and (low > lower[n] + gain * width or low >= 0):
                end = outward(Fraction(float(low)), _END_BITS, up=False)
                self._state(record, "lo", end, float(multipliers[len(open_) + k]))
            if of_use[1, n] and np.isfinite(high) and (high < upper[n] - gain * width or high <= 0):
                end = outward(Fraction(float(high)), _END_BITS, up=True)
                self._state(record, "hi", end, float(multipliers[k]))
            if len(record) > 2:
                emit(record)

    def _state(self, record: dict[str, Any], side: str, end: Fraction, multiplier: float) -> None:
        """State one end, and know it from here on."""
        record[side] = written(end)
        if multiplier:
            record["e" + side] = {"b": written(multiplier)}
        n = record["n"]
        if side == "lo":
            self.bounds.lower[n] = max(self.bounds.lower[n], float(end))
        else:
            self.bounds.upper[n] = min(self.bounds.upper[n], float(end))
