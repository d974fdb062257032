r"""The gradient of a linear form of the logits as columns of the big-M program of a network.

The adjoint of every node becomes columns g, with the weights untouched in equality rows (`bounds.adjoint` has the
recursion). Where a phase is open, the product ``h = d g`` of its binary and an adjoint in ``[l, u]`` is linear in exact
terms, because d is 0 or 1 (McCormick 1976)::

    l d <= h <= u d,        g - u (1 - d) <= h <= g - l (1 - d)

So the program contains ``(x, phases, gradient)`` for all phases whose *closed* cell is not empty (docs/theory.md,
"Lipschitz constants"): a cell may be a face of lower dimension, whose gradient nobody sees. The dual norm to be maximised
needs binaries where signs are open::

    l1      sum_k a_k,   a_k <= g_k - 2 l_k (1 - s_k),   a_k <= -g_k + 2 u_k s_k,   s_k in {0, 1}
    linf    t,   t <= g_k + (T - l_k)(1 - p_k),   t <= -g_k + (T + u_k)(1 - q_k),   sum_k p_k + q_k = 1,   T >= |g|
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array, diags_array, eye_array

from wdaverify._errors import InputError
from wdaverify._types import Norm
from wdaverify.bounds.adjoint import AdjointIntervals, readers
from wdaverify.encode.relu import ZERO_COLUMN
from wdaverify.ir.ops import Affine

if TYPE_CHECKING:
    from wdaverify._types import IntArray, SparseMatrix, Vector
    from wdaverify.bounds.interval import Interval
    from wdaverify.encode.graph import GraphColumns
    from wdaverify.program.builder import ProgramBuilder

NO_BINARY = -1
"""Stands for the binary of a neuron whose phase is known."""


def encode_adjoint(
    builder: ProgramBuilder, graph: GraphColumns, form: Vector, intervals: AdjointIntervals
) -> dict[str, IntArray]:
    """Add the adjoints of all nodes and return their columns by node, those of the input being the gradient.

    Parameters
    ----------
    graph
        The columns of the network, with big-M ReLUs.
    form
        The linear form of the logits, shape (K,).
    intervals
        Of this form alone, ends of shape (1, size).

    Returns
    -------
    dict
        Columns of shape (size,); `ZERO_COLUMN` marks an adjoint that is constantly 0.
    """
    network, reading = graph.network, readers(graph.network)
    adjoints: dict[str, IntArray] = {network.output: builder.add_columns(network.outputs, form, form)}
    gated: dict[str, IntArray] = {}
    for name in reversed(network.order):
        if name != network.output:
            adjoints[name] = _sum(builder, graph, name, (adjoints, gated), intervals.nodes[name], reading[name])
        if name in graph.binaries:
            gated[name] = _gate(builder, graph, name, adjoints[name], intervals.nodes[name])
    return adjoints


def _sum(
    builder: ProgramBuilder,
    graph: GraphColumns,
    name: str,
    known: tuple[dict[str, IntArray], dict[str, IntArray]],
    interval: Interval,
    reading: list[tuple[str, int]],
) -> IntArray:
    """The columns of a node's adjoint: ``g - sum_r M_r^T g_r = 0``; those of its only reader if that is a ReLU."""
    adjoints, gated = known
    if len(reading) == 1 and reading[0][0] in gated:
        return gated[reading[0][0]]
    terms: list[tuple[IntArray, SparseMatrix]] = []
    for reader, position in reading:
        op = graph.network.op(reader)
        columns = gated[reader] if reader in gated else adjoints[reader]
        back = csr_array(op.matrices[position].T) if isinstance(op, Affine) else csr_array(eye_array(len(columns)))
        live = columns != ZERO_COLUMN
        terms.append((columns[live], -back[:, live]))
    size = graph.network.size(name)
    if not any(len(columns) for columns, _ in terms):
        return np.full(size, ZERO_COLUMN)
    own = builder.add_columns(size, interval.lower[0], interval.upper[0])
    builder.add_rows([(own, csr_array(eye_array(size))), *terms], 0.0, 0.0)
    return own


