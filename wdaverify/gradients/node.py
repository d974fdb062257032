"""Nodes of the tree over activation patterns, and what all trees on one box share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.domain import Box
    from wdaverify.gradients.emptiness import EmptinessTest
    from wdaverify.gradients.incumbents import Incumbents
    from wdaverify.gradients.no_goods import NoGoods
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend
    from wdaverify.search.neuron_bounds import NeuronBounds
    from wdaverify.search.relaxation import Path


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """A network on a box.

    Attributes
    ----------
    coordinates
        The input coordinates that count for norms, shape (n',).
    bounds
        Proved on the box.
    emptiness
        ``None`` where bounds are not finite, so that no program can be built.
    points, patterns
        Known points (M, n) of the box and the phases (M, neurons) there, 1 and -1.
    """

    backend: Backend
    network: Network
    box: Box
    coordinates: IntArray
    bounds: NeuronBounds
    no_goods: NoGoods
    emptiness: EmptinessTest | None
    incumbents: Incumbents
    points: Matrix
    patterns: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """The cells of a box that share some phases.

    Attributes
    ----------
    path
        The phases that were decided or follow from decisions, in that order (`search.relaxation.Path`).
    phases
        Shape (neurons,): 1 active, -1 inactive, 0 open.
    low, high
        Proved bounds (neurons,) of the pre-activations on the node.
    ceilings
        Proved upper bounds (P,) of the tree's pairs over the node's cells.
    split
        The neuron to decide next; -1 when none is open.
    known
        Numbers of the known points that lie in the node.
    doubt
        Decisions since the node, or one above it, was last seen to be possible.
    """

    path: Path
    phases: Vector
    low: Vector
    high: Vector
    ceilings: Vector
    split: int
    known: IntArray
    doubt: int

    def child(self, sign: int, patterns: Matrix) -> Node:
        """The part where the neuron `split` is active (1) or inactive (-1); `patterns` are those of all known points."""
        phases = self.phases.copy()
        phases[self.split] = sign
        known = self.known[patterns[self.known, self.split] == sign]
        path = (*self.path, sign * (self.split + 1))
        return Node(path, phases, self.low, self.high, self.ceilings, -1, known, self.doubt + 1)


def root_node(ground: Ground, ceilings: Vector) -> Node:
    """The whole box."""
    bounds = ground.bounds
    phases = phases_of(bounds.lower, bounds.upper)
    return Node((), phases, bounds.lower, bounds.upper, ceilings, -1, np.arange(len(ground.points)), 0)


def phases_of(low: Matrix, high: Matrix) -> Matrix:
    """The phases that bounds decide."""
    return np.asarray(np.where(low >= 0, 1.0, np.where(high <= 0, -1.0, 0.0)))


def longer_path(node: Node, phases: Vector, bounds: NeuronBounds) -> Path:
    """The node's path and the phases decided since, of neurons that are unstable on the box."""
    new = np.flatnonzero((phases != 0) & bounds.unstable)
    known = {abs(d) - 1 for d in node.path}
    return (*node.path, *(int((k + 1) * phases[k]) for k in new.tolist() if k not in known))


def stacked(nodes: Sequence[Node], name: str) -> Matrix:
    """One array of the nodes, side by side."""
    return np.array([getattr(node, name) for node in nodes])
