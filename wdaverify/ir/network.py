"""The network: a directed acyclic graph of frozen ops."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import networkx as nx

from wdaverify._errors import ModelError
from wdaverify.ir.ops import Affine, Input, Op, Relu

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wdaverify.ir.compiled import CompiledNetwork


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a network came from: file name, digest, and the bytes from which the float32 model can be replayed."""

    file: str
    sha256: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Node:
    """One op with the names of the nodes it reads, in order."""

    op: Op
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Network:
    """A piecewise-linear function ``f: R^n -> R^K`` as a graph of `Input`, `Affine` and `Relu`.

    Build it with `wdaverify.load`, `wdaverify.from_torch` or `Network.from_nodes`.

    Parameters
    ----------
    graph
        A frozen `networkx.DiGraph`; node attribute ``node`` is a `Node`, edges run from source to reader.
    input, output
        Names of the input node and of the node whose vector is ``f(x)`` (always an `Affine`).
    input_shape
        Shape of one sample before flattening, without the batch axis.
    notes
        What the importer changed and the user should know (a dropped softmax).
    source
        The model file, for hashes and for the float32 replay.

    Examples
    --------
    ``f(x) = relu(x_0 + x_1)``:

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from wdaverify.ir.ops import Affine, Input, Relu
    >>> add, same = (Affine((csr_array(np.array(rows)),), np.zeros(1)) for rows in ([[1.0, 1.0]], [[1.0]]))
    >>> nodes = {"x": Node(Input(2)), "z": Node(add, ("x",)), "a": Node(Relu(1), ("z",)), "f": Node(same, ("a",))}
    >>> network = Network.from_nodes(nodes, "f")
    >>> network.order, network.inputs, network.outputs, network.relus
    (('x', 'z', 'a', 'f'), 2, 1, 1)
    """

    graph: nx.DiGraph[str]
    input: str
    output: str
    input_shape: tuple[int, ...]
    notes: tuple[str, ...] = ()
    source: ModelSource | None = field(default=None, repr=False)

    @staticmethod
    def from_nodes(
        nodes: Mapping[str, Node],
        output: str,
        *,
        input_shape: Sequence[int] | None = None,
        notes: Sequence[str] = (),
        source: ModelSource | None = None,
    ) -> Network:
        """Assemble a network from named nodes, dropping what the output does not read.

        Raises
        ------
        ModelError
            If a source is missing, shapes do not fit, there is not exactly one input, or the graph has a cycle.
        """
        graph: nx.DiGraph[str] = nx.DiGraph()
        for name, node in nodes.items():
            graph.add_node(name, node=node)
            for source_name in node.sources:
                if source_name not in nodes:
                    raise ModelError(f"node '{name}' reads '{source_name}', which does not exist")
                graph.add_edge(source_name, name)
        if not nx.is_directed_acyclic_graph(graph):
            raise ModelError("the graph has a cycle")
        inputs = [name for name, node in nodes.items() if isinstance(node.op, Input)]
        if len(inputs) != 1:
            raise ModelError(f"a network needs exactly one input, found {len(inputs)}")
        kept = nx.ancestors(graph, output) | {output, inputs[0]}
        graph = nx.freeze(graph.subgraph(kept).copy())
        size = nodes[inputs[0]].op.size
        network = Network(graph, inputs[0], output, tuple(input_shape or (size,)), tuple(notes), source)
        network._validate()
        return network

    def _validate(self) -> None:
        for name in self.order:
            op, sources = self.op(name), self.sources(name)
            sizes = tuple(self.size(s) for s in sources)
            match op:
                case Affine(matrices=matrices) if tuple(m.shape for m in matrices) != tuple((op.size, s) for s in sizes):
                    raise ModelError(
                        f"affine node '{name}' has matrices {[m.shape for m in matrices]} for sources of sizes {sizes}"
                    )
                case Relu() if sizes != (op.size,):
                    raise ModelError(f"ReLU node '{name}' of size {op.size} reads sources of sizes {sizes}")
                case _:
                    pass
        if not isinstance(self.op(self.output), Affine):
            raise ModelError(f"the output node '{self.output}' must be affine")

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Node names in a fixed topological order: sources come before readers, ties keep the order of insertion."""
        position = {name: k for k, name in enumerate(self.graph)}
        return tuple(nx.lexicographical_topological_sort(self.graph, key=position.__getitem__))

    @cached_property
    def relu_nodes(self) -> tuple[str, ...]:
        """Names of the ReLU nodes in topological order."""
        return tuple(name for name in self.order if isinstance(self.op(name), Relu))

    @cached_property
    def compiled(self) -> CompiledNetwork:
        """The network as a flat list of steps."""
        from wdaverify.ir.compiled import compile_network  # it imports this module's ops

        return compile_network(self)

    def node(self, name: str) -> Node:
        """The op of a node together with its sources."""
        node: Node = self.graph.nodes[name]["node"]
        return node

    def op(self, name: str) -> Op:
        """The op of a node."""
        return self.node(name).op

    def sources(self, name: str) -> tuple[str, ...]:
        """The nodes that `name` reads, in the order of its op's matrices."""
        return self.node(name).sources

    def size(self, name: str) -> int:
        """Length of the vector that `name` computes."""
        return self.op(name).size

    @property
    def inputs(self) -> int:
        """Number n of input coordinates."""
        return self.size(self.input)

    @property
    def outputs(self) -> int:
        """Number K of outputs."""
        return self.size(self.output)

    @property
    def relus(self) -> int:
        """Number of ReLU neurons."""
        return sum(self.size(name) for name in self.relu_nodes)

    def __str__(self) -> str:
        return f"{self.inputs} inputs, {self.outputs} outputs, {self.relus} ReLUs in {len(self.relu_nodes)} layers"

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without cached values: they are cheap to recompute and large to send."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}
