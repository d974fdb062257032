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
    >>> bounds.unstable("z").tolist()
    [[True, False]]
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

    def unstable(self, name: str) -> BoolArray:
        """Which entries (B, size) of node `name` have ``lower < 0 < upper``: the phase of their ReLU is open."""
        return np.asarray((self.lower[name] < 0) & (self.upper[name] > 0))


def pre_activations(network: Network) -> set[str]:
    """The nodes that ReLUs read."""
    return {network.sources(name)[0] for name in network.relu_nodes}
