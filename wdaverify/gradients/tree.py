"""Branch and bound over activation patterns, best first in batches, for one goal.

A node is closed when its ceilings are not above what the question needs, when it is proved empty, or when all phases are decided
and its cell is proved to be full-dimensional (then its gradient is an incumbent) or not to be. A cell of which neither is
proved stays in the upper end.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.cells.interior import InteriorKind, interior_of
from wdaverify.gradients.node import root_node
from wdaverify.gradients.refresh import refreshed
from wdaverify.gradients.walk import patterns_at
from wdaverify.search.result import End

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import Vector
    from wdaverify.gradients.goal import Goal
    from wdaverify.gradients.ground import Ground
    from wdaverify.gradients.node import Node
    from wdaverify.gradients.question import GradientLimits

_BATCH = 32
"""Nodes that are split at a time."""

_DOUBT, _MOST_DOUBT = 2.0, 12.0
"""A node is tested for emptiness after so many decisions, divided by the share of tests that found one empty; at most after
so many. A test costs as much as the ceilings of several nodes."""

_MEMORY = 0.05
"""Weight of the last test in that share."""

_INSIDE = 1e-6
"""Points of programs lie on facets; they are moved this part of the box's width off its own ones."""


class GradientTree:
    """The search for one goal; it can be continued after every slice.

    Parameters
    ----------
    uppers
        Proved upper bounds (P,) of the goal's norms, from elsewhere.

    Attributes
    ----------
    nodes
        Nodes visited.
    end
        ``None`` as long as nodes are open.
    """

    def __init__(self, ground: Ground, goal: Goal, uppers: Vector, limits: GradientLimits) -> None:
        self._ground, self._goal, self._limits = ground, goal, limits
        self._heap: list[tuple[float, int, Node]] = []
        self._flight: list[Node] = [root_node(ground, uppers)]
        self._closed = np.zeros(len(uppers))
        self._serial, self._rate, self._stuck = 0, 0.5, False
        self.nodes = 0
        self.end: End | None = None

    def run(self, nodes: int) -> None:
        """Visit about so many more nodes."""
        if self.nodes == 0:
            self._admit(self._flight)
            self._flight = []
        stop = min(self.nodes + nodes, self._limits.nodes)
        while self.end is None:
            self._flight = self._popped()
            if not self._flight:
                self.end = End.NUMERICAL if self._stuck or np.isinf(self._closed).any() else End.CLOSED
            elif self.nodes >= stop or self._limits.deadline.passed:
                self._return()
                return
            else:
                for node in [node for node in self._flight if node.split < 0]:
                    self._decide(node)
                parents = [node for node in self._flight if node.split >= 0]
                self._admit([n.child(sign, self._ground.patterns) for n in parents for sign in (1, -1)])
                self._flight = []

    @property
    def uppers(self) -> Vector:
        """Proved upper bounds (P,) of the goal; an interrupt at any moment leaves them valid."""
        waiting = [node for _, _, node in self._heap] + self._flight
        largest = np.max([self._closed, *(node.worth for node in waiting)], axis=0)
        return np.asarray(largest)

    def _cutoffs(self) -> Vector:
        """What a node may be worth (P,) without being followed."""
        return np.asarray(self._goal.lower * (1.0 + self._limits.gap) + self._goal.floor)

    def _popped(self) -> list[Node]:
        """The most promising nodes; those that are beaten by now are closed on the way."""
        batch: list[Node] = []
        cutoffs = self._cutoffs()
        while self._heap and len(batch) < _BATCH:
            node = self._heap[0][2]
            if (node.worth > cutoffs).any():
                batch.append(node)
            else:
                self._closed = np.maximum(self._closed, node.worth)
            self._flight = batch  # first: an interrupt in between leaves the node twice, not nowhere
            heapq.heappop(self._heap)
        return batch

    def _return(self) -> None:
        """Put the nodes in flight back."""
        for node in self._flight:
            self._push(node)
        self._flight = []

    def _push(self, node: Node) -> None:
        cutoffs = self._cutoffs()
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = float(np.max(np.where(node.worth > cutoffs, node.worth / cutoffs, 0.0)))
        self._serial += 1
        heapq.heappush(self._heap, (-excess, -self._serial, node))

    def _admit(self, nodes: Sequence[Node]) -> None:
        """Bound new nodes, test some for emptiness, and let the others wait."""
        self.nodes += len(nodes)
        alive = refreshed(self._ground, nodes)
        if not alive:
            return
        for node in self._goal.bound(alive, self._cutoffs()):
            if not (node.worth > self._cutoffs()).any():
                self._closed = np.maximum(self._closed, node.worth)
            elif (tested := self._tested(node)) is not None:
                self._push(tested)

    def _tested(self, node: Node) -> Node | None:
        """The node, unless a test that was due proves it empty."""
        if len(node.known) or self._ground.emptiness is None:
            return replace(node, doubt=0)
        if node.split >= 0 and node.doubt < min(max(_DOUBT / max(self._rate, 1e-9), 1.0), _MOST_DOUBT):
            return node
        empty, point = self._ground.emptiness.try_node(node.path, self._limits.deadline)
        self._rate += _MEMORY * (float(empty) - self._rate)
        if empty:
            return None
        if point is not None:
            self._offer(point)
        return replace(node, doubt=0)

    def _offer(self, point: Vector) -> None:
        """A program's point may lie in a steep cell."""
        box = self._ground.box
        margin = _INSIDE * (box.upper - box.lower)
        inside = np.clip(point, box.lower + margin, box.upper - margin)[None]
        self._goal.offer(inside, patterns_at(self._ground.network.compiled, inside))

    def _decide(self, node: Node) -> None:
        """Close a node without open neurons."""
        ground, active = self._ground, node.phases > 0
        interior = interior_of(ground.backend, ground.network, ground.box, active, self._limits.deadline)
        if interior.kind is InteriorKind.EMPTY:
            return
        worth = node.worth
        if interior.point is not None:
            worth = np.minimum(worth, self._goal.settle(node, interior.point))
        self._stuck |= bool((worth > self._cutoffs()).any())
        self._closed = np.maximum(self._closed, worth)
