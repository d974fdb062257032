"""The inputs that a claim speaks about: a box with rational ends, perhaps the ball of a sample."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._types import Norm
from wdaverify.domain import Regions
from wdaverify.property.property import float_above, float_below

if TYPE_CHECKING:
    from wdaverify._types import Vector
    from wdaverify.domain import Box


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """A bounded box, as the judge has it at its root.

    Attributes
    ----------
    low, high
        Exact ends.
    center, norm, radius
        The ball about a sample in whose bounding box the ends lie already; ``None`` for a plain box. A ball in linf is its box.
    lower, upper
        The ends as floats, rounded outward, shape (n,).
    """

    low: tuple[Fraction, ...]
    high: tuple[Fraction, ...]
    center: Vector | None = None
    norm: Norm | None = None
    radius: float | None = None
    lower: Vector = field(init=False)
    upper: Vector = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lower", np.array([float_below(v) for v in self.low]))
        object.__setattr__(self, "upper", np.array([float_above(v) for v in self.high]))

    @staticmethod
    def cube(box: Box, center: Vector, radius: Fraction, norm: Norm) -> Area:
        """``X cut with [x - r, x + r]``, exactly; costs are lengths from the center, which have no limit."""
        ends = [(Fraction(c) - radius, Fraction(c) + radius) for c in center.tolist()]
        low = tuple(max(Fraction(v), a) if np.isfinite(v) else a for v, (a, _) in zip(box.lower, ends, strict=True))
        high = tuple(min(Fraction(v), b) if np.isfinite(v) else b for v, (_, b) in zip(box.upper, ends, strict=True))
        return Area(low, high, center, norm)

    @staticmethod
    def ball(box: Box, center: Vector, radius: float, norm: Norm) -> Area:
        """``X`` cut with the ball of a sample, in its cube."""
        return replace(Area.cube(box, center, Fraction(radius), norm), radius=radius)

    def halves(self, j: int, at: Fraction) -> tuple[Area, Area]:
        """The parts of a plain box with ``x_j <= at`` and with ``x_j >= at``."""
        end = (at,)
        return (
            Area(self.low, self.high[:j] + end + self.high[j + 1 :]),
            Area(self.low[:j] + end + self.low[j + 1 :], self.high),
        )

    @property
    def round(self) -> bool:
        """Whether there is a ball that is no box."""
        return self.radius is not None and self.norm in (Norm.L1, Norm.L2)

    @property
    def regions(self) -> Regions:
        """The area as a batch of one."""
        if not self.round:
            return Regions(self.lower[None], self.upper[None])
        assert self.center is not None
        return Regions(self.lower[None], self.upper[None], self.norm, self.center[None], np.array([self.radius]))
