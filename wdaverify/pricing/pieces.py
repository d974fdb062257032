"""A partition of a domain into pieces, and what is proved about each of them: lines above its gain.

A piece is a box, a shell of distances from the sample, and a rival j. A proved bound ``g_j - lambda c <= b`` there is the line
``g_j <= lambda c + b``, which serves every multiplier: with ``c`` between the costs of the shell's ends, and in convex
combination with lines of other slopes. A piece that is split hands its lines down, so that bounds only become sharper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from wdaverify._tolerances import TINY, UNIT_ROUNDOFF

if TYPE_CHECKING:
    from wdaverify._types import Vector

_SAFE = 2.0**-44
"""Relative error granted to powers."""

_SMALL = 1e-300
"""Added to powers that may underflow."""

_THINNEST = 1e-13
"""Shells thinner than this part of their radius are not split."""

_MOST_LINES = 24
"""Lines that a piece keeps: the latest, and the first."""


@dataclass(slots=True, eq=False)
class Piece:
    """A part of the domain for one rival.

    Attributes
    ----------
    rival
        Row of the question.
    lower, upper
        Ends of the box, (n,).
    inner, outer, order
        Ends of the shell, and the power of the distance that is the cost.
    lines
        Slopes and heights.
    touches
        Points where tangents of the cost touch.
    budget
        Programs of the next search.
    stuck
        Whether no more work can lower its bound in float64 arithmetic.
    """

    rival: int
    lower: Vector
    upper: Vector
    inner: float
    outer: float
    order: float
    lines: list[tuple[float, float]] = field(default_factory=list)
    touches: list[Vector] = field(default_factory=list)
    budget: int = 1
    stuck: bool = False

    @property
    def least(self) -> float:
        """The cost at the inner end, rounded down."""
        return max(math.pow(self.inner, self.order) * (1.0 - _SAFE) - _SMALL, 0.0)

    @property
    def most(self) -> float:
        """The cost at the outer end, rounded up."""
        return math.pow(self.outer, self.order) * (1.0 + _SAFE) + _SMALL

    def add(self, multiplier: float, bound: float) -> None:
        """Keep what was proved at a multiplier."""
        if not math.isnan(bound) and bound < self.upper_bound(multiplier):
            self.lines.append((multiplier, bound))
            if len(self.lines) > _MOST_LINES:
                del self.lines[1]

    def upper_bound(self, multiplier: float) -> float:
        """The least bound of ``g_j - multiplier c`` that the lines prove.

        Examples
        --------
        >>> piece = Piece(0, None, None, 0.0, 1.0, 1.0, lines=[(5.0, 0.0), (3.0, 1.0)])
        >>> round(piece.upper_bound(4.0), 9)                                    # at c = 1/2
        0.5
        """
        least, most = self.least, self.most
        best, size, exact = math.inf, 0.0, math.inf
        for slope, height in self.lines:
            if height == -math.inf:
                return -math.inf
            if slope == multiplier:
                exact = min(exact, height)
            steeper = slope - multiplier
            value = height + max(steeper * least, steeper * most)
            size = max(size, abs(height) + (slope + multiplier) * most)
            best = min(best, value)
        steep = [line for line in self.lines if line[0] > multiplier]
        for slope, height in self.lines:
            if slope > multiplier or not math.isfinite(height):
                continue
            for other, top in steep:
                if math.isfinite(top):
                    part = (multiplier - slope) / (other - slope)
                    best = min(best, part * top + (1.0 - part) * height)
        rounded = best + 32.0 * UNIT_ROUNDOFF * (size + abs(best)) + TINY if math.isfinite(best) else best
        return min(exact, rounded)

    def at_floor(self, k: int, floor: float) -> list[Piece]:
        """The parts with ``x_k <= floor`` and ``x_k >= floor + 1``."""
        upper, lower = self.upper.copy(), self.lower.copy()
        upper[k], lower[k] = floor, floor + 1.0
        return [self._part(upper=upper), self._part(lower=lower)]

    def at_distance(self, length: float | None, touch: Vector | None) -> list[Piece]:
        """The parts nearer and farther than about a distance (or the middle), with one more touch; none if it is too thin."""
        width = self.outer - self.inner
        middle = self.inner + 0.5 * width if length is None else length
        middle = min(max(middle, self.inner + 0.1 * width), self.outer - 0.1 * width)
        if not self.inner < middle < self.outer or width <= _THINNEST * self.outer:
            return []
        touches = [*self.touches, *([] if touch is None else [touch])]
        return [self._part(outer=middle, touches=touches), self._part(inner=middle, touches=list(touches))]

    def _part(self, **changes: Any) -> Piece:
        return replace(self, **{"lines": list(self.lines), "touches": list(self.touches), "budget": 1, **changes})
