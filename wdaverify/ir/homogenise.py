"""The network as a homogeneous function of one more input, and its recession function.

For a network f whose ReLUs are fed by affine maps, ``F(u, t) = t f(u / t)``, ``t > 0``, is the same network with every bias
multiplied by the further input t: ``t (M x + b) = M (t x) + b t``, and ``t max(0, z) = max(0, t z)``. So F has weights only, is
defined for all (u, t), and is positively homogeneous. Two facts follow (docs/theory.md, "The whole space"):

* at ``t > 0`` every pre-activation has the sign that it has in f at ``x = u / t``, and ``dF/du (u, t) = df/dx (u / t)``: the
  full-dimensional cells of f on R^n are those of F on ``[-1, 1]^n x [0, 1]``;
* ``F(u, 0) = f0(u)``, the network without its biases, which is the recession function ``lim f(s u) / s``, ``s -> inf``.

Both networks hold the stored rationals themselves: a bias moves, no number is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from wdaverify.ir.network import Network, Node
from wdaverify.ir.ops import Affine, Input, RationalAffine, Relu

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, ObjectArray, SparseMatrix, Vector


def homogenised(network: Network) -> Network:
    """The network ``F(u, t) = t f(u / t)`` of n + 1 inputs, t last, without biases.

    Its ReLU nodes have the names and the neurons of the network's own.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from wdaverify.ir.exact import exact_forward
    >>> nodes = {"x": Node(Input(1)), "z": Node(Affine((csr_array(np.array([[2.0]])),), np.array([-3.0])), ("x",))}
    >>> nodes |= {"a": Node(Relu(1), ("z",)), "y": Node(Affine((csr_array(np.array([[1.0]])),), np.array([0.5])), ("a",))}
    >>> network = homogenised(Network.from_nodes(nodes, "y"))
    >>> exact_forward(network, [1.0, 0.25])                                 # f(4) / 4, f(x) = max(0, 2x - 3) + 1/2
    (Fraction(11, 8),)
    """
    n = network.inputs
    nodes: dict[str, Node] = {}
    for name in network.order:
        op, sources = network.op(name), network.sources(name)
        if isinstance(op, Input):
            nodes[name] = Node(Input(n + 1))
        elif isinstance(op, Affine):
            nodes[name] = _with_bias_as_weight(op, sources, network.input, n)
        elif sources[0] == network.input:  # a ReLU of all inputs must not get t as well
            selection = _fresh(f"{name}.inputs", network)
            nodes[selection] = Node(Affine((csr_array(np.eye(n, n + 1)),), np.zeros(n)), sources)
            nodes[name] = Node(Relu(n), (selection,))
        else:
            nodes[name] = Node(op, sources)
    return Network.from_nodes(nodes, network.output, notes=network.notes)


def without_biases(network: Network) -> Network:
    """The recession function ``f0``: the same weights, every bias 0.

    Examples
    --------
    >>> nodes = {"x": Node(Input(1)), "y": Node(Affine((csr_array(np.array([[2.0]])),), np.array([-3.0])), ("x",))}
    >>> without_biases(Network.from_nodes(nodes, "y")).compiled.forward(np.array([[4.0]])).tolist()
    [[8.0]]
    """
    nodes: dict[str, Node] = {}
    for name in network.order:
        op = network.op(name)
        if isinstance(op, Affine):
            exact = op.exact and RationalAffine(op.exact.data, _no_bias(op.size), op.exact.denominator)
            op = Affine(op.matrices, np.zeros(op.size), exact)
        nodes[name] = Node(op, network.sources(name))
    return Network.from_nodes(nodes, network.output, input_shape=network.input_shape, notes=network.notes)


def _with_bias_as_weight(op: Affine, sources: tuple[str, ...], inputs: str, n: int) -> Node:
    """``sum_k M_k x_k + b t``: the bias as column n of the first matrix that reads the input, which is added if none does."""
    exact_bias = op.bias if op.exact is None else op.exact.bias
    filled = np.asarray(exact_bias != 0, dtype=bool)
    matrices, places = list(op.matrices), list(sources)
    data = [] if op.exact is None else list(op.exact.data)
    if inputs not in places:
        if not filled.any():
            return Node(op, sources)
        matrices, places, data = [*matrices, csr_array((op.size, n))], [*places, inputs], [*data, np.zeros(0, dtype=object)]
    for k in [k for k, source in enumerate(places) if source == inputs]:
        widened = _Widened.of(matrices[k], filled)
        matrices[k] = widened.matrix(matrices[k].data, op.bias)
        if op.exact is not None:
            data[k] = widened.entries(data[k], op.exact.bias)
        filled = np.zeros_like(filled)
    exact = op.exact and RationalAffine(tuple(data), _no_bias(op.size), op.exact.denominator)
    return Node(Affine(tuple(matrices), np.zeros(op.size), exact), tuple(places))


def _no_bias(size: int) -> ObjectArray:
    return np.full(size, 0, dtype=object)


class _Widened:
    """A sparse pattern with one more, last column, filled in some of its rows."""

    def __init__(self, order: IntArray, columns: IntArray, starts: IntArray, filled: BoolArray, width: int) -> None:
        self._order, self._columns, self._starts, self._filled, self._width = order, columns, starts, filled, width

    @staticmethod
    def of(matrix: SparseMatrix, filled: BoolArray) -> _Widened:
        """The pattern of a canonical csr matrix, widened."""
        size, width = matrix.shape
        rows = np.concatenate([np.repeat(np.arange(size), np.diff(matrix.indptr)), np.flatnonzero(filled)])
        columns = np.concatenate([matrix.indices, np.full(int(filled.sum()), width)])
        order = np.lexsort((columns, rows))
        starts = np.searchsorted(rows[order], np.arange(size + 1))
        return _Widened(order, columns[order], starts, filled, width + 1)

    def entries(self, stored: ObjectArray, column: ObjectArray) -> ObjectArray:
        """Exact entries in the order of the widened pattern."""
        result: ObjectArray = np.concatenate([stored, column[self._filled]])[self._order]
        return result

    def matrix(self, stored: Vector, column: Vector) -> SparseMatrix:
        """The widened matrix of floats."""
        values = np.concatenate([stored, column[self._filled]])[self._order]
        return csr_array((values, self._columns, self._starts), shape=(len(self._filled), self._width))


def _fresh(name: str, network: Network) -> str:
    """A name that no node has."""
    while name in network.graph:
        name += "'"
    return name
