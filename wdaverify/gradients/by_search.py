"""The largest gradients by branch and bound over activation patterns, for many questions.

Every question has a tree of its own (`gradients.tree`), because what is steep for one form or norm is not for another. All trees
share the bounds of the box, the no-goods, the warm program that finds them, the proved ceilings of pairs, and every steep cell
found. They take turns (`gradients.turns`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bracket import Evidence
from wdaverify.gradients.goal import NormGoal
from wdaverify.gradients.ground import Ground, counted_coordinates
from wdaverify.gradients.question import GradientAnswer, GradientLimits
from wdaverify.gradients.region_tree import RegionTree
from wdaverify.gradients.targets import Targets
from wdaverify.gradients.tree import GradientTree
from wdaverify.gradients.turns import take_turns
from wdaverify.gradients.walk import climb, patterns_at
from wdaverify.search.result import End

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.domain import Box
    from wdaverify.gradients.question import GradientQuestion
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend

_FEW = 8
"""Up to so many free inputs nodes are polytopes."""


def largest_gradients_by_search(
    backend: Backend,
    network: Network,
    box: Box,
    questions: Sequence[GradientQuestion],
    *,
    coordinates: BoolArray | None = None,
    limits: GradientLimits | None = None,
    seed: int = 0,
    regions: bool | None = None,
) -> tuple[GradientAnswer, ...]:
    """Bracket ``max ||J_A^T c||_s`` over rows c and full-dimensional cells A, for every question.

    The arguments and the answers are those of `gradients.oracle.largest_gradients`; its brackets close to the gap of the limits.

    Parameters
    ----------
    regions
        Whether nodes are polytopes, decided layer by layer (`gradients.region_tree`), or phases in any order
        (`gradients.tree`). ``None``: polytopes in few dimensions.

    Examples
    --------
    ``relu(x) - relu(-x) = x`` has slope 1; the pattern of 0, with both neurons active, would have 2.

    >>> from scipy.sparse import csr_array
    >>> from wdaverify._types import Norm
    >>> from wdaverify.domain import Box
    >>> from wdaverify.gradients.question import GradientQuestion
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input, Relu
    >>> from wdaverify.program.backend import get_backend
    >>> split, add = (Affine((csr_array(np.array(m)),), np.zeros(len(m))) for m in ([[1.0], [-1.0]], [[1.0, -1.0]]))
    >>> nodes = {"x": Node(Input(1)), "z": Node(split, ("x",)), "a": Node(Relu(2), ("z",)), "y": Node(add, ("a",))}
    >>> network, question = Network.from_nodes(nodes, "y"), GradientQuestion(np.ones((1, 1)), Norm.LINF)
    >>> (answer,) = largest_gradients_by_search(get_backend("highs"), network, Box(-1, 1).sized(1), [question])
    >>> answer.lower, round(answer.upper, 9)
    (1.0, 1.0)
    """
    limits, counted = limits or GradientLimits(), counted_coordinates(box, coordinates)
    if not len(counted):
        return tuple(constant_answer(box) for _ in questions)
    few = np.count_nonzero(box.lower < box.upper) <= _FEW if regions is None else regions
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows bounds nothing
        search = _Search(backend, network, box, questions, counted, limits, seed, regions=bool(few))
        try:
            search.run()
        except KeyboardInterrupt:
            search.interrupted = True
    return tuple(search.answer(q) for q in range(len(questions)))


class _Search:
    """All trees of one call."""

    def __init__(
        self,
        backend: Backend,
        network: Network,
        box: Box,
        questions: Sequence[GradientQuestion],
        coordinates: IntArray,
        limits: GradientLimits,
        seed: int,
        *,
        regions: bool,
    ) -> None:
        targets = Targets.of(questions)
        self._ground = Ground.of(backend, network, box, coordinates, targets, seed=seed)
        self._limits, self._targets, self._regions = limits, targets, regions
        self._uppers = np.full(len(targets.form), np.inf)
        self._trees: list[GradientTree | RegionTree | None] = [None] * len(questions)
        self.interrupted = False

    def run(self) -> None:
        """Let the trees take turns until all are closed or a limit is reached."""
        starts = self._look_around()
        take_turns(len(self._trees), lambda q: self._tree(q, starts), self._limits, self._learn)

    def _learn(self, q: int, tree: GradientTree | RegionTree) -> None:
        """What is proved of a pair serves all questions that use it."""
        pairs = np.flatnonzero(self._targets.uses[q])
        self._uppers[pairs] = np.minimum(self._uppers[pairs], tree.uppers)

    def _look_around(self) -> Matrix:
        """Offer the sampled points to all questions; for every pair the steepest of them, shape (P, n)."""
        ground = self._ground
        patterns, first = np.unique(ground.patterns, axis=0, return_index=True)
        values = ground.incumbents.values(patterns)
        ground.incumbents.offer(ground.points[first], patterns, values)
        return np.asarray(ground.points[first[values.argmax(axis=0)]])

    def _tree(self, q: int, starts: Matrix) -> GradientTree | RegionTree:
        """The tree of a question, which begins with a climb from the steepest sampled point."""
        known = self._trees[q]
        if known is not None:
            return known
        pairs = np.flatnonzero(self._targets.uses[q])
        ground = self._ground
        unstable = np.flatnonzero(ground.bounds.unstable)
        if len(unstable) and not self._limits.deadline.passed:
            values = ground.incumbents.values(patterns_at(ground.network.compiled, starts[pairs]))[np.arange(len(pairs)), pairs]
            best = int(values.argmax())
            start, pair = starts[pairs[best]], int(pairs[best])
            climb(ground.network.compiled, ground.box, unstable, ground.incumbents, start, pair, self._limits.deadline)
        tree: GradientTree | RegionTree
        if self._regions:
            tree = RegionTree(ground, pairs, q, self._uppers[pairs], self._limits)
        else:
            tree = GradientTree(ground, NormGoal(ground, pairs, q), self._uppers[pairs], self._limits)
        self._trees[q] = tree
        return tree

    def answer(self, q: int) -> GradientAnswer:
        """The bracket as it stands."""
        tree, incumbents = self._trees[q], self._ground.incumbents
        pairs = np.flatnonzero(self._targets.uses[q])
        uppers = self._uppers[pairs] if tree is None else np.minimum(tree.uppers, self._uppers[pairs])
        end = End.LIMIT if tree is None or tree.end is None else tree.end
        return GradientAnswer(
            lower=float(incumbents.lower[q]),
            upper=float(max(uppers.max(), incumbents.lower[q])),
            point=incumbents.points[q],
            row=incumbents.rows[q],
            end=End.INTERRUPTED if self.interrupted and (tree is None or tree.end is None) else end,
            evidence=Evidence.CHECKED,
            nodes=0 if tree is None else tree.nodes,
        )


def constant_answer(box: Box) -> GradientAnswer:
    """Without coordinates that count every norm is 0."""
    point: Vector = box.lower.copy()
    return GradientAnswer(lower=0.0, upper=0.0, point=point, row=0, end=End.CLOSED, evidence=Evidence.CHECKED, nodes=0)
