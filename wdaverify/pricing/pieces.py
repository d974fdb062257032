"""A partition of a domain into pieces, and what is proved about each of them: lines above its gain.

A piece is a box, a shell of distances from the sample, and a rival j. A proved bound ``g_j - lambda c <= b`` there is the line
``g_j <= lambda c + b``, which serves every multiplier: with ``c`` between the costs of the shell's ends, and in convex
combination with lines of other slopes. A piece that is split hands its lines down, so that bounds only become sharper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wdaverify._tolerances import TINY, UNIT_ROUNDOFF

if TYPE_CHECKING:
    from wdaverify._types import Vector

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
    inner, outer
        Ends of the shell, and `least` and `most`: the costs there, rounded down and up.
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
    least: float
    most: float
    lines: list[tuple[float, float]] = field(default_factory=list)
    touches: list[Vector] = field(default_factory=list)
    budget: int = 1
    stuck: bool = False

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
        >>> piece = Piece(0, None, None, 0.0, 1.0, 0.0, 1.0, lines=[(5.0, 0.0), (3.0, 1.0)])
        >>> round(piece.upper_bound(4.0), 9)                                    # at c = 1/2
        0.5
        """
        best, size, exact = math.inf, 0.0, math.inf
        for slope, height in self.lines:
            if height == -math.inf:
                return -math.inf
            if slope == multiplier:
                exact = min(exact, height)
            steeper = slope - multiplier
            value = height + max(steeper * self.least, steeper * self.most)
            size = max(size, abs(height) + (slope + multiplier) * self.most)
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

    def half(self, lower: Vector, upper: Vector) -> Piece:
        """The part within other ends."""
        return Piece(
            self.rival, lower, upper, self.inner, self.outer, self.least, self.most, list(self.lines), list(self.touches)
        )  # fmt: skip