def _gate(builder: ProgramBuilder, graph: GraphColumns, name: str, adjoint: IntArray, interval: Interval) -> IntArray:
    """The columns of ``alpha * g`` of a ReLU node: g where it is active, none where it is not, h = d g where that is open."""
    binaries, lower, upper = graph.binaries[name], interval.lower[0], interval.upper[0]
    is_open = (binaries != NO_BINARY) & (adjoint != ZERO_COLUMN) & ((lower < 0) | (upper > 0))
    passes = (binaries == NO_BINARY) & (graph.nodes[name] != ZERO_COLUMN)
    columns = np.where(passes, adjoint, ZERO_COLUMN)
    if is_open.any():
        low, high, count = lower[is_open], upper[is_open], int(is_open.sum())
        g, d, one = adjoint[is_open], binaries[is_open], csr_array(eye_array(count))
        h = builder.add_columns(count, np.minimum(low, 0.0), np.maximum(high, 0.0))
        least, most = csr_array(diags_array(low)), csr_array(diags_array(high))
        builder.add_rows([(h, one), (d, -least)], 0.0, np.inf)
        builder.add_rows([(h, one), (d, -most)], -np.inf, 0.0)
        builder.add_rows([(h, one), (g, -one), (d, -least)], -np.inf, -low)
        builder.add_rows([(h, one), (g, -one), (d, -most)], -high, np.inf)
        columns[is_open] = h
    return columns


def add_dual_norm(builder: ProgramBuilder, gradient: IntArray, lower: Vector, upper: Vector, norm: Norm) -> None:
    """Let the objective, to be maximised, be the norm of a gradient.

    Parameters
    ----------
    gradient
        Columns (m,) of the entries that count; `ZERO_COLUMN` marks one that is constantly 0.
    lower, upper
        Bounds of the entries, shape (m,), finite.
    norm
        The norm of the gradient, l1 or linf.

    Raises
    ------
    InputError
        For l2, which is not piecewise linear.
    """
    live = gradient != ZERO_COLUMN
    columns, low, high = gradient[live], lower[live], upper[live]
    if norm is Norm.L1:
        _add_sum_of_sizes(builder, columns, low, high)
    elif norm is Norm.LINF:
        _add_largest_size(builder, columns, low, high)
    else:
        raise InputError("the l2 norm of a gradient is not piecewise linear: no mixed-integer linear program maximises it")


def _add_sum_of_sizes(builder: ProgramBuilder, columns: IntArray, lower: Vector, upper: Vector) -> None:
    """``sum_k |g_k|``, with a binary for every entry of open sign."""
    positive, negative = lower >= 0, (upper <= 0) & (lower < 0)
    builder.set_objective(columns[positive], 1.0)
    builder.set_objective(columns[negative], -1.0)
    is_open = ~positive & ~negative
    count = int(is_open.sum())
    if not count:
        return
    g, low, high, one = columns[is_open], lower[is_open], upper[is_open], csr_array(eye_array(count))
    sizes = builder.add_columns(count, 0.0, np.maximum(-low, high), objective=1.0)
    signs = builder.add_columns(count, 0.0, 1.0, integer=True)
    builder.add_rows([(sizes, one), (g, -one), (signs, csr_array(diags_array(-2.0 * low)))], -np.inf, -2.0 * low)
    builder.add_rows([(sizes, one), (g, one), (signs, csr_array(diags_array(-2.0 * high)))], -np.inf, 0.0)


def _add_largest_size(builder: ProgramBuilder, columns: IntArray, lower: Vector, upper: Vector) -> None:
    """``max_k |g_k|``: a binary chooses the entry and its sign, among those that can be the largest."""
    if not len(columns):
        return
    attained, largest = float(np.maximum(lower, -upper).max()), float(np.maximum(-lower, upper).max())
    t = builder.add_columns(1, 0.0, largest, objective=1.0)
    rise, fall = np.flatnonzero(upper >= attained), np.flatnonzero(-lower >= attained)
    choices = builder.add_columns(len(rise) + len(fall), 0.0, 1.0, integer=True)
    builder.add_rows([(choices, np.ones((1, len(choices))))], 1.0, 1.0)
    for entries, chosen, sign, room in (
        (rise, choices[: len(rise)], 1.0, largest - lower[rise]),
        (fall, choices[len(rise) :], -1.0, largest + upper[fall]),
    ):
        if len(entries):
            g = (columns[entries], csr_array(-sign * eye_array(len(entries))))
            builder.add_rows([(t, np.ones((len(entries), 1))), g, (chosen, csr_array(diags_array(room)))], -np.inf, room)
