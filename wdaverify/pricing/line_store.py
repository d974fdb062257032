"""What is known about the gain on each shell: lines in the cost, which only become more.

A bound ``g - lambda c <= b``, proved on a shell for one multiplier, says ``g <= lambda c + b`` there: a line of slope lambda.
It serves every other multiplier, and together with others through their combinations (the chords of a convex function). So
linear bounds of the network and results of searches are kept as one kind of thing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.pricing.growth import Lines, priced_ends

if TYPE_CHECKING:
    from wdaverify._types import IntArray, Vector

_CLOSEST = 16
"""Pairs whose bounds are sharpened by combinations at a time."""


class LineStore:
    """Lines above the gain of P pairs (shell, rival), for costs between the ends of their shells.

    Parameters
    ----------
    lines
        Those known at first, (P, Q).
    low, high
        Least and largest cost of each pair, (P,).

    Examples
    --------
    >>> store = LineStore(Lines(np.array([[5.0]]), np.array([[0.0]])), np.zeros(1), np.ones(1))
    >>> store.add(np.array([0]), 1.0, np.array([2.0]))                             # g <= 5 c and g <= c + 2
    >>> store.ends(3.0).round(9).tolist()                                          # at c = 1/2
    [1.0]
    """

    def __init__(self, lines: Lines, low: Vector, high: Vector) -> None:
        self._lines, self._low, self._high = lines, low, high
        self._count = np.full(len(low), lines.slopes.shape[1])
        self._version, self._last = 0, (np.nan, -1, np.zeros(0))

    def add(self, pairs: IntArray, multiplier: float, bounds: Vector) -> None:
        """Remember ``g - multiplier * c <= bounds`` on some pairs."""
        better = bounds < self.ends(multiplier)[pairs]
        pairs, bounds = pairs[better], bounds[better]
        if not len(pairs):
            return
        if self._count[pairs].max() == self._lines.slopes.shape[1]:
            wider = np.full((len(self._low), 4), np.inf)
            self._lines = Lines(np.hstack([self._lines.slopes, np.zeros_like(wider)]), np.hstack([self._lines.heights, wider]))
        self._lines.slopes[pairs, self._count[pairs]] = multiplier
        self._lines.heights[pairs, self._count[pairs]] = bounds
        self._count[pairs] += 1
        self._version += 1

    def ends(self, multiplier: float) -> Vector:
        """Proved upper bounds (P,) of ``g - multiplier * c``; the largest of them is as sharp as the lines allow."""
        known, version, ends = self._last
        if known == multiplier and version == self._version:
            return ends
        ends = np.full(len(self._low), np.inf)
        for q in range(self._lines.slopes.shape[1]):
            column = Lines(self._lines.slopes[:, q : q + 1], self._lines.heights[:, q : q + 1])
            np.minimum(ends, self._priced(column, multiplier, slice(None)), out=ends)
        order, done = np.argsort(-ends), 0
        while done < len(order):
            part = order[done : done + _CLOSEST]
            if done and ends[part[0]] <= ends[order[:done]].max():
                break
            ends[part] = np.minimum(ends[part], self._priced(Lines(*(v[part] for v in self._lines)), multiplier, part))
            done += len(part)
        self._last = multiplier, self._version, ends
        return ends

    def sharpened(self, multiplier: float, pairs: IntArray) -> Vector:
        """The sharpest bounds of some pairs."""
        return self._priced(Lines(*(v[pairs] for v in self._lines)), multiplier, pairs)

    def _priced(self, lines: Lines, multiplier: float, part: slice | IntArray) -> Vector:
        low, high = self._low[part], self._high[part]
        return priced_ends(lines, np.full(len(low), multiplier), low, high)
