"""Branch and bound over the cells of a box, layer by layer: every node is a region that is known to hold cells.

The same ceilings close nodes as in `gradients.tree`. But here the neurons of a layer are decided on the polytope of the prefix
(`cells.layer_search`): those that do not change sign there are known at once, and no node is empty. The price is that a layer
is decided before the next one. Worth it in few dimensions, where polytopes are cheap and most patterns do not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.cells.guide import Advice
from wdaverify.cells.layer_search import FoundCells
from wdaverify.cells.search import cell_search
from wdaverify.gradients.ceilings import Ceilings
from wdaverify.gradients.node import phases_of
from wdaverify.search.result import End

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.cells.careful import Prefix
    from wdaverify.gradients.ground import Ground
    from wdaverify.gradients.question import GradientLimits


class RegionTree:
    """The search for one question; it can be continued after every slice.

    Parameters
    ----------
    pairs
        The numbers (P,) of the question's pairs among the targets, all of one norm.
    question
        Its number.
    uppers
        Proved upper bounds (P,) of the pairs, from elsewhere.

    Attributes
    ----------
    nodes
        Regions looked at.
    end
        ``None`` as long as regions are open.
    """

    def __init__(self, ground: Ground, pairs: IntArray, question: int, uppers: Vector, limits: GradientLimits) -> None:
        self._incumbents, self._question, self._limits = ground.incumbents, question, limits
        targets = ground.incumbents.targets
        self._ceilings = Ceilings(ground, targets.forms[targets.form[pairs]], targets.norms[int(pairs[0])])
        self._known = phases_of(ground.bounds.lower, ground.bounds.upper)
        self._caps, self._closed, self._stuck = uppers, np.zeros(len(pairs)), False
        self._search = cell_search(ground.backend, ground.network, ground.box, limits.deadline, guide=self)
        self.nodes = 0
        self.end: End | None = None

    def consider(self, phases: Matrix) -> Advice:
        """Drop the prefixes (B, neurons) whose ceilings are not above what is needed; see `cells.guide`."""
        self.nodes += len(phases)
        ceilings, shares = self._bounded(phases)
        kept = np.asarray((ceilings > self._cutoffs()).any(axis=1))
        self._close(ceilings[~kept])
        return Advice(kept, shares, ceilings.max(axis=1))

    def run(self, nodes: int) -> None:
        """Look at about so many more regions."""
        stop = min(self.nodes + nodes, self._limits.nodes)
        while self.end is None:
            if not self._search.open:
                self.end = End.NUMERICAL if self._stuck else End.CLOSED
            elif self.nodes >= stop or self._limits.deadline.passed:
                return
            else:
                for part in self._search.step():
                    if isinstance(part, FoundCells):
                        self._visit(part)
                    else:
                        self._stuck = True
                        self._close(self._bounded(_signs([part]))[0])

    @property
    def uppers(self) -> Vector:
        """Proved upper bounds (P,) of the pairs; an interrupt at any moment leaves them valid."""
        left = [] if self.end is not None else self._search.prefixes()
        if not left:
            return self._closed
        return np.asarray(np.maximum(self._closed, self._bounded(_signs(left))[0].max(axis=0)))

    def _visit(self, found: FoundCells) -> None:
        """Cells are incumbents, and close with their own norms."""
        self.nodes += len(found.phases)
        patterns = np.where(found.phases, 1.0, -1.0)
        self._incumbents.offer(found.points, patterns)
        self._close(self._bounded(patterns)[0])

    def _bounded(self, phases: Matrix) -> tuple[Matrix, Matrix]:
        """Ceilings (B, P) and shares (B, neurons) of prefixes."""
        phases = np.where(phases == 0.0, self._known, phases)
        ceilings, shares = self._ceilings.lowered(phases, np.tile(self._caps, (len(phases), 1)), self._cutoffs())
        return ceilings, np.zeros_like(phases) if shares is None else shares

    def _close(self, ceilings: Matrix) -> None:
        self._closed = np.maximum(self._closed, ceilings.max(axis=0, initial=0.0))

    def _cutoffs(self) -> Vector:
        """What a region may reach (P,) without being followed."""
        return np.asarray(self._incumbents.lower[self._question] * (1.0 + self._limits.gap) + self._ceilings.floor)


def _signs(prefixes: Sequence[Prefix]) -> Matrix:
    """Phases as 1, -1, and 0 where open."""
    return np.array([np.where(p.decided, np.where(p.phases, 1.0, -1.0), 0.0) for p in prefixes])
