"""The Lipschitz constant of the cross-entropy loss: exact for two classes, a refined bracket for more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.bracket import Evidence
from wdaverify.gradients.by_search import constant_answer
from wdaverify.gradients.cross_entropy_goal import CrossEntropyGoal
from wdaverify.gradients.ground import Ground, counted_coordinates
from wdaverify.gradients.question import GradientAnswer, GradientLimits, GradientQuestion
from wdaverify.gradients.targets import Targets
from wdaverify.gradients.tree import GradientTree
from wdaverify.gradients.turns import take_turns
from wdaverify.search.result import End

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray, Norm
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend

_REFINED = 1e-6
"""Relative width to which boxes of margins are refined where there are more than two classes."""


def largest_cross_entropy_gradients(
    backend: Backend,
    network: Network,
    box: Box,
    label: int,
    norms: Sequence[Norm],
    *,
    coordinates: BoolArray | None = None,
    limits: GradientLimits | None = None,
    seed: int = 0,
) -> tuple[GradientAnswer, ...]:
    """Bracket the Lipschitz constant of ``ce(., label)`` on a box, for every norm of the inputs.

    Parameters
    ----------
    box, coordinates
        As for `gradients.oracle.largest_gradients`.
    limits
        Its gap is what two classes are solved to; with more classes boxes of margins are refined to a relative 1e-6.

    Returns
    -------
    tuple of GradientAnswer
        Lower ends are values at interior points of full-dimensional cells: gradients in rational arithmetic, exponentials with
        their error subtracted. Upper ends are proved, given exponentials within a few ulps.

    Raises
    ------
    InputError
        If the box is unbounded.
    """
    limits, counted = limits or GradientLimits(), counted_coordinates(box, coordinates)
    if not len(counted):
        return tuple(constant_answer(box) for _ in norms)
    rivals = [j for j in range(network.outputs) if j != label]
    forms = np.eye(network.outputs)[rivals] - np.eye(network.outputs)[label]
    interrupted = False
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows bounds nothing
        ground = Ground.of(
            backend,
            network,
            box,
            counted,
            Targets.of([GradientQuestion(forms, norm) for norm in dict.fromkeys(norms)]),
            seed=seed,
        )
        gap = limits.gap if network.outputs == 2 else max(limits.gap, _REFINED)
        limits = replace(limits, gap=gap)
        goals = [CrossEntropyGoal(ground, label, norm, gap=gap, deadline=limits.deadline) for norm in norms]
        trees = [GradientTree(ground, goal, np.full(len(forms), np.inf), limits) for goal in goals]
        try:
            for goal in goals:
                goal.offer(ground.points, ground.patterns)
            take_turns(len(trees), trees.__getitem__, limits)
        except KeyboardInterrupt:
            interrupted = True
    return tuple(_answer(goal, tree, interrupted=interrupted) for goal, tree in zip(goals, trees, strict=True))


def _answer(goal: CrossEntropyGoal, tree: GradientTree, *, interrupted: bool) -> GradientAnswer:
    """A goal's bracket as it stands."""
    unfinished = End.INTERRUPTED if interrupted else End.LIMIT
    return GradientAnswer(
        lower=goal.lower,
        upper=max(float(tree.uppers.max()), goal.lower),
        point=goal.point,
        row=None,
        end=tree.end or unfinished,
        evidence=Evidence.CHECKED,
        nodes=tree.nodes,
    )
