"""The inputs that a claim speaks about: a box with rational ends, perhaps the ball of a sample and more constraints."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from wdaverify._types import Norm
from wdaverify.domain import Box, Regions
from wdaverify.feature_domain import as_domain
from wdaverify.property.property import float_above, float_below
from wdaverify.search.cost import CostTerm
from wdaverify.search.inputs import InputSet
from wdaverify.search.question import Question
from wdaverify.transport import GroundCost

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Matrix, Vector
    from wdaverify.feature_domain import Domain


_FRACTIONAL = 1e-6
"""Farther than this from a whole number an integer feature is worth splitting."""


class Facts(NamedTuple):
    """What a domain says beside its ends: ``rows x + offsets >= 0``, numbered as the judge does, and which features are whole."""

    rows: Matrix
    offsets: Vector
    whole: BoolArray


@dataclass(frozen=True, eq=False)
class Area:
    """A bounded box, as the judge has it at its root.

    Attributes
    ----------
    low, high
        Exact ends.
    center, norm, radius
        The ball about a sample in whose bounding box the ends lie already; ``None`` for a plain box. A ball in linf is its box.
    scales
        What a unit of each feature costs, (n,); ``None`` for ones.
    facts
        Further constraints, ``None`` without any.
    lower, upper
        The ends as floats, rounded outward, shape (n,).
    """

    low: tuple[Fraction, ...]
    high: tuple[Fraction, ...]
    center: Vector | None = None
    norm: Norm | None = None
    radius: float | None = None
    scales: Vector | None = None
    facts: Facts | None = None
    lower: Vector = field(init=False)
    upper: Vector = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lower", np.array([float_below(v) for v in self.low]))
        object.__setattr__(self, "upper", np.array([float_above(v) for v in self.high]))

    @staticmethod
    def of_sample(domain: Box | Domain, center: Vector, norm: Norm, radius: float = math.inf) -> Area:
        """What a sample can reach, within a radius, as the judge reads a domain.

        That is ``[x - r / s, x + r / s]`` cut with the ends, frozen features at the sample's values, whole ends of whole ones.
        """
        said = as_domain(domain, len(center))
        scales, whole = said.weights, said.constraints.integer
        costs = np.ones(len(center)) if scales is None else scales
        low, high = [], []
        ends = zip(said.box.lower, said.box.upper, center.tolist(), costs.tolist(), said.frozen, whole, strict=True)
        for a, b, value, cost, frozen, integer in ends:
            c = Fraction(value)
            most, least = ([c], [c]) if frozen else ([Fraction(v)] if np.isfinite(v) else [] for v in (a, b))
            if math.isfinite(radius):
                reach = Fraction(radius) / Fraction(cost)
                most, least = [*most, c - reach], [*least, c + reach]
            low.append(Fraction(math.ceil(max(most))) if integer else max(most))
            high.append(Fraction(math.floor(min(least))) if integer else min(least))
        rows, offsets = said.constraints.inequalities()
        facts = Facts(rows, offsets, whole) if len(rows) or whole.any() else None
        return Area(tuple(low), tuple(high), center, norm, radius if math.isfinite(radius) else None, scales, facts)

    @staticmethod
    def ball(box: Box, center: Vector, radius: float, norm: Norm) -> Area:
        """A box cut with the ball of a sample."""
        return Area.of_sample(box, center, norm, radius)

    @staticmethod
    def cube(box: Box, center: Vector, radius: Fraction, norm: Norm) -> Area:
        """``X cut with [x - r, x + r]``, exactly; costs are lengths from the center, which have no limit."""
        return replace(Area.of_sample(box, center, norm, float(radius)), radius=None)

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
    def empty(self) -> bool:
        """Whether some ends contradict each other."""
        return any(a > b for a, b in zip(self.low, self.high, strict=True))

    @cached_property
    def stretched(self) -> Area:
        """The area in coordinates times their scales, where all cost the same; its ends are floats only."""
        if self.scales is None:
            return self
        other = Area((), (), None if self.center is None else self.center * self.scales, self.norm, self.radius)
        object.__setattr__(other, "lower", self.lower * self.scales)
        object.__setattr__(other, "upper", self.upper * self.scales)
        return other

    @property
    def regions(self) -> Regions:
        """The area as a batch of one, wide enough to hold its sample."""
        lower, upper = self._with_center
        if not self.round or self.scales is not None:
            return Regions(lower[None], upper[None])
        assert self.center is not None
        return Regions(lower[None], upper[None], self.norm, self.center[None], np.array([self.radius]))

    @property
    def _with_center(self) -> tuple[Vector, Vector]:
        if self.center is None:
            return self.lower, self.upper
        return np.minimum(self.lower, self.center), np.maximum(self.upper, self.center)

    def inputs(self, cost: CostTerm | None) -> InputSet:
        """The area in a linear program, with what its points cost: a ball with scales is the shell of a cost of weight 0."""
        if cost is None and self.round and self.scales is not None:
            assert self.center is not None
            assert self.norm is not None
            cost = CostTerm(self.center, GroundCost(self.norm, 1.0, self.scales), 0.0, 0.0, self.radius or 0.0)
        return InputSet(self.regions, cost)

    def question(self, rows: Matrix, offsets: Vector) -> Question:
        """Rows of the logits, with the facts about inputs, and after them those ends of the box that do not hold the sample."""
        n = len(self.lower)
        sides = Facts(np.zeros((0, n)), np.zeros(0), np.zeros(0, dtype=np.bool_)) if self.facts is None else self.facts
        lower, upper = self._with_center
        above, below = np.flatnonzero(lower < self.lower), np.flatnonzero(upper > self.upper)
        eye = np.eye(n)
        side_rows = np.concatenate([sides.rows, eye[above], -eye[below]])
        return Question(rows, offsets, side_rows, np.concatenate([sides.offsets, -self.lower[above], self.upper[below]]))

    def fractional(self, point: Vector | None) -> tuple[int, int] | None:
        """A whole feature whose value in a point is the least whole, and its floor; without a point the middle of the widest."""
        if self.facts is None or not (wide := self.facts.whole & (self.lower < self.upper)).any():
            return None
        if point is None:
            k = int(np.argmax(np.where(wide, self.upper - self.lower, -1.0)))
            return k, math.floor((self.low[k] + self.high[k]) / 2)
        away = np.where(wide, np.abs(point - np.round(point)), 0.0)
        k = int(np.argmax(away))
        at = math.floor(point[k])
        return (k, at) if away[k] > _FRACTIONAL and math.floor(self.low[k]) <= at < self.high[k] else None

    def with_end(self, side: Literal["low", "high"], k: int, end: int) -> Area:
        """A smaller area: one end is moved."""
        ends = list(self.low if side == "low" else self.high)
        ends[k] = Fraction(end)
        return replace(self, low=tuple(ends)) if side == "low" else replace(self, high=tuple(ends))

    @property
    def numbered(self) -> int:
        """How many of a question's rows about inputs the judge numbers: the others are ends of the box, which it has anyway."""
        return 0 if self.facts is None else len(self.facts.rows)
