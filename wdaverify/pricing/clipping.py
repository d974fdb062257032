"""Shrink the ranges of neurons to what points of interest of a shell need, many pairs of shell and rival at a time.

Of interest on a pair are the points of the shell with ``g(x) - lambda c(x) >= target``. With a form ``a.x + beta`` above g,
every other form satisfies there, for any ``mu >= 0``,

    z  <=  form(x)  <=  form(x) + mu (a.x + beta - target) - mu lambda c(x),

a linear form less a multiple of the cost, which `pricing.growth` bounds over the shell. Narrower ranges give a lower form
above g, which narrows the ranges again. A pair is empty when even its own form stays below the target. Whatever is returned
holds for points of interest and no others: a bound of g that rests on it is never below the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import TINY, UNIT_ROUNDOFF
from wdaverify.bounds.backward import Chords, Relaxation, Rows
from wdaverify.pricing.ball_bounds import BallBounds, chunks, forms_above
from wdaverify.pricing.growth import priced_ends
from wdaverify.pricing.shells import touching

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.ir.compiled import ReluStep
    from wdaverify.pricing.growth import Ground

_ROUNDS = 12

_LEAST = 0.015
"""A pair whose excess and whose ranges both shrink by less than this part in a round is left alone."""

_MULTIPLIERS = (0.25, 1.0, 4.0)
"""Factors on each row's own multiplier that are tried; the best one becomes the row's."""

_LARGEST = 1e30
"""Multipliers are no larger than a few times this."""


@dataclass(frozen=True, slots=True, eq=False)
class Interest:
    """Which points of which shells are of interest.

    Attributes
    ----------
    rows
        The gains as rows of the logits, (P, K).
    inner, outer
        Radii of the shells, (P,).
    multiplier, target
        Points with ``gain - multiplier * cost >= target``.
    """

    ground: Ground
    rows: Matrix
    inner: Vector
    outer: Vector
    multiplier: float
    target: float

    def __getitem__(self, index: IntArray | BoolArray) -> Interest:
        """Some of the pairs."""
        return Interest(self.ground, self.rows[index], self.inner[index], self.outer[index], self.multiplier, self.target)

    def ends(self, forms: Matrix, constants: Vector, prices: Vector, pairs: IntArray | slice) -> Vector:
        """Upper bounds (R,) of ``form.x + constant - price * cost`` over the shells of the pairs (R,)."""
        ground, inner, outer = self.ground, self.inner[pairs], self.outer[pairs]
        lines = ground.lines(forms, constants, touching(inner, outer)[:, ::2])
        return priced_ends(lines, prices, ground.costs(inner, up=False), ground.costs(outer, up=True))


@dataclass(frozen=True, slots=True, eq=False)
class Clipped:
    """Pairs after clipping.

    Attributes
    ----------
    bounds
        Valid for points of interest.
    tops
        Upper bounds (P,) of ``gain - multiplier * cost`` on the shell, or the target where that is higher.
    empty
        Which pairs hold no point of interest, (P,).
    """

    bounds: BallBounds
    tops: Vector
    empty: BoolArray


def clip(interest: Interest, start: BallBounds, deadline: Deadline) -> Clipped:
    """Clip until pairs are empty or do not shrink any more.

    Parameters
    ----------
    start
        Bounds on the shells of the pairs, (P, neurons).
    """
    count = len(interest.rows)
    low, high = start.low.copy(), start.high.copy()
    tops, empty = np.full(count, np.inf), np.zeros(count, dtype=bool)
    active, scale, last = np.arange(count), np.ones((count, 2, low.shape[1])), np.full(count, np.inf)
    for turn in range(_ROUNDS):
        own, part = interest[active], BallBounds(start.compiled, start.charges, low[active], high[active])
        forms, constants = _gains(own, part)
        ends = own.ends(forms, constants, np.full(len(active), own.multiplier), slice(None))
        before = tops[active]
        tops[active] = np.minimum(tops[active], np.maximum(ends, own.target))
        empty[active] |= ends < own.target
        going = ~empty[active]
        if turn:
            excess = (tops[active] - own.target) < (1.0 - _LEAST) * (before - own.target)
            going &= excess | (widths(part) < (1.0 - _LEAST) * last[active])
        last[active] = widths(part)
        if turn == _ROUNDS - 1 or deadline.passed or not going.any():
            break
        own, active = own[going], active[going]
        narrower, void = _narrowed(own, part[np.flatnonzero(going)], (forms[going], constants[going]), scale, active)
        low[active], high[active] = narrower.low, narrower.high
        empty[active[void]] = True
        tops[active[void]] = own.target
        active = active[~void]
        if not len(active):
            break
    return Clipped(BallBounds(start.compiled, start.charges, low, high), tops, empty)


def widths(bounds: BallBounds) -> Vector:
    """The sum of the heights of the triangles of each region, (B,)."""
    low, high = bounds.low, bounds.high
    unstable = (low < 0) & (high > 0)
    return np.asarray(np.where(unstable, -low * high / np.where(unstable, high - low, 1.0), 0.0).sum(axis=1))


def _gains(interest: Interest, bounds: BallBounds) -> tuple[Matrix, Vector]:
    """Forms above each pair's own gain: (P, n) and (P,)."""
    relaxation, count = bounds.relaxation(), len(interest.rows)
    forms, constants = np.empty((count, bounds.compiled.inputs)), np.empty(count)
    for part in chunks(count, bounds.compiled):
        owner = np.arange(count)[part]
        forms[part], constants[part] = forms_above(relaxation, Rows.of_forms(bounds.compiled.output, interest.rows[part], owner))
    return forms, constants


