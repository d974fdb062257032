"""The margin as a network with the judge's own stages: ``m <- m + relu(z_j - m)`` over ``z_j = f_j - f_y``, j increasing.

`ir.loss_networks` has the same function in other stages; interval bounds and neuron numbers of a proof must be the judge's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from wdaverify.ir.network import Network, Node
from wdaverify.ir.ops import Affine, Relu

if TYPE_CHECKING:
    from wdaverify._types import Matrix


def judged_margin(network: Network, label: int) -> Network:
    """``max_{j != label} f_j - f_label`` as a network of one output; neurons of the network keep their numbers.

    Examples
    --------
    >>> from wdaverify.ir.builder import GraphBuilder
    >>> builder = GraphBuilder(3)
    >>> network = judged_margin(builder.finish(builder.scale(builder.input, np.array([1.0, 2.0, 3.0]))), 0)
    >>> network.relus, network.compiled.forward(np.array([[1.0, 5.0, 3.0], [4.0, 1.0, 1.0]])).tolist()
    (1, [[9.0], [-1.0]])
    """
    nodes = {name: Node(network.op(name), network.sources(name)) for name in network.order}
    others = [j for j in range(network.outputs) if j != label]
    differences = np.eye(network.outputs)[others]
    differences[:, label] -= 1.0

    def affine(name: str, *parts: tuple[str, Matrix]) -> str:
        nodes[name] = Node(
            Affine(tuple(csr_array(matrix) for _, matrix in parts), np.zeros(len(parts[0][1]))),
            tuple(source for source, _ in parts),
        )
        return name

    prefix = "judged" + "_" * max((len(name) for name in nodes), default=0)  # longer than every other name
    z, units, one = affine(f"{prefix}.z", (network.output, differences)), np.eye(len(others)), np.ones((1, 1))
    best = (z, units[:1])
    for k in range(1, len(others)):
        source, row = best
        parts = ((z, units[k : k + 1] - row),) if source == z else ((z, units[k : k + 1]), (source, -row))
        gain = affine(f"{prefix}.gain{k}", *parts)
        nodes[f"{prefix}.relu{k}"] = Node(Relu(1), (gain,))
        best = (affine(f"{prefix}.max{k}", best, (f"{prefix}.relu{k}", one)), one)
    return Network.from_nodes(nodes, best[0], input_shape=network.input_shape)
