"""The homogenised network ``F(u, t) = t f(u / t)``: every bias becomes the weight of one more input t.

ReLU is positively homogeneous, so F is the same graph without biases, and ``F(x, 1) = f(x)``. All of R^n becomes a
bounded set: x is the ray through ``(u, t)`` in ``[-1, 1]^n x [0, 1]``, infinity is the face ``t = 0`` (theory, section
5, and the construction of the recession function there).
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from wdaverify.ir.network import Network, Node
from wdaverify.ir.ops import Affine, Input, RationalAffine


def homogenised(network: Network) -> Network:
    """Return F as a network with ``n + 1`` inputs: the first n are u, the last is t.

    Examples
    --------
    >>> from wdaverify.ir.evaluate import forward
    >>> line = Affine((csr_array(np.array([[3.0]])),), np.array([5.0]))
    >>> network = Network.from_nodes({"x": Node(Input(1)), "y": Node(line, ("x",))}, "y")
    >>> forward(homogenised(network), np.array([[2.0, 1.0], [1.0, 0.0]])).tolist()
    [[11.0], [3.0]]
    """
    n = network.inputs
    extended = "homogeneous input"
    nodes: dict[str, Node] = {extended: Node(Input(n + 1))}
    for name in network.order:
        op, sources = network.op(name), network.sources(name)
        if isinstance(op, Input):
            first = csr_array((np.ones(n), (np.arange(n), np.arange(n))), shape=(n, n + 1))
            nodes[name] = Node(Affine((first,), np.zeros(n)), (extended,))
        elif isinstance(op, Affine):
            nodes[name] = Node(_bias_as_weight(op, n), (*sources, extended))
        else:
            nodes[name] = Node(op, sources)
    return Network.from_nodes(nodes, network.output)


def _bias_as_weight(op: Affine, n: int) -> Affine:
    rows, zero = np.flatnonzero(op.bias), np.zeros(op.size)
    column = csr_array((op.bias[rows], (rows, np.full(len(rows), n))), shape=(op.size, n + 1))
    if op.exact is None:
        return Affine((*op.matrices, column), zero)
    no_bias = np.zeros(op.size, dtype=object)
    exact = RationalAffine((*op.exact.data, op.exact.bias[rows]), no_bias, op.exact.denominator)
    return Affine((*op.matrices, column), zero, exact)
