"""A cover of all logits by regions with linear rows above log-sum-exp, as the judge reads it, for one price of one sample.

For every leader the ranges of the logits cut off what the sample does not reach; there the judge finds no points. What is left is
halved until the form of each region less the price stays below the value (`pricing.softmax_regions`): the same forms on the
same regions as in the search, whose points say where to halve.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from wdaverify.log_sum_exp import cross_entropy_bracket
from wdaverify.pricing.directions import Directions
from wdaverify.pricing.engines import ENGINES
from wdaverify.pricing.loss_shells import LossShell, logit_ranges
from wdaverify.pricing.points_met import PointsMet
from wdaverify.pricing.softmax_regions import RegionNode
from wdaverify.pricing.softmax_rows import LogitRegion
from wdaverify.proof.numbers import outward, packed, written
from wdaverify.transport import round_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix, Vector
    from wdaverify.pricing.prices import PriceQuestion
    from wdaverify.program.backend import Backend

_ROOM = 2.0**-10
"""Ranges are widened by this part, so that the judge's own bounds are beyond them."""

_NEAR = 2.0**-20
"""Classes that come so close can lead."""

_BITS = 16
"""Significant bits of the ends of ranges."""

_FAILURES = 4
"""How often in a row a region is halved although no point says so."""

_MOST = 4000
"""Regions of one cover."""

_WARM = 16
"""Points that prices of a new form are offered."""


@dataclass(frozen=True, slots=True, eq=False)
class CoverRow:
    """A target of the claim.

    Attributes
    ----------
    row, offset
        The form ``row . f + offset``, row (K,).
    fact
        For a region beyond the ranges: a row (K,) and its offset (1,), which no point satisfies; otherwise ``None``.
    fact_id
        The judge's number of that fact.
    """

    row: Vector
    offset: float
    fact: tuple[Vector, Vector] | None = None
    fact_id: int = 0


