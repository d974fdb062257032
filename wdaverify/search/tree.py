"""Depth-first branch and bound over activation phases, below one node and up to a cap.

A node is closed only by a proved ceiling. A node that is not closed gives a candidate point, which the caller checks, and
is split at the neuron whose triangle contributes most to the bound (dual times intercept). A node without free neurons
that still does not close stays open: the answer is then `Verdict.OPEN`, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._deadline import Deadline
    from wdaverify._types import BoolArray, Vector
    from wdaverify.search.ceiling import Multipliers
    from wdaverify.search.node_answer import NodeAnswer
    from wdaverify.search.relaxation import Path, PhaseRelaxation

    Leaf = Callable[[Path, Multipliers], None]
    """Told of every node that closes, and of what proves it."""


class Verdict(StrEnum):
    """How a search for a point with a nonnegative goal ended."""

    CLOSED = "closed"
    """Proved: the goal is negative on the whole region."""
    FOUND = "found"
    """The caller accepted a point."""
    OPEN = "open"
    """Neither: limits were reached, or a node without free neurons did not close."""


@dataclass(frozen=True, slots=True, eq=False)
class Dive:
    """How far a depth-first search came.

    Attributes
    ----------
    nodes
        Programs solved.
    stuck
        Whether a node without free neurons did not close, or the solver failed: more nodes will not help.
    root
        The answer at the node where it began; ``None`` if not even that was solved.
    first
        The first decision taken there, 0 if none was.
    """

    verdict: Verdict
    nodes: int
    stuck: bool
    root: NodeAnswer | None
    first: int


class DepthFirst:
    """One search below a node, which can be continued: `run` goes on where it stopped.

    Parameters
    ----------
    relaxation
        Aimed at a goal.
    accept
        Called with candidate inputs (n,); true ends the search.
    leaf
        Told of closed nodes.
    """

    def __init__(
        self, relaxation: PhaseRelaxation, prefix: Path, accept: Callable[[Vector], bool], leaf: Leaf | None = None
    ) -> None:
        self._relaxation, self._prefix, self._accept, self._leaf = relaxation, prefix, accept, leaf
        self._stack: list[Path] = [prefix]
        self._root: NodeAnswer | None = None
        self._first = 0
        self._stuck = False
        self.closed_share = 0.0
        self.nodes = 0

    @property
    def remaining(self) -> float:
        """Knuth's estimate of the nodes still to be solved: the closed share of the tree took as many as were solved."""
        return float("inf") if self.closed_share == 0.0 else self.nodes * (1.0 - self.closed_share) / self.closed_share

    def run(self, nodes: int, deadline: Deadline) -> Dive:
        """Solve at most `nodes` more nodes."""
        start = self.nodes
        while self._stack:
            if self.nodes - start >= nodes or deadline.passed:
                return self._dive(Verdict.OPEN)
            path = self._stack.pop()
            self._relaxation.move(path)
            answer = self._relaxation.answer(0.0, deadline)
            self.nodes += 1
            if self._root is None:
                self._root = answer
            if answer.closed:
                self._close(path, answer)
                continue
            if answer.failed:  # splitting a program that the solver cannot work on only makes more of them
                self._stuck = self._stuck or not deadline.passed
                self._stack.append(path)
                return self._dive(Verdict.OPEN)
            if answer.point is not None and self._accept(answer.point):
                return self._dive(Verdict.FOUND)
            decision = branch(answer, self._relaxation.free, path)
            if decision == 0:
                self._stuck = True
                continue
            if self._first == 0:
                self._first = decision
            self._stack.extend([(*path, -decision), (*path, decision)])
        return self._dive(Verdict.OPEN if self._stuck else Verdict.CLOSED)

    def _close(self, path: Path, answer: NodeAnswer) -> None:
        self.closed_share += 2.0 ** (len(self._prefix) - len(path))
        if self._leaf is not None and answer.multipliers is not None:
            self._leaf(path, answer.multipliers)

    def _dive(self, verdict: Verdict) -> Dive:
        return Dive(verdict, self.nodes, self._stuck, self._root, self._first)


def branch(answer: NodeAnswer, free: BoolArray, path: Path) -> int:
    """The decision to explore first, 0 when no neuron is free: the largest score, on the side of the solver's own point."""
    if not free.any():
        return 0
    scores = np.where(free, answer.scores, -np.inf)
    scores[[abs(d) - 1 for d in path]] = -np.inf
    k = int(np.argmax(scores))
    if scores[k] == -np.inf:
        return 0
    return k + 1 if answer.active_first[k] else -(k + 1)
