"""Patterns that gradient programs must not choose again: parts of patterns proved to have no interior, and undecided ones.

A proof often needs a part of the pattern only. Smaller parts exclude more patterns at once, so that a proof is repeated on
prefixes of the layers, and on fewer neurons of the last layer that it needs (a deletion filter: Chinneck and Dravnieks,
*Locating minimal infeasible constraint sets in linear programs*, 1991).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wdaverify.cells.interior import InteriorKind, interior_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._deadline import Deadline
    from wdaverify._types import BoolArray, IntArray
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network
    from wdaverify.program.backend import Backend

_TRIALS = 64
"""About so many deletions are tried in a layer."""


class Exclusion(NamedTuple):
    """A part of a pattern: the phases (neurons,) of the neurons that are decided (neurons,)."""

    phases: BoolArray
    decided: BoolArray

    def covers(self, phases: BoolArray) -> bool:
        """Whether a complete pattern contains this part."""
        return bool((phases == self.phases)[self.decided].all())


def smallest_empty_part(backend: Backend, network: Network, box: Box, phases: BoolArray, deadline: Deadline) -> Exclusion:
    """A part, as small as a few trials make it, of a pattern whose cell is proved to have no interior; proved as well.

    Examples
    --------
    ``relu(x) - relu(-x) + relu(x - 5)`` on [-1, 1]: that the first two are both active is reason enough.

    >>> from scipy.sparse import csr_array
    >>> from wdaverify._deadline import Deadline
    >>> from wdaverify.domain import Box
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input, Relu
    >>> from wdaverify.program.backend import get_backend
    >>> first = Affine((csr_array(np.array([[1.0], [-1.0], [1.0]])),), np.array([0.0, 0.0, -5.0]))
    >>> last = Affine((csr_array(np.array([[1.0, -1.0, 1.0]])),), np.zeros(1))
    >>> nodes = {"x": Node(Input(1)), "z": Node(first, ("x",)), "a": Node(Relu(3), ("z",)), "y": Node(last, ("a",))}
    >>> network, box, pattern = Network.from_nodes(nodes, "y"), Box(-1, 1).sized(1), np.array([True, True, False])
    >>> smallest_empty_part(get_backend("highs"), network, box, pattern, Deadline()).decided.tolist()
    [True, True, False]
    """

    def is_empty(part: BoolArray) -> bool:
        return interior_of(backend, network, box, phases, deadline, decided=part).kind is InteriorKind.EMPTY

    prefix = np.zeros(len(phases), dtype=np.bool_)
    for step in network.compiled.relus:
        if deadline.passed:
            break
        prefix[step.neurons] = True
        if prefix.all() or is_empty(prefix):
            return Exclusion(phases, _thinned(prefix, np.arange(len(phases))[step.neurons], is_empty, deadline))
    return Exclusion(phases, np.ones(len(phases), dtype=np.bool_))


def _thinned(decided: BoolArray, layer: IntArray, is_empty: Callable[[BoolArray], bool], deadline: Deadline) -> BoolArray:
    """The decided neurons without those of a layer, which none of them reads, that the proof can do without.

    Blocks are tried first, from half of the layer down to single neurons (in wide layers, to a few).
    """
    size = max(1, len(layer) // 2)
    least = max(1, len(layer) // _TRIALS)
    while True:
        for start in range(0, len(layer), size):
            part = decided.copy()
            part[layer[start : start + size]] = False
            if deadline.passed:
                return decided
            if (part != decided).any() and is_empty(part):
                decided = part
        if size <= least:
            return decided
        size = max(least, size // 2)
