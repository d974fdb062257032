"""Shrink the ranges of neurons to what points of interest of a shell need, many pairs of shell and rival at a time.

Of interest on a pair are the points of the shell with ``g(x) - lambda c(x) >= target``. With a form ``a.x + beta`` above g,
every other form satisfies there, for any ``mu >= 0``,

    z  <=  form(x)  <=  form(x) + mu (a.x + beta - target) - mu lambda c(x),

a linear form less a multiple of the cost, which `pricing.growth` bounds over the shell. Narrower ranges give a lower form
above g, which narrows the ranges again. A pair is empty when even its own form stays below the target. Whatever is returned
holds for points of interest and no others: a bound of g that rests on it is never below the target.

Two half-spaces are tried: the form that bounds g best, and the one of plain slopes, which is weaker for g and often
better for others. Neither is better for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.backward import Chords, Relaxation, Rows
from wdaverify.pricing.ball_bounds import BallBounds, chunks, forms_above
from wdaverify.pricing.interest import HalfSpaces
from wdaverify.pricing.slopes import sloped_gains

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.ir.compiled import ReluStep
    from wdaverify.pricing.interest import Interest

_ROUNDS = 12

_LEAST = 0.015
"""A pair whose excess and whose ranges both shrink by less than this part in a round is left alone."""

_MULTIPLIERS = (0.25, 1.0, 4.0)
"""Factors on each row's own multiplier that are tried; the best one becomes the row's."""


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
    clipping, active = _Clipping(interest, start), np.arange(len(interest.rows))
    for turn in range(_ROUNDS):
        active = clipping.bound_gains(active)
        if turn == _ROUNDS - 1 or deadline.passed or not len(active):
            break
        active = clipping.narrow(active)
    return Clipped(clipping.bounds, clipping.tops, clipping.empty)


class _Clipping:
    """The state of all pairs."""

    def __init__(self, interest: Interest, start: BallBounds) -> None:
        count = len(interest.rows)
        self._interest = interest
        self.bounds = BallBounds(start.compiled, start.charges, start.low.copy(), start.high.copy())
        self.tops, self.empty = np.full(count, np.inf), np.zeros(count, dtype=bool)
        self._heights = np.full(count, np.inf)
        self._slopes = (start.high > -start.low).astype(np.float64)
        self._gains = np.zeros((count, start.compiled.inputs)), np.zeros(count)
        self._multipliers = np.ones((2, count, 2, start.low.shape[1]))

    def bound_gains(self, active: IntArray) -> IntArray:
        """Bound the gains of some pairs; those are returned that are not empty and still shrink."""
        own, part, target = self._interest[active], self.bounds[active], self._interest.target
        forms, constants, ends, self._slopes[active] = sloped_gains(own, part, self._slopes[active])
        self._gains[0][active], self._gains[1][active] = forms, constants
        before, heights = self.tops[active], triangle_heights(part)
        self.tops[active] = np.minimum(before, np.maximum(ends, target))
        self.empty[active] |= ends < target
        shrinks = (self.tops[active] - target) < (1.0 - _LEAST) * (before - target)
        shrinks |= heights < (1.0 - _LEAST) * self._heights[active]
        self._heights[active] = heights
        return np.asarray(active[shrinks & ~self.empty[active]])

    def narrow(self, active: IntArray) -> IntArray:
        """Bound all unstable neurons of some pairs again, layer by layer; the pairs that do not turn out empty."""
        own, part = self._interest[active], self.bounds[active]
        halves = HalfSpaces.of(own, *(v[active] for v in self._gains)), HalfSpaces.of(own, *_plain_gains(own, part))
        chords: dict[int, Chords] = {}
        relaxation = Relaxation(part.compiled, part.charges, chords)
        for step in part.compiled.relus:
            low, high = part.low[:, step.neurons], part.high[:, step.neurons]
            owner, entries = np.nonzero((low < 0) & (high > 0))
            for rows in chunks(len(owner), part.compiled):
                self._narrow_entries(step, relaxation, halves, part, (owner[rows], entries[rows]), active)
            chords[step.slot] = Chords.of(part.low[:, step.neurons], part.high[:, step.neurons])
        self.bounds.low[active], self.bounds.high[active] = part.low, part.high
        void = (part.low > part.high).any(axis=1)
        self.empty[active[void]] = True
        self.tops[active[void]] = self._interest.target
        return np.asarray(active[~void])

    def _narrow_entries(
        self,
        step: ReluStep,
        relaxation: Relaxation,
        halves: tuple[HalfSpaces, HalfSpaces],
        part: BallBounds,
        where: tuple[IntArray, IntArray],
        active: IntArray,
    ) -> None:
        """Bound some entries of a layer at the points of interest; the ends in `part` are changed in place."""
        owner, entries = where
        rows = Rows.of_entries(relaxation, step.source, entries, owner)
        forms, constants = forms_above(relaxation, rows)
        neuron, side = entries + step.first, np.repeat([0, 1], len(owner))
        index = np.tile(active[owner], 2), side, np.tile(neuron, 2)
        best = np.full(len(rows.owner), np.inf)
        for half, multipliers in zip(halves, self._multipliers, strict=True):
            tried = multipliers[index]
            ends = np.array([half.ends(forms, constants, rows.owner, factor * tried) for factor in _MULTIPLIERS])
            multipliers[index] = tried * np.array(_MULTIPLIERS)[np.argmin(ends, axis=0)]
            best = np.minimum(best, ends.min(axis=0))
        part.high[owner, neuron] = np.minimum(part.high[owner, neuron], best[: len(owner)])
        part.low[owner, neuron] = np.maximum(part.low[owner, neuron], -best[len(owner) :])


def triangle_heights(bounds: BallBounds) -> Vector:
    """The sum of the heights of the triangles of each region, (B,)."""
    low, high = bounds.low, bounds.high
    unstable = (low < 0) & (high > 0)
    return np.asarray(np.where(unstable, -low * high / np.where(unstable, high - low, 1.0), 0.0).sum(axis=1))


def _plain_gains(interest: Interest, bounds: BallBounds) -> tuple[Matrix, Vector]:
    """Forms above each pair's own gain, (P, n) and (P,)."""
    relaxation, count = bounds.relaxation(), len(interest.rows)
    forms, constants = np.empty((count, bounds.compiled.inputs)), np.empty(count)
    for part in chunks(count, bounds.compiled):
        owner = np.arange(count)[part]
        forms[part], constants[part] = forms_above(relaxation, Rows.of_forms(bounds.compiled.output, interest.rows[part], owner))
    return forms, constants
