"""The margin loss and the hinge loss as networks of one output, neuron by neuron as the judge extends a model.

``m = max_(j != y) f_j - f_y`` is folded: all differences, then ``m <- m + relu(z_j - m)``, j increasing. The hinge is
``relu(m + 1)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from wdaverify.ir.network import Network, Node
from wdaverify.ir.ops import Affine, Relu

if TYPE_CHECKING:
    from wdaverify._types import Matrix


def with_margin(network: Network, label: int, *, hinge: bool = False) -> Network:
    """The network ``x -> m(f(x), label)``, or its hinge, in exact arithmetic; its neurons follow those of the network.

    Examples
    --------
    >>> from wdaverify.ir.ops import Input
    >>> logits = Affine((csr_array(np.array([[1.0], [-1.0], [0.0]])),), np.array([0.0, 2.0, 0.0]))
    >>> network = Network.from_nodes({"x": Node(Input(1)), "f": Node(logits, ("x",))}, "f")
    >>> with_margin(network, 2).compiled.forward(np.array([[3.0], [-3.0]])).tolist()
    [[3.0], [5.0]]
    """
    build = _Builder(network)
    others = [j for j in range(network.outputs) if j != label]
    units = np.eye(network.outputs)
    differences = build.affine([(network.output, units[others] - units[label])], 0.0)
    rows = np.eye(len(others))
    best = differences if len(others) == 1 else build.affine([(differences, rows[:1])], 0.0)
    one = np.ones((1, 1))
    for row in rows[1:]:
        gain = build.relu(build.affine([(differences, row[None]), (best, -one)], 0.0))
        best = build.affine([(best, one), (gain, one)], 0.0)
    if hinge:
        best = build.affine([(build.relu(build.affine([(best, one)], 1.0)), one)], 0.0)
    return Network.from_nodes(build.nodes, best, input_shape=network.input_shape)


class _Builder:
    """Nodes after those of a network."""

    def __init__(self, network: Network) -> None:
        self.nodes = {name: network.node(name) for name in network.order}

    def affine(self, terms: list[tuple[str, Matrix]], constant: float) -> str:
        """The name of ``sum matrix source + constant``."""
        matrices, sources = tuple(csr_array(m) for _, m in terms), tuple(name for name, _ in terms)
        return self._add(Node(Affine(matrices, np.full(terms[0][1].shape[0], constant)), sources))

    def relu(self, source: str) -> str:
        """The name of the positive part of one number."""
        return self._add(Node(Relu(1), (source,)))

    def _add(self, node: Node) -> str:
        name = f"loss {len(self.nodes)}"
        while name in self.nodes:
            name += "'"
        self.nodes[name] = node
        return name
