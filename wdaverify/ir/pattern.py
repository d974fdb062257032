"""Activation patterns and the affine function that a network is on the cell of a pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from wdaverify.ir.evaluate import trace
from wdaverify.ir.ops import Affine, Input

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wdaverify._types import BoolArray, Matrix, Vector
    from wdaverify.ir.network import Network

ActivationPattern: TypeAlias = "Mapping[str, BoolArray]"
"""ReLU node to the phases (size,) of its neurons: true where the neuron is active."""


@dataclass(frozen=True, slots=True, eq=False)
class AffinePiece:
    """``weight @ x + bias``: what a node computes on one activation cell; shapes (size, n) and (size,)."""

    weight: Matrix
    bias: Vector


def pattern_at(network: Network, point: Vector) -> dict[str, BoolArray]:
    """The activation pattern at one point (n,), in float64; a pre-activation of exactly 0 counts as active."""
    values = trace(network, point[None])
    return {name: values[network.sources(name)[0]][0] >= 0 for name in network.relu_nodes}


def affine_pieces(network: Network, pattern: ActivationPattern) -> dict[str, AffinePiece]:
    """The affine map of every node when the ReLUs are replaced by the phases of `pattern`.

    Forward accumulation in float64; cost is n columns through the network.
    """
    pieces: dict[str, AffinePiece] = {}
    for name in network.order:
        op, sources = network.op(name), network.sources(name)
        if isinstance(op, Input):
            pieces[name] = AffinePiece(np.eye(op.size), np.zeros(op.size))
        elif isinstance(op, Affine):
            weight, bias = np.zeros((op.size, network.inputs)), op.bias.copy()
            for matrix, source in zip(op.matrices, sources, strict=True):
                weight += matrix @ pieces[source].weight
                bias += matrix @ pieces[source].bias
            pieces[name] = AffinePiece(weight, bias)
        else:
            active = np.asarray(pattern[name], dtype=bool)
            piece = pieces[sources[0]]
            pieces[name] = AffinePiece(np.where(active[:, None], piece.weight, 0.0), np.where(active, piece.bias, 0.0))
    return pieces


def affine_piece(network: Network, pattern: ActivationPattern) -> AffinePiece:
    """The affine map ``x -> weight @ x + bias`` of the whole network on the cell of `pattern`; weight is (K, n)."""
    return affine_pieces(network, pattern)[network.output]


def jacobian(network: Network, pattern: ActivationPattern) -> Matrix:
    """The Jacobian (K, n) of the network on the cell of `pattern`.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Relu
    >>> split = Affine((csr_array(np.array([[1.0], [-1.0]])),), np.zeros(2))
    >>> join = Affine((csr_array(np.array([[1.0, 1.0]])),), np.zeros(1))
    >>> nodes = {"x": Node(Input(1)), "z": Node(split, ("x",)), "y": Node(Relu(2), ("z",)), "f": Node(join, ("y",))}
    >>> network = Network.from_nodes(nodes, "f")                                    # f(x) = |x|
    >>> jacobian(network, {"y": np.array([False, True])}).tolist()
    [[-1.0]]
    """
    return affine_piece(network, pattern).weight
