"""Several trees take turns, each turn longer than the last: a limit leaves a good bracket everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify.gradients.question import GradientLimits
    from wdaverify.gradients.tree import GradientTree

_FIRST_TURN = 512
"""Nodes of a tree's first turn."""

_GROWTH = 4
"""How much longer every further turn is."""


def take_turns(
    count: int,
    tree: Callable[[int], GradientTree],
    limits: GradientLimits,
    heard: Callable[[int, GradientTree], None] = lambda _number, _tree: None,
) -> None:
    """Run trees until all are closed or a limit is reached; each runs at least once, which bounds its root.

    Parameters
    ----------
    tree
        Gives the tree of a number below `count`.
    heard
        Is told after every turn.
    """
    waiting, turn, first = list(range(count)), _FIRST_TURN, True
    while waiting:
        for number in list(waiting):
            if limits.deadline.passed and not first:
                return
            current = tree(number)
            current.run(turn)
            heard(number, current)
            if current.end is not None or current.nodes >= limits.nodes:
                waiting.remove(number)
        turn, first = turn * _GROWTH, False
