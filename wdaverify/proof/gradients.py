"""The judge's bounds of gradients in float64, for many nodes at once, and the neuron to split a node at.

For ``g = c . f`` the adjoints are ``G_f = c``; an affine step adds ``w_ij G_i`` to G_j; a neuron passes ``d G_y`` to its z, with
d = 1 (active), 0 (inactive), anything in [0, 1] else. Backward intervals bound them, and for s = 1 the forward sweep of the
judge's ``jquery`` with its default slopes: ``sum_j t_j G_xj``, d G_y replaced by its best line over the range of G_y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify._types import Norm
from wdaverify.ir.compiled import AffineStep, InputStep

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.ir.compiled import CompiledNetwork

_CANDIDATES = 48
"""Neurons that a split is chosen from: a bound of each of their children is computed."""


class Adjoints(NamedTuple):
    """Ends of the adjoints of all ``y`` (B, neurons) and of the inputs (B, n)."""

    low: Matrix
    high: Matrix
    input_low: Matrix
    input_high: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class GradientBounds:
    """What leaves *jac* prove of one form's gradients.

    Attributes
    ----------
    form
        c of ``g = c . f``, shape (K,).
    norm
        Of the inputs; the gradients have the dual norm.
    free
        The coordinates that count, a mask (n,).
    """

    compiled: CompiledNetwork
    form: Vector
    norm: Norm
    free: BoolArray

    def largest(self, modes: Matrix) -> Vector:
        """Bounds (B,) of the dual norm by default slopes, where modes (B, neurons) are 1, -1, or 0 for both."""
        return self._norms(modes, self.adjoints(modes))

    def branching(
        self, modes: Vector, value: float, *, among: IntArray | None = None, likely: BoolArray | None = None
    ) -> int | None:
        """The neuron whose two children exceed a value least, in sum, at a node of modes (neurons,); ``None`` if all are known.

        Only those that may add most to the gradient are tried.

        Parameters
        ----------
        among
            The neurons to choose from; all by default.
        likely
            Whether the children are likely to hold points, shape (2, neurons), active first; others count as closed.
        """
        reach = self.reach(modes)
        if among is not None:
            reach[np.setdiff1d(np.arange(len(modes)), among)] = -np.inf
        tried = np.argsort(-reach, kind="stable")[:_CANDIDATES]
        tried = tried[np.isfinite(reach[tried])]
        if not len(tried):
            return None
        children = np.tile(modes, (2, len(tried), 1))
        places = np.arange(len(tried))
        children[0, places, tried], children[1, places, tried] = 1.0, -1.0
        excess = np.maximum(self.largest(children.reshape(-1, len(modes))) - value, 0.0).reshape(2, -1)
        if likely is not None:
            excess *= likely[:, tried]
        return int(tried[np.argmin(excess.sum(axis=0))])

    def adjoints(self, modes: Matrix) -> Adjoints:
        """Their ranges at nodes of modes (B, neurons), by backward intervals."""
        count = len(modes)
        low, high = np.zeros(modes.shape), np.zeros(modes.shape)
        pending = {self.compiled.output: (np.tile(self.form, (count, 1)), np.zeros((count, len(self.form))))}  # middle, radius
        for step in reversed(self.compiled.steps):
            middle, radius = pending.pop(step.slot, (np.zeros((count, step.size)), np.zeros((count, step.size))))
            if isinstance(step, InputStep):
                return Adjoints(low, high, middle - radius, middle + radius)
            if isinstance(step, AffineStep):
                for source, factor in zip(step.sources, step.factors, strict=True):
                    _add(pending, source, factor.pull(middle), np.asarray(radius @ factor.sizes))
                continue
            n = step.neurons
            low[:, n], high[:, n], mode = middle - radius, middle + radius, modes[:, n]
            a = np.where(mode > 0, low[:, n], np.where(mode < 0, 0.0, np.minimum(low[:, n], 0.0)))
            b = np.where(mode > 0, high[:, n], np.where(mode < 0, 0.0, np.maximum(high[:, n], 0.0)))
            _add(pending, step.source, 0.5 * (a + b), 0.5 * (b - a))
        raise AssertionError("a network has an input")

    def _norms(self, modes: Matrix, found: Adjoints) -> Vector:
        """What a leaf proves of the dual norm, from the ranges of all adjoints."""
        low, high = np.where(self.free, found.input_low, 0.0), np.where(self.free, found.input_high, 0.0)
        sizes = np.maximum(np.abs(low), np.abs(high))
        if self.norm is Norm.L1:
            return np.asarray(sizes.max(axis=1, initial=0.0))
        if self.norm is Norm.L2:
            return np.asarray(np.sqrt(np.square(sizes).sum(axis=1)))
        with np.errstate(divide="ignore", invalid="ignore"):
            mixed = np.floor((low + high) / (high - low) * 2.0**14 + 0.5) / 2.0**14
        tau = np.where(low >= 0, 1.0, np.where(high <= 0, -1.0, mixed)) * self.free
        paid = np.maximum(np.abs(low) - tau * low, np.abs(high) - tau * high).sum(axis=1)
        return np.asarray(np.minimum(sizes.sum(axis=1), paid + self._tangent_sweep(modes, found, tau)))

    def _tangent_sweep(self, modes: Matrix, found: Adjoints, tau: Matrix) -> Vector:
        """``jquery``: upper bounds of ``tau . G_x``."""
        values: dict[int, Matrix] = {}
        total = np.zeros(len(modes))
        for step in self.compiled.steps:
            if isinstance(step, InputStep):
                values[step.slot] = tau
            elif isinstance(step, AffineStep):
                parts = (f.push(values[s]) for s, f in zip(step.sources, step.factors, strict=True))
                values[step.slot] = np.sum([*parts], axis=0)
            else:
                rho, mode = values[step.source], modes[:, step.neurons]
                slope, cost = _lines(found.low[:, step.neurons], found.high[:, step.neurons], rho > 0)
                total += np.where(mode == 0, np.abs(rho) * cost, 0.0).sum(axis=1)
                values[step.slot] = np.where(mode == 0, rho * slope, np.where(mode > 0, rho, 0.0))
        return np.asarray(total + values[self.compiled.output] @ self.form)

    def reach(self, modes: Vector) -> Vector:
        """How much each undetermined neuron may add to the gradient, roughly; ``-inf`` for determined ones."""
        found = self.adjoints(modes[None])
        values, scores = {}, np.full(self.compiled.neurons, -np.inf)
        for step in self.compiled.steps:
            if isinstance(step, InputStep):
                values[step.slot] = np.eye(step.size)
            elif isinstance(step, AffineStep):
                parts = (f.push(values[s]) for s, f in zip(step.sources, step.factors, strict=True))
                values[step.slot] = np.sum([*parts], axis=0)
            else:
                n, tangents, mode = step.neurons, values[step.source], modes[step.neurons]
                reach = np.abs(tangents).sum(axis=0) * np.maximum(np.abs(found.low[0, n]), np.abs(found.high[0, n]))
                scores[n] = np.where(mode == 0, reach, -np.inf)
                values[step.slot] = tangents * np.where(mode > 0, 1.0, np.where(mode < 0, 0.0, 0.5))
        return scores


def _add(pending: dict[int, tuple[Matrix, Matrix]], slot: int, middle: Matrix, radius: Matrix) -> None:
    """Add ranges to those of a slot."""
    old = pending.get(slot)
    pending[slot] = (middle, radius) if old is None else (old[0] + middle, old[1] + radius)


def _lines(a: Matrix, b: Matrix, positive: BoolArray) -> tuple[Matrix, Matrix]:
    """The judge's default slopes q of lines above ``d G`` (below it, if not positive), G in [a, b], and how far they lie off.

    The largest distance is that of one of the vertices (G, d G) at both ends.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.floor(np.where(positive, b, -a) / (b - a) * 2.0**14 + 0.5) / 2.0**14
    slope = np.where(a >= 0, np.where(positive, 1.0, 0.0), np.where(b <= 0, np.where(positive, 0.0, 1.0), share))
    sign = np.where(positive, 1.0, -1.0)
    return slope, np.maximum.reduce([-slope * a * sign, -slope * b * sign, (1 - slope) * a * sign, (1 - slope) * b * sign])
