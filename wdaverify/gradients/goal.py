"""What a tree over activation patterns looks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from wdaverify.gradients.ceilings import Ceilings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.gradients.ground import Ground
    from wdaverify.gradients.node import Node


class Goal(Protocol):
    """The largest value of something that gradient norms bound.

    Attributes
    ----------
    floor
        Shape (P,): what nodes are worth cannot be told apart more closely than this, because of rounding.
    """

    floor: Vector

    @property
    def lower(self) -> float:
        """The largest value that was proved to be attained, or to be a supremum."""
        ...

    def bound(self, nodes: Sequence[Node], cutoffs: Vector) -> list[Node]:
        """The nodes with lower ceilings and scales, as far as they are worth more than `cutoffs` (P,), and with a split."""
        ...

    def offer(self, points: Matrix, patterns: Matrix) -> None:
        """Look at points (M, n) whose neurons have the phases (M, neurons)."""
        ...

    def settle(self, node: Node, point: Vector) -> Vector:
        """Evaluate a cell with an interior point: proved upper bounds (P,) there."""
        ...


class NormGoal:
    """The largest gradient norm over the forms of one question.

    Parameters
    ----------
    pairs
        The numbers (P,) of the question's pairs among the targets, all of one norm.
    question
        Its number.
    """

    def __init__(self, ground: Ground, pairs: IntArray, question: int) -> None:
        self._incumbents, self._question = ground.incumbents, question
        targets = ground.incumbents.targets
        self._ceilings = Ceilings(ground, targets.forms[targets.form[pairs]], targets.norms[int(pairs[0])])
        self.floor = self._ceilings.floor

    @property
    def lower(self) -> float:
        """The incumbent of the question."""
        return float(self._incumbents.lower[self._question])

    def bound(self, nodes: Sequence[Node], cutoffs: Vector) -> list[Node]:
        """As `Ceilings.bound`."""
        return self._ceilings.bound(nodes, cutoffs)

    def offer(self, points: Matrix, patterns: Matrix) -> None:
        """Let every question take what is steep for it."""
        self._incumbents.offer(points, patterns)

    def settle(self, node: Node, point: Vector) -> Vector:
        """The cell's gradient is exact: an incumbent, and no more than its ceilings."""
        if not self._incumbents.confirm(point, node.phases > 0):
            return node.ceilings
        return np.minimum(node.ceilings, self.lower * (1.0 + 2.0**-40) + self.floor)
