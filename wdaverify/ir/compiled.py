"""A network as a flat list of steps: what bounds and the search multiply with, node after node.

Every node of the graph has a *slot*, its place in the topological order. The ReLU elements are numbered in that order too:
neuron k of the whole network is element ``k - step.first`` of its step. Weights stand as stored, in float64; where
a float is only the nearest one to the exact coefficient, `AffineStep.rounded` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy.sparse import csr_array

from wdaverify.ir.ops import Affine, Input

if TYPE_CHECKING:
    from wdaverify._types import Matrix, SparseMatrix, Vector
    from wdaverify.ir.network import Network

_DENSE_SHARE = 0.25
"""Matrices with a larger share of nonzeros are multiplied as dense ones."""

_SMALL = 4096
"""Matrices with at most so many entries are always dense: the call costs more than the product."""


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """One matrix ``M`` (size, size of the source) of an affine step, dense or in sparse rows.

    Attributes
    ----------
    matrix, transposed
        ``M`` and ``M^T``, both dense or both sparse.
    sizes
        ``|M|``, of the same kind.
    terms
        The largest number of stored entries in a column.
    """

    matrix: Matrix | SparseMatrix
    transposed: Matrix | SparseMatrix
    sizes: Matrix | SparseMatrix
    terms: int

    @staticmethod
    def of(matrix: SparseMatrix) -> Factor:
        """Choose dense or sparse."""
        entries = matrix.shape[0] * matrix.shape[1]
        terms = int(np.bincount(matrix.indices, minlength=1).max())
        if entries <= _SMALL or matrix.nnz > _DENSE_SHARE * entries:
            dense = matrix.toarray()
            return Factor(dense, np.ascontiguousarray(dense.T), np.abs(dense), terms)
        return Factor(matrix, csr_array(matrix.T), abs(matrix), terms)

    def pull(self, rows: Matrix) -> Matrix:
        """``rows @ M`` for rows (R, size)."""
        if isinstance(self.matrix, np.ndarray):
            return rows @ self.matrix
        product: Matrix = np.ascontiguousarray((self.transposed @ rows.T).T)
        return product

    def push(self, values: Matrix) -> Matrix:
        """``values @ M^T`` for values (N, size of the source)."""
        if isinstance(self.matrix, np.ndarray):
            return values @ self.transposed
        product: Matrix = np.ascontiguousarray((self.matrix @ values.T).T)
        return product


@dataclass(frozen=True, slots=True, eq=False)
class InputStep:
    """The input."""

    slot: int
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class AffineStep:
    """``y = sum_k M_k x_k + b`` over the slots `sources`.

    Attributes
    ----------
    terms
        The number of products in any one entry of ``A M_k`` or in ``A b``, at most.
    rounded
        Whether a float may be half an ulp away from the exact coefficient.
    """

    slot: int
    size: int
    sources: tuple[int, ...]
    factors: tuple[Factor, ...]
    bias: Vector
    terms: int
    rounded: bool


@dataclass(frozen=True, slots=True, eq=False)
class ReluStep:
    """``y = max(0, z)`` of one slot; its elements are the neurons ``first .. first + size - 1``."""

    slot: int
    size: int
    source: int
    first: int

    @property
    def neurons(self) -> slice:
        """Where its elements stand among all neurons."""
        return slice(self.first, self.first + self.size)


Step: TypeAlias = InputStep | AffineStep | ReluStep


@dataclass(frozen=True, slots=True, eq=False)
class CompiledNetwork:
    """The steps in topological order; slot s is computed by ``steps[s]``.

    Attributes
    ----------
    names
        Node name of each slot.
    input, output
        Slots of the input and of the logits.
    relus
        The ReLU steps in order.
    neurons
        Number of ReLU elements of the whole network.
    """

    steps: tuple[Step, ...]
    names: tuple[str, ...]
    input: int
    output: int
    relus: tuple[ReluStep, ...]
    neurons: int

    @property
    def inputs(self) -> int:
        """Number n of input coordinates."""
        return self.steps[self.input].size

    @property
    def outputs(self) -> int:
        """Number K of logits."""
        return self.steps[self.output].size

    def trace(self, x: Matrix) -> list[Matrix]:
        """The float64 values (N, size) of every slot at the rows of `x` (N, n)."""
        values: list[Matrix] = []
        for step in self.steps:
            if isinstance(step, InputStep):
                values.append(np.asarray(x, dtype=np.float64))
            elif isinstance(step, AffineStep):
                total = sum((f.push(values[s]) for f, s in zip(step.factors, step.sources, strict=True)), step.bias)
                values.append(np.broadcast_to(total, (len(x), step.size)))
            else:
                values.append(np.maximum(values[step.source], 0.0))
        return values

    def forward(self, x: Matrix) -> Matrix:
        """The float64 logits (N, K) at the rows of `x` (N, n)."""
        return self.trace(x)[self.output]


def compile_network(network: Network) -> CompiledNetwork:
    """The steps of a network; `Network.compiled` keeps them.

    Examples
    --------
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Relu
    >>> split, add = (Affine((csr_array(np.array(m)),), np.zeros(len(m))) for m in ([[1.0], [-1.0]], [[1.0, 1.0]]))
    >>> nodes = {"x": Node(Input(1)), "z": Node(split, ("x",)), "a": Node(Relu(2), ("z",)), "y": Node(add, ("a",))}
    >>> compiled = compile_network(Network.from_nodes(nodes, "y"))
    >>> compiled.neurons, compiled.forward(np.array([[-3.0], [2.0]])).tolist()
    (2, [[3.0], [2.0]])
    """
    slots = {name: k for k, name in enumerate(network.order)}
    steps: list[Step] = []
    neurons = 0
    for slot, name in enumerate(network.order):
        op, sources = network.op(name), tuple(slots[s] for s in network.sources(name))
        if isinstance(op, Input):
            steps.append(InputStep(slot, op.size))
        elif isinstance(op, Affine):
            factors = tuple(Factor.of(m) for m in op.matrices)
            terms = max([int(np.count_nonzero(op.bias)), *(f.terms for f in factors)])
            steps.append(AffineStep(slot, op.size, sources, factors, op.bias, terms, op.exact is not None))
        else:
            steps.append(ReluStep(slot, op.size, sources[0], neurons))
            neurons += op.size
    relus = tuple(step for step in steps if isinstance(step, ReluStep))
    return CompiledNetwork(tuple(steps), network.order, slots[network.input], slots[network.output], relus, neurons)
