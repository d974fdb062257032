"""The largest dual norm of a gradient over the full-dimensional activation cells of a box: brackets for many questions.

Every question has a tree of its own (`gradients.tree`), because what is steep for one form or norm is not for another. All trees
share the bounds of the box, the no-goods, the warm program that finds them, the proved ceilings of pairs, and every steep cell
found. They take turns, each turn four times longer than the last, so that a time limit leaves a good bracket everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import InputError
from wdaverify.bounds.crown import crown_bounds
from wdaverify.bracket import Evidence
from wdaverify.domain import Regions
from wdaverify.gradients.emptiness import EmptinessTest
from wdaverify.gradients.incumbents import Incumbents
from wdaverify.gradients.no_goods import NoGoods
from wdaverify.gradients.node import Ground
from wdaverify.gradients.question import GradientAnswer, GradientLimits
from wdaverify.gradients.targets import Targets
from wdaverify.gradients.tree import GradientTree
from wdaverify.gradients.walk import climb, patterns_at, sampled
from wdaverify.search.neuron_bounds import NeuronBounds
from wdaverify.search.result import End

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.domain import Box
    from wdaverify.gradients.question import GradientQuestion
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend

_FIRST_TURN = 512
"""Nodes of a tree's first turn."""

_GROWTH = 4
"""How much longer every further turn is."""


def largest_gradients(
    backend: Backend,
    network: Network,
    box: Box,
    questions: Sequence[GradientQuestion],
    *,
    coordinates: BoolArray | None = None,
    limits: GradientLimits | None = None,
    seed: int = 0,
) -> tuple[GradientAnswer, ...]:
    r"""Bracket ``max ||J_A^T c||_s`` over rows c and full-dimensional cells A, for every question.

    On a convex box this is the exact Lipschitz constant of ``max_c |c . f|``'s steepest form (docs/theory.md, "Lipschitz
    constants"). Ctrl-C ends the search early with the brackets proved so far.

    Parameters
    ----------
    box
        With vector ends (n,), bounded.
    coordinates
        Which input coordinates (n,) count for the norm; the free ones, ``lower < upper``, by default.

    Returns
    -------
    tuple of GradientAnswer
        One per question. Lower ends are norms of rational gradients on cells that are proved to be full-dimensional; upper
        ends are proved with every rounding charged.

    Raises
    ------
    InputError
        If the box is unbounded.

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
    >>> (answer,) = largest_gradients(get_backend("highs"), network, Box(-1, 1).sized(1), [question])
    >>> answer.lower, round(answer.upper, 9)
    (1.0, 1.0)
    """
    if not box.bounded:
        raise InputError("gradients are searched on a bounded box")
    limits = limits or GradientLimits()
    counted = np.flatnonzero((box.lower < box.upper) if coordinates is None else coordinates)
    if not len(counted):
        return tuple(_constant(box) for _ in questions)
    search = _Search(backend, network, box, questions, counted, limits, seed)
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
    ) -> None:
        targets = Targets.of(questions)
        regions = Regions.of_box(box, network.inputs)
        bounds = NeuronBounds.of(network, regions, crown_bounds(network, regions))
        incumbents = Incumbents(network, box, targets, coordinates)
        points, no_goods = sampled(box, seed), NoGoods(network.compiled.neurons)
        test = EmptinessTest(backend, network, regions, bounds, no_goods, seed=seed) if bounds.finite else None
        patterns = patterns_at(network.compiled, points)
        self._ground = Ground(backend, network, box, coordinates, bounds, no_goods, test, incumbents, points, patterns)
        self._limits, self._targets = limits, targets
        self._uppers = np.full(len(targets.form), np.inf)
        self._trees: list[GradientTree | None] = [None] * len(questions)
        self.interrupted = False

    def run(self) -> None:
        """Let the trees take turns until all are closed or a limit is reached."""
        starts = self._look_around()
        turn = _FIRST_TURN
        open_ = list(range(len(self._trees)))
        while open_:
            for q in list(open_):
                tree = self._tree(q, starts)
                tree.run(turn)
                pairs = np.flatnonzero(self._targets.uses[q])
                self._uppers[pairs] = np.minimum(self._uppers[pairs], tree.uppers)
                if tree.end is not None or tree.nodes >= self._limits.nodes:
                    open_.remove(q)
                if self._limits.deadline.passed:
                    # every tree has at least a root: its ceilings are the least that can be said
                    open_ = [k for k in open_ if self._trees[k] is None]
            turn *= _GROWTH

    def _look_around(self) -> Matrix:
        """Offer the sampled points to all questions; for every pair the steepest of them, shape (P, n)."""
        ground = self._ground
        patterns, first = np.unique(ground.patterns, axis=0, return_index=True)
        values = ground.incumbents.values(patterns)
        ground.incumbents.offer(ground.points[first], patterns, values)
        return np.asarray(ground.points[first[values.argmax(axis=0)]])

    def _tree(self, q: int, starts: Matrix) -> GradientTree:
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
            climb(ground.network.compiled, ground.box, unstable, ground.incumbents, starts[pairs[best]], int(pairs[best]))
        tree = GradientTree(ground, pairs, q, self._uppers[pairs], self._limits)
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


def _constant(box: Box) -> GradientAnswer:
    """Without coordinates that count every norm is 0."""
    point: Vector = box.lower.copy()
    return GradientAnswer(lower=0.0, upper=0.0, point=point, row=0, end=End.CLOSED, evidence=Evidence.CHECKED, nodes=0)
