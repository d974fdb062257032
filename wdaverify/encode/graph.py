"""The graph of a network as rows of a program: one column per value, one encoder per op.

``ENCODERS`` maps an op type to the function that adds its columns and rows. Affine ops become equalities
``z - sum_k M_k x_k = b`` with the weights untouched; ReLUs are added by one of the encodings of `encode.relu`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.sparse import eye_array

from wdaverify.encode.relu import ZERO_COLUMN, ReluEncoding
from wdaverify.ir.ops import Affine, Input, Op, Relu

if TYPE_CHECKING:
    from collections.abc import Collection

    from wdaverify._types import IntArray, SparseMatrix, Vector
    from wdaverify.ir.network import Network
    from wdaverify.program.builder import ProgramBuilder


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """Bounds of one region, by node: ``lower[name] <= value <= upper[name]``, each of shape (size,)."""

    lower: dict[str, Vector]
    upper: dict[str, Vector]

    def of(self, name: str, size: int) -> tuple[Vector, Vector]:
        """The bounds of a node; infinite where nothing is known."""
        return self.lower.get(name, np.full(size, -np.inf)), self.upper.get(name, np.full(size, np.inf))


@dataclass(frozen=True, slots=True, eq=False)
class GraphColumns:
    """Where the values of a network stand in a program.

    Attributes
    ----------
    nodes
        Node name to the columns (size,) of its values; `ZERO_COLUMN` marks a value that is constantly 0.
    binaries
        ReLU node name to the columns of its binaries, -1 where a neuron has none.
    """

    network: Network
    nodes: dict[str, IntArray]
    binaries: dict[str, IntArray]

    @property
    def inputs(self) -> IntArray:
        """Columns of the input."""
        return self.nodes[self.network.input]

    @property
    def outputs(self) -> IntArray:
        """Columns of the output."""
        return self.nodes[self.network.output]


class Encoder(Protocol):
    """Adds the columns and rows of one node."""

    def __call__(self, builder: ProgramBuilder, name: str, graph: GraphColumns, ranges: Ranges, relu: ReluEncoding) -> None:
        """Fill ``graph.nodes[name]``."""
        ...


def encode_graph(
    builder: ProgramBuilder, network: Network, ranges: Ranges, relu: ReluEncoding, nodes: Collection[str] | None = None
) -> GraphColumns:
    """Add the graph ``{(x, all values of the network at x)}`` to a program.

    Parameters
    ----------
    ranges
        Bounds of the input (required), of the pre-activations of every ReLU (required by `big_m` and `triangle`)
        and of any other node.
    relu
        `big_m`, `triangle` or ``fixed_phase(pattern)``.
    nodes
        Those to add, with everything that they read; by default all.
    """
    graph = GraphColumns(network, {}, {})
    for name in network.order if nodes is None else [name for name in network.order if name in nodes]:
        ENCODERS[type(network.op(name))](builder, name, graph, ranges, relu)
    return graph


def _encode_input(builder: ProgramBuilder, name: str, graph: GraphColumns, ranges: Ranges, relu: ReluEncoding) -> None:  # noqa: ARG001
    lower, upper = ranges.of(name, graph.network.size(name))
    graph.nodes[name] = builder.add_columns(len(lower), lower, upper)


def _encode_affine(builder: ProgramBuilder, name: str, graph: GraphColumns, ranges: Ranges, relu: ReluEncoding) -> None:  # noqa: ARG001
    op = graph.network.op(name)
    assert isinstance(op, Affine)
    lower, upper = ranges.of(name, op.size)
    z = builder.add_columns(op.size, lower, upper)
    terms: list[tuple[IntArray, SparseMatrix]] = [(z, eye_array(op.size).tocsr())]
    for matrix, source in zip(op.matrices, graph.network.sources(name), strict=True):
        columns = graph.nodes[source]
        live = columns != ZERO_COLUMN
        terms.append((columns[live], -matrix[:, live]))
    builder.add_rows(terms, op.bias, op.bias)
    graph.nodes[name] = z


def _encode_relu(builder: ProgramBuilder, name: str, graph: GraphColumns, ranges: Ranges, relu: ReluEncoding) -> None:
    source = graph.network.sources(name)[0]
    lower, upper = ranges.of(source, graph.network.size(source))
    columns = relu(builder, name, graph.nodes[source], lower, upper)
    graph.nodes[name], graph.binaries[name] = columns.outputs, columns.binaries


ENCODERS: dict[type[Op], Encoder] = {Input: _encode_input, Affine: _encode_affine, Relu: _encode_relu}