class SoftmaxCover:
    """The cover of one question at one multiplier.

    Attributes
    ----------
    points
        Where the loss was evaluated.
    """

    def __init__(self, question: PriceQuestion, backend: Backend, multiplier: float, points: Matrix) -> None:
        self._question, self._multiplier = question, multiplier
        self.points = PointsMet(question)
        self.points.add(points)
        ranges = _widened(logit_ranges(question, [question.reach])[0])
        directions = Directions(question, lambda form: ENGINES["search"](form, backend))
        self._shell = LossShell(label=question.label, least=0.0, most=math.inf, ranges=ranges, directions=directions)
        self._trees = [self._tree(leader) for leader in range(len(ranges))]

    def _tree(self, leader: int) -> RegionNode | None:
        """The region of a leader within the ranges; ``None`` if it never leads."""
        ranges = self._shell.ranges
        lower, upper = -ranges[leader], np.minimum(ranges[:, leader], 0.0)
        lower[leader] = upper[leader] = 0.0
        if (lower > 0.0).any():
            return None
        region = LogitRegion(leader, lower, upper)
        return RegionNode.of(self._shell, region, region.steps(self.points.logits[:1]), np.zeros(1))

    @property
    def best(self) -> float:
        """The largest priced loss at a known point."""
        return self.points.best(self._multiplier)

    def refine(self, value: float, gap: float, deadline: Deadline) -> bool:
        """Halve regions until every form less the price is at most the value; whether that was reached.

        Parameters
        ----------
        gap
            How closely prices of forms are searched.
        """
        waiting = [(tree, 0) for tree in self._trees if tree is not None]
        for _ in range(_MOST):
            if not waiting:
                return True
            node, failures = waiting.pop()
            if self.best > value or deadline.passed:
                return False
            if not self._low(node, value) and not self._refuted(node, value):
                self._work(node, value, gap, deadline)
                failures += not self._refuted(node, value)
            if self._low(node, value):
                continue
            children = node.children or (node.halve(self.points, self._multiplier, gap) if failures <= _FAILURES else ())
            if not children:
                return False
            waiting += [(child, failures) for child in children]
        return False

    def _low(self, node: RegionNode, value: float) -> bool:
        return node.form.upper(self._multiplier) + node.row.offset <= value

    def _refuted(self, node: RegionNode, value: float) -> bool:
        return node.view(self.points, self._multiplier).peak > value

    def _work(self, node: RegionNode, value: float, gap: float, deadline: Deadline) -> None:
        view = node.view(self.points, self._multiplier)
        warm = self.points.inputs[view.highest(_WARM)]
        found = node.form.work(self._multiplier, warm, cut=value - gap - node.row.offset, gap=gap, deadline=deadline)
        self.points.add(found)

    def written(self, value: float) -> tuple[list[Any], list[CoverRow]]:
        """The claim's field ``ce``, and its targets in the same order."""
        entries: list[Any] = []
        rows: list[CoverRow] = []
        for leader, tree in enumerate(self._trees):
            if tree is None:
                self._never(leader, entries, rows)
                continue
            cuts = list(self._cuts(tree.region))
            self._cut_off(cuts, tree, value, entries, rows)
        return entries, rows

    def _cut_off(
        self, cuts: list[tuple[int, bool, float]], tree: RegionNode, value: float, entries: list[Any], rows: list[CoverRow]
    ) -> None:
        """Divide off what lies beyond the ranges, one end after the other; the tree stands where they are all done."""
        later: list[CoverRow] = []
        leader, low = tree.region.leader, set[int]()
        empty = {"a": packed({}), "b": written(self._highest)}
        for c, is_lower, end in cuts:
            entries.append([c, written(end)])
            if is_lower:  # the part below comes first
                entries.append(empty)
                rows.append(self._beyond(leader, c, end, low))
                low.add(c)
            else:
                later.append(self._beyond(leader, c, end, low | {c}))
        for node in self._leaves(tree, value):
            if isinstance(node, tuple):
                entries.append([node[0], written(node[1])])
                continue
            weights = {c: float(w) for c, w in enumerate(node.row.weights) if w and c != leader}
            entries.append({"a": packed(weights), "b": written(node.row.offset)})
            row = node.row.weights.copy()
            row[self._question.label] -= 1.0
            rows.append(CoverRow(row, node.row.offset))
        for each in reversed(later):
            entries.append(empty)
            rows.append(each)

    def _cuts(self, region: LogitRegion) -> Iterator[tuple[int, bool, float]]:
        """Ends of the ranges: lower ones first, then those upper ones that are below 0."""
        others = [c for c in range(len(region.upper)) if c != region.leader]
        yield from ((c, True, float(region.lower[c])) for c in others if np.isfinite(region.lower[c]))
        yield from ((c, False, float(region.upper[c])) for c in others if region.upper[c] < 0.0)

    def _leaves(self, tree: RegionNode, value: float) -> Iterator[RegionNode | tuple[int, float]]:
        """Divisions and leaves in pre-order."""
        stack = [tree]
        while stack:
            node = stack.pop()
            if not node.children or self._low(node, value):
                yield node
                continue
            below, above = node.children
            side = int(np.flatnonzero(below.region.upper != node.region.upper)[0])
            yield side, float(below.region.upper[side])
            stack += [above, below]

    def _beyond(self, leader: int, c: int, end: float, low: set[int]) -> CoverRow:
        """The target of what lies beyond an end: ``end - s_c >= 0`` below it, ``s_c - end >= 0`` above; `low` have lower ends."""
        classes = len(self._shell.ranges)
        earlier = [k for k in range(c) if k != leader]
        above = c in low
        fact = np.zeros(classes)
        fact[c], fact[leader] = (1.0, -1.0) if above else (-1.0, 1.0)
        fact_id = len(earlier) + sum(k in low for k in earlier)
        return self._row(leader, fact, np.array([-end if above else end]), fact_id)

    def _never(self, leader: int, entries: list[Any], rows: list[CoverRow]) -> None:
        """The target of a class that never leads: another one is always larger."""
        ranges = self._shell.ranges
        c = next(k for k in range(len(ranges)) if k != leader and ranges[leader, k] < 0.0)
        fact = np.zeros(len(ranges))
        fact[c], fact[leader] = -1.0, 1.0
        entries.append({"a": packed({}), "b": written(self._highest)})
        rows.append(self._row(leader, fact, np.zeros(1), sum(k != leader for k in range(c))))

    def _row(self, leader: int, fact: Vector, offset: Vector, fact_id: int) -> CoverRow:
        row = np.zeros(len(self._shell.ranges))
        row[leader] = 1.0
        row[self._question.label] -= 1.0
        return CoverRow(row, self._highest, (fact, offset), fact_id)

    @cached_property
    def _highest(self) -> float:
        """The logarithm of K, rounded up: above log-sum-exp of all steps, since none is positive."""
        return round_up(cross_entropy_bracket([Fraction(0)] * len(self._shell.ranges), 0)[1])


def _widened(ranges: Matrix) -> Matrix:
    """Short numbers beyond the ranges, none of them 0: what can only just be led stays possible."""
    moved = ranges + _ROOM * np.abs(ranges) + np.where(ranges > -_NEAR, _NEAR, 0.0)
    return np.array([[float(outward(Fraction(float(v)), _BITS, up=True)) if np.isfinite(v) else v for v in row] for row in moved])
