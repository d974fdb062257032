r"""The gradient of a linear form of the logits as columns of the big-M program of a network.

The adjoint g of every node becomes columns (`bounds.adjoint` has the recursion), in units of a power of two of its size:
solvers know absolute tolerances only. Where a phase is open, the product ``h = d g`` of its binary and an adjoint in ``[l, u]``
is linear, because d is 0 or 1 (McCormick 1976)::

    l d <= h <= u d,        g - u (1 - d) <= h <= g - l (1 - d)

So the program contains ``(x, phases, gradient)`` for all phases whose *closed* cell is not empty (docs/theory.md,
"Lipschitz constants"): a cell may be a face of lower dimension, whose gradient nobody sees.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import csr_array, diags_array, eye_array

from wdaverify.bounds.adjoint import AdjointIntervals, readers
from wdaverify.encode.relu import ZERO_COLUMN
from wdaverify.ir.ops import Affine

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, IntArray, SparseMatrix, Vector
    from wdaverify.bounds.interval import Interval
    from wdaverify.encode.graph import GraphColumns
    from wdaverify.program.builder import ProgramBuilder

NO_BINARY = -1
"""Stands for the binary of a neuron whose phase is known."""


SMALLEST_END = 2.0**-20
"""Ends of intervals nearer to 0 than this, in units of the node, are moved outward: solvers drop small coefficients."""


class AdjointColumns(NamedTuple):
    """The adjoint of a node: ``g_k = unit * column_k``, 0 where the column is `ZERO_COLUMN`; `unit` is a power of two."""

    columns: IntArray
    unit: float


def encode_gradient(
    builder: ProgramBuilder, graph: GraphColumns, form: Vector, intervals: AdjointIntervals, entries: BoolArray | None = None
) -> AdjointColumns:
    """Add the adjoints of all nodes and return that of the input, the gradient of ``form . f``.

    Parameters
    ----------
    graph
        The columns of the network, with big-M ReLUs.
    form
        The linear form of the logits, shape (K,).
    intervals
        Of this form alone, ends of shape (1, size), finite.
    entries
        The entries (n,) of the gradient that are asked for, default all; where others have columns they mean nothing.
    """
    network = graph.network
    encoder = _Adjoints(builder, graph, intervals, np.ones(network.inputs, dtype=np.bool_) if entries is None else entries)
    unit = power_of_two(float(np.abs(form).max(initial=0.0)))
    encoder.nodes[network.output] = AdjointColumns(builder.add_columns(network.outputs, form / unit, form / unit), unit)
    for name in reversed(network.order):
        if name != network.output:
            encoder.nodes[name] = encoder.sum_of_readers(name)
        if name in graph.binaries:
            encoder.gated[name] = encoder.gate(name)
    return encoder.nodes[network.input]


def power_of_two(size: float) -> float:
    """The smallest power of two above a size; 1 for 0.

    >>> power_of_two(3.0), power_of_two(0.0)
    (4.0, 1.0)
    """
    return math.ldexp(1.0, math.frexp(size)[1]) if size > 0 else 1.0


def ends_in_units(interval: Interval, unit: float) -> tuple[Vector, Vector]:
    """The ends (size,) of an interval (1, size) divided by a power of two, none but 0 nearer to 0 than `SMALLEST_END`.

    >>> from wdaverify.bounds.interval import Interval
    >>> low, high = ends_in_units(Interval(np.array([[-1.0, 1e-9, -1e-9]]), np.array([[0.0, 1.0, 1e-9]])), 2.0)
    >>> low.tolist(), high.tolist()
    ([-0.5, 0.0, -9.5367431640625e-07], [0.0, 0.5, 9.5367431640625e-07])
    """
    lower, upper = interval.lower[0] / unit, interval.upper[0] / unit
    small = np.abs(lower) < SMALLEST_END, np.abs(upper) < SMALLEST_END
    lower = np.where(small[0], np.where(lower < 0, -SMALLEST_END, 0.0), lower)
    return lower, np.where(small[1], np.where(upper > 0, SMALLEST_END, 0.0), upper)


class _Adjoints:
    """The adjoints so far, from the output backwards, and beside them ``alpha * g``, what ReLUs pass on."""

    def __init__(self, builder: ProgramBuilder, graph: GraphColumns, intervals: AdjointIntervals, entries: BoolArray) -> None:
        self._builder, self._graph, self._intervals, self._entries = builder, graph, intervals, entries
        self._readers = readers(graph.network)
        self.nodes: dict[str, AdjointColumns] = {}
        self.gated: dict[str, AdjointColumns] = {}

    def sum_of_readers(self, name: str) -> AdjointColumns:
        """``g - sum_r M_r^T g_r = 0``; a ReLU that is the only reader passes its columns on."""
        network, reading = self._graph.network, self._readers[name]
        size = network.size(name)
        kept = self._entries if name == network.input else np.ones(size, dtype=np.bool_)
        if len(reading) == 1 and reading[0][0] in self.gated:
            return self.gated[reading[0][0]]
        interval = self._intervals.nodes[name]
        unit = power_of_two(float(interval.magnitude.max(initial=0.0)))
        terms: list[tuple[IntArray, SparseMatrix]] = []
        for reader, position in reading:
            op = network.op(reader)
            read = self.gated[reader] if reader in self.gated else self.nodes[reader]
            back = csr_array(op.matrices[position].T) if isinstance(op, Affine) else csr_array(eye_array(size))
            live = read.columns != ZERO_COLUMN
            terms.append((read.columns[live], back[kept][:, live] * (-read.unit / unit)))
        columns, count = np.full(size, ZERO_COLUMN), int(kept.sum())
        if any(len(read) for read, _ in terms) and count:
            lower, upper = ends_in_units(interval, unit)
            columns[kept] = self._builder.add_columns(count, lower[kept], upper[kept])
            self._builder.add_rows([(columns[kept], csr_array(eye_array(count))), *terms], 0.0, 0.0)
        return AdjointColumns(columns, unit)

    def gate(self, name: str) -> AdjointColumns:
        """``alpha * g`` of a ReLU node: g where it is active, 0 where it is not, ``h = d g`` where that is open."""
        binaries, (adjoint, unit) = self._graph.binaries[name], self.nodes[name]
        lower, upper = ends_in_units(self._intervals.nodes[name], unit)
        is_open = (binaries != NO_BINARY) & (adjoint != ZERO_COLUMN) & ((lower < 0) | (upper > 0))
        passes = (binaries == NO_BINARY) & (self._graph.nodes[name] != ZERO_COLUMN)
        columns = np.where(passes, adjoint, ZERO_COLUMN)
        if is_open.any():
            g, d, low, high = adjoint[is_open], binaries[is_open], lower[is_open], upper[is_open]
            columns[is_open] = self._product(g, d, low, high)
        return AdjointColumns(columns, unit)

    def _product(self, g: IntArray, d: IntArray, low: Vector, high: Vector) -> IntArray:
        """New columns ``h = d g`` for binaries d and ``low <= g <= high``."""
        one, least, most = (csr_array(m) for m in (eye_array(len(g)), diags_array(low), diags_array(high)))
        h = self._builder.add_columns(len(g), np.minimum(low, 0.0), np.maximum(high, 0.0))
        self._builder.add_rows([(h, one), (d, -least)], 0.0, np.inf)
        self._builder.add_rows([(h, one), (d, -most)], -np.inf, 0.0)
        self._builder.add_rows([(h, one), (g, -one), (d, -least)], -np.inf, -low)
        self._builder.add_rows([(h, one), (g, -one), (d, -most)], -high, np.inf)
        return h
