"""Small networks for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from wdaverify.ir.network import Network, Node
from wdaverify.ir.ops import Affine, Input, Relu

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike


def mlp(weights: Sequence[ArrayLike], biases: Sequence[ArrayLike]) -> Network:
    """``z = W a + b`` layer by layer with ReLU between, W of shape (out, in)."""
    matrices = [np.asarray(w, dtype=np.float64) for w in weights]
    nodes = {"x": Node(Input(matrices[0].shape[1]))}
    previous = "x"
    for k, (matrix, bias) in enumerate(zip(matrices, biases, strict=True)):
        if k:
            nodes[f"relu{k}"] = Node(Relu(len(matrix[0])), (previous,))
            previous = f"relu{k}"
        nodes[f"affine{k}"] = Node(Affine((csr_array(matrix),), np.asarray(bias, dtype=np.float64)), (previous,))
        previous = f"affine{k}"
    return Network.from_nodes(nodes, previous)


def random_mlp(sizes: Sequence[int], seed: int) -> Network:
    """Gaussian weights of He's scale and biases of the same size."""
    generator = np.random.default_rng(seed)
    pairs = list(zip(sizes[1:], sizes[:-1], strict=True))
    weights = [generator.normal(size=pair) * np.sqrt(2 / pair[1]) for pair in pairs]
    return mlp(weights, [generator.normal(size=rows) * 0.3 for rows, _ in pairs])


def random_residual(seed: int, inputs: int, width: int, outputs: int) -> Network:
    """A residual block with a second branch that reads the input: every kind of edge the graph can have."""
    generator = np.random.default_rng(seed)

    def draw(rows: int, columns: int) -> csr_array:
        return csr_array(generator.normal(size=(rows, columns)) / np.sqrt(columns))

    def bias(size: int) -> np.ndarray:
        return generator.uniform(-0.5, 0.5, size)

    nodes = {
        "x": Node(Input(inputs)),
        "z0": Node(Affine((draw(width, inputs),), bias(width)), ("x",)),
        "y0": Node(Relu(width), ("z0",)),
        "z1": Node(Affine((draw(width, width), csr_array(np.eye(width))), bias(width)), ("y0", "z0")),
        "y1": Node(Relu(width), ("z1",)),
        "f": Node(Affine((draw(outputs, width), draw(outputs, width), draw(outputs, inputs)), bias(outputs)), ("y1", "y0", "x")),
    }
    return Network.from_nodes(nodes, "f")
