"""Several trees take turns, each turn longer than the last: a limit leaves a good bracket everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify.gradients.question import GradientLimits
    from wdaverify.search.result import End

_FIRST_TURN = 512
"""Nodes of a tree's first turn."""

_GROWTH = 4
"""How much longer every further turn is."""


class Tree(Protocol):
    """A search that can be continued.

    Attributes
    ----------
    nodes
        Nodes visited.
    end
        ``None`` as long as nodes are open.
    """

    nodes: int
    end: End | None

    def run(self, nodes: int) -> None:
        """Visit about so many more nodes."""
        ...


AnyTree = TypeVar("AnyTree", bound=Tree)


def take_turns(
    count: int,
    tree: Callable[[int], AnyTree],
    limits: GradientLimits,
    heard: Callable[[int, AnyTree], None] = lambda _number, _tree: None,
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