def _narrowed(
    interest: Interest, bounds: BallBounds, gain: tuple[Matrix, Vector], scale: Matrix, pairs: IntArray
) -> tuple[BallBounds, BoolArray]:
    """Bound all unstable neurons again, layer by layer, under the half-space; and which pairs turn out empty."""
    compiled, low, high = bounds.compiled, bounds.low, bounds.high
    chords: dict[int, Chords] = {}
    relaxation = Relaxation(compiled, bounds.charges, chords)
    half = gain[0], _down_by(gain[1], interest.target), np.abs(gain[0]).sum(axis=1)
    for step in compiled.relus:
        own = step.neurons
        owner, entries = np.nonzero((low[:, own] < 0) & (high[:, own] > 0))
        for part in chunks(2 * len(owner), compiled):
            b, k = owner[part], entries[part]
            if len(b):
                _narrow(interest, relaxation, step, half, (low, high), scale, (b, k, pairs[b]))
        chords[step.slot] = Chords.of(low[:, own], high[:, own])
    return bounds, np.asarray((low > high).any(axis=1))


def _down_by(constants: Vector, target: float) -> Vector:
    """``constants - target``, rounded up."""
    return np.asarray(np.nextafter(constants - target, np.inf))


def _narrow(
    interest: Interest,
    relaxation: Relaxation,
    step: ReluStep,
    half: tuple[Matrix, Vector, Vector],
    ends: tuple[Matrix, Matrix],
    scale: Matrix,
    where: tuple[IntArray, IntArray, IntArray],
) -> None:
    """Bound some entries of a layer under their pairs' half-spaces; the ends are changed in place."""
    b, k, pairs = where
    rows = Rows.of_entries(relaxation, step.source, k, b)
    forms, constants = forms_above(relaxation, rows)
    neuron, owner, side = k + step.first, np.concatenate([b, b]), np.repeat([0, 1], len(b))
    index = np.concatenate([pairs, pairs]), side, np.concatenate([neuron, neuron])
    size = np.abs(forms).sum(axis=1) / np.maximum(half[2][owner], np.abs(forms).sum(axis=1) / _LARGEST + TINY)
    best, chosen = np.full(len(owner), np.inf), scale[index]
    for factor in _MULTIPLIERS:
        mu = factor * scale[index] * size
        mixed = forms + mu[:, None] * half[0][owner]
        shift = mu * half[1][owner]
        error = 8.0 * UNIT_ROUNDOFF * (np.abs(constants) + np.abs(shift)) + TINY
        error += 4.0 * UNIT_ROUNDOFF * ((np.abs(forms) + mu[:, None] * np.abs(half[0][owner])) @ interest.ground.sizes)
        prices = np.nextafter(mu * interest.multiplier, 0.0)
        value = interest.ends(mixed, constants + shift + error, prices, owner)
        chosen = np.where(value < best, factor * scale[index], chosen)
        best = np.fmin(best, value)
    scale[index] = chosen
    low, high = ends
    high[b, neuron] = np.minimum(high[b, neuron], best[: len(b)])
    low[b, neuron] = np.maximum(low[b, neuron], -best[len(b) :])
