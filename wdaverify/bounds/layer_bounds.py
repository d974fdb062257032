"""Bounds of the pre-activations and of the output, for a batch of regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, Matrix
    from wdaverify.ir.network import Network


@dataclass(frozen=True, slots=True, eq=False)
class LayerBounds:
    """Real numbers between which node values lie: ``lower[v] <= x_v <= upper[v]`` on every region of a batch.

    The keys are the nodes that ReLUs read (their values are the pre-activations) and the output node. The bounds hold
    in real arithmetic for the exact weights. An end may be infinite; ``lower > upper`` proves that the region is empty.

    Parameters
    ----------
    lower, upper
        Node name to array (B, size of the node).
    output
        The key that is no pre-activation; no other node reads it.

    Examples
    --------
    >>> lower = {"z": np.array([[-1.0, 0.5]]), "y": np.array([[-7.0]])}
    >>> bounds = LayerBounds(lower, {"z": np.array([[2.0, 3.0]]), "y": np.array([[7.0]])}, "y")
    >>> bounds.unstable("z").tolist(), bounds.unstable_count()
    ([[True, False]], 1)
    """

    lower: dict[str, Matrix]
    upper: dict[str, Matrix]
    output: str | None = None

    @property
    def count(self) -> int:
        """Number B of regions."""
        return len(next(iter(self.lower.values())))

    def __getitem__(self, index: slice | IntArray | BoolArray) -> LayerBounds:
        """The bounds of some of the regions; the batch axis stays."""
        lower, upper = ({name: end[index] for name, end in ends.items()} for ends in (self.lower, self.upper))
        return LayerBounds(lower, upper, self.output)

    def intersect(self, other: LayerBounds) -> LayerBounds:
        """The tighter end of either, node by node; nodes that only one of the two knows are kept."""
        lower, upper = dict(self.lower), dict(self.upper)
        for name in other.lower:
            lower[name] = np.maximum(lower.get(name, -np.inf), other.lower[name])
            upper[name] = np.minimum(upper.get(name, np.inf), other.upper[name])
        return LayerBounds(lower, upper, self.output or other.output)

    def unstable(self, name: str) -> BoolArray:
        """Which entries (B, size) of node `name` have ``lower < 0 < upper``: the phase of their ReLU is open."""
        return np.asarray((self.lower[name] < 0) & (self.upper[name] > 0))

    def unstable_count(self) -> int:
        """The number of unstable pre-activations over all regions."""
        return sum(int(self.unstable(name).sum()) for name in self.lower if name != self.output)


def pre_activations(network: Network) -> set[str]:
    """The nodes that ReLUs read."""
    return {network.sources(name)[0] for name in network.relu_nodes}
