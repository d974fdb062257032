"""The network about another origin, with logits moved by constants: ``d -> f(c + d) + a``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from wdaverify.ir.network import Network, Node
from wdaverify.ir.ops import Affine, Input

if TYPE_CHECKING:
    from wdaverify._types import Vector


def shifted(network: Network, center: Vector, offsets: Vector) -> Network:
    """The network ``d -> f(center + d) + offsets``, exactly: two affine nodes more, whose coefficients are the numbers given.

    Parameters
    ----------
    center, offsets
        Shapes (n,) and (K,).

    Examples
    --------
    >>> nodes = {"x": Node(Input(1)), "y": Node(Affine((csr_array(np.array([[2.0]])),), np.array([-3.0])), ("x",))}
    >>> network = shifted(Network.from_nodes(nodes, "y"), np.array([0.25]), np.array([10.0]))
    >>> network.compiled.forward(np.array([[1.0]])).tolist()                                    # 2 * 1.25 - 3 + 10
    [[9.5]]
    """
    step, moved = _fresh("step", network), _fresh("moved", network)
    nodes: dict[str, Node] = {step: Node(Input(network.inputs))}
    for name in network.order:
        nodes[name] = Node(network.op(name), network.sources(name))
    nodes[network.input] = Node(Affine((csr_array(np.eye(network.inputs)),), np.asarray(center, dtype=np.float64)), (step,))
    nodes[moved] = Node(Affine((csr_array(np.eye(network.outputs)),), np.asarray(offsets, dtype=np.float64)), (network.output,))
    return Network.from_nodes(nodes, moved, notes=network.notes)


def _fresh(name: str, network: Network) -> str:
    """A name that no node has."""
    while name in network.graph:
        name += "'"
    return name
