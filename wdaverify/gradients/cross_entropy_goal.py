r"""What a tree looks for to find the Lipschitz constant of the cross-entropy loss.

The constant on a convex set is (docs/theory.md, "Lipschitz constants")

.. math:: \sup_{A,\ x \in A} \Big\| \sum_{j \ne y} p_j(x)\, J_A^T (e_j - e_y) \Big\|_s, \qquad p = softmax(f(x)),

over full-dimensional cells A. A node of the tree is worth at most the bound of ``sum_{j != y} p_j`` times the largest norm of a
margin's gradient. On a cell the first factor is a function of the margins, which are affine there: with two classes the supremum
is where the margin is largest, one linear program; with more, boxes of margins are halved (`gradients.softmax_box`), and the
half-spaces that support the cell in the direction of steepest ascent cut them.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bounds.backward import Chords, Relaxation, Rows, backward_maximum
from wdaverify.cells.interior import interior_at
from wdaverify.domain import Regions
from wdaverify.gradients.ceilings import Ceilings
from wdaverify.gradients.node import stacked
from wdaverify.gradients.norms import dual_norm_ends
from wdaverify.gradients.softmax_box import SLACK, CellGradients, MarginBoxes, shares
from wdaverify.gradients.zonotope import gradient_zonotopes
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.exact_piece import exact_gradient
from wdaverify.ir.rational import dyadic, quotients
from wdaverify.search.inputs import InputSet
from wdaverify.search.question import Question
from wdaverify.search.relaxation import PhaseRelaxation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._deadline import Deadline
    from wdaverify._types import BoolArray, Matrix, Norm, Vector
    from wdaverify.gradients.ground import Ground
    from wdaverify.gradients.node import Node
    from wdaverify.search.relaxation import Path

_INWARD = (1e-12, 1e-10, 1e-8, 1e-6)
"""Parts of the way from a vertex to an interior point, tried in this order until the point is an interior one itself."""

_CUTS, _ROUNDS, _AT_ONCE = 24, 120, 32
"""Supporting half-spaces of one cell; rounds of halving; boxes of margins halved in a round."""


_HUGE = 1e300
"""Proposals of directions and margins are clipped to this size; what is larger rounds to nothing else in a softmax."""


class CrossEntropyGoal:
    """The largest ``||grad ce(x, label)||`` in one norm.

    Parameters
    ----------
    gap
        Relative width at which a cell's boxes are no longer refined.

    Attributes
    ----------
    lower, point
        The largest value that was evaluated, and where: exact logits and gradients, an exponential rounded downward.
    """

    def __init__(self, ground: Ground, label: int, norm: Norm, *, gap: float, deadline: Deadline) -> None:
        network = ground.network
        self._ground, self._norm, self._gap, self._deadline, self._label = ground, norm, gap, deadline, label
        rivals = [j for j in range(network.outputs) if j != label]
        self.forms: Matrix = np.eye(network.outputs)[rivals] - np.eye(network.outputs)[label]
        self._ceilings = Ceilings(ground, self.forms, norm)
        self.floor = self._ceilings.floor
        self.lower = 0.0
        self.point: Vector | None = None
        self._support: PhaseRelaxation | None = None
        if ground.bounds.finite:
            question = Question.of(np.concatenate([self.forms, -self.forms]), inputs=network.inputs)
            inputs = InputSet(Regions.of_box(ground.box, network.inputs))
            self._support = PhaseRelaxation(ground.backend, network, question, inputs, ground.bounds)

    def bound(self, nodes: Sequence[Node], cutoffs: Vector) -> list[Node]:
        """Scale with the largest possible ``sum_j p_j``, then lower the ceilings that still matter."""
        high = self._margins(nodes)
        totals = shares(high, high).total
        scaled = [replace(node, scale=min(node.scale, float(total))) for node, total in zip(nodes, totals, strict=True)]
        scales = np.array([node.scale for node in scaled])
        with np.errstate(divide="ignore", over="ignore"):
            return self._ceilings.bound(scaled, np.asarray(cutoffs / scales[:, None]))

    def _margins(self, nodes: Sequence[Node]) -> Matrix:
        """Proved upper bounds (M, J) of all margins on the nodes."""
        ground, compiled = self._ground, self._ground.network.compiled
        low, high = stacked(nodes, "low"), stacked(nodes, "high")
        chords = {step.slot: Chords.of(low[:, step.neurons], high[:, step.neurons]) for step in compiled.relus}
        relaxation = Relaxation(compiled, ground.bounds.charges, chords)
        owner = np.repeat(np.arange(len(nodes)), len(self.forms))
        rows = Rows.of_forms(compiled.output, np.tile(self.forms, (len(nodes), 1)), owner)
        regions = Regions(np.tile(ground.box.lower, (len(nodes), 1)), np.tile(ground.box.upper, (len(nodes), 1)))
        return backward_maximum(relaxation, rows, regions).reshape(len(nodes), -1)

    def offer(self, points: Matrix, patterns: Matrix) -> None:
        """Evaluate the point whose float value is the largest."""
        compiled, count = self._ground.network.compiled, len(self.forms)
        rows, phases = np.tile(self.forms, (len(points), 1)), np.repeat(patterns, count, axis=0)
        gradients = gradient_zonotopes(compiled, rows, phases, self._ground.coordinates).generators[:, 0]
        margins = compiled.forward(points) @ self.forms.T
        p = shares(margins, margins).low
        values = np.linalg.norm(
            np.einsum("mj,mjn->mn", p, gradients.reshape(len(points), count, -1)), ord=self._norm.dual.order, axis=1
        )
        best = int(values.argmax())
        if values[best] > self.lower:
            self.try_point(points[best], patterns[best] > 0)

    def try_point(self, point: Vector, active: BoolArray) -> bool:
        """Take a point as the incumbent if its value is larger; false if it is no interior point of the pattern's cell."""
        network = self._ground.network
        if not interior_at(network, self._ground.box, active, point):
            return False
        numerators, denominator = exact_gradient(network, active, self.forms)
        counted = numerators[:, self._ground.coordinates]
        logits = exact_forward(network, point.tolist())
        margins = np.array([_nearest(v - logits[self._label]) for k, v in enumerate(logits) if k != self._label])
        rounding = 2.0**-52 * np.abs(margins)
        p = shares((margins - rounding)[None], (margins + rounding)[None])
        # any weights between the bounds: the value differs by at most what the norms of their rows times the spread allow
        weights, scale = dyadic([p.low[0]])
        low = dual_norm_ends((weights[0] @ counted).tolist(), scale * denominator, self._norm)[0]
        norms = [dual_norm_ends(row, denominator, self._norm)[1] for row in counted.tolist()]
        low -= float((p.high - p.low)[0] @ norms) * SLACK
        if low > self.lower:
            self.lower, self.point = low, point
        return True

    def settle(self, node: Node, point: Vector) -> Vector:
        """Bound the supremum on one cell; points near the vertices of programs become incumbents."""
        active, everywhere = node.phases > 0, node.worth
        self.try_point(point, active)
        if self._support is None:
            return everywhere
        bounds = [self._extreme(self._support, node.path, k, point, active) for k in range(2 * len(self.forms))]
        high, low = np.array(bounds[: len(self.forms)]), -np.array(bounds[len(self.forms) :])
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            return everywhere
        numerators, denominator = exact_gradient(self._ground.network, active, self.forms)
        counted = numerators[:, self._ground.coordinates]
        norms = np.array([dual_norm_ends(row, denominator, self._norm)[1] for row in counted.tolist()])
        floats = quotients(counted, denominator)
        boxes = MarginBoxes(CellGradients(floats, norms, self._norm), np.minimum(low, high), high)
        self._refine(boxes, floats, node.path, point, active)
        return np.minimum(everywhere, boxes.upper)

    def _refine(self, boxes: MarginBoxes, gradients: Matrix, path: Path, point: Vector, active: BoolArray) -> None:
        """Halve boxes of margins, and cut them where the steepest one rises to."""
        assert self._support is not None
        cuts = _CUTS if len(self.forms) > 1 else 0
        for k in range(_ROUNDS):
            cutoff = self.lower * (1.0 + self._gap) + float(self.floor.max())
            center = boxes.best()
            if boxes.upper <= cutoff or center is None or self._deadline.passed:
                return
            if cuts and k % (_ROUNDS // _CUTS) == 0:
                cuts -= 1
                direction = _ascent(gradients, center, self._norm)
                weights = np.concatenate([np.maximum(direction, 0.0), np.maximum(-direction, 0.0)])
                most, vertex = self._support.support(path, weights, self._deadline)
                boxes.cut(direction, most)
                self._near(vertex, point, active)
            boxes.halve(cutoff, _AT_ONCE)

    def _extreme(self, support: PhaseRelaxation, path: Path, row: int, point: Vector, active: BoolArray) -> float:
        """The largest value of one of the margins or their negatives on a cell."""
        most, vertex = support.support(path, np.eye(2 * len(self.forms))[row], self._deadline)
        self._near(vertex, point, active)
        return most

    def _near(self, vertex: Vector | None, inside: Vector, active: BoolArray) -> None:
        """Try the point nearest to a vertex that is an interior point of the cell."""
        if vertex is None:
            return
        for part in _INWARD:
            if self.try_point(self._ground.box.clip(vertex + part * (inside - vertex)), active):
                return


def _ascent(gradients: Matrix, margins: Vector, norm: Norm) -> Vector:
    """The direction (J,) of margins in which ``||sum_j p_j g_j||`` grows fastest, by the chain rule."""
    p = shares(margins[None], margins[None]).low[0]
    gradients = np.clip(gradients, -_HUGE, _HUGE)  # a proposal only
    total = p @ gradients
    if norm.dual.order == 1:
        dual = np.sign(total)
    elif norm.dual.order == 2:
        dual = total / max(float(np.linalg.norm(total)), 1e-300)
    else:
        dual = np.where(np.arange(len(total)) == np.abs(total).argmax(), np.sign(total), 0.0)
    slopes = gradients @ dual
    direction = p * (slopes - p @ slopes)
    size = float(np.abs(direction).max())
    return np.asarray(direction / size) if size > 0 else np.eye(len(p))[0]


def _nearest(value: Fraction) -> float:
    """The nearest float64, clipped to its range."""
    return float(max(min(value, Fraction(_HUGE)), Fraction(-_HUGE)))
