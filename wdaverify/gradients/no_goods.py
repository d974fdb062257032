"""Sets of phases that no point of the box has together: what one proof of emptiness teaches all other nodes.

A node that holds all decisions of a no-good is empty; one that holds all but one and leaves that one open implies its
opposite (unit propagation, as in conflict-driven search: Marques-Silva and Sakallah, *GRASP*, 1999).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Matrix

_ROUNDS = 8
"""Rounds of propagation: later consequences wait for the next visit."""


class NoGoods:
    """The no-goods learned so far, as rows of a matrix with entries 1 (active), -1 (inactive) and 0.

    Examples
    --------
    >>> known = NoGoods(3)
    >>> known.learn(np.array([1.0, -1.0, 0.0]))
    >>> phases = np.array([[1.0, 0.0, 0.0], [1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> known.propagate(phases).tolist(), phases[0].tolist()
    ([False, True, False], [1.0, 1.0, 0.0])
    """

    def __init__(self, neurons: int) -> None:
        self._rows = np.zeros((0, neurons), dtype=np.float32)
        self._count = 0

    def __len__(self) -> int:
        """Number of no-goods."""
        return self._count

    def learn(self, decisions: Matrix) -> None:
        """Add one no-good (neurons,), proved empty by the caller."""
        if self._count == len(self._rows):
            more = np.zeros((max(64, self._count), self._rows.shape[1]), dtype=np.float32)
            self._rows = np.concatenate([self._rows, more])
        self._rows[self._count] = decisions
        self._count += 1

    def propagate(self, phases: Matrix) -> BoolArray:
        """Set implied phases in place, in nodes (M, neurons); which nodes (M,) are proved empty."""
        empty = np.zeros(len(phases), dtype=bool)
        rows = self._rows[: self._count]
        sizes = np.abs(rows).sum(axis=1)
        todo = np.arange(len(phases))
        for _ in range(_ROUNDS if self._count else 0):
            agreement = phases[todo].astype(np.float32) @ rows.T
            empty[todo] |= (agreement >= sizes).any(axis=1)
            node, rule = np.nonzero(agreement == sizes - 1.0)
            keep = ~empty[todo[node]]
            node, rule = todo[node[keep]], rule[keep]
            if not len(node):
                break
            missing = (rows[rule] != 0) & (phases[node] == 0)  # none, where two rules of this round imply the same
            which, neuron = np.nonzero(missing)
            implied = -rows[rule[which], neuron]
            phases[node[which], neuron] = implied
            clash = phases[node[which], neuron] != implied  # two rules imply opposite phases
            empty[node[which[clash]]] = True
            todo = np.unique(node[which])
        return empty
