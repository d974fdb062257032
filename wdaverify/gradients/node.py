"""Nodes of the tree over activation patterns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.gradients.ground import Ground
    from wdaverify.search.neuron_bounds import NeuronBounds
    from wdaverify.search.relaxation import Path


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
    scale
        A proved bound of what the norms are multiplied with; 1 for plain gradients.
    """

    path: Path
    phases: Vector
    low: Vector
    high: Vector
    ceilings: Vector
    split: int
    known: IntArray
    doubt: int
    scale: float = 1.0

    @property
    def worth(self) -> Vector:
        """Proved upper bounds (P,) of what the goal may still find in the node."""
        return self.ceilings if self.scale == 1.0 else np.nextafter(self.ceilings * self.scale, np.inf)

    def child(self, sign: int, patterns: Matrix) -> Node:
        """The part where the neuron `split` is active (1) or inactive (-1); `patterns` are those of all known points."""
        phases = self.phases.copy()
        phases[self.split] = sign
        known = self.known[patterns[self.known, self.split] == sign]
        path = (*self.path, sign * (self.split + 1))
        return replace(self, path=path, phases=phases, split=-1, known=known, doubt=self.doubt + 1)


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
