r"""Prices of the cross-entropy loss, from prices of linear forms of the margins.

``phi(lambda) = max_x ce(x) - lambda cost(x)`` maximises a convex function of the margins ``z_c = f_c - f_y``. On a region R of
logits a linear form lies above it (`pricing.softmax_rows`), ``ce <= sum_c a_c z_c + b``, and so

.. math::
    \varphi(\lambda) \le \max_R\ \big( b_R + \psi(a_R, \lambda) \big),
    \qquad \psi(a, \lambda) = \max_x\ a \cdot z(x) - \lambda\, cost(x),

over regions that together hold all logits. To let x run over the whole domain, and not over the region alone, costs little: away
from its region a chord lies below what it is a chord of. The regions are halved where the maximiser of the worst form lies, so
that the halves' forms are close to the loss there. No ReLU is added to the network, where a chain of interpolated softplus layers
would add one per breakpoint and class (docs/theory.md, "Cross-entropy").

The tree of regions is kept for all multipliers, because what is proved about a form is. For two classes all forms are multiples
of the margin, and

.. math::
    \varphi(\lambda) = \max_{0 \le a \le 1}\ H(a) + a\, \varphi^{margin}(\lambda / a),
    \qquad H(a) = -a \log a - (1 - a) \log (1 - a),

is found from prices of the margin alone.
"""

from __future__ import annotations

import heapq
import math
from functools import cached_property
from typing import TYPE_CHECKING

from wdaverify.pricing.directions import Directions
from wdaverify.pricing.loss_shells import loss_shells
from wdaverify.pricing.points_met import PointsMet
from wdaverify.pricing.rival_growth import RivalGrowth
from wdaverify.pricing.shell_trees import ShellTrees

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix
    from wdaverify.pricing.prices import PriceQuestion, Prices
    from wdaverify.pricing.softmax_regions import RegionNode

_COARSE = 0.25
"""A form is first priced to this part of what it may exceed the loss by, then to a quarter of that, and so on."""

_FAILURES = 4
"""How often in a row a region is halved although the prices of its form failed: those of other forms may do better."""

_WARM = 16
"""Points that prices of a new form are offered."""

_RETURNED = 32
"""Points that one piece of work gives back at most."""


class CrossEntropyPrices:
    """What is known about ``phi`` of one sample for the cross-entropy; implements `Prices`.

    Parameters
    ----------
    question
        Its margin plays no part but its rows do; any norm, order and reach that `price` can answer.
    price
        Builds the prices of a margin, with the same center, cost, domain and reach.

    Attributes
    ----------
    saturated
        Whether the last work ended because float64 could not halve a region, or its form's prices did not become sharper.

    """

    def __init__(self, question: PriceQuestion, price: Callable[[PriceQuestion], Prices]) -> None:
        self._question, self._price = question, price
        self._points = PointsMet(question)
        self._growth = RivalGrowth(Directions(question, price), question.label, question.network.outputs)
        self.saturated = False

    @cached_property
    def _trees(self) -> list[ShellTrees]:
        """The trees of all shells."""
        return [ShellTrees(shell, self._growth) for shell in loss_shells(self._question, self._price)]

    def upper(self, multiplier: float) -> float:
        """A proved upper bound of ``phi(multiplier)`` from all forms priced so far."""
        return max(trees.upper(multiplier) for trees in self._trees)

    def offer(self, points: Matrix) -> None:
        """Points (P, n) of the domain where the loss may be large."""
        self._points.add(points)

    def work(self, multiplier: float, *, cut: float, gap: float, deadline: Deadline) -> Matrix:
        """As `Prices.work`, where the value of a point is its true cross-entropy less its cost."""
        self.saturated = False
        refinement = _Refinement(self._points, multiplier, cut, gap, deadline)
        if len(self._trees) > 1:
            self._growth.work(multiplier, self._points, gap, deadline)
        for trees in self._trees:
            inherited = trees.upper(multiplier)
            if inherited > max(cut, self._points.best(multiplier)) + gap:
                for node in trees.latest(self._points):
                    refinement.push(node, inherited, 0)
        self.saturated = refinement.run()
        return self._points.above(multiplier, cut, most=_RETURNED)


class _Refinement:
    """Work at one multiplier: the region with the highest bound is refuted by a point, priced, or halved."""

    def __init__(self, points: PointsMet, multiplier: float, cut: float, gap: float, deadline: Deadline) -> None:
        self._points, self._multiplier = points, multiplier
        self._cut, self._gap, self._deadline = cut, gap, deadline
        self._heap: list[tuple[float, int, RegionNode, int]] = []
        self._begun: set[RegionNode] = set()
        self._serial = 0

    @property
    def _floor(self) -> float:
        """Values that are of no interest any more."""
        return max(self._cut, self._points.best(self._multiplier))

    def push(self, node: RegionNode, inherited: float, failures: int) -> None:
        """Let a region wait with the better of its own bound and what it inherits."""
        self._serial += 1
        heapq.heappush(self._heap, (-min(node.own(self._multiplier), inherited), self._serial, node, failures))

    def run(self) -> bool:
        """Refine until all bounds are low enough, or the deadline; whether it ended because nothing more can be done."""
        stuck = False
        while self._heap and not self._deadline.passed:
            bound, _, node, failures = heapq.heappop(self._heap)
            if -bound <= self._floor + self._gap:
                break
            if node.own(self._multiplier) < -bound:  # forms are shared: it may have become sharper meanwhile
                self.push(node, -bound, failures)
            elif math.isinf(bound) and node not in self._begun:  # some bound first, for the case that time runs out
                self._begun.add(node)
                self._price(node)
                self.push(node, -bound, failures)
            elif not self._refuted(node) and self._price(node):
                self.push(node, -bound, 0)
            else:
                failures = 0 if self._refuted(node) else failures + 1
                children = self._children(node) if failures <= _FAILURES else ()
                stuck |= not children
                for child in children:
                    self.push(child, -bound, failures)
        return stuck

    def _children(self, node: RegionNode) -> tuple[RegionNode, ...]:
        return node.children or node.halve(self._points, self._multiplier, self._gap)

    def _refuted(self, node: RegionNode) -> bool:
        """Whether points met show that the region's form cannot prove enough."""
        return node.view(self._points, self._multiplier).peak > self._floor + 0.5 * self._gap

    def _price(self, node: RegionNode) -> bool:
        """Lower the bound of a form until it is low enough or refuted; false if neither was reached."""
        gap = max(0.5 * self._gap, _COARSE * node.excess)
        while not self._deadline.passed:
            view = node.view(self._points, self._multiplier)
            paid = (self._multiplier - view.multiplier) * node.shell.least
            cut = self._floor + 0.5 * self._gap - node.row.offset + paid
            warm = self._points.inputs[view.highest(_WARM)]
            self._points.add(node.form.work(view.multiplier, warm, cut=cut, gap=gap, deadline=self._deadline))
            node.worked.add(view.multiplier)
            if node.own(self._multiplier) <= self._floor + self._gap or self._refuted(node):
                return True
            if gap <= 0.5 * self._gap:
                return False
            gap = max(0.5 * self._gap, _COARSE * gap)
        return True
