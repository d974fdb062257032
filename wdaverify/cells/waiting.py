"""Nodes that wait for their turn: depth first, or the most promising first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify.cells.nodes import Nodes

_CHUNK = 32
"""Nodes of like worth wait together."""

_MANY = 20_000
"""When more nodes wait, those of the deepest layers come first whatever they are worth: memory is limited."""


class Waiting:
    """All waiting nodes of a search.

    Parameters
    ----------
    layers
        Number of layers that a node may be in.
    best_first
        Whether nodes differ in worth.
    """

    def __init__(self, layers: int, *, best_first: bool) -> None:
        self._parts: list[list[Nodes]] = [[] for _ in range(layers)]
        self._best_first = best_first
        self._count = 0

    def __bool__(self) -> bool:
        return any(self._parts)

    def __iter__(self) -> Iterator[Nodes]:
        return (nodes for parts in self._parts for nodes in parts)

    def push(self, nodes: Nodes) -> None:
        """Add nodes of one layer."""
        self._count += nodes.count
        if self._best_first and nodes.count > _CHUNK:
            order = np.argsort(-nodes.worth, kind="stable")
            chunks = [nodes[order[start : start + _CHUNK]] for start in range(0, nodes.count, _CHUNK)]
            self._parts[nodes.layer].extend(reversed(chunks))
        else:
            self._parts[nodes.layer].append(nodes)

    def take(self, most: int, taken: list[Nodes]) -> None:
        """Move about so many nodes of one layer into a list; an interrupt in between leaves nodes twice, not nowhere."""
        best_first = self._best_first and self._count <= _MANY
        parts = self._most_promising() if best_first else self._deepest(most)
        if best_first:
            parts.sort(key=lambda nodes: float(nodes.worth[0]))
        while parts and sum(nodes.count for nodes in taken) < most:
            taken.append(parts[-1])
            parts.pop()
        self._count -= sum(nodes.count for nodes in taken)

    def _most_promising(self) -> list[Nodes]:
        """The layer of the most promising node."""
        return max((parts for parts in self._parts if parts), key=lambda parts: max(float(nodes.worth[0]) for nodes in parts))

    def _deepest(self, most: int) -> list[Nodes]:
        """The deepest layer with half of what is wanted, or else the first: so batches are full, and few nodes wait."""
        full = [parts for parts in self._parts if 2 * sum(nodes.count for nodes in parts) >= most]
        return full[-1] if full else next(parts for parts in self._parts if parts)
