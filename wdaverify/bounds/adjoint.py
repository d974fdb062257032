r"""Intervals of adjoints: what the gradient of a linear form of the logits can be at every node.

Backward through the graph, with :math:`g` of the output equal to the form c,

.. math:: g_v = \sum_{\text{affine readers } r} M_{rv}^T\, g_r + \sum_{\text{ReLU readers } r} \alpha_r \odot g_r,

where :math:`\alpha_r \in \{0, 1\}` are the phases: 1 or 0 where the bounds of the pre-activation decide, either where they do
not. At the input, g is the gradient of ``c . f`` on the cell of the phases. Interval arithmetic, rounded outward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array, eye_array

from wdaverify.bounds.interval import Interval, affine_interval
from wdaverify.ir.ops import Affine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray, Matrix, SparseMatrix
    from wdaverify.bounds.layer_bounds import LayerBounds
    from wdaverify.ir.network import Network


@dataclass(frozen=True, slots=True, eq=False)
class AdjointIntervals:
    """Ends (R, size), one row for every form.

    Attributes
    ----------
    nodes
        Node name to the interval of its adjoint g.
    gated
        ReLU node to the interval of ``alpha * g``, what it passes on to its source.
    """

    nodes: dict[str, Interval]
    gated: dict[str, Interval]

    def of_form(self, row: int) -> AdjointIntervals:
        """The intervals (1, size) of one form."""

        def chosen(intervals: dict[str, Interval]) -> dict[str, Interval]:
            part = slice(row, row + 1)
            return {name: Interval(ends.lower[part], ends.upper[part]) for name, ends in intervals.items()}

        return AdjointIntervals(chosen(self.nodes), chosen(self.gated))


def readers(network: Network) -> dict[str, list[tuple[str, int]]]:
    """Node name to its readers: their names, and as which of their sources they read it."""
    found: dict[str, list[tuple[str, int]]] = {name: [] for name in network.order}
    for name in network.order:
        for position, source in enumerate(network.sources(name)):
            found[source].append((name, position))
    return found


def phases(bounds: LayerBounds, source: str) -> tuple[BoolArray, BoolArray]:
    """Which neurons (size,) that read `source` are stably active and which stably inactive, on the one region of `bounds`."""
    lower, upper = bounds.lower[source][0], bounds.upper[source][0]
    inactive = np.asarray(upper <= 0)
    return np.asarray((lower >= 0) & ~inactive), inactive


def adjoint_intervals(network: Network, bounds: LayerBounds, forms: Matrix) -> AdjointIntervals:
    """Bound the adjoint of every node for every form.

    Proved in real arithmetic over the exact weights, for all phases that are possible within the bounds.

    Parameters
    ----------
    bounds
        Of one region, from `crown_bounds` or tighter.
    forms
        Linear forms of the logits, shape (R, K).

    Examples
    --------
    ``|x|`` as ``relu(x) + relu(-x)``: on [1, 2] the phases are known and its gradient is 1; on [-1, 2] any of -1, 0, 1.

    >>> from wdaverify.bounds.crown import crown_bounds
    >>> from wdaverify.domain import Box, Regions
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Input, Relu
    >>> split, add = (Affine((csr_array(np.array(m)),), np.zeros(len(m))) for m in ([[1.0], [-1.0]], [[1.0, 1.0]]))
    >>> nodes = {"x": Node(Input(1)), "z": Node(split, ("x",)), "a": Node(Relu(2), ("z",)), "y": Node(add, ("a",))}
    >>> network = Network.from_nodes(nodes, "y")
    >>> ends = [adjoint_intervals(network, crown_bounds(network, Regions.of_box(Box(lo, 2), 1)), np.ones((1, 1))).nodes["x"]
    ...         for lo in (1, -1)]
    >>> [(end.lower.round(9).item(), end.upper.round(9).item()) for end in ends]
    [(1.0, 1.0), (-1.0, 1.0)]
    """
    nodes: dict[str, Interval] = {network.output: Interval(forms, forms)}
    gated: dict[str, Interval] = {}
    reading = readers(network)
    for name in reversed(network.order):
        if name != network.output:
            parts = [(_backward(network, reader, position), reader) for reader, position in reading[name]]
            sources = [gated[reader] if reader in gated else nodes[reader] for _, reader in parts]
            if len(parts) == 1 and parts[0][1] in gated:
                nodes[name] = sources[0]
            else:
                nodes[name] = _sum([matrix for matrix, _ in parts], sources)
        if name in network.relu_nodes:
            gated[name] = _gate(nodes[name], *phases(bounds, network.sources(name)[0]))
    return AdjointIntervals(nodes, gated)


def _backward(network: Network, reader: str, position: int) -> SparseMatrix:
    """The matrix (size of the source, size of the reader) that carries an adjoint back along one edge."""
    op = network.op(reader)
    if isinstance(op, Affine):
        return csr_array(op.matrices[position].T)
    return csr_array(eye_array(network.size(reader)))


def _sum(matrices: Sequence[SparseMatrix], sources: Sequence[Interval]) -> Interval:
    """``sum_r M_r g_r``; exactly 0 where no stored coefficient meets an adjoint that is not."""
    size, batch = matrices[0].shape[0], len(sources[0].lower)
    total = affine_interval(Affine(tuple(matrices), np.zeros(size)), sources, batch=batch)[0]
    met = np.zeros((batch, size), dtype=bool)
    for matrix, source in zip(matrices, sources, strict=True):
        pattern = csr_array((np.ones(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)
        met |= (pattern @ (source.magnitude > 0).astype(np.float64).T).T > 0
    return Interval(np.where(met, total.lower, 0.0), np.where(met, total.upper, 0.0))


def _gate(adjoint: Interval, active: BoolArray, inactive: BoolArray) -> Interval:
    """``alpha * g``: g, 0, or either."""
    lower = np.where(active, adjoint.lower, np.where(inactive, 0.0, np.minimum(adjoint.lower, 0.0)))
    upper = np.where(active, adjoint.upper, np.where(inactive, 0.0, np.maximum(adjoint.upper, 0.0)))
    return Interval(lower, upper)
