"""What one sample can move to: a box, and constraints; and points of it near those that miss it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import TINY
from wdaverify.feature_domain import Domain, box_about

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector
    from wdaverify.constraints import Constraints
    from wdaverify.domain import Box

_PASSES = 12
"""Rows that a point is moved across, one after the other."""

_ROUNDING = 1e-13
"""Rows are to hold by this part of their size, so that they hold exactly."""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """The points that one sample can move to.

    Attributes
    ----------
    box
        With vector ends; frozen features are fixed.
    constraints
        ``None`` if the box says it all.
    """

    box: Box
    constraints: Constraints | None = None

    @staticmethod
    def of(domain: Box | Domain, sample: Vector) -> Region:
        """The region of a sample (n,) of the domain."""
        if not isinstance(domain, Domain):
            return Region(domain.sized(len(sample)))
        c = domain.constraints
        limited = c.integer.any() or c.one_hot or len(c.rows)
        return Region(box_about(domain, sample), c if limited else None)

    def holds(self, point: Vector) -> bool:
        """Whether a point (n,) belongs to the region, exactly."""
        return bool(self.box.contains(point)) and (self.constraints is None or self.constraints.broken(point) is None)

    def near(self, points: Matrix) -> Matrix:
        """Points of the region near the given ones (P, n): the nearest of a box; under constraints those that are easy to find.

        Returns
        -------
        Matrix
            Perhaps fewer points. All belong to the region.

        Examples
        --------
        >>> from wdaverify.domain import Box
        >>> domain = Domain(Box([0, 0], [3, 1]), integer=[True, False], rows=[[1, -1]], limits=[1.5])
        >>> Region.of(domain, np.zeros(2)).near(np.array([[1.9, 0.75], [9.0, 0.0]])).tolist()
        [[2.0, 0.75]]
        """
        inside = self.box.clip(points)
        if self.constraints is None:
            return np.asarray(inside)
        tried = (point if self.holds(point) else self.repaired(self.rounded(point)) for point in inside)
        return np.array([point for point in tried if self.holds(point)]).reshape(-1, inside.shape[1])

    def rounded(self, point: Vector) -> Vector:
        """The nearest point of the box with integers that are whole and one-hot groups of 0 and one 1."""
        whole, box = self.box.clip(point), self.box
        if self.constraints is None:
            return np.asarray(whole)
        integer = self.constraints.integer
        whole[integer] = np.clip(np.round(whole[integer]), np.ceil(box.lower[integer]), np.floor(box.upper[integer]))
        for group in self.constraints.one_hot:
            members = np.array(group)
            likely = np.where(box.upper[members] >= 1.0, point[members], -np.inf)
            likely = np.where(box.lower[members] > 0.0, np.inf, likely)
            whole[members] = 0.0
            whole[members[int(np.argmax(likely))]] = 1.0
        return np.asarray(whole)

    def repaired(self, point: Vector, lower: Vector | None = None, upper: Vector | None = None) -> Vector:
        """A point that keeps its integers and is moved across the rows that it breaks, between the ends of the box or others."""
        low, high = self.box.lower if lower is None else lower, self.box.upper if upper is None else upper
        inside = np.clip(point, low, high)
        if self.constraints is None:
            return np.asarray(inside)
        rows, offsets = -self.constraints.rows, self.constraints.limits
        free = ~self.constraints.integer & (low < high)
        movable = (rows[:, free] != 0).any(axis=1)
        for _ in range(_PASSES):
            if self.constraints.broken_row(inside) is None:
                break
            slack = rows @ inside + offsets
            size = 1.0 + np.abs(offsets) + np.abs(rows) @ np.abs(inside)
            broken = np.flatnonzero((slack < _ROUNDING * size) & movable)
            if not len(broken):
                break
            k = broken[np.argmin(slack[broken] / size[broken])]
            row = np.where(free, rows[k], 0.0)
            step = 2.0 * _ROUNDING * size[k] - slack[k]
            inside = np.clip(inside + row * (step / max(float(row @ row), TINY)), low, high)
        return np.asarray(inside)
