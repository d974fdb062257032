"""The judge's backward sweep in float64, for many forms at once, and the sweep that makes evidence of a solver's multipliers.

The judge bounds ``r . v`` over a node by substituting affine rows and relaxing each undetermined neuron with
``g (y - z) >= 0`` for a negative residual rho and ``y <= sigma z + max(-sigma l, (1 - sigma) u)`` for a positive one. Here the
same is done in floats, with the errors of `bounds.lagrangian` on top: a bound that holds here holds there, or else the judge
says so. In the terms of that module the judge's choices are prices pi of z, exactly (rho = r_y):

    rho > 0:    0 <= pi <= rho: sigma = pi / rho      pi < 0: sigma = 0 and a row z <= u     pi > rho: sigma = 1 and a row z >= l
    rho < 0:    rho <= pi <= 0: a = pi / rho          pi < rho: a = 1 and a row z <= u       pi > 0: a = 0 and a row z >= l
    active:     pi > rho: a row z >= 0 (or l)         pi < rho: a row z <= u
    inactive:   pi < 0: a row z <= 0 (or u)           pi > 0: a row z >= l
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify.bounds.lagrangian import Prices, pull_back_priced
from wdaverify.proof.evidence import Evidence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from wdaverify._types import BoolArray, Matrix, Vector
    from wdaverify.bounds.lagrangian import Charges, Pulled
    from wdaverify.ir.compiled import CompiledNetwork, ReluStep

DEFAULT_BITS = 14
"""Fractional bits of the judge's own slopes."""


class Slopes(NamedTuple):
    """Bounds of all pre-activations at a node and the judge's default slopes there, shape (neurons,) each."""

    lower: Vector
    upper: Vector
    below: Vector
    above: Vector

    @staticmethod
    def of(lower: Vector, upper: Vector) -> Slopes:
        """The defaults: ``a = 1`` where ``u > -l``, ``sigma = u / (u - l)`` to 14 bits."""
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where((lower < 0) & (upper > 0), upper / (upper - lower), 0.0)
        return Slopes(lower, upper, (upper > -lower).astype(np.float64), np.floor(share * 2.0**14 + 0.5) / 2.0**14)

    def modes(self) -> Vector:
        """1 where z >= 0 is known, -1 where z <= 0 is, else 0."""
        return np.where(self.lower >= 0, 1.0, np.where(self.upper <= 0, -1.0, 0.0))


def default_sweep(compiled: CompiledNetwork, charges: Charges, seeds: Mapping[int, Matrix], slopes: Slopes) -> Pulled:
    """Linear forms of the input above ``sum_s seeds[s] . value(s)``, by the default slopes; seeds are (R, size) per slot."""
    modes = slopes.modes()

    def price(step: ReluStep, rows: Matrix) -> Prices:
        n = step.neurons
        lower, upper, mode = slopes.lower[n], slopes.upper[n], modes[n]
        negative, positive = np.minimum(rows, 0.0), np.maximum(rows, 0.0)
        undecided = mode == 0
        above, below = np.where(undecided, slopes.above[n], 0.0), np.where(undecided, slopes.below[n], 0.0)
        offset = np.where(undecided, np.maximum(-above * lower, (1.0 - above) * upper), 0.0)
        prices = np.where(mode > 0, rows, positive * above + negative * below)
        total = positive @ offset
        return Prices(prices, total, total)

    return pull_back_priced(compiled, charges, seeds, price)


class Collector:
    """Turns prices into evidence, one step of the sweep after the other.

    Parameters
    ----------
    slopes
        Of the node.
    decided
        Phases fixed by splits: 1, -1 or 0, shape (neurons,).
    wanted
        The prices that a solver found, shape (neurons,), for a form of the same scale as the sweep's; NaN where it has none.
    bits
        Fractional bits of slopes.
    """

    def __init__(self, slopes: Slopes, decided: Vector, wanted: Vector, bits: int) -> None:
        self._slopes, self._modes, self._decided, self._wanted = slopes, slopes.modes(), decided, wanted
        self._unit, self.evidence = 2.0**-bits, Evidence()
        self._largest = 0.0

    def price(self, step: ReluStep, rows: Matrix) -> Prices:
        """The prices that the evidence makes of a residual (1, size), near the wanted ones."""
        n, rho = step.neurons, rows[0]
        lower, upper, mode, wanted = self._slopes.lower[n], self._slopes.upper[n], self._modes[n], self._wanted[n]
        self._largest = max(self._largest, float(np.abs(rho).max(initial=0.0)))
        slope = self._slope(n, rho, mode == 0)
        offset = np.where((mode == 0) & (rho > 0), np.maximum(-slope * lower, (1.0 - slope) * upper), 0.0)
        price = np.where(mode == 0, rho * slope, np.where(mode > 0, rho, 0.0))
        extra, at_ends = self._rows(n, np.where(np.isnan(wanted), 0.0, wanted - price))
        ends = np.where(extra > 0, -lower, -upper)
        total = np.where(offset > 0, rho * offset, 0.0) + np.where(at_ends, extra * np.where(at_ends, ends, 0.0), 0.0)
        return Prices((price + extra)[None], np.array([total.sum()]), np.array([np.abs(total).sum()]))

    def _slope(self, n: slice, rho: Vector, free: BoolArray) -> Vector:
        """Slopes in [0, 1] near the wanted prices; those that are not the judge's own go into the evidence."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ratio = np.where(rho != 0, self._wanted[n] / rho, 0.0)
        ratio = np.clip(np.nan_to_num(ratio), 0.0, 1.0)
        slope = np.round(ratio / self._unit) * self._unit
        self._note(self.evidence.below, n, free & (rho < 0) & (slope != self._slopes.below[n]), slope)
        self._note(self.evidence.above, n, free & (rho > 0) & (slope != self._slopes.above[n]), slope)
        return np.asarray(slope)

    def _rows(self, n: slice, missing: Vector) -> tuple[Vector, BoolArray]:
        """Prices from rows about z itself, and which of them come from rows about ends that are not 0."""
        _, exponent = np.frexp(self._largest)
        unit = float(np.ldexp(self._unit, int(exponent))) if self._largest > 0 else self._unit
        missing = np.where(np.abs(missing) > unit, np.round(missing / unit) * unit, 0.0)
        by_phase = self._decided[n] * missing > 0
        by_lower = ~by_phase & (missing > 0) & np.isfinite(self._slopes.lower[n])
        by_upper = ~by_phase & (missing < 0) & np.isfinite(self._slopes.upper[n])
        self._note(self.evidence.phases, n, by_phase, np.abs(missing))
        self._note(self.evidence.lower, n, by_lower, missing)
        self._note(self.evidence.upper, n, by_upper, -missing)
        return np.where(by_phase | by_lower | by_upper, missing, 0.0), np.asarray(by_lower | by_upper)

    def _note(self, where: dict[int, float] | dict[int, Fraction | float], n: slice, chosen: BoolArray, values: Vector) -> None:
        for k in np.flatnonzero(chosen):
            where[n.start + int(k)] = float(values[k])
